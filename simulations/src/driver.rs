//! Drives a world step by step: lets time pass, syncs disks, starts what is down again, begins and ends faults.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::disk::Disk;
use crate::faults::Fault;
use crate::history::Fact;
use crate::machine::{Machine, Order};
use crate::net::ip_of;
use crate::shared::{Phase, Shared};
use crate::world::Settings;

/// How long a due crash waits for a moment at which the disk has something to lose.
const CRASH_PATIENCE: Duration = Duration::from_secs(2);

/// How long a node that ended by itself or was told to stays away.
const RESTART_AFTER: Duration = Duration::from_millis(500);

/// How long nothing may be unfinished before the world closes.
const QUIET: Duration = Duration::from_secs(1);

/// How long the last look and the orderly stops may take.
const CLOSE: Duration = Duration::from_secs(60);

/// Where one node lives.
pub(crate) struct Site {
    pub(crate) machine: Arc<Machine>,
    pub(crate) disk: Disk,
    /// When the node comes back, while it is away.
    pub(crate) back_at: Option<Duration>,
    /// Whether something on the disk is not what was written.
    pub(crate) flipped: bool,
    /// Whether the disk does nothing.
    pub(crate) frozen: bool,
}

pub(crate) struct Driver<'a> {
    pub(crate) sim: turmoil::Sim<'a>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sites: Vec<Site>,
    pub(crate) plan: VecDeque<(Duration, Fault)>,
    /// Which faults go on, and until when.
    pub(crate) going_on: Vec<(Duration, Fault)>,
    /// Which nodes are still to be restarted, one after the other.
    pub(crate) rolling: VecDeque<u64>,
    /// The latency of a healthy link: least and most.
    pub(crate) latency: (Duration, Duration),
    /// When work was last seen unfinished.
    pub(crate) busy_at: Duration,
}

