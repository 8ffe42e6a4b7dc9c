//! The Nomad ACL token, which nothing prints.

use std::fmt;

use zeroize::Zeroizing;

/// A secret that leaves this type only in the header of a request. It is zeroed when it is dropped.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes the secret, without the white space that a text editor left around it.
    pub fn new(secret: String) -> Self {
        let secret = Zeroizing::new(secret);
        Self(Zeroizing::new(secret.trim().to_owned()))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The header's value, marked so that nothing prints it; `None` if the secret cannot be a header.
    pub(crate) fn header(&self) -> Option<http::HeaderValue> {
        let mut value = http::HeaderValue::from_str(&self.0).ok()?;
        value.set_sensitive(true);
        Some(value)
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
        let token = Token::new(" f6c17bd0-91b6-4f60-9f4c-2a4b7f0c1d11\n".to_owned());
        assert_eq!(format!("{token:?}"), "Token(redacted)");
        assert_eq!(format!("{:?}", token.header().unwrap()), "Sensitive");
        assert_eq!(token.header().unwrap().as_bytes(), b"f6c17bd0-91b6-4f60-9f4c-2a4b7f0c1d11");
    }

    #[test]
    fn a_secret_that_is_no_header_gives_none() {
        assert!(Token::new("two\nlines".to_owned()).header().is_none());
    }
}
