//! Nomad over TLS: whom we believe, how we show who we are, and what is said when one does not believe the other.

use std::net::SocketAddr;
use std::path::PathBuf;

use drain_lab::Face;
use drain_lab::authority::{Authority, Certificate, ServerTls};
use drain_lab::aws::ParameterType;
use drain_lab::lab::{Lab, Worker};
use drain_lab::lambda::{InvocationRecord, Lambda};
use tempfile::TempDir;

use crate::harness::*;

const SERVER: &str = "server.global.nomad";

/// A lab whose Nomad is reached over TLS as well, with a certificate of its own authority.
struct Secure {
    lab: Lab,
    authority: Authority,
    face: Face,
    /// What the function shows, where it is asked to.
    ours: Certificate,
    files: TempDir,
}

impl Secure {
    async fn start() -> Self {
        Self::with(|authority| authority.server(&authority.issue(&[SERVER]).unwrap(), false).unwrap()).await
    }

    /// One that demands a certificate of everybody.
    async fn demanding() -> Self {
        Self::with(|authority| authority.server(&authority.issue(&[SERVER]).unwrap(), true).unwrap()).await
    }

    async fn with(tls: impl FnOnce(&Authority) -> ServerTls) -> Self {
        let lab = lab().await;
        let authority = Authority::new("Nomad Agent CA").unwrap();
        let face = lab.nomad.serve_tls(&tls(&authority)).await.unwrap();
        let ours = authority.issue(&["nomad-drain.lambda"]).unwrap();
        let this = Self { lab, authority, face, ours, files: TempDir::new().unwrap() };
        this.lab.aws.put_parameter("/nomad/ca", ParameterType::String, this.authority.pem());
        this.lab.aws.put_parameter("/nomad/cert", ParameterType::String, &this.ours.pem);
        this.lab.aws.put_parameter("/nomad/key", ParameterType::SecureString, &this.ours.key_pem);
        this
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A new function that expects the servers' usual name, with these variables besides. It is not the lab's own: a test
    /// may have many.
    fn function(&self, variables: &[(&str, &str)]) -> Lambda {
        let url = self.face.url();
        let mut all = vec![("NOMAD_ADDR", url.as_str()), ("NOMAD_TLS_SERVER_NAME", SERVER)];
        all.extend(variables);
        let (clock, journal) = (self.lab.clock.clone(), self.lab.journal.clone());
        Lambda::new(function(&self.lab, &all), self.lab.aws.account().clone(), clock, journal)
    }

    /// Lets a new function drain one more worker.
    async fn drains(&self, number: u8, variables: &[(&str, &str)]) -> InvocationRecord {
        let run = self.invoke(&self.function(variables), &ending(&self.lab, number)).await;
        assert_eq!(became(&run), ("completed", "drained"), "{variables:?}: {:?}", run.log);
        run
    }

    async fn invoke(&self, lambda: &Lambda, worker: &Worker) -> InvocationRecord {
        let run = invoke(&self.lab, lambda, worker).await;
        let said = format!("{:?}", (&run.outcome, &run.log));
        let key = self.ours.key_pem.lines().nth(1).unwrap();
        assert!(!said.contains("PRIVATE KEY") && !said.contains(key), "the key was printed: {said}");
        run
    }

    /// What an operator reads of a function with these variables.
    async fn refused(&self, number: u8, variables: &[(&str, &str)]) -> String {
        let run = self.invoke(&self.function(variables), &ending(&self.lab, number)).await;
        let (error_type, message) = failure(&run);
        let files = self.files.path().to_str().unwrap();
        let host = self.face.url().replace("https://", "");
        format!("{error_type}: {message}").replace(files, "FILES").replace(&host, "NOMAD")
    }
}

const STORED_CA: (&str, &str) = ("NOMAD_CACERT_PARAMETER", "/nomad/ca");

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_may_stand_in_a_file_a_folder_a_parameter_or_a_secret() {
    let secure = Secure::start().await;
    let other = Authority::new("Another CA").unwrap();
    let both = format!("{}\n{}", other.pem(), secure.authority.pem());
    let (file, bundle) = (secure.file("ca.pem", secure.authority.pem()), secure.file("bundle.pem", &both));
    let folder = secure.files.path().to_str().unwrap().to_owned();
    secure.lab.aws.put_secret("nomad-ca", secure.authority.pem());
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:nomad-ca-AbCdEf";
    let ways = [
        ("NOMAD_CACERT", file.as_str()),
        ("NOMAD_CACERT", &bundle),
        ("NOMAD_CAPATH", &folder),
        STORED_CA,
        ("NOMAD_CACERT_PARAMETER", arn),
    ];
    for (number, way) in (1..).zip(ways) {
        let run = secure.drains(number, &[way]).await;
        assert!(!warnings(&run).iter().any(|line| line.contains("NOMAD_")), "{:?}", run.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_it_only_public_authorities_are_believed() {
    let secure = Secure::start().await;
    insta::assert_snapshot!(secure.refused(1, &[]).await, @"TlsVerificationFailed: TLS verification of Nomad failed: GET /v1/nodes on https://NOMAD got no answer: TLS verification of NOMAD failed: the certificate for server.global.nomad, issued by CN=Nomad Agent CA, is not accepted: it does not lead to a certificate authority that we trust (unknown issuer). If an authority of your own issued it, name that authority's certificate in NOMAD_CACERT, or in NOMAD_CACERT_PARAMETER. If it did not, somebody else answers at NOMAD_ADDR.");
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_is_believed_by_the_authorities_of_aws_ca_bundle_and_by_no_others() {
    let secure = Secure::start().await;
    let authority = Authority::new("The network's CA").unwrap();
    let tls = authority.server(&authority.issue(&["127.0.0.1"]).unwrap(), false).unwrap();
    let aws = secure.lab.aws.serve_tls(&tls).await.unwrap();
    let url = aws.url();
    let bundle = secure.file("aws.pem", authority.pem());
    let nomad = secure.file("ca.pem", secure.authority.pem());
    let both = [("AWS_ENDPOINT_URL", url.as_str()), ("NOMAD_CACERT", nomad.as_str())];
    secure.drains(1, &[both[0], both[1], ("AWS_CA_BUNDLE", &bundle)]).await;
    assert!(count(&secure.lab, "GetParameter") > 0);

    // Neither the web's authorities nor Nomad's vouch for it.
    for bundle in [None, Some(("AWS_CA_BUNDLE", nomad.as_str()))] {
        let variables: Vec<(&str, &str)> = both.into_iter().chain(bundle).collect();
        let told = secure.refused(2, &variables).await;
        assert!(told.contains("issued by CN=The network's CA, is not accepted"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_shown_from_files_or_from_where_it_is_stored() {
    let secure = Secure::demanding().await;
    let (certificate, key) =
        (secure.file("cert.pem", &secure.ours.pem), secure.file("key.pem", &secure.ours.key_pem));
    secure.lab.aws.put_secret("nomad-key", &secure.ours.key_pem);
    let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:nomad-key-AbCdEf";
    let files = [("NOMAD_CLIENT_CERT", certificate.as_str()), ("NOMAD_CLIENT_KEY", key.as_str())];
    let stored =
        [("NOMAD_CLIENT_CERT_PARAMETER", "/nomad/cert"), ("NOMAD_CLIENT_KEY_PARAMETER", "/nomad/key")];
    let mixed = [("NOMAD_CLIENT_CERT", certificate.as_str()), ("NOMAD_CLIENT_KEY_PARAMETER", arn)];
    for (number, [certificate, key]) in (1..).zip([files, stored, mixed]) {
        secure.drains(number, &[STORED_CA, certificate, key]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_on_the_instance_is_asked_over_tls_under_its_own_name() {
    let secure = Secure::demanding().await;
    let worker = secure.lab.add_worker(GROUP, 1).unwrap();
    let theirs = secure.authority.issue(&["client.global.nomad"]).unwrap();
    let tls = secure.authority.server(&theirs, true).unwrap();
    let address = SocketAddr::from((worker.private_ip, 0));
    let agent = secure.lab.nomad.serve_agent_tls(&worker.node_id, address, &tls).await.unwrap();
    let url = format!("https://{{ip}}:{}", agent.url().rsplit(':').next().unwrap());
    let variables = [
        STORED_CA,
        ("NOMAD_CLIENT_CERT_PARAMETER", "/nomad/cert"),
        ("NOMAD_CLIENT_KEY_PARAMETER", "/nomad/key"),
        ("NODE_LOOKUP", "agent"),
        ("NOMAD_AGENT_URL", &url),
    ];
    terminate(&secure.lab, &worker);
    let run = secure.invoke(&secure.function(&variables), &worker).await;
    assert_eq!(became(&run), ("completed", "drained"), "{:?}", run.log);
    let asked = count(&secure.lab, "GET /v1/agent/self");
    assert!(asked > 0);

    // Somebody else on that address learns nothing: above all no token.
    let other = secure.lab.add_worker(GROUP, 2).unwrap();
    let stranger = Authority::new("A stranger").unwrap();
    let tls = stranger.server(&stranger.issue(&["client.global.nomad"]).unwrap(), false).unwrap();
    let address =
        SocketAddr::from((other.private_ip, agent.url().rsplit(':').next().unwrap().parse().unwrap()));
    let _agent = secure.lab.nomad.serve_agent_tls(&other.node_id, address, &tls).await.unwrap();
    terminate(&secure.lab, &other);
    let run = secure.invoke(&secure.function(&variables), &other).await;
    let (error_type, message) = failure(&run);
    assert!(message.contains("A stranger"), "{error_type}: {message}");
    assert_eq!(count(&secure.lab, "GET /v1/agent/self"), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_believes_everybody_is_warned_in_every_invocation() {
    let secure = Secure::start().await;
    let lambda = secure.function(&[("NOMAD_SKIP_VERIFY", "on")]);
    for number in 1..=2 {
        let run = secure.invoke(&lambda, &ending(&secure.lab, number)).await;
        assert_eq!(became(&run), ("completed", "drained"));
        let told: Vec<&str> =
            warnings(&run).into_iter().filter(|line| line.contains("NOMAD_SKIP_VERIFY")).collect();
        let [told] = told[..] else { panic!("{told:?}") };
        let told = told.rsplit_once("}: ").unwrap().1.trim();
        insta::allow_duplicates!(
            insta::assert_snapshot!(told, @"NOMAD_SKIP_VERIFY is on: whoever is between this function and Nomad can read the token. Set NOMAD_CACERT and NOMAD_TLS_SERVER_NAME instead")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_not_to_believe_has_an_error_of_its_own() {
    let stranger = Authority::new("A stranger").unwrap();
    let secure = Secure::demanding().await;
    let ours = [("NOMAD_CLIENT_CERT_PARAMETER", "/nomad/cert"), ("NOMAD_CLIENT_KEY_PARAMETER", "/nomad/key")];
    let put = |name: &str, text: &str| secure.lab.aws.put_parameter(name, ParameterType::String, text);
    put("/stranger/ca", stranger.pem());
    // The wrong authority.
    let variables = [("NOMAD_CACERT_PARAMETER", "/stranger/ca"), ours[0], ours[1]];
    insta::assert_snapshot!(secure.refused(1, &variables).await, @"TlsVerificationFailed: TLS verification of Nomad failed: GET /v1/nodes on https://NOMAD got no answer: TLS verification of NOMAD failed: the certificate for server.global.nomad, issued by CN=Nomad Agent CA, is not accepted: it does not lead to a certificate authority that we trust (unknown issuer). If an authority of your own issued it, name that authority's certificate in NOMAD_CACERT, or in NOMAD_CACERT_PARAMETER. If it did not, somebody else answers at NOMAD_ADDR.");
    // The wrong name.
    let variables = [("NOMAD_TLS_SERVER_NAME", "server.eu.nomad"), STORED_CA, ours[0], ours[1]];
    insta::assert_snapshot!(secure.refused(2, &variables).await, @"TlsVerificationFailed: TLS verification of Nomad failed: GET /v1/nodes on https://NOMAD got no answer: TLS verification of NOMAD failed: the certificate for server.eu.nomad, issued by CN=Nomad Agent CA, is not accepted: it is valid for other names only: server.global.nomad. NOMAD_ADDR has to be a name in the servers' certificate, or NOMAD_TLS_SERVER_NAME has to be one: Nomad's own certificates hold server.<region>.nomad.");
    // No certificate of ours.
    insta::assert_snapshot!(secure.refused(3, &[STORED_CA]).await, @"ClientCertificateDemanded: Nomad demands a client certificate: GET /v1/nodes on https://NOMAD got no answer: NOMAD demands a client certificate, and we have none: received fatal alert: CertificateRequired. The servers verify their clients (verify_https_client): set NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY, or their _PARAMETER forms. Any certificate that the servers' authority signed will do (nomad tls cert create -cli).");
    // One that they do not believe.
    let theirs = stranger.issue(&["nomad-drain.lambda"]).unwrap();
    put("/stranger/cert", &theirs.pem);
    put("/stranger/key", &theirs.key_pem);
    let variables = [
        STORED_CA,
        ("NOMAD_CLIENT_CERT_PARAMETER", "/stranger/cert"),
        ("NOMAD_CLIENT_KEY_PARAMETER", "/stranger/key"),
    ];
    insta::assert_snapshot!(secure.refused(4, &variables).await, @"ClientCertificateRefused: Nomad does not accept our client certificate: GET /v1/nodes on https://NOMAD got no answer: NOMAD does not accept our client certificate: received fatal alert: UnknownCA. It has to be valid today, and signed by the authority in the servers' tls.ca_file: nomad tls cert create -cli.");
    // One that has ended.
    let old = secure.authority.issue_expired(&["nomad-drain.lambda"]).unwrap();
    put("/old/cert", &old.pem);
    put("/old/key", &old.key_pem);
    let variables =
        [STORED_CA, ("NOMAD_CLIENT_CERT_PARAMETER", "/old/cert"), ("NOMAD_CLIENT_KEY_PARAMETER", "/old/key")];
    insta::assert_snapshot!(secure.refused(5, &variables).await, @"ClientCertificateRefused: Nomad does not accept our client certificate: GET /v1/nodes on https://NOMAD got no answer: NOMAD does not accept our client certificate: received fatal alert: CertificateExpired. It has to be valid today, and signed by the authority in the servers' tls.ca_file: nomad tls cert create -cli.");

    // Theirs has ended.
    let late = Secure::with(|authority| {
        authority.server(&authority.issue_expired(&[SERVER]).unwrap(), false).unwrap()
    })
    .await;
    insta::assert_snapshot!(late.refused(1, &[STORED_CA]).await, @"TlsVerificationFailed: TLS verification of Nomad failed: GET /v1/nodes on https://NOMAD got no answer: TLS verification of NOMAD failed: the certificate for server.global.nomad, issued by CN=Nomad Agent CA, is not accepted: it has expired. Renew the servers' certificate (nomad tls cert create -server), and reload the servers with SIGHUP.");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_and_of_no_use_is_told_without_its_text() {
    let secure = Secure::start().await;
    let put = |name: &str, text: &str| secure.lab.aws.put_parameter(name, ParameterType::SecureString, text);
    let with_key = |place| {
        [STORED_CA, ("NOMAD_CLIENT_CERT_PARAMETER", "/nomad/cert"), ("NOMAD_CLIENT_KEY_PARAMETER", place)]
    };
    put("/text/ca", "no certificate");
    insta::assert_snapshot!(secure.refused(1, &[("NOMAD_CACERT_PARAMETER", "/text/ca")]).await, @"TlsMaterialInvalid: the certificate authorities for Nomad cannot be used: it holds no certificate (-----BEGIN CERTIFICATE-----). Store the whole text in PEM, with its BEGIN and END lines; a certificate and its key belong together.");
    insta::assert_snapshot!(secure.refused(2, &[("NOMAD_CACERT_PARAMETER", "/none/ca")]).await, @"StoredValueNotFound: SSM parameter /none/ca, which should hold the certificate authorities for Nomad, does not exist in us-east-1. Create it (aws ssm put-parameter --type SecureString --name /none/ca --value …), or name another in NOMAD_CACERT_PARAMETER.");
    put("/text/key", "no key");
    insta::assert_snapshot!(secure.refused(3, &with_key("/text/key")).await, @"TlsMaterialInvalid: the client certificate for Nomad cannot be used: the key is not a private key in PEM; one that is encrypted cannot be used. Store the whole text in PEM, with its BEGIN and END lines; a certificate and its key belong together.");
    put("/other/key", &secure.authority.issue(&["other"]).unwrap().key_pem);
    insta::assert_snapshot!(secure.refused(4, &with_key("/other/key")).await, @"TlsMaterialInvalid: the client certificate for Nomad cannot be used: the key does not belong to the certificate. Store the whole text in PEM, with its BEGIN and END lines; a certificate and its key belong together.");
    secure.lab.aws.deny("ssm:GetParameter");
    insta::assert_snapshot!(secure.refused(5, &[STORED_CA]).await, @"StoredValueAccessDenied: access to SSM parameter /nomad/ca, which holds the certificate authorities for Nomad, is denied: ssm:GetParameter was refused: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/nomad-drain/nomad-drain is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:us-east-1:123456789012:parameter/nomad/ca because no identity-based policy allows the ssm:GetParameter action (HTTP 400). Allow role nomad-drain ssm:GetParameter on /nomad/ca, and kms:Decrypt if a key of your own encrypts it.");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_was_replaced_needs_no_deployment() {
    let secure = Secure::start().await;
    secure.lab.aws.put_parameter(
        "/nomad/ca",
        ParameterType::String,
        Authority::new("The old CA").unwrap().pem(),
    );
    let lambda = secure.function(&[STORED_CA]);
    let worker = ending(&secure.lab, 1);
    assert_eq!(failure(&secure.invoke(&lambda, &worker).await).0, "TlsVerificationFailed");
    secure.lab.aws.put_parameter("/nomad/ca", ParameterType::String, secure.authority.pem());
    assert_eq!(became(&secure.invoke(&lambda, &worker).await), ("completed", "drained"));
}
