//! What those who govern in a world are going to make, said before anything happens.
//!
//! Judges know by this what they may expect of whom, and by no name: anybody may call a budget as the world does, and in a
//! world that nobody's ordinary clients are in, nothing is said and nothing expected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use synod::node::domain::budget::window::Window;

use super::{Fact, Record};
use crate::workload::{Workload, Workloads};

/// What clients ask for, and the greatest figures of what they make for that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What they ask for.
    pub asks: BTreeSet<Workload>,
    /// The budgets that there may be, by their names.
    pub budgets: BTreeMap<String, Promise>,
    /// The breakers that there may be, by what they are of.
    pub breakers: BTreeMap<String, Fuse>,
}

/// What a budget promises, however often it is changed, raised, removed and made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// The most that it ever allows.
    pub most: u64,
    /// In which time.
    pub window: Window,
    /// Of what.
    pub covers: Covers,
}

/// What a budget counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Covers {
    /// Tokens of work that says in its type how many it is expected to use, and of no other.
    Spenders,
    /// Tokens of such work and of others in the same pool.
    Pool,
    /// What begins of the account of a provider.
    Account(String),
}

/// When a breaker opens and what it lets through then, however often it is changed, removed and made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fuse {
    /// It opens at this many failures in a row.
    pub failures: u32,
    /// The most probes that it ever asks for.
    pub probes: u32,
    /// The types of the work that it is about.
    pub kinds: BTreeSet<String>,
}

impl Fuse {
    /// Tells whether it is about work of a type.
    pub fn is_about(&self, kind: &str) -> bool {
        self.kinds.contains(kind)
    }
}

impl Promise {
    /// Tells whether it counts tokens.
    pub const fn counts_tokens(&self) -> bool {
        matches!(self.covers, Covers::Spenders | Covers::Pool)
    }
}

impl Plan {
    /// Says what clients ask for who make nothing for that.
    pub fn of(asks: impl IntoIterator<Item = Workload>) -> Self {
        Self { asks: asks.into_iter().collect(), ..Self::default() }
    }

    /// Returns what was said in a world; nothing when nobody said anything.
    pub fn said(history: &[Record]) -> Self {
        let said = history.iter().find_map(|record| match &record.fact {
            Fact::Planned(plan) => Some(plan.clone()),
            _ => None,
        });
        said.unwrap_or_default()
    }

    /// Tells whether clients ask for such things.
    pub fn has(&self, workload: Workload) -> bool {
        self.asks.contains(&workload)
    }

    /// Returns what a budget promises that counts tokens, if it is one of the world's.
    pub fn of_tokens(&self, budget: &str) -> Option<&Promise> {
        self.budgets.get(budget).filter(|promise| promise.counts_tokens())
    }

    /// Returns what a budget promises that is the quota of an account, and of which, if it is one of the world's.
    pub fn of_account(&self, budget: &str) -> Option<(&str, &Promise)> {
        let promise = self.budgets.get(budget)?;
        match &promise.covers {
            Covers::Account(account) => Some((account, promise)),
            Covers::Spenders | Covers::Pool => None,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Workloads::of(self.asks.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::workload::plan;

    use super::*;

    #[test]
    fn a_plan_is_what_was_said_and_where_nobody_said_anything_there_is_none() {
        let said = plan(&"submits,budgets".parse().unwrap());
        assert_eq!(said.to_string(), "submits,budgets");
        assert!(said.has(Workload::Budgets) && !said.has(Workload::Providers));
        assert!(said.of_tokens("purse-3000").is_some_and(|promise| promise.most == 3_000));
        assert_eq!((said.of_tokens("purse-9"), said.of_account("purse-3000")), (None, None));
        let fact = Fact::Planned(said.clone());
        let history = [Record { at: Duration::ZERO, node: None, fact }];
        assert_eq!((Plan::said(&history), Plan::said(&[])), (said, Plan::default()));
        let accounts = plan(&"submits,providers".parse().unwrap());
        assert_eq!(
            accounts.of_account("minute-acme-9").map(|(of, promise)| (of, promise.most)),
            Some(("acme", 9))
        );
    }
}
