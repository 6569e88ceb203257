//! Fleet files with mistakes: what, where, how to fix it, exit code 2, and nothing is started.

use std::path::PathBuf;

use crate::support::{Fleet, ended, synod};

/// File, place, a part of what is wrong, a part of how to fix it. All others are in `tests/fleet`.
const TABLE: [(&str, &str, &str, &str); 12] = [
    ("unknown_field.yaml", "4:5", "unknown field `comand`", "did you mean `command`?"),
    ("wrong_type.yaml", "4:22", "expected a text, found the number 5", "write it in quotes: \"5\""),
    ("bad_duration.toml", "5:11", "is not a length of time", "write it like 250ms, 30s"),
    ("cycle.yaml", "7:31", "these tasks wait for each other", "remove one of these"),
    ("unknown_after.yaml", "7:38", "there is no task `biuld` to come after", "did you mean `build`?"),
    ("unknown_pool.json", "5:29", "there is no pool `wrk`", "did you mean `work`?"),
    ("no_target.yaml", "6:5", "does not say who does it", "add `pool: NAME` or"),
    ("empty_glob.yaml", "9:13", "no file in", "`allow_empty: true`"),
    ("template.yaml", "10:15", "names no input", "did you mean `root`?"),
    ("sizes.yaml", "5:11", "`size` is 0", "from 1 to 10000"),
    ("syntax.toml", "6:1", "this is not readable TOML", "texts need quotes"),
    ("empty.yaml", "1:1", "the file is empty", "docs/FLEET.md"),
];

fn broken(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fleet/broken")).join(file)
}

/// Takes the frame away that a report is printed in, and its line breaks.
fn plain(report: &str) -> String {
    let words = report.split_whitespace().filter(|word| !matches!(*word, "│" | "×" | "╰─▶" | "├─▶" | "|"));
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn each_broken_fleet_file_gives_what_where_and_how_to_fix_it_and_exit_code_2() {
    for (file, place, what, fix) in TABLE {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let data = folder.path().join("data");
        let mut call = synod();
        call.arg("run").arg(broken(file)).arg("--data").arg(&data);
        let said = ended(call).await;
        said.assert_code(2);
        let report = plain(&said.err);
        let place = format!("{file}:{place}");
        for part in [place.as_str(), what, fix] {
            assert!(report.contains(part), "{file}: {part:?} is not in\n{}", said.err);
        }
        assert_eq!(said.out, "", "{file}");
        assert!(!data.exists(), "{file}: something was started");
    }
}

#[tokio::test]
async fn other_mistakes_on_the_command_line_exit_2_and_say_which() {
    let fleet =
        Fleet::new("name: f\ninputs: {root: .}\npools: {p: {command: [cat]}}\ntasks: [{name: t, pool: p}]\n");
    let cases: [(&[&str], &str); 4] = [
        (&["--input", "rot=x"], "did you mean `root`?"),
        (&["--input", "root"], "root"),
        (&["--jsno"], "--json"),
        (&["--log", "=loud="], "is not a level"),
    ];
    for (args, words) in cases {
        let said = fleet.run(args).await;
        said.assert_code(2);
        assert!(plain(&said.err).contains(words), "{args:?}: {said:#?}");
        assert_eq!(said.out, "");
    }
    assert!(!fleet.file(".synod").exists(), "something was started");
    let mut nothing = synod();
    nothing.arg("run").arg(fleet.file("no-such-fleet.yaml"));
    let said = ended(nothing).await;
    said.assert_code(2);
    assert!(plain(&said.err).contains("no-such-fleet.yaml"), "{said:#?}");
    ended(synod()).await.assert_code(2);
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_exits_3_and_says_why() {
    let fleet = Fleet::new("name: f\npools: {p: {command: [cat]}}\ntasks: [{name: t, pool: p}]\n");
    fleet.write("file", "not a folder");
    let said = fleet.run(&["--data", fleet.file("file").to_str().unwrap()]).await;
    said.assert_code(3);
    assert!(said.err.contains(fleet.file("file").to_str().unwrap()), "{said:#?}");
}
