//! Which kinds of things clients ask for: each world draws some of them, as it does faults.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::chance::Streams;
use crate::history::{Fact, Record, Request};
use crate::left_out::LeftOut;
use crate::report::Broken;
use crate::workload::{STOREKEEPER, governed, tenants};

/// How the names of clients begin that do not wait long.
pub(super) const IMPATIENT: &str = "impatient-";

/// From which length on a world is expected to show everything that it draws; shorter ones may not get to it.
const LONG_ENOUGH_MS: u64 = 30_000;

/// A kind of things that clients ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// Tasks without a key.
    Submits,
    /// Tasks under idempotency keys, and the same keys again, with the same content and with another.
    Keys,
    /// Tasks from clients that wait a moment only, and then send the same request under the same id.
    Retries,
    /// Tasks called off.
    Cancels,
    /// Waiting for the end of tasks.
    Waits,
    /// Agents outside that register, claim, and say their results, sometimes too late and sometimes twice.
    Claims,
    /// Pools, mailboxes and workspaces paused and resumed.
    Pauses,
    /// Tokens made, rotated and revoked.
    Tokens,
    /// Nodes that give their agents away and take some again.
    Membership,
    /// Dead letters submitted again and dropped.
    Redrives,
    /// A pool scaled, retired and made again; work for one agent and for any; lanes changed; leases given back.
    Pools,
    /// Payloads and results that are blobs.
    Large,
    /// Votes taken and given back, and leadership handed over.
    Roles,
    /// Tasks whose agent takes its machine down with it.
    Deadly,
    /// Budgets at their limit, and work that lies about what it uses.
    Budgets,
    /// Policies that change, and approvals that are given, refused or left alone.
    Approvals,
    /// Limit sets that change while work presses against them.
    Limits,
    /// Resources of which tasks need several at once.
    Resources,
    /// The audit log read and checked beside every node.
    Audits,
    /// Webhooks, and receivers that refuse what they are told, or take it without being heard.
    Webhooks,
    /// Two who are bound to a workspace each, and reach for what is others'.
    Tenants,
    /// A workspace whose quota changes while it has more work than it lets through.
    Quotas,
    /// Accounts of providers that refuse for a while, have quotas, or answer too late.
    Providers,
    /// Breakers over work that fails in spells.
    Breakers,
}

impl Workload {
    /// All.
    pub const ALL: [Self; 24] = [
        Self::Submits,
        Self::Keys,
        Self::Retries,
        Self::Cancels,
        Self::Waits,
        Self::Claims,
        Self::Pauses,
        Self::Tokens,
        Self::Membership,
        Self::Redrives,
        Self::Pools,
        Self::Large,
        Self::Roles,
        Self::Deadly,
        Self::Budgets,
        Self::Approvals,
        Self::Limits,
        Self::Resources,
        Self::Audits,
        Self::Webhooks,
        Self::Tenants,
        Self::Quotas,
        Self::Providers,
        Self::Breakers,
    ];

    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submits => "submits",
            Self::Keys => "keys",
            Self::Retries => "retries",
            Self::Cancels => "cancels",
            Self::Waits => "waits",
            Self::Claims => "claims",
            Self::Pauses => "pauses",
            Self::Tokens => "tokens",
            Self::Membership => "membership",
            Self::Redrives => "redrives",
            Self::Pools => "pools",
            Self::Large => "large",
            Self::Roles => "roles",
            Self::Deadly => "deadly",
            Self::Budgets => "budgets",
            Self::Approvals => "approvals",
            Self::Limits => "limits",
            Self::Resources => "resources",
            Self::Audits => "audits",
            Self::Webhooks => "webhooks",
            Self::Tenants => "tenants",
            Self::Quotas => "quotas",
            Self::Providers => "providers",
            Self::Breakers => "breakers",
        }
    }

    /// Tells whether it makes tasks, without which there is nothing to do.
    const fn submits(self) -> bool {
        matches!(self, Self::Submits | Self::Keys | Self::Retries)
    }

    /// Tells whether a world that has it may happen to show nothing of it. Votes are left alone while a machine is not
    /// whole, which may be all the time.
    const fn is_chance(self) -> bool {
        matches!(self, Self::Large | Self::Deadly | Self::Redrives | Self::Roles)
    }

    /// Tells whether a world of so many nodes can have it.
    const fn can_be(self, nodes: u64) -> bool {
        !matches!(self, Self::Membership | Self::Roles) || nodes > 1
    }

    /// Tells whether a request is of this kind.
    fn has_asked(self, client: &str, request: &Request) -> bool {
        if let Some(of) = governed::workload_of(client) {
            return of == self;
        }
        if tenants::is_tenant(client) {
            return self == Self::Tenants && matches!(request, Request::Reach { .. });
        }
        let of = match request {
            Request::Submit { .. } if client == STOREKEEPER => Self::Pools,
            Request::Submit { .. } if client.starts_with(IMPATIENT) => Self::Retries,
            Request::Submit { key: None, .. } => Self::Submits,
            Request::Submit { key: Some(_), .. } => Self::Keys,
            // Beside each node somebody always reads.
            Request::Look { .. } => return false,
            Request::Cancel { .. } => Self::Cancels,
            Request::Wait { .. } => Self::Waits,
            Request::Register { .. }
            | Request::Claim { .. }
            | Request::Heartbeat { .. }
            | Request::Complete { .. }
            | Request::Fail { .. } => Self::Claims,
            // Of agents whose providers refuse, who are in an office of their own.
            Request::Limited { .. } => Self::Providers,
            Request::Redrive { .. } | Request::Purge { .. } => Self::Redrives,
            Request::Scale { .. }
            | Request::Retire { .. }
            | Request::PutPool { .. }
            | Request::SetLane { .. }
            | Request::Release { .. } => Self::Pools,
            Request::SetRole { .. } | Request::Transfer => Self::Roles,
            Request::Pause { .. } | Request::Resume { .. } => Self::Pauses,
            Request::PutToken { .. } | Request::RotateToken { .. } | Request::RevokeToken { .. } => {
                Self::Tokens
            }
            Request::Drain { .. } => Self::Membership,
            Request::Govern(_) | Request::Reach { .. } => return false,
        };
        of == self
    }
}

