//! The sentence for each cause.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::capability::Capabilities;
use crate::name::Name;
use crate::spread::Lack;
use crate::task::{Phase, Progress};
use crate::time::{Timestamp, Utc};
use crate::why::{Example, Why};

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAgent { mailbox } => {
                write!(f, "no agent takes from its mailbox ({mailbox}); start or register one")
            }
            Self::NoCapableAgent { demand, missing, looked_at } => {
                no_capable_agent(f, demand, missing, *looked_at)
            }
            Self::AgentsNotReady { capable, starting, draining, offline, failed, example } => {
                write!(f, "none of the {} that could do it takes work (", agents(*capable))?;
                let counts = [
                    (starting, "starting"),
                    (draining, "draining"),
                    (offline, "offline"),
                    (failed, "failed"),
                ];
                list(f, counts.into_iter().filter(|(count, _)| **count > 0))?;
                not_ready(f, example)
            }
            Self::AgentsBusy { capable, ahead } => write!(
                f,
                "{} could do it and all their slots are taken, with at most {} before it; wait, or add agents",
                agents(*capable),
                tasks(*ahead),
            ),
            Self::Behind { ahead, lane, above, free } => {
                if ahead + above == 0 {
                    write!(f, "it is next, and {} could take it now", agents(*free))
                } else {
                    write!(
                        f,
                        "at most {} of the {lane} lane and {} of more urgent lanes go before it, and {} could \
                         take it now; wait, or move it to a more urgent lane",
                        tasks(*ahead),
                        tasks(*above),
                        agents(*free),
                    )
                }
            }
            Self::Paused { what, reason, since } => {
                write!(f, "{what} is paused since {} ({reason}); resume it", Utc(*since))
            }
            Self::BackingOff { until, failures, of, last_reason } => {
                write!(f, "{failures} of {of} attempts failed, and the next begins after {}", Utc(*until))?;
                reason(f, "; the last one: ", last_reason.as_deref())
            }
            Self::PoolGrowing { pool, target: 0 } => {
                write!(f, "pool {pool} has no agent yet and grows for it; wait")
            }
            Self::PoolGrowing { pool, target } => {
                write!(f, "pool {pool} has no agent yet and shall have {target}; wait until they are started")
            }
            Self::Leased { agent, attempt, since, until } => {
                write!(f, "{agent} has it since {} as attempt {attempt} and has not begun", Utc(*since))?;
                lease_end(f, *until)
            }
            Self::Running { agent, attempt, since, until, heard_at, progress } => {
                write!(f, "{agent} works on it since {} as attempt {attempt}", Utc(*since))?;
                write!(f, ", heard of at {}", Utc(*heard_at))?;
                lease_end(f, *until)?;
                how_far(f, progress.as_ref())
            }
            Self::Ended { phase, at, reason: why, attempts } => {
                write!(f, "it ended {phase} at {} after {}", Utc(*at), times(*attempts))?;
                reason(f, ": ", why.as_deref())?;
                match phase {
                    Phase::Failed | Phase::TimedOut => f.write_str("; redrive it once the cause is gone"),
                    _ => Ok(()),
                }
            }
            Self::PoolUnplaced { pool, target, shortfall } => {
                write!(f, "pool {pool} shall have {} and has no place for any: ", agents_of(*target))?;
                lack(f, &shortfall.lack)
            }
            Self::PoolDegraded { pool, target, shortfall, capable, ahead } => {
                write!(f, "{} could do it and all their slots are taken, ", agents(*capable))?;
                write!(f, "with at most {} before it; ", tasks(*ahead))?;
                write!(f, "pool {pool} lacks {} of {}: ", shortfall.missing, agents_of(*target))?;
                lack(f, &shortfall.lack)
            }
            Self::AgentsOnStandby { capable, example } => write!(
                f,
                "{} could do it and stand by until a node goes down ({}, for one); wait, or make their pool larger",
                agents(*capable),
                example.name,
            ),
            Self::Kept { region, fallbacks, offered, refused, removed } => {
                let offered = offered.as_ref().map(|offered| (offered, removed.is_some()));
                kept(f, region, fallbacks, offered, refused)
            }
            Self::FabricFull { pool, target, limit } => {
                write!(
                    f,
                    "pool {pool} has {target} agents and would have more, but the fabric has all of its {limit}; wait, or terminate some"
                )
            }
            Self::HeldBack { on, since, until, hint } => {
                write!(f, "{on} holds it back since {}", Utc(*since))?;
                if let Some(until) = until {
                    write!(f, ", until {}", Utc(*until))?;
                }
                write!(f, ": {hint}")
            }
        }
    }
}

