//! What a program sees of the node's environment: nearly nothing.
//!
//! The node's own environment may hold keys and tokens, so it is cleared, and only what programs need to find
//! their tools, their home and their language passes. A key that an agent needs is named in its pool's `env`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use synod_domain::agent::ProcessSpec;

use super::leftovers::MARK;
use crate::ports::Work;

/// Variables that pass from the node to its programs; a `*` at the end stands for any end.
///
/// `PATH` to find tools, `HOME`, `USER`, `LOGNAME` for their configuration, `SHELL` because coding agents run
/// commands through it, `LANG`, `LC_*` and `TZ` for language and time, `TMPDIR` for scratch space. None of them
/// is a secret on any system we know; everything else might be.
pub const INHERITED: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TMPDIR"];

/// Where programs are looked for when the node itself has no `PATH`, as under some service managers.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// The environment of a program before it is known which task it does.
pub(super) type Environment = BTreeMap<OsString, OsString>;

/// Returns what passes of `variables` under `patterns`.
pub(super) fn inherited(
    variables: impl Iterator<Item = (OsString, OsString)>,
    patterns: &[String],
) -> Environment {
    let passes = |name: &OsStr| patterns.iter().any(|pattern| matches(pattern, name));
    let mut environment: Environment = variables.filter(|(name, _)| passes(name)).collect();
    environment.entry("PATH".into()).or_insert_with(|| PATH_DEFAULT.into());
    environment
}

/// Adds what the pool wants.
pub(super) fn of_pool(inherited: &Environment, spec: &ProcessSpec) -> Environment {
    let mut environment = inherited.clone();
    environment.extend(spec.env.iter().map(|(name, value)| (name.into(), value.into())));
    environment
}

/// Adds what says whose task it is. Last, so that no pool can claim to be another node's.
pub(super) fn of_attempt(mut pool: Environment, node: &str, work: &Work) -> Environment {
    pool.insert(MARK.into(), node.into());
    pool.insert("SYNOD_TASK_ID".into(), work.spec.id.to_string().into());
    pool.insert("SYNOD_ATTEMPT".into(), work.attempt.to_string().into());
    pool.insert("SYNOD_AGENT".into(), work.agent_name.as_str().into());
    pool
}

fn matches(pattern: &str, name: &OsStr) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.as_encoded_bytes().starts_with(start.as_bytes()),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_variables_pass_and_a_path_is_always_there() {
        let variables = [("LC_TIME", "C"), ("AWS_SECRET_ACCESS_KEY", "x"), ("HOMEX", "y")];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let patterns = INHERITED.map(str::to_owned);
        let environment = inherited(variables.into_iter(), &patterns);
        let names: Vec<_> = environment.keys().filter_map(|name| name.to_str()).collect();
        assert_eq!(names, ["LC_TIME", "PATH"]);
    }
}
