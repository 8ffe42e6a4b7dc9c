//! A cluster as a security team wants it: TLS everywhere, certificates demanded of everybody, ACLs on, and no token that
//! is stored anywhere: the function logs in as its role.

use std::path::Path;
use std::time::{Duration, Instant};

use drain_lab::authority::{Authority, Certificate};
use drain_lab::aws::ParameterType;
use drain_lab::clock::Clock;
use drain_lab::lab::{Lab, Worker};
use drain_lab::lambda::{InvocationRecord, Lambda};
use drain_lab::real_nomad::Cluster;
use serde_json::{Value, json};

use crate::world::{GROUP, failure, job, message, result};
use crate::{say, took};

/// What the documentation tells people to give the function's token.
const POLICY: &str = include_str!("../../../../deploy/nomad/nomad-drain.policy.hcl");

const METHOD: &str = "lambda";
const AUDIENCE: &str = "nomad.example";

struct Secure {
    lab: Lab,
    cluster: Cluster,
    workers: Vec<Worker>,
    /// What the function shows, and what it keeps to itself.
    certificate: Certificate,
}

impl Secure {
    async fn start(nomad: &Path) -> Self {
        let lab = Lab::start(Clock::running()).await.unwrap();
        lab.add_group(GROUP, 3600).unwrap();
        lab.lose_events(true);
        let mut cluster = Cluster::start_secure(nomad).await.unwrap();
        let (provider, role) = (lab.aws.identity_provider(), lab.aws.account().role_arn());
        let lasts = Duration::from_mins(10);
        cluster.jwt_auth_method(METHOD, provider, AUDIENCE, &role, POLICY, lasts).await.unwrap();
        let mut workers = Vec::new();
        for number in 1..=2 {
            let private_ip = cluster.address(number);
            let instance_id = lab.aws.add_instance(GROUP, Some(private_ip)).unwrap();
            cluster.start_client(number, Some(&instance_id)).await.unwrap();
            let name = format!("client-{number}");
            workers.push(Worker { instance_id, node_id: String::new(), name, private_ip });
        }
        for (worker, node_id) in workers.iter_mut().zip(cluster.ready().await.unwrap()) {
            worker.node_id = node_id;
        }
        let authority = cluster.authority().unwrap();
        let certificate = authority.issue(&["nomad-drain.lambda"]).unwrap();
        lab.aws.put_parameter("/nomad/ca", ParameterType::String, authority.pem());
        lab.aws.put_parameter("/nomad/cert", ParameterType::String, &certificate.pem);
        lab.aws.put_secret("nomad-key", &certificate.key_pem);
        Self { lab, cluster, workers, certificate }
    }

    /// Invokes a new function that has everything it needs, with these variables besides; an empty one is as good as none.
    async fn invoke(&self, event: &Value, variables: &[(&str, &str)]) -> InvocationRecord {
        let mut function = self.lab.function(Path::new(env!("CARGO_BIN_EXE_bootstrap")));
        function.timeout = Duration::from_secs(15);
        let ours = [
            ("NOMAD_ADDR", self.cluster.url()),
            ("NOMAD_AUTH_METHOD", METHOD),
            ("NOMAD_AUTH_AUDIENCE", AUDIENCE),
            ("NOMAD_CACERT_PARAMETER", "/nomad/ca"),
            ("NOMAD_CLIENT_CERT_PARAMETER", "/nomad/cert"),
            ("NOMAD_CLIENT_KEY_PARAMETER", "arn:aws:secretsmanager:us-east-1:123456789012:secret:nomad-key"),
            ("NOMAD_TLS_SERVER_NAME", "server.global.nomad"),
            ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
            ("RUST_LOG", "trace"),
            ("POLL_INTERVAL", "200ms"),
        ];
        let function = function.with_variables(&ours).with_variables(variables);
        let (clock, journal) = (self.lab.clock.clone(), self.lab.journal.clone());
        let run = Lambda::new(function, self.lab.aws.account().clone(), clock, journal).invoke(event).await;
        self.assert_discreet(&run).await;
        run
    }

    /// Neither a token that a login gave, nor a JWT, nor the key is anywhere in what the function says.
    async fn assert_discreet(&self, run: &InvocationRecord) {
        let said = format!("{:?}", (&run.outcome, &run.log));
        let tokens = self.cluster.get("/v1/acl/tokens").await.unwrap();
        for accessor in tokens.as_array().unwrap().iter().filter_map(|token| token["AccessorID"].as_str()) {
            let token = self.cluster.get(&format!("/v1/acl/token/{accessor}")).await.unwrap();
            let secret = token["SecretID"].as_str().unwrap();
            assert!(!said.contains(secret), "the token {accessor} was printed: {said}");
        }
        let key = self.certificate.key_pem.lines().nth(1).unwrap();
        for (what, secret) in [("a JWT", "eyJ"), ("the key", key), ("a key", "PRIVATE KEY")] {
            assert!(!said.contains(secret), "{what} was printed: {said}");
        }
    }

    /// The message of the hook that holds a worker from now on.
    fn terminate(&self, worker: &Worker) -> Value {
        self.lab.aws.terminate_instance(&worker.instance_id).unwrap();
        let action = self.lab.aws.lifecycle_action(&worker.instance_id).unwrap();
        let mut message = message(&worker.instance_id);
        message["LifecycleHookName"] = action.hook.into();
        message["LifecycleActionToken"] = action.token.into();
        message["Time"] = format!("{:.3}", action.started_at).into();
        message
    }

    fn is_held(&self, worker: &Worker) -> bool {
        self.lab.aws.lifecycle_action(&worker.instance_id).is_some()
    }
}

