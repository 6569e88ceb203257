//! Every broken file gives an error that says what is wrong, where, and what to do.

use std::path::PathBuf;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use synod::fleet::{Error, Fleet, Inputs};

fn broken(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fleet/broken")).join(file)
}

fn error_of(file: &str) -> Error {
    let read = Fleet::read(broken(file)).and_then(|fleet| fleet.expand(&Inputs::default()));
    read.expect_err(file)
}

/// File, line and column, a part of the message, a part of the help.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("unknown_field.yaml", "4:5", "unknown field `comand`", "did you mean `command`?"),
    ("wrong_type.yaml", "4:22", "expected a text, found the number 5", "write it in quotes: \"5\""),
    ("bad_duration.toml", "5:11", "\"30 seconds\" is not a length of time", "write it like 250ms, 30s"),
    (
        "cycle.yaml",
        "7:31",
        "these tasks wait for each other: build after test after build",
        "remove one of these",
    ),
    ("unknown_after.yaml", "7:38", "there is no task `biuld` to come after", "did you mean `build`?"),
    ("unknown_pool.json", "5:29", "there is no pool `wrk`", "did you mean `work`?"),
    ("no_target.yaml", "6:5", "the task `one` does not say who does it", "add `pool: NAME` or"),
    ("both_targets.yaml", "8:5", "has both `pool` and `capabilities`", "keep one of the two"),
    (
        "capability_not_offered.yaml",
        "8:5",
        "no pool offers the capabilities [rust@1.95]",
        "work: [rust@1.80]",
    ),
    ("empty_glob.yaml", "9:13", "no file in", "`allow_empty: true`"),
    ("duplicate_task.yaml", "7:12", "there are two tasks with the name `one`", "a name of its own"),
    ("duplicate_key.yaml", "8:5", "the key `name` stands here for the second time", "keep one of the two"),
    (
        "bad_regex.yaml",
        "9:45",
        "the pattern is no regular expression: unclosed character class",
        "docs.rs/regex",
    ),
    ("empty_command.yaml", "4:5", "`command` is empty", "name the program first"),
    ("sizes.yaml", "5:11", "`size` is 0; it must be from 1 to 10000", "from 1 to 10000"),
    ("sizes.yaml", "8:10", "`min` is 4, which is more than `max`, 2", "make `min` smaller"),
    ("tending.yaml", "5:34", "there is no pool `wrk` to delegate to", "name a pool of this file"),
    ("tending.yaml", "6:5", "`restart_after` names neither `age` nor `tasks`", "{age: 24h}"),
    ("tending.yaml", "7:22", "`batch` is 0; it must be from 1 to 1000", "from 1 to 1000"),
    ("sizes.yaml", "12:18", "`concurrency` is 20000", "from 1 to 10000"),
    (
        "missing_lines_file.yaml",
        "9:17",
        "no-such-file.txt: No such file",
        "relative to the fleet file's folder",
    ),
    ("hook.yaml", "8:5", "pinned to an agent of a pool, and the entry names none", "name a `pool`"),
    ("hook.yaml", "11:5", "are not where the repository is", "a `native` agent"),
    ("hook.yaml", "14:5", "`priority` says nothing of work on a hook", "`max_retries` and `stale_after`"),
    ("hook.yaml", "15:43", "`max_retries` is 200; it must be from 0 to 100", "from 0 to 100"),
    ("hook.yaml", "15:61", "`stale_after` must be at least 1s", "give a longer time"),
    ("hook_branch.yaml", "7:38", "one[1] and one[2] are on one branch, agent/one", "agent/{{item}}"),
    ("bad_name.yaml", "6:12", "the name \"my task\" holds ' '", ""),
    ("syntax.yaml", "5:6", "this is not readable YAML", "closed quotes and brackets"),
    ("syntax.json", "4:45", "this is not JSON: expected value", "no comma after the last element"),
    ("syntax.toml", "6:1", "this is not readable TOML", "texts need quotes"),
    ("template.yaml", "10:15", "the template {{inputs.rot}} names no input", "did you mean `root`?"),
    ("template_without_quotes.yaml", "10:14", "a key must be a text", "put a text with {{..}} in quotes"),
    ("template_field.yaml", "11:15", "finds no field `nmae`", "did you mean `name`?"),
    ("native_without_name.yaml", "3:3", "a pool with `runtime: native` needs `native: NAME`", "add it"),
    ("empty.yaml", "1:1", "the file is empty", "docs/FLEET.md"),
    ("simulation_unknown_pool.yaml", "10:5", "there is no pool `wrok` to simulate", "did you mean `work`?"),
    ("simulation_spread.yaml", "9:30", "`failure_percent` is 120; it must be from 0 to 100", "of a hundred"),
    ("simulation_spread.yaml", "12:23", "`p50` is 2m, which is longer than `p90`, 30s", "make `p50` shorter"),
    ("simulation_spread.yaml", "13:7", "`twice_percent` has no meaning for `work`", "remove it"),
    ("simulation_spread.yaml", "15:11", "has `min` and `max`, or `p50` and `p90`", "{min: 10s, max: 1m}"),
    ("governing.yaml", "5:3", "rules[0].when", "docs/FLEET.md"),
    ("governing.yaml", "6:13", "there is no entry `wirk`", "did you mean `work`?"),
    ("governing.yaml", "11:5", "there is no pool `wrok`", "docs/FLEET.md"),
    ("governing.yaml", "15:5", "names one of tokens, cost_usd", "docs/FLEET.md"),
    ("governing.yaml", "18:3", "name one of concurrency, rate", "docs/FLEET.md"),
    ("governing.yaml", "22:5", "says nothing without `resources`", "{gpu: 1}"),
    ("telling.yaml", "5:3", "there is no pool `wrok`", "did you mean `work`?"),
    ("telling.yaml", "6:3", "there is no entry `wirk`", "did you mean `work`?"),
    ("telling.yaml", "7:3", "`work` says not what the breaker is about", "`pool/NAME`"),
    ("telling.yaml", "8:3", "it must be from 1 to the window, 5", "docs/FLEET.md"),
    ("telling.yaml", "9:3", "else it never opens", "docs/FLEET.md"),
    ("telling.yaml", "11:3", "messages go over https and not over ftp", "docs/FLEET.md"),
    ("telling.yaml", "12:3", "nothing that happens is called \"budget_wanred\"", "docs/FLEET.md"),
    ("simulation_unit.yaml", "10:15", "the length of time 30 has no unit", "write 30s"),
];

