//! Where the token comes from, and how TLS is set up.

use super::*;

const TOKEN: &str = "3f6c2a52-0d4b-4d38-a3b1-7c25b3a0d4ee";

fn with(variables: &[(&str, &str)]) -> Config {
    let mut all = vec![("ENV", "prod"), ("REGION", "eu-west-1")];
    all.extend_from_slice(variables);
    parse(&all).unwrap()
}

fn whose(variables: &[(&str, &str)]) -> String {
    with(variables).cluster().unwrap().token.description().unwrap_or_else(|| "none".to_owned())
}

#[test]
fn the_first_token_source_that_is_set_wins_and_the_others_are_named() {
    let all = [
        ("NOMAD_TOKEN", TOKEN),
        ("NOMAD_TOKEN_SECRET", "nomad/token#drain"),
        ("NOMAD_AUTH_METHOD", "aws"),
        ("NOMAD_AUTH_AUDIENCE", "nomad"),
        ("NOMAD_TOKEN_PARAMETER", "/nomad/token"),
    ];
    assert_eq!(whose(&all), "the token in NOMAD_TOKEN");
    assert_eq!(whose(&all[1..]), "the token in secret nomad/token");
    assert_eq!(whose(&all[2..]), "the token that auth method aws gave");
    assert_eq!(whose(&all[4..]), "the token in SSM parameter /nomad/token");
    let warnings = with(&all[1..]).warnings;
    assert_eq!(
        warnings,
        [
            "NOMAD_AUTH_METHOD is not read: NOMAD_TOKEN_SECRET comes before it",
            "NOMAD_TOKEN_PARAMETER is not read: NOMAD_TOKEN_SECRET comes before it",
        ]
    );
    let mut off = all.to_vec();
    off.push(("NOMAD_ACL", "off"));
    assert_eq!(whose(&off), "none");
    assert_eq!(with(&off).warnings.len(), 4);
    assert_eq!(
        with(&[("NOMAD_AUTH_AUDIENCE", "nomad")]).warnings,
        ["NOMAD_AUTH_AUDIENCE is set for nothing: NOMAD_AUTH_METHOD is not set"]
    );
}

#[test]
fn a_secret_may_have_a_key_and_a_parameter_may_be_a_secret() {
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:nomad-AbCdEf";
    let config = with(&[("NOMAD_TOKEN_SECRET", &format!("{arn}#drain"))]);
    let token = &config.cluster().unwrap().token;
    let TokenSource::Stored { place, key } = token else { panic!("{token:?}") };
    assert_eq!((place, key.as_deref()), (&Place::Secret(arn.to_owned()), Some("drain")));
    assert_eq!(whose(&[("NOMAD_TOKEN_PARAMETER", arn)]), format!("the token in secret {arn}"));
    for text in ["#drain", "nomad#"] {
        let told = problems(&[("NOMAD_TOKEN_SECRET", text)]);
        assert!(told[0].starts_with("NOMAD_TOKEN_SECRET is "), "{told:?}");
    }
}

#[test]
fn nothing_that_is_a_token_is_repeated() {
    for variable in ["NOMAD_TOKEN_SECRET", "NOMAD_TOKEN_PARAMETER"] {
        let told = problems(&[(variable, TOKEN)]).join(" ");
        assert!(told.contains(variable) && !told.contains(TOKEN), "{told}");
    }
    let told = problems(&[("NOMAD_TOKEN", "two words")]).join(" ");
    assert!(told.starts_with("NOMAD_TOKEN holds no token") && !told.contains("two words"), "{told}");
    let printed = format!("{:?}", with(&[("NOMAD_TOKEN", TOKEN)]));
    assert!(!printed.contains(TOKEN), "{printed}");
}

#[test]
fn a_login_needs_an_audience() {
    let told = problems(&[("NOMAD_AUTH_METHOD", "aws")]);
    assert!(told[0].starts_with("NOMAD_AUTH_AUDIENCE is not set"), "{told:?}");
}

