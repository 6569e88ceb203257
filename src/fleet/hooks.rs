//! Hooks of entries: what may stand beside one, and where each task's work is kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use synod_domain::hook::{RETRIES_DEFAULT, RETRIES_MAX, STALE_AFTER_MIN};

use super::check::Check;
use super::file::{HookShape, Period, RuntimeKind, TaskShape};
use super::plan::HookPlan;
use super::source::Fault;
use super::template::{self, Item, Scope};
use super::tree::Place;

/// Renders the hook of one task. `place` is where it stands.
///
/// # Errors
/// The place and the fault of a template that cannot be rendered.
pub(super) fn hook(hook: &HookShape, place: &Place, scope: Scope<'_>) -> Result<HookPlan, (Place, Fault)> {
    let rendered = |field: &str, text: &str| {
        template::render_text(text, scope).map_err(|fault| (place.key(field), fault))
    };
    let optional = |field: &str, text: Option<&String>| text.map(|text| rendered(field, text)).transpose();
    Ok(HookPlan {
        repository: Path::new(scope.dir).join(rendered("repository", &hook.repository)?),
        branch: optional("branch", hook.branch.as_ref())?,
        base: optional("base", hook.base.as_ref())?,
        max_retries: hook.max_retries.unwrap_or(RETRIES_DEFAULT),
        stale_after: hook.stale_after.map(|Period(length)| length),
    })
}

/// The branches that are taken in a plan, with the key of the task that has each.
#[derive(Debug, Default)]
pub(super) struct Branches(BTreeMap<(PathBuf, String), String>);

impl Branches {
    /// Takes the branch of a task: nobody else may work on it.
    pub(super) fn take(&mut self, hook: &HookPlan, key: &str) -> Result<(), Fault> {
        let Some(branch) = &hook.branch else { return Ok(()) };
        let taken = self.0.insert((hook.repository.clone(), branch.clone()), key.to_owned());
        taken.map_or(Ok(()), |other| {
            let repository = hook.repository.display();
            let fault = Fault::new(format!("{other} and {key} are on one branch, {branch} of {repository}"));
            Err(fault
                .help("put what tells them apart into its name, as in `agent/{{item}}`, or leave it out"))
        })
    }
}

impl Check<'_> {
    /// Checks the hook of an entry, and that nothing stands beside it which the tasks of hooks do not have.
    pub(super) fn hook(&mut self, place: &Place, task: &TaskShape) {
        let Some(hook) = &task.hook else { return };
        let (at, item) = (place.key("hook"), if task.for_each.is_some() { Item::Later } else { Item::None });
        for (field, text) in [
            ("repository", Some(&hook.repository)),
            ("branch", hook.branch.as_ref()),
            ("base", hook.base.as_ref()),
        ] {
            if let Some(text) = text {
                self.text(&at.key(field), text, item);
            }
        }
        self.between(&at, "max_retries", hook.max_retries, 0, RETRIES_MAX);
        if hook.stale_after.is_some_and(|Period(length)| length < STALE_AFTER_MIN) {
            let fault = Fault::new(format!("`stale_after` must be at least {STALE_AFTER_MIN:?}"));
            self.fault(&at.key("stale_after"), fault.help("give a longer time, or leave the field out"));
        }
        let shape = self.shape;
        let pool = task.pool.as_ref().map(|pool| shape.pools.get(pool));
        match pool {
            None => {
                let fault = Fault::new("a hook is pinned to an agent of a pool, and the entry names none");
                self.key_fault(&at, fault.help("name a `pool` in place of `capabilities`"));
            }
            Some(Some(pool)) if pool.kind() == Some(RuntimeKind::External) => {
                let fault = Fault::new("the agents of an external pool are not where the repository is");
                self.key_fault(&at, fault.help("name a pool with a `command` or a `native` agent"));
            }
            // One that is not there is told of by itself.
            Some(Some(_) | None) => {}
        }
        for (field, given) in [
            ("priority", task.priority.is_some()),
            ("deadline", task.deadline.is_some()),
            ("retry", task.retry.is_some()),
            ("timeout", task.timeout.is_some()),
            ("waiting_timeout", task.waiting_timeout.is_some()),
            ("heartbeat", task.heartbeat.is_some()),
            ("labels", !task.labels.is_empty()),
            ("over_budget", task.over_budget.is_some()),
            ("resources", !task.resources.is_empty()),
        ] {
            if given {
                let fault = Fault::new(format!("`{field}` says nothing of work on a hook"));
                let help = "leave it out; a hook has `max_retries` and `stale_after` of its own";
                self.key_fault(&place.key(field), fault.help(help));
            }
        }
    }
}
