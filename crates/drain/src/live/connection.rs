//! The way to Nomad's servers: TLS, and the token.

use std::rc::Rc;

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use nomad_client::{NomadClient, NomadError, ServerMember, Token};
use serde_json::Value;
use zeroize::Zeroizing;

use super::kept::{Clients, KeptToken};
use super::{Live, Patience, retry};
use crate::aws::sts;
use crate::config::{Place, Purpose, Stored, TokenSource};
use crate::error::{Error, UnusableToken};
use crate::support::takes_tokens_that_end;

/// A token that is refused and was read in this invocation is read again if that was longer ago: it may have been
/// replaced since.
const JUST_READ: SignedDuration = SignedDuration::from_secs(10);

/// A server that follows answers this one question without its leader, and knows a token that the leader has made only a
/// moment later (hashicorp/nomad, `nomad/status_endpoint.go`).
const QUESTIONS_TO_FOLLOWERS: usize = 5;
const A_MOMENT: SignedDuration = SignedDuration::from_millis(100);

/// Nomad's servers, and the token that they want.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) servers: NomadClient,
    pub(super) clients: Rc<Clients>,
    pub(super) token: Option<KeptToken>,
    /// Whether the token is one of an earlier invocation.
    is_kept: bool,
}

impl Connection {
    /// The token as a request takes it.
    pub(super) fn token(&self) -> Option<Token> {
        self.token.as_ref().map(|kept| kept.token.clone())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.token.as_ref().is_some_and(|kept| now >= kept.renew_at)
    }
}

impl Live<'_> {
    /// The servers, and the token if the cluster wants one. A token that ends is renewed before it does.
    pub(super) async fn nomad(&self) -> Result<Rc<Connection>, Error> {
        let mut known = self.nomad.lock().await;
        if let Some(connection) = known.as_ref().filter(|known| !known.is_due(Timestamp::now())) {
            return Ok(Rc::clone(connection));
        }
        let connection = Rc::new(self.connect(self.cluster.kept.token(Timestamp::now())).await?);
        Ok(Rc::clone(known.insert(connection)))
    }

    /// The same with a token that is certainly of today, after Nomad has refused one that may be of yesterday. `None` if
    /// it has just been read, or cannot be read anew.
    pub(super) async fn nomad_anew(&self, refused: &Rc<Connection>) -> Result<Option<Rc<Connection>>, Error> {
        let mut known = self.nomad.lock().await;
        // Another call of this invocation may have been faster.
        if let Some(connection) = known.as_ref().filter(|known| !Rc::ptr_eq(known, refused)) {
            return Ok(Some(Rc::clone(connection)));
        }
        let is_old =
            |kept: &KeptToken| refused.is_kept || Timestamp::now().duration_since(kept.read_at) > JUST_READ;
        if !self.config.token.calls_aws() || !refused.token.as_ref().is_some_and(is_old) {
            return Ok(None);
        }
        tracing::info!("Nomad refuses the token that was read a while ago: reading it again");
        let connection = Rc::new(self.connect(None).await?);
        Ok(Some(Rc::clone(known.insert(connection))))
    }

    async fn connect(&self, kept: Option<KeptToken>) -> Result<Connection, Error> {
        let is_kept = kept.is_some();
        let clients = self.clients().await?;
        let servers = |token| self.servers(&clients, token);
        let token = match (&self.config.token, kept) {
            (TokenSource::None, _) => None,
            (_, Some(kept)) => Some(kept),
            (TokenSource::Given(token), None) => Some(KeptToken::stored(token.clone(), Timestamp::now())),
            (TokenSource::Stored { place, key }, None) => {
                let read_at = Timestamp::now();
                let token = token(place, key.as_deref(), self.account.stored(Purpose::Token, place).await?)?;
                Some(KeptToken::stored(token, read_at))
            }
            (TokenSource::Login { method, audience }, None) => {
                Some(self.log_in(&servers(None), method, audience).await?)
            }
        };
        if let Some(token) = &token {
            self.cluster.kept.keep_token(token.clone());
        }
        let servers = servers(token.as_ref().map(|kept| kept.token.clone()));
        Ok(Connection { servers, clients, token, is_kept })
    }

    pub(super) fn servers(&self, clients: &Clients, token: Option<Token>) -> NomadClient {
        let (address, region) = (self.config.nomad_addr.clone(), self.config.nomad_region.clone());
        NomadClient::new(clients.servers.clone(), address, region, token)
    }

    /// The HTTP clients for Nomad. Certificates that AWS keeps for us are read first, and read again after a while.
    pub(super) async fn clients(&self) -> Result<Rc<Clients>, Error> {
        let (kept, settings) = (&self.cluster.kept, &self.config.tls);
        let known = kept.clients(Timestamp::now());
        if let Some((clients, true)) = known {
            return Ok(clients);
        }
        if settings.is_usual() {
            let clients = Rc::new(Clients { servers: self.web.clone(), agents: self.web.clone() });
            kept.keep_clients(Rc::clone(&clients), Stored::new(), Timestamp::now());
            return Ok(clients);
        }
        let reads = settings.places().into_iter().map(|(purpose, place)| async move {
            Ok::<_, Error>((place.clone(), self.account.stored(purpose, place).await?))
        });
        let texts: Stored = match (try_join_all(reads).await, known) {
            (Ok(texts), _) => texts.into_iter().collect(),
            (Err(error), Some((clients, _))) => {
                // What was good five minutes ago is most likely good now.
                tracing::warn!("{}. Going on with what was read before", error.explanation());
                return Ok(clients);
            }
            (Err(error), None) => return Err(error),
        };
        if let Some(clients) = kept.same_clients(&texts, Timestamp::now()) {
            return Ok(clients);
        }
        let clients = settings
            .build(&texts)
            .and_then(|both| {
                let client = |tls| {
                    drain_http::HttpClient::new(tls)
                        .map_err(|error| (Purpose::Authorities, error.to_string()))
                };
                Ok(Rc::new(Clients { servers: client(&both.servers)?, agents: client(&both.agents)? }))
            })
            .map_err(|(purpose, problem)| Error::TlsMaterialInvalid { purpose, problem })?;
        kept.keep_clients(Rc::clone(&clients), texts, Timestamp::now());
        Ok(clients)
    }

    /// Logs in as the function's role. The identity is asked for, shown once, and forgotten.
    async fn log_in(&self, servers: &NomadClient, method: &str, audience: &str) -> Result<KeptToken, Error> {
        let identity = self
            .account
            .ask(Patience::Briefly, async |timeout| {
                let identity = sts::get_web_identity_token(&self.account.aws, audience, timeout).await;
                identity.map_err(Error::IdentityUnavailable)
            })
            .await?;
        let identity = Token::parse(identity.as_str().to_owned())
            .map_err(|error| Error::IdentityUnavailable(sts::unusable(error)))?;
        let asked_at = Timestamp::now();
        let login =
            retry::retrying(self.account.budget(), &self.nomad_calls, Patience::Briefly, async |timeout| {
                servers.login(method, &identity, timeout).await.map_err(|error| refused(method, error))
            })
            .await?;
        let kept = KeptToken::lasting(login.token, asked_at, login.lifetime);
        self.must_be_safe(kept.token.clone()).await?;
        tracing::info!(auth_method = method, "logged in to Nomad as the function's role");
        Ok(kept)
    }

    /// Before 1.7.7, 1.6.10 and 1.5.17 a server that starts again resolves the token of every drain in its log, and fails
    /// if one has ended (hashicorp/nomad, GH-20317). All servers of the region have to be newer: each of them keeps the
    /// log.
    async fn must_be_safe(&self, token: Token) -> Result<(), Error> {
        let clients = self.clients().await?;
        let servers = self.servers(&clients, Some(token));
        let ask = async || {
            retry::retrying(self.account.budget(), &self.nomad_calls, Patience::Briefly, async |timeout| {
                servers.servers(timeout).await.map_err(|error| self.failed(error))
            })
            .await
        };
        let mut answer = ask().await;
        for _ in 0..QUESTIONS_TO_FOLLOWERS {
            if !matches!(answer, Err(Error::NomadTokenRefused { .. }))
                || !self.account.budget().pause(A_MOMENT).await
            {
                break;
            }
            answer = ask().await;
        }
        let members = answer?;
        let unsafe_one = members
            .into_iter()
            .filter(|member| member.status != "left")
            .find(|member| !member.tags.get("build").is_some_and(|version| takes_tokens_that_end(version)));
        match unsafe_one {
            None => Ok(()),
            Some(ServerMember { name, mut tags, .. }) => Err(Error::ShortLivedTokenUnsafe {
                server: format!("{name:.64}"),
                version: tags
                    .remove("build")
                    .map_or("of unknown version".to_owned(), |it| format!("{it:.32}")),
            }),
        }
    }
}