/// Some kinds. Text form: `all`, or names with commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workloads(BTreeSet<Workload>);

impl Default for Workloads {
    fn default() -> Self {
        Self(Workload::ALL.into())
    }
}

/// Says that a text names no kind, or none that makes tasks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownWorkload {
    /// There is none of that name.
    #[error("{0:?} is not a workload; there are: all, {known}", known = known())]
    Name(String),
    /// Nothing would be submitted.
    #[error("nothing is submitted with these; add submits, keys or retries")]
    NoWork,
}

fn known() -> String {
    Workload::ALL.map(Workload::as_str).join(", ")
}

impl Workloads {
    /// Tells whether a kind is among them.
    pub fn has(&self, workload: Workload) -> bool {
        self.0.contains(&workload)
    }

    /// Makes a set of these.
    pub(crate) fn of(kinds: impl IntoIterator<Item = Workload>) -> Self {
        Self(kinds.into_iter().collect())
    }

    /// Walks them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Workload> {
        self.0.iter().copied()
    }

    /// Draws those of a world: some of all; those that were asked for by name are all there.
    #[must_use]
    pub fn drawn(&self, seed: u64) -> Self {
        if *self != Self::default() {
            return self.clone();
        }
        let mut stream = Streams::new(seed).open("workloads");
        // From about half of them to all, run by run.
        let percent = stream.between(40, 100);
        let mut drawn: BTreeSet<Workload> =
            self.0.iter().copied().filter(|_| stream.happens(percent)).collect();
        // Who waits and who cancels does so with tasks of its own.
        let has = |any: &[Workload]| any.iter().any(|workload| drawn.contains(workload));
        let of_its_own = has(&[Workload::Submits, Workload::Keys]);
        if !of_its_own && (has(&[Workload::Waits, Workload::Cancels]) || !has(&[Workload::Retries])) {
            drawn.insert(Workload::Submits);
        }
        Self(drawn)
    }

    /// Leaves out what changes who leads, what pools there are, what becomes of the dead, what governs, and tenants.
    #[must_use]
    pub(crate) fn plain(mut self) -> Self {
        use Workload::{
            Approvals, Audits, Breakers, Budgets, Deadly, Large, Limits, Pools, Providers, Quotas, Redrives,
            Resources, Roles, Tenants, Webhooks,
        };
        self.0.retain(|workload| !matches!(workload, Redrives | Pools | Large | Roles | Deadly | Tenants));
        self.0.retain(|workload| !matches!(workload, Budgets | Approvals | Limits | Resources));
        self.0.retain(|workload| !matches!(workload, Audits | Webhooks | Quotas | Providers | Breakers));
        self
    }

    /// Finds a kind of which nothing was asked although it was drawn. Worlds that were made smaller on purpose, and
    /// short ones, need not show everything.
    pub fn missing(
        &self,
        nodes: u64,
        busy_ms: u64,
        left_out: &LeftOut,
        history: &[Record],
    ) -> Option<Broken> {
        if busy_ms < LONG_ENOUGH_MS || *left_out != LeftOut::default() {
            return None;
        }
        let shown = |workload: Workload| {
            history.iter().any(|record| match &record.fact {
                Fact::Asked { client, request, .. } => workload.has_asked(client, request),
                _ => false,
            })
        };
        let must = |workload: Workload| workload.can_be(nodes) && !workload.is_chance();
        let missing = self.0.iter().find(|workload| must(**workload) && !shown(**workload))?;
        Some(Broken {
            judge: "workloads work".to_owned(),
            says: "of every workload that the world draws something is asked".to_owned(),
            task: None,
            what: format!("nothing was asked of the workload {}", missing.as_str()),
            at_ms: history.last().map_or(0, |last| u64::try_from(last.at.as_millis()).unwrap_or(u64::MAX)),
            lines: Vec::new(),
        })
    }
}

