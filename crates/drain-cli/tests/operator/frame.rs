//! What holds for every command.

use crate::stage::{GROUP, Ran, Stage, bare};

#[tokio::test]
async fn the_help_teaches_the_exit_statuses_and_names_every_command() {
    let help = Ran::of(bare(&["--help"])).await;
    assert_eq!(help.status, 0);
    for words in ["Exit status:", "--function", "--json", "demo", "completions"] {
        assert!(help.out.contains(words), "{words}: {}", help.out);
    }
}

#[tokio::test]
async fn arguments_that_make_no_sense_are_status_2() {
    assert_eq!(Ran::of(bare(&["drian"])).await.status, 2);
}

#[tokio::test]
async fn completions_and_a_man_page_are_printed() {
    let completions = Ran::of(bare(&["completions", "bash"])).await;
    assert!(completions.status == 0 && completions.out.contains("complete -F"), "{completions:?}");
    let man = Ran::of(bare(&["man"])).await;
    assert!(man.status == 0 && man.out.contains(".TH nomad-drain 1"), "{man:?}");
}

#[tokio::test]
async fn whoever_stops_reading_gets_no_complaint() {
    let stage = Stage::set_up().await;
    let worker = stage.add_worker(GROUP, 1).unwrap();
    for arguments in
        [&["doctor"][..], &["drain", "--dry-run", &worker.instance_id], &["release", &worker.instance_id]]
    {
        let mut command = stage.command(arguments);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn without_credentials_the_answer_is_one_sentence() {
    let ran = Ran::of(bare(&["--region", "us-east-1", "status"])).await;
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(!ran.err.contains("WARN"), "{ran:?}");
}

#[tokio::test]
async fn a_profile_is_used_whatever_keys_are_in_the_environment() {
    let stage = Stage::set_up().await;
    let account = stage.aws.account();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let credentials = file(
        "credentials",
        format!(
            "[operator]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
            account.access_key_id, account.secret_access_key, account.session_token
        ),
    );
    let config = file("config", format!("[profile operator]\nregion = {}\n", account.region));
    let run = async |arguments: &[&str]| {
        let mut command = stage.command(arguments);
        command
            .env_remove("AWS_REGION")
            .env_remove("REGION")
            .env("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE0000");
        command.env("AWS_CONFIG_FILE", &config).env("AWS_SHARED_CREDENTIALS_FILE", &credentials);
        command.env("NOMAD_ACL", "off");
        Ran::of(command).await
    };
    let ran = run(&["--profile", "operator", "status"]).await;
    assert!(ran.status == 0 && ran.out.contains("workers"), "{ran:?}");
    let ran = run(&["--region", &account.region, "status"]).await;
    assert!(ran.status == 3 && ran.err.contains("autoscaling:DescribeAutoScalingGroups"), "{ran:?}");
    let ran = run(&["--profile", "nobody", "--region", &account.region, "status"]).await;
    assert!(ran.status == 3 && ran.err.contains("there are no usable AWS credentials"), "{ran:?}");
}

#[tokio::test]
async fn the_variables_of_a_deployed_function_are_the_configuration() {
    let stage = Stage::set_up().await;
    stage.add_worker(GROUP, 1).unwrap();
    let bootstrap = std::path::Path::new("none");
    let mut function = stage.function(bootstrap);
    function.env.insert("AUTO_SCALING_GROUPS".to_owned(), GROUP.to_owned());
    stage.deploy(function);
    stage.deployed();
    let account = stage.aws.account();
    let run = async |name: &str| {
        let mut command = bare(&["--function", name, "status"]);
        command.env("AWS_ENDPOINT_URL", stage.aws_url()).env("AWS_REGION", &account.region);
        command.env("AWS_ACCESS_KEY_ID", &account.access_key_id);
        command.env("AWS_SECRET_ACCESS_KEY", &account.secret_access_key);
        command.env("AWS_SESSION_TOKEN", &account.session_token);
        Ran::of(command).await
    };
    let ran = run("nomad-drain").await;
    assert!(ran.status == 0 && ran.out.contains(GROUP), "{ran:?}");
    let ran = run("nobody").await;
    assert!(
        ran.status == 3 && ran.err.contains("the variables of function nobody could not be read"),
        "{ran:?}"
    );
}

/// Whose permission is missing is not always the function's role: at a terminal it is whoever asks.
#[tokio::test]
async fn what_to_do_about_a_refusal_names_whom_aws_refused() {
    let stage = Stage::set_up().await;
    let worker = stage.ending(1);
    let account = stage.aws.account().clone();
    for who in [account.operator(), account] {
        stage.aws.deny_to(&who.role, "ssm:GetParameter");
        let mut command = stage.command(&["drain", &worker.instance_id]);
        command
            .env("AWS_ACCESS_KEY_ID", &who.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &who.secret_access_key)
            .env("AWS_SESSION_TOKEN", &who.session_token);
        let ran = Ran::of(command).await;
        let said = format!("{}{}", ran.out, ran.err);
        let expected = format!("Allow role {} ssm:GetParameter on ", who.role);
        assert!(ran.status != 0 && said.contains(&expected), "{expected}: {ran:?}");
        assert!(!said.contains("function's role"), "{ran:?}");
    }
}