fn kept(
    f: &mut fmt::Formatter<'_>,
    region: &Name,
    fallbacks: &[Name],
    offered: Option<(&Name, bool)>,
    refused: &BTreeMap<Name, Arc<str>>,
) -> fmt::Result {
    write!(f, "it is kept here for region {region}")?;
    match offered {
        Some((offered, false)) => {
            write!(
                f,
                ", was offered to {offered}, and waits for its answer: make {offered} reachable from here"
            )?;
        }
        Some((offered, true)) => {
            write!(
                f,
                ", was offered to {offered}, which was removed before it answered and may have done it: if {offered} \
                 will never be back and it may run again, say so with `synod cluster regions remove {offered} --lost`"
            )?;
        }
        None => {
            f.write_str("; it goes there once one of these can be reached from here: ")?;
            let left = [region].into_iter().chain(fallbacks).filter(|region| !refused.contains_key(*region));
            list_of(f, left)?;
        }
    }
    for (region, why) in refused {
        write!(f, "; {region} does not take it: {why}")?;
    }
    Ok(())
}

/// What keeps a pool from having its agents, and what to do about it.
fn lack(f: &mut fmt::Formatter<'_>, lack: &Lack) -> fmt::Result {
    match lack {
        Lack::NodesDown { nodes } => {
            list_of(f, nodes.iter())?;
            f.write_str(if nodes.len() == 1 { " is" } else { " are" })?;
            f.write_str(" down and waited for; start it again, or remove it from the cluster")
        }
        Lack::NodesAway { down, draining } => write!(
            f,
            "of the nodes that suit it {down} are down and {draining} drain; start one again, end a drain, or add one"
        ),
        Lack::Unsuited { region, labels } => {
            f.write_str("no node is as it demands")?;
            if let Some(region) = region {
                write!(f, ", in region {region}")?;
            }
            for (label, value) in labels {
                write!(f, ", labelled {label}={value}")?;
            }
            f.write_str("; add such a node, or demand less")
        }
        Lack::Full { nodes, max_per_node } => {
            let nodes = counted(*nodes, "node");
            match max_per_node {
                Some(most) => write!(f, "{nodes} may have {most} of them each or are full; ")?,
                None => write!(f, "{nodes} are full; ")?,
            }
            f.write_str("add a node, or raise what one may have")
        }
        Lack::Beside { nodes, from } => {
            write!(f, "{} that suit it have agents of ", counted(*nodes, "node"))?;
            list_of(f, from.iter())?;
            f.write_str(", which it is strictly kept apart from; add a node, or only prefer that")
        }
        Lack::GivenUp { agents, example } => write!(
            f,
            "of its agents {agents} failed for good, {example} among them: see why with `synod agent get {example}`, \
             and try it again with `synod agent restart {example}`"
        ),
    }
}

fn list_of(f: &mut fmt::Formatter<'_>, things: impl Iterator<Item = impl fmt::Display>) -> fmt::Result {
    for (place, thing) in things.enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        write!(f, "{comma}{thing}")?;
    }
    Ok(())
}

fn agents_of(count: u32) -> String {
    agents(usize::try_from(count).unwrap_or(usize::MAX))
}

fn no_capable_agent(
    f: &mut fmt::Formatter<'_>,
    demand: &Capabilities,
    missing: &Capabilities,
    looked_at: usize,
) -> fmt::Result {
    write!(f, "it asks for {demand}, and ")?;
    if missing.is_empty() {
        write!(f, "none of {} offers all of it; ", agents(looked_at))?;
        f.write_str("register an agent with all of these, or ask for less")
    } else {
        write!(f, "none of {} offers {missing}; register an agent that does", agents(looked_at))
    }
}

fn not_ready(f: &mut fmt::Formatter<'_>, example: &Example) -> fmt::Result {
    write!(f, "); {} is {}: {}; start it again or add another", example.name, example.status, example.reason)
}

fn list<'a>(f: &mut fmt::Formatter<'_>, counts: impl Iterator<Item = (&'a usize, &'a str)>) -> fmt::Result {
    for (place, (count, word)) in counts.enumerate() {
        let comma = if place > 0 { ", " } else { "" };
        write!(f, "{comma}{count} {word}")?;
    }
    Ok(())
}

fn reason(f: &mut fmt::Formatter<'_>, before: &str, reason: Option<&str>) -> fmt::Result {
    reason.map_or(Ok(()), |reason| write!(f, "{before}{reason}"))
}

fn lease_end(f: &mut fmt::Formatter<'_>, until: Timestamp) -> fmt::Result {
    if until == Timestamp::NEVER {
        return Ok(());
    }
    write!(f, "; its lease ends at {} unless it is heard of", Utc(until))
}

fn how_far(f: &mut fmt::Formatter<'_>, progress: Option<&Progress>) -> fmt::Result {
    let Some(progress) = progress else { return Ok(()) };
    if let Some(percent) = progress.percent {
        write!(f, "; it says it is {percent} % done")?;
    }
    reason(f, "; it says: ", progress.message.as_deref())
}

fn agents(count: usize) -> String {
    counted(count, "agent")
}

fn tasks(count: usize) -> String {
    counted(count, "task")
}

fn times(count: u32) -> String {
    match count {
        0 => "no attempt".to_owned(),
        1 => "1 attempt".to_owned(),
        _ => format!("{count} attempts"),
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