impl FromStr for Workloads {
    type Err = UnknownWorkload;

    fn from_str(text: &str) -> Result<Self, UnknownWorkload> {
        if text == "all" {
            return Ok(Self::default());
        }
        let kind = |name: &str| {
            let found = Workload::ALL.into_iter().find(|workload| workload.as_str() == name);
            found.ok_or_else(|| UnknownWorkload::Name(name.to_owned()))
        };
        let kinds = text.split(',').map(|name| kind(name.trim())).collect::<Result<BTreeSet<_>, _>>()?;
        if !kinds.iter().any(|workload| workload.submits()) {
            return Err(UnknownWorkload::NoWork);
        }
        Ok(Self(kinds))
    }
}

impl fmt::Display for Workloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("all");
        }
        let names: Vec<&str> = self.0.iter().map(|workload| workload.as_str()).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn asked(request: Request) -> Vec<Record> {
        let fact = Fact::Asked { question: 1, client: "client-0".into(), request };
        vec![Record { at: Duration::ZERO, node: Some(1), fact }]
    }

    #[test]
    fn names_are_read_as_they_are_written_and_a_wrong_one_lists_all() {
        for text in ["all", "submits,claims", "keys"] {
            assert_eq!(text.parse::<Workloads>().map(|workloads| workloads.to_string()), Ok(text.to_owned()));
        }
        let said = "submit".parse::<Workloads>().unwrap_err().to_string();
        assert!(said.contains("there are: all, submits, keys") && said.contains("deadly"), "{said}");
        assert_eq!("tokens".parse::<Workloads>(), Err(UnknownWorkload::NoWork));
    }

    #[test]
    fn worlds_draw_some_of_all_and_all_that_were_named() {
        let drawn: Vec<Workloads> = (0..50).map(|seed| Workloads::default().drawn(seed)).collect();
        assert!(drawn.iter().any(|one| *one != drawn[0]), "all seeds draw the same");
        assert!(drawn.iter().all(|one| one.0.iter().any(|workload| workload.submits())));
        let named: Workloads = "submits,pauses".parse().unwrap();
        assert_eq!(named.drawn(7), named);
    }

    #[test]
    fn a_workload_of_which_nothing_was_asked_is_found() {
        let submits: Workloads = "submits".parse().unwrap();
        let whole = LeftOut::default();
        let history = asked(Request::Submit { key: None, content: 1, pool: "inside".into() });
        assert!(submits.missing(1, 60_000, &whole, &history).is_none());
        let found = "submits,keys".parse::<Workloads>().unwrap().missing(1, 60_000, &whole, &history);
        assert!(found.unwrap().what.ends_with("keys"));
        assert!(submits.missing(1, 60_000, &whole, &[]).is_some());
        assert!(submits.missing(1, 1_000, &whole, &[]).is_none(), "a short world need not get to it");
    }
}
