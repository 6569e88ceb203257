//! `synod simulate`: finds the program that simulates, becomes it, and says what to do when it is not there.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Said, ended, synod};

/// A folder with a copy of `synod` and nothing beside it.
fn alone() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = folder.path().join("synod");
    let built = Path::new(env!("CARGO_BIN_EXE_synod"));
    // The same file under another name: copying it takes long, and where it is linked does not matter.
    if std::fs::hard_link(built, &program).is_err() {
        std::fs::copy(built, &program).unwrap();
    }
    (folder, program)
}

/// Puts a program into a folder that says its name, its arguments and ends with a code of its own.
fn put(folder: &Path, says: &str) {
    let program = folder.join("synod-simulate");
    std::fs::write(&program, format!("#!/bin/sh\necho {says} \"$@\"\nexit 41\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

async fn simulate(program: &Path, path: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", path.display()));
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command.arg("simulate").args(args);
    ended(command).await
}

#[tokio::test]
async fn without_the_program_that_simulates_it_says_how_to_get_it() {
    let (folder, program) = alone();
    for args in [&["--seed", "7"][..], &["--help"], &[]] {
        let said = simulate(&program, folder.path(), args).await;
        said.assert_code(69);
        assert!(
            said.err.contains("synod-simulate is neither beside this program nor on the PATH"),
            "{said:?}"
        );
        assert!(said.err.contains("cargo install --locked --path simulations"), "{said:?}");
        assert_eq!(said.out, "");
    }
}

#[tokio::test]
async fn everything_is_passed_on_and_the_exit_code_comes_back() {
    let (folder, program) = alone();
    let elsewhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    put(elsewhere.path(), "elsewhere");
    let args = ["--seed", "7", "file.yaml", "--help", "--version", "--log", "x", "-h", "--", "--json"];
    let said = simulate(&program, elsewhere.path(), &args).await;
    said.assert_code(41);
    assert_eq!(said.out, format!("elsewhere {}\n", args.join(" ")));
    assert_eq!(said.err, "");

    put(folder.path(), "beside");
    let said = simulate(&program, elsewhere.path(), &["--help"]).await;
    assert_eq!(said.out, "beside --help\n", "what is beside comes first");
}

#[tokio::test]
async fn a_file_reaches_the_program_that_simulates_and_its_answer_comes_back() {
    let built = Path::new(env!("CARGO_BIN_EXE_synod"));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let fleet = folder.path().join("fleet.yaml");
    std::fs::write(
        &fleet,
        "name: small\npools: {work: {command: [cat], size: 1}}\ntasks: [{name: one, pool: work}]\n",
    )
    .unwrap();
    // It has a package of its own, and may not have been built.
    if built.with_file_name("synod-simulate").exists() {
        let args = [fleet.to_str().unwrap(), "--seed", "7", "--nodes", "1", "--json"];
        let said = simulate(built, folder.path(), &args).await;
        said.assert_code(0);
        assert!(said.out.contains("\"small\""), "{said:?}");
        std::fs::write(&fleet, "name: [").unwrap();
        let said = simulate(built, folder.path(), &args).await;
        said.assert_code(2);
        assert!(said.err.contains("fleet.yaml"), "{said:?}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_named() {
    let (folder, program) = alone();
    std::fs::write(folder.path().join("synod-simulate"), "not a program").unwrap();
    let said = simulate(&program, folder.path(), &["--seed", "1"]).await;
    said.assert_code(69);
    assert!(said.err.contains("synod-simulate cannot be started"), "{said:?}");
}

#[tokio::test]
async fn the_help_names_it() {
    let mut command = synod();
    command.arg("--help");
    let said = ended(command).await;
    said.assert_code(0);
    assert!(said.out.contains("simulate"), "{said:?}");
}