/// The scenarios, one after the other.
pub(crate) async fn all(nomad: &Path) {
    let began = Instant::now();
    let secure = Secure::start(nomad).await;
    let agent = secure.cluster.get("/v1/agent/self").await.unwrap();
    let version = agent["config"]["Version"]["Version"].as_str().unwrap().to_owned();
    say(&format!("real Nomad tier: Nomad {version} with mutual TLS and JWT login {}", took(began)));
    macro_rules! scenarios {
        ($($scenario:ident,)*) => {$(
            let began = Instant::now();
            $scenario(&secure).await;
            say(&format!("real Nomad tier: {} {}", stringify!($scenario), took(began)));
        )*};
    }
    scenarios! {
        each_reason_not_to_trust_is_an_error_of_its_own,
        who_may_not_log_in_is_told_why,
        believing_everybody_works_and_is_a_warning,
        an_instance_is_released_when_its_work_has_stopped,
        the_agent_is_asked_over_tls_as_well,
    }
}

async fn each_reason_not_to_trust_is_an_error_of_its_own(secure: &Secure) {
    let event = message(&secure.workers[0].instance_id);
    let (stranger, expired) = {
        let stranger = Authority::new("Somebody else").unwrap();
        let expired = secure.cluster.authority().unwrap().issue_expired(&["nomad-drain.lambda"]).unwrap();
        (stranger, expired)
    };
    secure.lab.aws.put_parameter("/other/ca", ParameterType::String, stranger.pem());
    secure.lab.aws.put_parameter("/expired/cert", ParameterType::String, &expired.pem);
    secure.lab.aws.put_parameter("/expired/key", ParameterType::SecureString, &expired.key_pem);
    let none = [("NOMAD_CLIENT_CERT_PARAMETER", ""), ("NOMAD_CLIENT_KEY_PARAMETER", "")];
    let old =
        [("NOMAD_CLIENT_CERT_PARAMETER", "/expired/cert"), ("NOMAD_CLIENT_KEY_PARAMETER", "/expired/key")];
    let mut told = Vec::new();
    for (variables, name, expected) in [
        (&[("NOMAD_CACERT_PARAMETER", "/other/ca")][..], "TlsVerificationFailed", "Nomad Agent CA"),
        (
            &[("NOMAD_TLS_SERVER_NAME", "server.elsewhere.nomad")],
            "TlsVerificationFailed",
            "server.elsewhere.nomad",
        ),
        (&none, "ClientCertificateDemanded", "NOMAD_CLIENT_CERT"),
        (&old, "ClientCertificateRefused", "certificate"),
    ] {
        let run = secure.invoke(&event, variables).await;
        let (error_type, message) = failure(&run);
        assert_eq!(error_type, name, "{message}");
        assert!(message.contains(expected), "{message}");
        told.push(message.to_owned());
    }
    let different: std::collections::BTreeSet<&String> = told.iter().collect();
    assert_eq!(different.len(), told.len(), "{told:#?}");
}

async fn who_may_not_log_in_is_told_why(secure: &Secure) {
    let event = message(&secure.workers[0].instance_id);
    for (variables, expected) in [
        ([("NOMAD_AUTH_METHOD", "nobody")], "nobody"),
        ([("NOMAD_AUTH_AUDIENCE", "somebody-else")], "unable to validate provided token"),
    ] {
        let run = secure.invoke(&event, &variables).await;
        let (error_type, message) = failure(&run);
        assert_eq!(error_type, "LoginRefused", "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

async fn believing_everybody_works_and_is_a_warning(secure: &Secure) {
    let event = message(&secure.workers[0].instance_id);
    let variables = [("NOMAD_SKIP_VERIFY", "on"), ("NOMAD_TLS_SERVER_NAME", ""), ("DRY_RUN", "on")];
    let run = secure.invoke(&event, &variables).await;
    assert_eq!(result(&run)["reason"], "dry_run");
    assert!(run.log.iter().any(|line| line.text.contains("NOMAD_SKIP_VERIFY is on")), "{:?}", run.log);
}

async fn an_instance_is_released_when_its_work_has_stopped(secure: &Secure) {
    let worker = &secure.workers[0];
    secure.cluster.run_job(&job("web", "service", worker)).await.unwrap();
    let give_up = Instant::now() + Duration::from_secs(30);
    while !secure.cluster.allocations("web").await.unwrap().iter().any(|one| one["ClientStatus"] == "running")
    {
        assert!(Instant::now() < give_up, "the job does not run");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let run = secure.invoke(&secure.terminate(worker), &[]).await;
    assert_eq!((&result(&run)["outcome"], &result(&run)["reason"]), (&json!("completed"), &json!("drained")));
    assert!(!secure.is_held(worker));
    let allocations = secure.cluster.allocations("web").await.unwrap();
    let on_worker = allocations.iter().filter(|one| one["NodeID"] == worker.node_id.as_str());
    assert!(on_worker.clone().count() > 0);
    assert!(on_worker.into_iter().all(|one| one["ClientStatus"] == "complete"), "{allocations:#?}");
}

async fn the_agent_is_asked_over_tls_as_well(secure: &Secure) {
    let worker = &secure.workers[1];
    let url = secure.cluster.agent_url();
    let variables = [("NODE_LOOKUP", "agent"), ("NOMAD_AGENT_URL", url.as_str())];
    let run = secure.invoke(&secure.terminate(worker), &variables).await;
    assert_eq!(
        (&result(&run)["outcome"], &result(&run)["node_id"]),
        (&json!("completed"), &json!(worker.node_id))
    );
    assert!(!secure.is_held(worker));
}
