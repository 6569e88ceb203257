//! A world in a process of its own: this program again.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::arguments::WorldArgs;
use super::one::One;
use super::{exit, one};

/// What a process may take before it counts as hung; a world of a minute takes seconds, on a busy machine tens of them.
const HUNG_AFTER: Duration = Duration::from_secs(600);

/// How much slower than real time a world may be, beyond that.
const SLOWEST: u32 = 10;

/// How much of what a process said last is kept when it died.
const LAST_WORDS: usize = 2_000;

/// How a process ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The judges have looked.
    Judged(Box<One>),
    /// It died, hung or said what nobody understands, which is a finding too: how.
    Died(String),
}

#[derive(Deserialize)]
struct Envelope {
    kind: String,
    item: One,
}

/// Lets a process live the world of a seed. It dies with the future.
///
/// # Errors
/// When no process can be started.
pub(crate) async fn live(seed: u64, world: &WorldArgs, trace: Option<&Path>) -> std::io::Result<Ended> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--json").arg("--seed").arg(seed.to_string()).args(world.words());
    if let Some(file) = trace {
        command.arg("--trace").arg(file);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Ctrl-C is for the parent, which ends its children itself; otherwise it would take their death for a finding.
    #[cfg(unix)]
    command.process_group(0);
    let child = command.spawn()?;
    let patience = HUNG_AFTER + world.duration.0.saturating_mul(SLOWEST);
    Ok(match tokio::time::timeout(patience, child.wait_with_output()).await {
        Ok(output) => understood(&output?),
        Err(_) => Ended::Died(format!("its process had not ended after {} s", patience.as_secs())),
    })
}

fn understood(output: &Output) -> Ended {
    let code = output.status.code();
    if code == Some(exit::OK.into()) || code == Some(exit::BROKEN.into()) {
        match serde_json::from_slice::<Envelope>(&output.stdout) {
            Ok(envelope) if envelope.kind == one::KIND => return Ended::Judged(Box::new(envelope.item)),
            Ok(_) | Err(_) => {}
        }
    }
    Ended::Died(died(output))
}

/// Says how a process ended that gave no answer.
pub(crate) fn died(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let from = said.char_indices().rev().nth(LAST_WORDS).map_or(0, |(place, _)| place);
    format!("its process ended with {}: {}", output.status, said[from..].trim())
}
