//! Makes the pools of a plan from those of the file.

use std::path::Path;

use synod_domain::agent::{POOL_SIZE_MAX, PoolSpec, ProcessSpec, RuntimeSpec};
use synod_domain::name::Name;
use synod_domain::restart::RestartPolicy;
use synod_domain::spread::SpreadSpec;

use super::file::{Period, PoolShape, Restart, RuntimeKind, Spread};
use super::source::Fault;
use super::template::{self, Scope};
use super::tree::Place;

/// Renders one pool. `place` is where it stands.
///
/// # Errors
/// The place and the fault of a template that cannot be rendered.
pub(super) fn pool(
    name: &Name,
    pool: &PoolShape,
    place: &Place,
    scope: Scope<'_>,
) -> Result<PoolSpec, (Place, Fault)> {
    let runtime = match (pool.kind(), &pool.native) {
        (Some(RuntimeKind::Native), Some(native)) => RuntimeSpec::Native(native.clone()),
        (Some(RuntimeKind::Process), _) => RuntimeSpec::Process(process(pool, place, scope)?),
        (Some(RuntimeKind::External), _) => RuntimeSpec::External,
        (Some(RuntimeKind::Native) | None, _) => {
            return Err((place.clone(), Fault::new("the pool does not say how its agents are run")));
        }
    };
    // Agents that run elsewhere come and go by themselves; without a bound in the file only the general one holds.
    let (min_default, max_default) = match runtime {
        RuntimeSpec::External => (0, Some(POOL_SIZE_MAX)),
        RuntimeSpec::Process(_) | RuntimeSpec::Native(_) => (1, None),
    };
    let min =
        pool.size.or(pool.min).unwrap_or_else(|| pool.max.map_or(min_default, |max| max.min(min_default)));
    let max = pool.size.or(pool.max).or(max_default).unwrap_or(min);
    Ok(PoolSpec {
        name: name.clone(),
        runtime,
        capabilities: pool.capabilities.iter().cloned().collect(),
        min,
        max: max.max(min),
        concurrency: pool.concurrency.unwrap_or(1),
        strategy: pool.strategy.map(Into::into).unwrap_or_default(),
        restart: pool.restart.as_ref().map(restart).unwrap_or_default(),
        spread: pool.spread.as_ref().map(spread).unwrap_or_default(),
        recovery: pool.recovery.map(Into::into).unwrap_or_default(),
    })
}

fn process(pool: &PoolShape, place: &Place, scope: Scope<'_>) -> Result<ProcessSpec, (Place, Fault)> {
    let rendered = |text: &str, at: Place| template::render_text(text, scope).map_err(|fault| (at, fault));
    let mut command = Vec::new();
    for (index, part) in pool.command.iter().flatten().enumerate() {
        command.push(rendered(part, place.key("command").index(index))?);
    }
    if command.first().is_none_or(|program| program.trim().is_empty()) {
        let fault = Fault::new("the program in `command` is empty when its templates are filled in");
        return Err((place.key("command").index(0), fault.help("give the input that it names a value")));
    }
    let folder = Path::new(scope.dir);
    // With a working folder of its own, whether the system looks for `./work` there or here differs between
    // systems; an absolute path has one meaning.
    if command[0].contains('/') {
        command[0] = text(&folder.join(&command[0]));
    }
    let mut env = std::collections::BTreeMap::new();
    for (name, value) in &pool.env {
        env.insert(name.clone(), rendered(value, place.key("env").key(name))?);
    }
    let cwd = match &pool.cwd {
        Some(cwd) => text(&folder.join(rendered(cwd, place.key("cwd"))?)),
        None => scope.dir.to_owned(),
    };
    Ok(ProcessSpec { command, cwd: Some(cwd), env })
}

/// Paths here are made of texts, so nothing is lost.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn spread(spread: &Spread) -> SpreadSpec {
    SpreadSpec {
        manner: spread.manner.map(Into::into).unwrap_or_default(),
        max_per_node: spread.max_per_node,
        labels: spread.labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
        region: spread.region.clone(),
    }
}

fn restart(restart: &Restart) -> RestartPolicy {
    let default = RestartPolicy::default();
    let or = |period: Option<Period>, default| period.map_or(default, |Period(length)| length);
    let backoff_initial = or(restart.initial, default.backoff_initial);
    RestartPolicy {
        kind: restart.kind.map_or(default.kind, Into::into),
        intensity: restart.intensity.unwrap_or(default.intensity),
        period: or(restart.period, default.period),
        backoff_initial,
        // A first wait longer than the default longest one is meant, not a mistake.
        backoff_max: or(restart.max, default.backoff_max.max(backoff_initial)),
    }
}
