//! The worlds of one seed, each in a process of its own: this program again.

use std::path::Path;
use std::process::{Output, Stdio};

use serde::Deserialize;
use synod_simulations::fleet::{Answer, Kill};
use tokio::process::Command;

use super::super::arguments::Arguments;
use super::super::{child, exit};
use super::KIND;

#[derive(Deserialize)]
struct Envelope {
    kind: String,
    item: Answer,
}

/// Whether a process shows its own progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// It draws on this terminal, if it is one.
    Progress,
    /// What it says is kept for the case that it dies.
    Nothing,
}

/// Lives both worlds of a seed and returns the answer of them, or how a process died. They die with the future.
///
/// # Errors
/// When no process can be started.
pub(super) async fn live(
    arguments: &Arguments,
    seed: u64,
    shows: Shows,
) -> std::io::Result<Result<Answer, String>> {
    let mut answer = match world(arguments, seed, shows, None).await? {
        Ok(answer) => answer,
        Err(died) => return Ok(Err(died)),
    };
    if let Some(half) = answer.half {
        let kill = Kill { node: half.leader, at_ms: half.at_ms };
        match world(arguments, seed, shows, Some(kill)).await? {
            Ok(other) if other.plan == answer.plan => answer.death = Some(answer.death_of(kill, &other)),
            Ok(_) => return Ok(Err("the fleet file or its folders changed meanwhile; ask again".to_owned())),
            Err(died) => return Ok(Err(died)),
        }
    }
    Ok(Ok(answer))
}

async fn world(
    arguments: &Arguments,
    seed: u64,
    shows: Shows,
    kill: Option<Kill>,
) -> std::io::Result<Result<Answer, String>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments.file.as_deref().map(Path::as_os_str));
    command.args(["--alone", "--seed", &seed.to_string()]).args(arguments.world.words());
    for input in &arguments.inputs {
        command.args(["--input", input]);
    }
    match kill {
        Some(kill) => drop(command.args(["--kill", &kill.to_string()])),
        None => {
            for (flag, file) in [("--trace", &arguments.trace), ("--view", &arguments.view)] {
                if let Some(file) = file {
                    command.arg(flag).arg(file);
                }
            }
        }
    }
    let said = if shows == Shows::Progress { Stdio::inherit() } else { Stdio::piped() };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said).kill_on_drop(true);
    // Ctrl-C is for this process, which ends the others itself.
    #[cfg(unix)]
    command.process_group(0);
    Ok(understood(&command.spawn()?.wait_with_output().await?))
}

fn understood(output: &Output) -> Result<Answer, String> {
    let code = output.status.code();
    if [exit::OK, exit::BROKEN, exit::USAGE].into_iter().any(|known| code == Some(known.into()))
        && let Ok(envelope) = serde_json::from_slice::<Envelope>(&output.stdout)
        && envelope.kind == KIND
    {
        return Ok(envelope.item);
    }
    Err(child::died(output))
}
