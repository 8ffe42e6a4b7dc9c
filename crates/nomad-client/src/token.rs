//! The Nomad ACL token, which nothing prints.

use std::fmt;

use zeroize::Zeroizing;

/// A secret that leaves this type only in the header of a request. It is zeroed when it is dropped.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// A text that cannot be a token. It is not quoted: it may be most of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidToken {
    /// There is nothing in it but white space.
    #[error("it is empty")]
    Empty,
    /// No HTTP header can hold it.
    #[error("it has characters that no token has, such as a line break in the middle")]
    NotSendable,
}

impl Token {
    /// Takes the secret, without the white space that a text editor left around it.
    pub fn parse(secret: String) -> Result<Self, InvalidToken> {
        let secret = Zeroizing::new(secret);
        let secret = secret.trim();
        if secret.is_empty() {
            return Err(InvalidToken::Empty);
        }
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken::NotSendable);
        }
        Ok(Self(Zeroizing::new(secret.to_owned())))
    }

    /// The secret itself, for the body of a login.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// A text without this secret.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(self.0.as_str(), "(the token)")
    }

    /// The header's value, marked so that nothing prints it.
    pub(crate) fn header(&self) -> Result<http::HeaderValue, http::header::InvalidHeaderValue> {
        let mut value = http::HeaderValue::from_str(&self.0)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let token = Token::parse(" f6c17bd0-91b6-4f60-9f4c-2a4b7f0c1d11\n".to_owned()).unwrap();
        assert_eq!(format!("{token:?}"), "Token(redacted)");
        assert_eq!(format!("{:?}", token.header().unwrap()), "Sensitive");
        assert_eq!(token.header().unwrap().as_bytes(), b"f6c17bd0-91b6-4f60-9f4c-2a4b7f0c1d11");
    }

    #[test]
    fn an_answer_that_repeats_the_token_is_told_without_it() {
        let token = Token::parse("f6c17bd0-91b6".to_owned()).unwrap();
        assert_eq!(
            token.redact("bad header X-Nomad-Token: f6c17bd0-91b6!"),
            "bad header X-Nomad-Token: (the token)!"
        );
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_where_it_enters() {
        assert_eq!(Token::parse(" \n".to_owned()).unwrap_err(), InvalidToken::Empty);
        for text in ["two\nlines", "with space", "f6c17bd0–91b6"] {
            assert_eq!(Token::parse(text.to_owned()).unwrap_err(), InvalidToken::NotSendable, "{text}");
        }
    }
}
