//! Where the token comes from: the first of these that is set.

use nomad_client::Token;

use super::reader::Reader;
use super::stored::Place;
use super::variables as var;

/// Where the token comes from.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// The cluster has no ACLs: no token is read or sent (`NOMAD_ACL=off`).
    None,
    /// The environment holds it, for trials (`NOMAD_TOKEN`).
    Given(Token),
    /// It is kept in Secrets Manager (`NOMAD_TOKEN_SECRET`) or Parameter Store (`NOMAD_TOKEN_PARAMETER`).
    Stored {
        /// Where.
        place: Place,
        /// The key under which it stands there, if the text is a JSON object.
        key: Option<String>,
    },
    /// Nowhere: the function logs in as its role (`NOMAD_AUTH_METHOD`, `NOMAD_AUTH_AUDIENCE`).
    Login {
        /// Nomad's JWT auth method.
        method: String,
        /// The audience that the method is bound to.
        audience: String,
    },
}

impl TokenSource {
    /// Whether AWS is called for it.
    pub fn calls_aws(&self) -> bool {
        match self {
            Self::None | Self::Given(_) => false,
            Self::Stored { .. } | Self::Login { .. } => true,
        }
    }

    /// How errors name the token; `None` if there is none.
    pub fn description(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Given(_) => Some("the token in NOMAD_TOKEN".to_owned()),
            Self::Stored { place, .. } => Some(format!("the token in {place}")),
            Self::Login { method, .. } => Some(format!("the token that auth method {method} gave")),
        }
    }
}

/// Reads where the token comes from, and what is set beside it for nothing. `None` if that is a problem of the reader's.
pub(super) fn source(reader: &mut Reader<'_>, acl: bool, warnings: &mut Vec<String>) -> Option<TokenSource> {
    let set: Vec<&str> =
        [&var::NOMAD_TOKEN, &var::NOMAD_TOKEN_SECRET, &var::NOMAD_AUTH_METHOD, &var::NOMAD_TOKEN_PARAMETER]
            .into_iter()
            .filter(|variable| reader.is_set(variable))
            .map(|variable| variable.name)
            .collect();
    if !acl {
        warnings.extend(set.iter().map(|name| format!("{name} is not read: NOMAD_ACL is off")));
        return Some(TokenSource::None);
    }
    if let Some((first, others)) = set.split_first() {
        warnings.extend(others.iter().map(|name| format!("{name} is not read: {first} comes before it")));
    }
    let audience = reader.text(&var::NOMAD_AUTH_AUDIENCE);
    if audience.is_some() && !reader.is_set(&var::NOMAD_AUTH_METHOD) {
        warnings.push("NOMAD_AUTH_AUDIENCE is set for nothing: NOMAD_AUTH_METHOD is not set".to_owned());
    }
    match set.first().copied() {
        Some("NOMAD_TOKEN") => {
            let token = Token::parse(reader.text(&var::NOMAD_TOKEN)?);
            match token {
                Ok(token) => Some(TokenSource::Given(token)),
                Err(error) => {
                    reader.problem(var::NOMAD_TOKEN.name, &format!("holds no token: {error}"));
                    None
                }
            }
        }
        Some("NOMAD_TOKEN_SECRET") => {
            let text = reader.parameter(&var::NOMAD_TOKEN_SECRET)?;
            // No name of a secret holds a #.
            let (name, key) =
                text.split_once('#').map_or((text.as_str(), None), |(name, key)| (name, Some(key)));
            if name.is_empty() || key == Some("") {
                let problem =
                    format!("is {text:?}, which is not the name or ARN of a secret, or one with #key");
                reader.problem(var::NOMAD_TOKEN_SECRET.name, &problem);
                return None;
            }
            let (place, key) = (Place::Secret(name.to_owned()), key.map(str::to_owned));
            Some(TokenSource::Stored { place, key })
        }
        Some("NOMAD_AUTH_METHOD") => {
            let method = reader.text(&var::NOMAD_AUTH_METHOD)?;
            let Some(audience) = audience else {
                let problem = "is not set, and NOMAD_AUTH_METHOD is: it takes the audience that the auth method is bound to";
                reader.problem(var::NOMAD_AUTH_AUDIENCE.name, problem);
                return None;
            };
            Some(TokenSource::Login { method, audience })
        }
        Some(_) | None => {
            let place = Place::parse(&reader.parameter(&var::NOMAD_TOKEN_PARAMETER)?);
            Some(TokenSource::Stored { place, key: None })
        }
    }
}
