//! Checks one pool.

use synod_domain::agent::{CONCURRENCY_MAX, POOL_SIZE_MAX};

use super::check::Check;
use super::file::{Period, PoolShape, Restart, RuntimeKind};
use super::source::Fault;
use super::template::Item;
use super::tree::Place;

/// The most restarts within a period that a pool may ask for. Each agent remembers that many times.
const INTENSITY_MAX: u32 = 100;

/// Variables with this beginning tell a program about its task.
const RESERVED_ENV: &str = "SYNOD_";

impl PoolShape {
    /// Returns how the agents are run, or nothing when the pool does not say.
    pub(super) fn kind(&self) -> Option<RuntimeKind> {
        let implied = match (&self.command, &self.native) {
            (Some(_), None) => Some(RuntimeKind::Process),
            (None, Some(_)) => Some(RuntimeKind::Native),
            (Some(_), Some(_)) | (None, None) => None,
        };
        self.runtime.or(implied)
    }
}

impl Check<'_> {
    pub(super) fn pool(&mut self, place: &Place, pool: &PoolShape) {
        self.runtime(place, pool);
        self.program(place, pool);
        self.size(place, pool);
        self.between(place, "concurrency", pool.concurrency, 1, CONCURRENCY_MAX);
        self.capabilities(&place.key("capabilities"), &pool.capabilities);
        self.positive(place, "timeout", pool.timeout);
        self.positive(place, "heartbeat", pool.heartbeat);
        if let Some(restart) = &pool.restart {
            self.restart(&place.key("restart"), restart);
        }
    }

    fn runtime(&mut self, place: &Place, pool: &PoolShape) {
        let Some(kind) = pool.kind() else {
            let both = pool.command.is_some();
            let fault = Fault::new(if both {
                "the pool has both `command` and `native`"
            } else {
                "the pool does not say how its agents are run"
            });
            let help = "give `command: [PROGRAM, ARGUMENT, ..]`, or `native: NAME`, or `runtime: external`";
            self.key_fault(place, fault.help(help));
            return;
        };
        let (word, needed) = match kind {
            RuntimeKind::Process => {
                ("process", pool.command.is_none().then_some("command: [PROGRAM, ARGUMENT, ..]"))
            }
            RuntimeKind::Native => ("native", pool.native.is_none().then_some("native: NAME")),
            RuntimeKind::External => ("external", None),
        };
        if let Some(needed) = needed {
            let fault = Fault::new(format!("a pool with `runtime: {word}` needs `{needed}`"));
            self.key_fault(place, fault.help("add it, or change `runtime`"));
        }
        let process = kind == RuntimeKind::Process;
        let misplaced = [
            ("command", pool.command.is_some() && !process),
            ("env", !pool.env.is_empty() && !process),
            ("cwd", pool.cwd.is_some() && !process),
            ("native", pool.native.is_some() && kind != RuntimeKind::Native),
        ];
        for (field, _) in misplaced.iter().filter(|(_, misplaced)| *misplaced) {
            let fault = Fault::new(format!("`{field}` has no meaning in a pool with `runtime: {word}`"));
            self.key_fault(&place.key(field), fault.help("remove it, or change `runtime`"));
        }
    }

    fn program(&mut self, place: &Place, pool: &PoolShape) {
        let at = place.key("command");
        match pool.command.as_deref() {
            Some([]) => {
                let fault = Fault::new("`command` is empty");
                self.fault(&at, fault.help("name the program first, then its arguments: [python3, work.py]"));
            }
            Some([program, ..]) if program.trim().is_empty() => {
                let fault = Fault::new("the program in `command` is empty");
                self.fault(
                    &at.index(0),
                    fault.help("name the program first, then its arguments: [python3, work.py]"),
                );
            }
            Some(_) | None => {}
        }
        for (index, part) in pool.command.iter().flatten().enumerate() {
            self.system_text(&at.index(index), part);
        }
        if let Some(cwd) = &pool.cwd {
            self.system_text(&place.key("cwd"), cwd);
        }
        for (name, value) in &pool.env {
            let at = place.key("env").key(name);
            if name.is_empty() || name.contains(['=', '\0']) {
                let fault = Fault::new(format!("{name:?} is no name for an environment variable"));
                self.key_fault(&at, fault.help("a name is not empty and holds no `=`"));
            }
            if name.starts_with(RESERVED_ENV) {
                let fault = Fault::new(format!("the environment variable {name} is reserved"));
                self.key_fault(
                    &at,
                    fault.help("names that begin with SYNOD_ tell a program about its task; choose another"),
                );
            }
            self.system_text(&at, value);
        }
    }

    /// Checks a text that is handed to the operating system.
    fn system_text(&mut self, place: &Place, text: &str) {
        if text.contains('\0') {
            let fault = Fault::new("a NUL character cannot be handed to a program");
            self.fault(place, fault.help("remove it"));
        }
        self.text(place, text, Item::None);
    }

    fn size(&mut self, place: &Place, pool: &PoolShape) {
        for (field, number) in [("size", pool.size), ("min", pool.min), ("max", pool.max)] {
            self.between(place, field, number, 1, POOL_SIZE_MAX);
            if field != "size" && number.is_some() && pool.size.is_some() {
                let fault = Fault::new(format!("`{field}` stands beside `size`"));
                self.key_fault(&place.key(field), fault.help("give either `size`, or `min` and `max`"));
            }
        }
        if let (Some(min), Some(max)) = (pool.min, pool.max)
            && min > max
        {
            let fault = Fault::new(format!("`min` is {min}, which is more than `max`, {max}"));
            self.fault(&place.key("min"), fault.help("make `min` smaller or `max` larger"));
        }
    }

    fn restart(&mut self, place: &Place, restart: &Restart) {
        self.between(place, "intensity", restart.intensity, 0, INTENSITY_MAX);
        self.positive(place, "period", restart.period);
        self.ordered(place, restart.initial, restart.max);
    }

    /// Checks that a first wait is not longer than the longest.
    pub(super) fn ordered(&mut self, place: &Place, initial: Option<Period>, max: Option<Period>) {
        if let (Some(Period(first)), Some(Period(longest))) = (initial, max)
            && first > longest
        {
            let fault =
                Fault::new(format!("`initial` is {first:?}, which is longer than `max`, {longest:?}"));
            self.fault(&place.key("initial"), fault.help("make `initial` shorter or `max` longer"));
        }
    }
}
