//! A test in a process of its own.
//!
//! Ids of the libraries below are counted through a whole process, so a world follows from its seed only if it is the
//! first of its process. [`alone`] starts the test program again with that one test, waits, and fails as it did.

use std::any::type_name;
use std::env;
use std::process::Command;

/// Set in the process that really runs the test.
const ALONE: &str = "SYNOD_SCENARIO_ALONE";

/// What the test program says when the one test ran and held.
const ONE_PASSED: &str = "1 passed";

/// Runs a test's closure in a process of its own. Must be called by the test itself, whose name is that of the closure.
///
/// # Panics
/// When the test failed there; what it printed is part of the message.
#[expect(clippy::panic, reason = "that is how a test fails")]
pub fn alone<F: FnOnce()>(test: F) {
    if env::var_os(ALONE).is_some() {
        return test();
    }
    let name = name_of(type_name::<F>());
    let started = env::current_exe().and_then(|program| {
        let words = ["--exact", &name, "--nocapture", "--test-threads=1", "--include-ignored"];
        Command::new(program).args(words).env(ALONE, "1").output()
    });
    let output = match started {
        Ok(output) => output,
        Err(error) => panic!("the test program could not be started again: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !said.contains(ONE_PASSED) {
        panic!("{name}, alone: {}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
}

/// Returns the name of the test that a closure stands in: `crate::module::test::{{closure}}` without both ends.
fn name_of(closure: &str) -> String {
    let inner = closure.split("::{{closure}}").next().unwrap_or(closure);
    inner.split_once("::").map_or(inner, |(_, name)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_in_its_own_process_is_another_process() {
        let ran_here = std::cell::Cell::new(false);
        alone(|| ran_here.set(true));
        assert_eq!(ran_here.get(), env::var_os(ALONE).is_some());
    }

    #[test]
    fn a_test_that_fails_there_fails_here_and_says_why() {
        let failed = std::panic::catch_unwind(|| alone(|| panic!("it fails there"))).unwrap_err();
        if env::var_os(ALONE).is_some() {
            std::panic::resume_unwind(failed);
        }
        let said = failed.downcast::<String>().unwrap();
        assert!(said.contains("it fails there"), "{said}");
    }
}
