//! Completions, man pages, and a reader that goes away.

use crate::support::{ended, ending, synod};

#[tokio::test]
async fn completions_are_printed_for_each_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let mut command = synod(folder.path());
        command.args(["completions", shell]);
        let said = ended(command).await;
        said.assert_code(0);
        assert!(said.out.contains("dead-letter") && said.err.is_empty(), "{shell}");
    }
}

#[tokio::test]
async fn a_man_page_is_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man");
    let mut command = synod(folder.path());
    command.arg("man").arg("--out").arg(&out);
    ended(command).await.assert_code(0);
    for page in ["synod.1", "synod-task.1", "synod-task-submit.1", "synod-worker.1", "synod-server.1"] {
        let text = std::fs::read_to_string(out.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".SH NAME"), "{page}");
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_is_nobodys_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = synod(folder.path());
    command.args(["completions", "bash"]);
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let said = ending(child).await;
    assert_eq!((said.code(), said.err.as_str()), (0, ""), "{said:#?}");
}
