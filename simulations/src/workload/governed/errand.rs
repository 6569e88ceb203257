//! Work that says what it uses while it goes on, as judges must know it.

use serde::{Deserialize, Serialize};

use crate::chance::Stream;
use crate::script::{Act, Script};

/// What a task asks of an agent of a world.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Work {
    /// To do something, and to say that it used these tokens, one after the other.
    Errand(Errand),
    /// To do something, and to say what is drawn.
    Script(Script),
}

/// Something to do, and what it says that it uses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Errand {
    pub(crate) script: Script,
    /// Tokens, said one after the other while it works and the rest at its end.
    pub(crate) spends: Vec<u64>,
}

impl Errand {
    /// Draws work of some milliseconds that mostly succeeds and uses what is said.
    pub(super) fn of(stream: &mut Stream, millis: (u64, u64), spends: Vec<u64>) -> Self {
        let last = (Act::Succeed, stream.between(millis.0, millis.1));
        let script = match stream.between(0, 99) {
            0..8 => Script::of(&[(Act::Fail, stream.between(0, millis.1)), last]),
            8..12 => Script::of(&[(Act::Hang, 0), last]),
            12..15 => Script::of(&[(Act::Refuse, stream.between(0, millis.1))]),
            _ => Script::of(&[last]),
        };
        Self { script, spends }
    }
}