#[test]
fn every_broken_file_is_refused_with_what_where_and_how_to_fix_it() {
    for (file, place, message, help) in TABLE {
        let error = error_of(file);
        let problems = error.problems();
        let found = problems.iter().find(|problem| problem.message().contains(message));
        let Some(problem) = found else {
            panic!("{file}: no problem says {message:?}: {problems:#?}");
        };
        let expected = format!("{}:{place}", broken(file).display());
        assert!(
            problem.position().starts_with(&expected),
            "{file}: {} is not {expected}",
            problem.position()
        );
        assert!(place.ends_with(':') || problem.position() == expected, "{file}: {}", problem.position());
        let told = problem.help_text().unwrap_or("");
        assert!(told.contains(help), "{file}: the help {told:?} does not say {help:?}");
    }
}

#[test]
fn every_broken_file_is_in_the_table() {
    for entry in std::fs::read_dir(broken("")).expect("the folder of broken files") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        assert!(name == "fleet.ini" || TABLE.iter().any(|(file, ..)| *file == name), "{name} is not tested");
    }
}

#[test]
fn a_report_shows_the_line_and_marks_the_place() {
    let mut shown = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    handler.render_report(&mut shown, &error_of("unknown_field.yaml")).expect("a report");
    assert!(shown.contains("unknown_field.yaml:4:5: unknown field `comand`"), "{shown}");
    assert!(shown.contains("4 │     comand: [echo]"), "{shown}");
    assert!(shown.contains("help: did you mean `command`?"), "{shown}");
}

#[test]
fn several_problems_are_told_at_once_in_the_order_of_the_file() {
    let error = error_of("sizes.yaml");
    assert!(error.to_string().contains("has 3 problems"), "{error}");
    let lines: Vec<&str> =
        error.problems().iter().filter_map(|problem| problem.position().rsplit(':').nth(1)).collect();
    assert_eq!(lines, ["5", "8", "12"]);
    assert_eq!(error.related().map(Iterator::count), Some(3));
}

