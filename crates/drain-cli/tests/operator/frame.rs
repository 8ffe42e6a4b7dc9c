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