impl Driver<'_> {
    pub(crate) fn drive(&mut self, settings: &Settings) {
        while self.sim.elapsed() < settings.busy() {
            self.inject();
            self.step();
        }
        self.end_faults();
        let bound = self.sim.elapsed() + settings.settle;
        self.busy_at = self.sim.elapsed();
        while self.sim.elapsed() < bound && self.sim.elapsed() < self.busy_at + QUIET {
            self.step();
        }
        *self.shared.phase.lock() = Phase::Closing;
        let bound = self.sim.elapsed() + CLOSE;
        while self.sim.elapsed() < bound && self.is_anybody_there() {
            self.step();
        }
    }

    fn is_anybody_there(&mut self) -> bool {
        self.sites
            .iter()
            .any(|site| site.back_at.is_some() || self.sim.is_host_running(ip_of(site.machine.node)))
    }

    fn step(&mut self) {
        let now = self.sim.elapsed();
        self.start_again(now);
        self.heal(now);
        self.roll();
        self.shared.world_clock.run();
        let stepped = self.sim.step();
        let now = self.sim.elapsed();
        self.shared.world_clock.stop_at(now);
        if let Err(error) = stepped {
            self.shared.note(Fact::NodeFailed { reason: error.to_string() });
        }
        let closing = self.shared.phase() == Phase::Closing;
        for place in 0..self.sites.len() {
            let site = &mut self.sites[place];
            if !site.frozen {
                site.disk.pump(now);
            }
            let is_down = site.back_at.is_some() || !self.sim.is_host_running(ip_of(site.machine.node));
            if is_down && site.back_at.is_none() && !closing {
                self.has_ended(place, now);
            }
            let machine = &self.sites[place].machine;
            let is_coming = machine.nodes > 1 && machine.identity.lock().is_none();
            if is_down || is_coming || machine.unfinished.load(Ordering::Relaxed) > 0 {
                self.busy_at = now;
            }
        }
    }

    fn start_again(&mut self, now: Duration) {
        for site in &mut self.sites {
            if site.back_at.is_some_and(|at| at <= now) {
                site.back_at = None;
                self.shared.wires.refuse(site.machine.node, false);
                self.sim.bounce(ip_of(site.machine.node));
            }
        }
    }

    /// Takes note that a node has ended by itself or because it was told to; something starts it again.
    fn has_ended(&mut self, place: usize, now: Duration) {
        let site = &mut self.sites[place];
        site.back_at = Some(now + RESTART_AFTER);
        self.shared.wires.refuse(site.machine.node, true);
        match site.machine.order() {
            Order::Stop => {}
            Order::Leave => site.empty(false),
            Order::None => {
                site.lose_power(0);
                if site.flipped {
                    // Whoever runs it finds its disk damaged, and gives it a new one.
                    site.empty(true);
                }
            }
        }
    }

    fn inject(&mut self) {
        let now = self.sim.elapsed();
        while let Some((at, fault)) = self.plan.front() {
            if *at > now || now < *at + CRASH_PATIENCE && self.waits_for_more(fault) {
                return;
            }
            if let Some((_, fault)) = self.plan.pop_front()
                && self.may_be(&fault)
            {
                self.shared.note(Fact::Injected(fault.clone()));
                self.perform(now, fault);
            }
        }
    }

    /// Tells whether a crash would find more to do a little later.
    fn waits_for_more(&self, fault: &Fault) -> bool {
        let Fault::Crash { node, .. } = fault else { return false };
        self.site(*node).is_some_and(|site| site.back_at.is_some() || !site.disk.has_unsynced())
    }

    /// Tells whether a fault leaves the cluster what it needs: what destroys the data of a node comes only while
    /// all others are whole, and what is done to a node only while it is there.
    fn may_be(&mut self, fault: &Fault) -> bool {
        let is_whole = |site: &Site| {
            site.back_at.is_none()
                && !site.flipped
                && site.machine.voters.load(Ordering::Relaxed) == self.shared.nodes
        };
        if fault.kind().is_destructive() && !self.sites.iter().all(is_whole) {
            return false;
        }
        let there = fault.node().and_then(|node| self.site(node));
        there.is_none_or(|site| site.back_at.is_none())
    }

    pub(crate) fn site(&self, node: u64) -> Option<&Site> {
        self.sites.iter().find(|site| site.machine.node == node)
    }

    pub(crate) fn site_mut(&mut self, node: u64) -> Option<&mut Site> {
        self.sites.iter_mut().find(|site| site.machine.node == node)
    }

    /// Restarts the next of those that are restarted one after the other, once all others are back.
    fn roll(&mut self) {
        let all_work = self.sites.iter().all(|site| {
            site.back_at.is_none() && site.machine.takes_work() && site.machine.order() == Order::None
        });
        if all_work
            && let Some(next) = self.rolling.pop_front()
            && let Some(site) = self.site(next)
        {
            site.machine.tell(Order::Stop);
        }
    }

    fn heal(&mut self, now: Duration) {
        let healed: Vec<Fault> =
            self.going_on.extract_if(.., |(until, _)| *until <= now).map(|(_, fault)| fault).collect();
        for fault in healed {
            self.end(&fault);
        }
    }

    fn end_faults(&mut self) {
        self.plan.clear();
        self.rolling.clear();
        for (_, fault) in std::mem::take(&mut self.going_on) {
            self.end(&fault);
        }
        let (lost, doubled) = self.shared.wires.counts();
        self.shared.note(Fact::Datagrams { lost, doubled });
        self.shared.note(Fact::FaultsEnded);
        *self.shared.phase.lock() = Phase::Settling;
    }

    /// Tells which nodes there are.
    pub(crate) fn nodes(&self) -> BTreeSet<u64> {
        self.sites.iter().map(|site| site.machine.node).collect()
    }
}

impl Site {
    pub(crate) fn lose_power(&self, keep_percent: u64) {
        let loss = self.disk.crash(keep_percent);
        self.machine.note(Fact::Lost { unsynced: loss.unsynced, kept: loss.kept });
    }

    /// Puts an empty disk in. Whoever it was is still a member of the cluster, or has left it.
    pub(crate) fn empty(&mut self, is_member: bool) {
        self.disk.empty();
        self.flipped = false;
        self.machine.replace_disk(self.disk.memory(), is_member);
    }
}