#[test]
fn a_missing_file_and_an_unknown_ending_say_what_to_do() {
    let missing = error_of("no-such.yaml");
    assert!(matches!(missing, Error::Unreadable { .. }), "{missing}");
    assert!(missing.to_string().ends_with("no-such.yaml"), "{missing}");
    let cause = std::error::Error::source(&missing).map(ToString::to_string);
    assert!(cause.is_some_and(|cause| cause.contains("No such file")));
    let ending = error_of("fleet.ini");
    assert!(matches!(ending, Error::UnknownExtension { .. }), "{ending}");
    assert!(ending.help().is_some_and(|help| help.to_string().contains(".yaml, .yml, .json or .toml")));
}

/// Refuses a file with this pool and these tasks, and returns the first message.
fn refused(pool: &str, tasks: &str) -> String {
    let text = format!("name: f\ninputs: {{n: 1}}\npools: {{work: {pool}}}\ntasks: {tasks}\n");
    let read = Fleet::parse("f.yaml", &text).and_then(|fleet| fleet.expand(&Inputs::default()));
    let error = read.expect_err(&text);
    error.problems().first().map_or_else(|| error.to_string(), |problem| problem.message().to_owned())
}

#[test]
fn smaller_slips_are_refused_too() {
    let work = "{command: [echo]}";
    let one = "[{name: one, pool: work}]";
    let table = [
        ("{command: [echo], native: x}", one, "both `command` and `native`"),
        ("{capabilities: [a]}", one, "does not say how its agents are run"),
        ("{native: x, env: {A: b}}", one, "`env` has no meaning"),
        ("{command: [echo], size: 2, max: 3}", one, "`max` stands beside `size`"),
        ("{command: [echo], env: {SYNOD_X: y}}", one, "is reserved"),
        ("[process, [echo]]", one, "expected the fields of a pool, found a list"),
        ("", one, "expected the fields of a pool, found nothing"),
        ("{command: [\"\"]}", one, "the program in `command` is empty"),
        ("{command: [echo], capabilities: [a, a@1]}", one, "second time"),
        ("{command: [echo], timeout: 0s}", one, "`timeout` is zero"),
        ("{command: [echo], timeout: 30}", one, "the length of time 30 has no unit"),
        ("{command: [\"{{item}}\"]}", one, "there is no item"),
        (work, "[]", "there is nothing to do"),
        (work, "[{name: one, pool: work, retry: {max_attempts: 0}}]", "`max_attempts` is 0"),
        (work, "[{name: one, pool: work, retry: {factor: 0.5}}]", "`factor` is 0.5"),
        (work, "[{name: one, pool: work, retry: {initial: 9s, max: 1s}}]", "longer than `max`"),
        (work, "[{name: one, pool: work, priority: hihg}]", "unknown value `hihg`"),
        (work, "[{name: one, pool: work, for_each: {}}]", "needs one of `glob`, `lines_of` and `list`"),
        (work, "[{name: one, pool: work, for_each: {list: []}}]", "`list` is empty"),
        (work, "[{name: one, pool: work, for_each: {glob: \"../*\"}}]", "leaves the folder"),
        (work, "[{name: one, pool: work, for_each: {glob: \"a[\"}}]", "is no pattern for files"),
        (work, "[{name: one, pool: work, payload: \"{{inputs.n\"}]", "has no `}}`"),
        (work, "[{name: one, pool: work, after: [one]}]", "wait for each other: one after one"),
        (work, "[{name: a, pool: work}, {name: b, pool: work, after: [a], payload: [1]}]", "must be a map"),
        (
            work,
            "[{name: a, pool: work}, {name: b, pool: work, after: [a], payload: {after: 1}}]",
            "field `after`",
        ),
        (
            work,
            "[{name: a, pool: work}, {name: b, pool: work, after: [a], payload: \"{{inputs.n}}\"}]",
            "must be a map",
        ),
        (work, "[{pool: work}]", "the field `name` is missing"),
        (work, "{name: one}", "expected a list, found a map"),
    ];
    for (pool, tasks, message) in table {
        let told = refused(pool, tasks);
        assert!(told.contains(message), "{pool} {tasks}: {told:?} does not say {message:?}");
    }
}
