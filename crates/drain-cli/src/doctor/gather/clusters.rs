//! Each Nomad cluster: whether it can be reached, its servers, its certificates, and our token there.

use std::rc::Rc;
use std::time::Duration;

use drain::cluster::Cluster;
use drain::config::{Purpose, TokenSource};
use drain::live::{Live, LiveAccount};
use drain::{Causes, Error};
use drain_http::{HttpError, Rejection};
use futures_util::future::{join_all, join3};
use nomad_client::NomadError;

use super::{cannot, certificates, why};
use crate::doctor::facts::{
    ClusterFacts, Fact, Reached, Server, TokenAnswer, TokenFacts, Trouble, TroubleKind,
};

/// What one question to Nomad may take.
const QUESTION: Duration = Duration::from_secs(10);

/// Looks at every cluster. `of_function` says whether a token in a variable stands in the function's.
pub(super) async fn facts(
    worlds: &[Live<'_>],
    clusters: &[Rc<Cluster>],
    account: &LiveAccount,
    of_function: bool,
) -> Vec<ClusterFacts> {
    join_all(clusters.iter().zip(worlds).map(|(cluster, world)| one(cluster, world, account, of_function)))
        .await
}

async fn one(cluster: &Cluster, world: &Live<'_>, account: &LiveAccount, of_function: bool) -> ClusterFacts {
    let config = cluster.config();
    let (leader, shown, own) =
        join3(leader(world), certificates::shown(config), certificates::own(config, account)).await;
    let token = token(&config.token, world, &leader).await;
    let servers = match (&leader, &token) {
        (Reached::Leader(_), Fact::Known(TokenAnswer::Is { .. } | TokenAnswer::NoAcls)) => {
            servers(world).await
        }
        (Reached::Leader(_), _) => Fact::skipped("the token, below"),
        (Reached::Failed(_), _) => Fact::skipped("Nomad"),
    };
    ClusterFacts {
        name: cluster.name().map(str::to_owned),
        leader,
        servers,
        shown,
        own,
        token: TokenFacts {
            description: config.token.description(),
            in_variable: of_function && matches!(config.token, TokenSource::Given(_)),
            token,
        },
        config: config.clone(),
    }
}

/// Asks who leads: that needs no token.
async fn leader(world: &Live<'_>) -> Reached {
    let servers = match world.servers_without_token().await {
        Ok(servers) => servers,
        Err(error) => return Reached::Failed(trouble(&error)),
    };
    match servers.leader(QUESTION).await {
        Ok(Some(leader)) => Reached::Leader(leader),
        Ok(None) => Reached::Failed(Trouble {
            kind: TroubleKind::NoLeader,
            said: "the servers have no leader: nothing is drained until they have one".to_owned(),
            todo: "See to the servers: nomad operator raft list-peers.".to_owned(),
        }),
        Err(error) => Reached::Failed(trouble(&world.failed(error))),
    }
}

fn trouble(error: &Error) -> Trouble {
    use TroubleKind as K;
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are none of the way to Nomad")]
    let kind = match error {
        Error::NoClusterLeader(_) => K::NoLeader,
        Error::TlsVerificationFailed(NomadError::NoAnswer {
            source: HttpError::CertificateRejected { source, .. },
            ..
        }) => match source.kind {
            Rejection::Expired => K::CertificateExpired,
            Rejection::WrongName => K::CertificateName,
            Rejection::UnknownIssuer => K::CertificateAuthority,
            Rejection::Other => K::CertificateOther,
        },
        Error::TlsVerificationFailed(_) => K::CertificateOther,
        Error::ClientCertificateDemanded(_) => K::ClientCertificateDemanded,
        Error::ClientCertificateRefused(_) => K::ClientCertificateRefused,
        Error::TlsMaterialInvalid { .. } | Error::StoredValueNotFound { .. } => K::TlsMaterial,
        Error::StoredValueAccessDenied { .. } | Error::StoredValueUnavailable { .. } => K::TlsMaterialDenied,
        Error::NomadUnavailable(NomadError::NoAnswer { .. }) => K::Unreachable,
        _ => K::Odd,
    };
    // Whose certificate it is, by whom, and what is wrong with it, is all that there is to say.
    let said = if let Error::TlsVerificationFailed(NomadError::NoAnswer {
        source: HttpError::CertificateRejected { source, .. },
        ..
    }) = error
    {
        source.to_string()
    } else {
        Causes(error).to_string()
    };
    Trouble { kind, said, todo: error.next_step() }
}

/// The servers' versions, by what gossip knows.
async fn servers(world: &Live<'_>) -> Fact<Vec<Server>> {
    let answer = match world.servers_with_token().await {
        Ok(servers) => servers.servers(QUESTION).await.map_err(|error| world.failed(error)),
        Err(error) => Err(error),
    };
    match answer {
        Ok(members) => Fact::Known(
            members
                .into_iter()
                .filter(|member| member.status != "left")
                .map(|mut member| Server {
                    version: member.tags.remove("build").unwrap_or_default(),
                    name: member.name,
                })
                .collect(),
        ),
        Err(error) => Fact::Unknown(why(&error)),
    }
}

/// Reads the token, and asks Nomad about it.
async fn token(source: &TokenSource, world: &Live<'_>, leader: &Reached) -> Fact<TokenAnswer> {
    if let TokenSource::Login { method, .. } = source {
        let said =
            format!("The function logs in with auth method {method} as its own role, which only it can do");
        let todo = "Set NOMAD_TOKEN to a token of yours to look at the cluster with it; read the function's log for \"logged in \
                    to Nomad\".";
        return cannot(said, todo);
    }
    if let Err(error) = world.servers_with_token().await {
        return unread(&error);
    }
    if matches!(leader, Reached::Failed(_)) {
        return Fact::skipped("Nomad, above");
    }
    match world.token_self().await {
        Ok(None) => Fact::Known(TokenAnswer::NoAcls),
        Ok(Some(token)) if token.is_unrestricted() => {
            Fact::Known(TokenAnswer::Is { token: Box::new(token), policies: Fact::Known(Vec::new()) })
        }
        Ok(Some(token)) => {
            let policies = match world.policies(token.clone()).await {
                Ok(policies) => Fact::Known(policies),
                Err(error) => Fact::Unknown(why(&error)),
            };
            Fact::Known(TokenAnswer::Is { token: Box::new(token), policies })
        }
        Err(error @ Error::NomadTokenRefused { .. }) => {
            Fact::Known(TokenAnswer::Refused { said: Causes(&error).to_string(), todo: error.next_step() })
        }
        Err(error) => Fact::Unknown(why(&error)),
    }
}

/// A place that whoever runs the doctor may not read is not known; one that is empty or holds something else is.
fn unread(error: &Error) -> Fact<TokenAnswer> {
    let is_of_token = matches!(
        error,
        Error::StoredValueNotFound { purpose: Purpose::Token, .. } | Error::TokenInvalid { .. }
    );
    if is_of_token {
        return Fact::Known(TokenAnswer::Unreadable {
            said: Causes(error).to_string(),
            todo: error.next_step(),
        });
    }
    // What is wrong with certificates is told where they are.
    if matches!(error, Error::TlsMaterialInvalid { .. }) {
        return Fact::skipped("Nomad, above");
    }
    Fact::Unknown(why(error))
}
