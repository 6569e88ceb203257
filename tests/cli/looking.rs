//! `doctor`, `version`, `schema` and help.

use crate::support::{Fleet, Said, ended, synod, tasks};

async fn say(args: &[&str]) -> Said {
    let mut call = synod();
    call.args(args);
    ended(call).await
}

#[tokio::test]
async fn doctor_looks_at_folder_disk_and_limits_and_leaves_nothing_behind() {
    let fleet = Fleet::new("");
    let data = fleet.file("data");
    let said = say(&["doctor", "--json", "--data", data.to_str().unwrap()]).await;
    // Whatever this machine is like, the checks are there; a bad disk is no failure of the doctor.
    assert!(matches!(said.code(), 0 | 3), "{said:#?}");
    let document = said.json();
    assert_eq!(document["version"], 1);
    let findings = document["findings"].as_array().unwrap();
    let checks: Vec<&str> = findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    assert_eq!(checks, ["data folder", "disk sync", "free space", "open files", "address"]);
    for finding in findings {
        let verdict = finding["verdict"].as_str().unwrap();
        assert!(["well", "poor", "bad"].contains(&verdict), "{finding}");
        assert_eq!(finding["advice"].is_null(), verdict == "well", "{finding}");
        assert!(!finding["seen"].as_str().unwrap().is_empty());
    }
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "it leaves nothing behind");

    let table = say(&["doctor", "--data", data.to_str().unwrap()]).await;
    for words in ["disk sync", "syncs/s", "what to do"] {
        assert!(table.out.contains(words), "{words:?}: {table:#?}");
    }
}

#[tokio::test]
async fn doctor_finds_a_folder_that_cannot_be_used() {
    let fleet = Fleet::new("");
    fleet.write("file", "not a folder");
    let said = say(&["doctor", "--data", fleet.file("file").to_str().unwrap()]).await;
    said.assert_code(3);
    assert!(said.out.contains("bad") && said.out.contains("--data"), "{said:#?}");
}

#[cfg(unix)]
#[tokio::test]
async fn doctor_says_when_others_may_look_into_the_folder() {
    use std::os::unix::fs::PermissionsExt;
    let fleet = Fleet::new("");
    let data = fleet.file("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let document = say(&["doctor", "--json", "--data", data.to_str().unwrap()]).await.json();
    assert_eq!(document["findings"][0]["verdict"], "poor");
    assert_eq!(document["findings"][0]["advice"], format!("chmod 700 {}", data.display()));
}

#[tokio::test]
async fn version_help_and_schema_go_to_standard_output() {
    let version = say(&["version"]).await;
    version.assert_code(0);
    assert_eq!(version.out, format!("synod {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(say(&["--version"]).await.out, version.out);

    let help = say(&["--help"]).await;
    help.assert_code(0);
    for command in ["run", "doctor", "config", "schema", "version", "--config", "--log"] {
        assert!(help.out.contains(command), "{command}: {}", help.out);
    }
    assert_eq!(help.err, "");

    let schema = say(&["schema", "fleet"]).await;
    schema.assert_code(0);
    let published = include_str!("../../docs/fleet.schema.json");
    assert_eq!(
        schema.out.trim_end(),
        published.trim_end(),
        "docs/fleet.schema.json is not `synod schema fleet`"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_result_that_cannot_be_written_is_an_exit_code_and_no_panic() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = synod();
    command.args(["schema", "fleet"]).stdout(full);
    let said = ended(command).await;
    said.assert_code(74);
    assert!(said.err.contains("cannot be written") && !said.err.contains("panicked"), "{said:#?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_run_goes_on_when_nobody_reads_what_it_says() {
    let fleet = Fleet::new(
        "
name: unheard
pools: {p: {command: [sh, -c, 'exit 1']}}
tasks: [{name: fails, pool: p, retry: {max_attempts: 1}, for_each: {list: [1, 2, 3]}}]
",
    );
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = fleet.call(&["--log", "info", "--json"]);
    command.stderr(full());
    let said = ended(command).await;
    said.assert_code(1);
    assert_eq!(tasks(&said.json()).len(), 3);
}

#[tokio::test]
async fn doctor_gives_no_advice_about_a_folder_that_is_somebody_elses() {
    let fleet = Fleet::new("");
    let data = fleet.file("theirs");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("precious"), "").unwrap();
    let said = say(&["doctor", "--data", data.to_str().unwrap()]).await;
    said.assert_code(3);
    assert!(said.out.contains("precious") && !said.out.contains("chmod"), "{said:#?}");
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1, "nothing was written there");
}
