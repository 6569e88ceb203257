//! A panic in a node is a finding, not noise: notes each that no script asked for.

use std::panic::{PanicHookInfo, set_hook, take_hook};

use crate::agent::SCRIPTED_PANIC;
use crate::history::{Fact, History};

/// Watches the panics of the process until it is dropped; one at a time.
pub(crate) struct Watch;

impl Watch {
    /// Begins to watch.
    pub(crate) fn begin(history: History) -> Self {
        set_hook(Box::new(move |panic| {
            let words = words(panic);
            if !words.starts_with(SCRIPTED_PANIC) {
                let place = panic.location().map(ToString::to_string).unwrap_or_default();
                history.note(Fact::Panicked { message: format!("{place}: {words}") });
            }
        }));
        Self
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(take_hook());
        }
    }
}

fn words<'a>(panic: &'a PanicHookInfo<'_>) -> &'a str {
    panic.payload_as_str().unwrap_or("without words")
}