/// What a failed login means. An outage of Nomad's is one here as well.
fn refused(method: &str, error: NomadError) -> Error {
    if error.refusal().is_some_and(|refusal| !refusal.is_transient()) {
        Error::LoginRefused { method: method.to_owned(), source: error }
    } else {
        Error::nomad(None, error)
    }
}

/// The token in a stored text.
fn token(place: &Place, key: Option<&str>, text: Zeroizing<String>) -> Result<Token, Error> {
    let invalid = |source| Error::TokenInvalid { place: place.clone(), source };
    let object = match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(object)) => Some(object),
        Ok(_) | Err(_) => None,
    };
    let text = match (key, object) {
        (None, None) => text,
        (Some(key), object) => {
            let found = object.as_ref().and_then(|object| object.get(key)).and_then(Value::as_str);
            let Some(found) = found else { return Err(invalid(UnusableToken::NoKey(key.to_owned()))) };
            Zeroizing::new(found.to_owned())
        }
        (None, Some(object)) => match object.values().next().and_then(Value::as_str) {
            // A secret with a single entry is what the console makes.
            Some(only) if object.len() == 1 => Zeroizing::new(only.to_owned()),
            _ => return Err(invalid(UnusableToken::NeedsKey(object.keys().cloned().collect()))),
        },
    };
    Token::parse(text.as_str().to_owned()).map_err(|error| invalid(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: Option<&str>, text: &str) -> Result<Token, String> {
        let place = Place::Secret("nomad".to_owned());
        token(&place, key, Zeroizing::new(text.to_owned()))
            .map_err(|error| crate::error::Causes(&error).to_string())
    }

    #[test]
    fn a_token_stands_alone_or_under_a_key() {
        let good = "3f6c2a52-0d4b-4d38-a3b1-7c25b3a0d4ee";
        for (key, text) in [
            (None, good.to_owned()),
            (None, format!("{good}\n")),
            (None, format!(r#"{{"token":"{good}"}}"#)),
            (Some("nomad"), format!(r#"{{"nomad":"{good}","other":"x"}}"#)),
        ] {
            assert!(read(key, &text).is_ok(), "{key:?}");
        }
        let two = format!(r#"{{"nomad":"{good}","other":"x"}}"#);
        let told = read(None, &two).unwrap_err();
        assert!(told.contains("nomad, other") && !told.contains(good), "{told}");
        for (key, text) in [(Some("mine"), two.as_str()), (Some("mine"), good)] {
            let told = read(key, text).unwrap_err();
            assert!(told.contains("under the key mine") && !told.contains(good), "{told}");
        }
    }
}
