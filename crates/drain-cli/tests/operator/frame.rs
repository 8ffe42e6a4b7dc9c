//! What holds for every command.

use crate::stage::{Ran, bare};

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