/// An authority, and a certificate with its key, in files.
struct Files {
    folder: tempfile::TempDir,
    key: String,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["server.global.nomad".to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem();
        std::fs::write(folder.path().join("a.pem"), made.cert.pem()).unwrap();
        let this = Self { folder, key };
        std::fs::write(this.path("key"), &this.key).unwrap();
        this
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

#[test]
fn certificates_are_read_from_files_and_folders() {
    let files = Files::new();
    let (pem, key) = (files.path("a.pem"), files.path("key"));
    let config = with(&[
        ("NOMAD_CACERT", &pem),
        ("NOMAD_CLIENT_CERT", &pem),
        ("NOMAD_CLIENT_KEY", &key),
        ("NOMAD_TLS_SERVER_NAME", "server.global.nomad"),
    ]);
    let secret = files.key.lines().nth(1).unwrap();
    let printed = format!("{config:?}");
    assert!(config.warnings.is_empty() && !printed.contains(secret), "{printed}");
    std::fs::remove_file(&key).unwrap();
    let folder = files.folder.path().display().to_string();
    assert!(!with(&[("NOMAD_CAPATH", &folder)]).cluster().unwrap().tls.is_usual());
    assert!(with(&[]).cluster().unwrap().tls.is_usual());
    assert_eq!(
        with(&[("NOMAD_CACERT", &pem), ("NOMAD_CACERT_PARAMETER", "/ca")]).warnings,
        ["NOMAD_CACERT_PARAMETER is not read: NOMAD_CACERT comes before it"]
    );
}

#[test]
fn what_is_kept_by_aws_is_read_later() {
    let config = with(&[
        ("NOMAD_CACERT_PARAMETER", "/nomad/ca"),
        ("NOMAD_CLIENT_CERT_PARAMETER", "/nomad/cert"),
        ("NOMAD_CLIENT_KEY_PARAMETER", "arn:aws:secretsmanager:eu-west-1:1:secret:key-AbCdEf"),
    ]);
    let places: Vec<String> = config
        .cluster()
        .unwrap()
        .tls
        .places()
        .iter()
        .map(|(purpose, place)| format!("{purpose}: {place}"))
        .collect();
    assert_eq!(
        places,
        [
            "the certificate authorities for Nomad: SSM parameter /nomad/ca",
            "the client certificate for Nomad: SSM parameter /nomad/cert",
            "the key of the client certificate for Nomad: secret arn:aws:secretsmanager:eu-west-1:1:secret:key-AbCdEf",
        ]
    );
}

#[test]
fn what_cannot_be_used_for_tls_is_told_at_once() {
    let files = Files::new();
    let (pem, key) = (files.path("a.pem"), files.path("key"));
    let missing = files.path("none.pem");
    for (variables, expected) in [
        (vec![("NOMAD_CACERT", missing.as_str())], "NOMAD_CACERT cannot be used: "),
        (vec![("NOMAD_CAPATH", missing.as_str())], "NOMAD_CAPATH cannot be used: "),
        (vec![("NOMAD_CACERT", key.as_str())], "NOMAD_CACERT cannot be used: "),
        (vec![("AWS_CA_BUNDLE", missing.as_str())], "AWS_CA_BUNDLE cannot be used: "),
        (vec![("AWS_CA_BUNDLE", key.as_str())], "AWS_CA_BUNDLE cannot be used: "),
        (
            vec![("NOMAD_CLIENT_CERT", pem.as_str())],
            "NOMAD_CLIENT_KEY is not set, and the client certificate is",
        ),
        (vec![("NOMAD_CLIENT_KEY_PARAMETER", "/key")], "NOMAD_CLIENT_CERT is not set, and the client key is"),
        (
            vec![("NOMAD_CLIENT_CERT", pem.as_str()), ("NOMAD_CLIENT_KEY", pem.as_str())],
            "NOMAD_CLIENT_CERT cannot be used: ",
        ),
        (vec![("NOMAD_TLS_SERVER_NAME", "not a name")], "NOMAD_TLS_SERVER_NAME is \"not a name\""),
        (vec![("NOMAD_SKIP_VERIFY", "maybe")], "NOMAD_SKIP_VERIFY is \"maybe\""),
    ] {
        let told = problems(&variables);
        assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
    }
    let told = problems(&[("NOMAD_CLIENT_CERT", &pem), ("NOMAD_CLIENT_KEY", &pem)]).join(" ");
    assert!(told.contains("the key is not a private key in PEM"), "{told}");
}
