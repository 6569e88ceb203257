//! The command lines by which a cluster is formed and its nodes are started, in one place.

use std::path::Path;

use tokio::process::Command;

use crate::place::NAMESPACES;

/// What all calls of the binary have in common: no settings from outside, and no life beyond this process.
pub(crate) fn synod(binary: &Path, namespace: Option<&str>, faketime: Option<&str>) -> Command {
    // The tool enters the namespace and becomes the program, under the same process id. It is not `ip netns exec`: that
    // makes a namespace of mounts as well, and the copy of every mount in it lives as long as the node does.
    let mut words: Vec<String> = Vec::new();
    if let Some(namespace) = namespace {
        words.extend(["nsenter".to_owned(), format!("--net={NAMESPACES}/{namespace}"), "--".to_owned()]);
    }
    words.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(str::to_owned));
    words.push(binary.display().to_string());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SYNOD_")) {
        command.env_remove(name);
    }
    if let Some(offset) = faketime {
        // Only the wall clock is moved: the steady one is what a wrong clock leaves alone.
        command
            .env("LD_PRELOAD", super::FAKETIME)
            .env("FAKETIME", offset)
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    command
}

/// `synod cluster init`: makes the data folder of the founder.
pub(crate) fn init(mut synod: Command, data: &Path, name: &str) -> Command {
    synod.args(["cluster", "init", "--data"]).arg(data).args(["--name", name]);
    synod
}

/// `synod server`: serves a node; `join` is the address of a member and a token, for its first start.
pub(crate) fn server(
    mut synod: Command,
    data: &Path,
    name: &str,
    api: &str,
    cluster: &str,
    join: Option<(&str, &str)>,
) -> Command {
    synod.args(["server", "--json", "--data"]).arg(data).args(["--listen", api]);
    synod.args(["--cluster-listen", cluster, "--node-name", name]);
    if let Some((address, token)) = join {
        synod.args(["--join", address]).env("SYNOD_JOIN_TOKEN", token);
    }
    synod
}

/// `synod server` on a data folder that belongs to no cluster.
pub(crate) fn server_alone(mut synod: Command, data: &Path, api: &str) -> Command {
    synod.args(["server", "--json", "--data"]).arg(data).args(["--listen", api]);
    synod
}
