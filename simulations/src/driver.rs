//! Drives a world step by step: lets time pass, syncs disks, starts what is down again, begins and ends faults.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::chance::Stream;
use crate::disk::Disk;
use crate::faults::{Fault, Kind, Part};
use crate::history::Fact;
use crate::host;
use crate::machine::{Machine, Order};
use crate::net::ip_of;
use crate::probe;
use crate::scenario::Schedule;
use crate::shared::{Phase, Shared};
use crate::world::Settings;

/// How long a due crash waits for a moment at which the disk has something to lose.
const CRASH_PATIENCE: Duration = Duration::from_secs(2);

/// How long a node that ended by itself or was told to stays away.
const RESTART_AFTER: Duration = Duration::from_millis(500);

/// How long nothing may be unfinished before the world closes.
const QUIET: Duration = Duration::from_secs(1);

/// How long a story may take that ends itself.
const STORY_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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
    /// The fault that comes with the next write.
    pub(crate) cut: Option<Fault>,
    /// Whether the disk does nothing.
    pub(crate) frozen: bool,
    /// Whether the machine goes for good once its node has left.
    pub(crate) stays_out: bool,
    /// Whether it has.
    pub(crate) gone: bool,
}

pub(crate) struct Driver<'a> {
    pub(crate) sim: turmoil::Sim<'a>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sites: Vec<Site>,
    pub(crate) plan: VecDeque<(Duration, Fault)>,
    /// What was asked for by hand, besides the plan.
    pub(crate) schedule: Schedule,
    /// Which faults go on, and until when.
    pub(crate) going_on: Vec<(Duration, Fault)>,
    /// Which nodes are still to be restarted, one after the other.
    pub(crate) rolling: VecDeque<u64>,
    /// In which order.
    pub(crate) orders: Stream,
    /// The latency of a healthy link: least and most.
    pub(crate) latency: (Duration, Duration),
    /// When work was last seen unfinished.
    pub(crate) busy_at: Duration,
}

impl Driver<'_> {
    pub(crate) fn drive(&mut self, settings: &Settings) {
        let until = if self.shared.story.ends_itself() { STORY_MAX } else { settings.busy() };
        while self.sim.elapsed() < until && !self.shared.is_finished() {
            self.inject();
            self.step();
        }
        self.end_faults();
        if self.shared.story.ends_itself() {
            // Who is away for good is back for the last look.
            let now = self.sim.elapsed();
            self.sites.iter_mut().for_each(|site| site.back_at = site.back_at.map(|at| at.min(now)));
        }
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
            .filter(|site| !site.gone)
            .any(|site| site.back_at.is_some() || self.sim.is_host_running(ip_of(site.machine.node)))
    }

    fn step(&mut self) {
        let now = self.sim.elapsed();
        self.start_again(now);
        self.heal(now);
        self.roll();
        // Not before faults had their turn: what was written in the last step is what a crash can lose.
        for site in self.sites.iter_mut().filter(|site| !site.frozen && !site.gone) {
            site.disk.pump(now);
        }
        self.shared.world_clock.run();
        let stepped = self.sim.step();
        let now = self.sim.elapsed();
        self.shared.world_clock.stop_at(now);
        if let Err(error) = stepped {
            self.shared.note(Fact::NodeFailed { reason: error.to_string() });
        }
        if let Some(hear) = &self.shared.on_time {
            hear(now);
        }
        self.strike(now);
        let is_missed = |site: &Site| !site.gone && (site.flipped || site.back_at.is_some());
        self.shared.misses_one.store(self.sites.iter().any(is_missed), Ordering::Relaxed);
        // Whoever ends before all have stood at one place is missed there.
        let may_stay_away = self.shared.phase() == Phase::Closing && self.shared.has_rested();
        for place in 0..self.sites.len() {
            let site = &self.sites[place];
            if site.gone {
                continue;
            }
            let is_down = site.back_at.is_some() || !self.sim.is_host_running(ip_of(site.machine.node));
            if is_down && site.back_at.is_none() && !may_stay_away {
                self.has_ended(place, now);
            }
            let machine = &self.sites[place].machine;
            let is_coming = machine.nodes > 1 && machine.identity.lock().is_none();
            let is_going = machine.order() != Order::None;
            let is_busy = machine.unfinished.load(Ordering::Relaxed) > 0 || probe::is_due(machine);
            if is_down || is_coming || is_going || is_busy {
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
            Order::Leave => site.leave(),
            Order::None if site.machine.has_left() => site.leave(),
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
        self.follow_schedule(now);
        while let Some((at, fault)) = self.plan.front() {
            if *at > now || now < *at + CRASH_PATIENCE && self.waits_for_more(fault) {
                return;
            }
            if let Some((_, fault)) = self.plan.pop_front()
                && self.may_be(&fault)
            {
                self.begin(now, fault);
            }
        }
    }

    /// Lets a fault come, unless there is nothing for it to hit. One that comes in a write comes with the next one.
    fn begin(&mut self, now: Duration, fault: Fault) {
        let Some(fault) = self.aim(&fault) else { return self.shared.note(Fact::Missed(fault)) };
        if let Fault::CutWrite { node, part, counts, .. } = fault {
            if let Some(site) = self.site_mut(node) {
                site.disk.memory().cut_next_write(Some((part, counts)));
                let before = site.cut.replace(fault);
                before.map(Fact::Missed).into_iter().for_each(|missed| self.shared.note(missed));
            }
            return;
        }
        self.shared.note(Fact::Injected(fault.clone()));
        self.perform(now, fault);
    }

    /// Aims at something that is stored: at a bit that there is, in another part if the drawn one is empty.
    fn aim(&self, fault: &Fault) -> Option<Fault> {
        let mut aimed = fault.clone();
        if let Fault::BitFlip { node, part, position } | Fault::LostFile { node, part, position, .. } =
            &mut aimed
        {
            let disk = self.site(*node)?.disk.memory();
            let parts = [*part, Part::Log, Part::State, Part::Snapshots, Part::Blobs];
            *part = parts.into_iter().find(|part| disk.bits(*part) > 0)?;
            *position %= disk.bits(*part);
        }
        Some(aimed)
    }

    /// Crashes those whose power went in a write of the last step.
    fn strike(&mut self, now: Duration) {
        let struck = |site: &mut Site| site.cut.take_if(|_| site.disk.memory().has_lost_power());
        for fault in self.sites.iter_mut().filter_map(struck).collect::<Vec<_>>() {
            self.shared.note(Fact::Injected(fault.clone()));
            self.perform(now, fault);
        }
    }

    /// Does what was asked for by hand. Whoever asked knows what the cluster survives; only what cannot be is missed.
    fn follow_schedule(&mut self, now: Duration) {
        let mut due = self.schedule.look(now, &self.shared.history);
        while let Some(step) = due.pop_front() {
            let there = self.nodes();
            let up = |node: &u64| self.site(*node).is_some_and(|site| site.back_at.is_none());
            let up = there.iter().copied().filter(up).collect();
            let fault = self.schedule.choose(&step, there, up);
            if now < step.at + CRASH_PATIENCE && self.waits_for_more(&fault) {
                self.schedule.put_back(step);
            } else if self.can_be(&fault) {
                self.begin(now, fault);
            } else {
                self.shared.note(Fact::Missed(fault));
            }
        }
    }

    /// Tells whether a fault finds the machine it is for, and whoever is told to do something has nothing else to do: a
    /// second order would take the place of the first, and what was done would not be what was told.
    fn can_be(&self, fault: &Fault) -> bool {
        let site = fault.node().map(|node| self.site(node));
        match (fault.kind(), site) {
            (Kind::Join, Some(site)) => site.is_none(),
            (Kind::Restart | Kind::Leave | Kind::StayOut, Some(site)) => {
                site.is_some_and(|site| site.back_at.is_none() && site.machine.order() == Order::None)
            }
            (_, Some(site)) => site.is_some_and(|site| site.back_at.is_none()),
            (_, None) => true,
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
        let there: Vec<&Site> = self.sites.iter().filter(|site| !site.gone).collect();
        let count = there.len() as u64;
        // Who is about to stop or to leave counts as lost: the others may have to agree without it already.
        let is_whole = |site: &&Site| {
            site.back_at.is_none()
                && !site.flipped
                && site.machine.order() == Order::None
                && site.machine.voters.load(Ordering::Relaxed) == count
        };
        let may_miss_one = there.iter().all(is_whole) && !self.shared.votes_move.load(Ordering::Relaxed);
        if fault.kind().is_destructive() && !may_miss_one {
            return false;
        }
        // The other of two is no majority: nobody could agree on a new member in its place.
        if matches!(fault.kind(), Kind::BitFlip | Kind::LostFile | Kind::EmptyDisk) && count == 2 {
            return false;
        }
        // Fewer than it began with would survive less than it did.
        if fault.kind() == Kind::StayOut && count <= self.shared.nodes {
            return false;
        }
        self.can_be(fault)
    }

    pub(crate) fn site(&self, node: u64) -> Option<&Site> {
        self.sites.iter().find(|site| site.machine.node == node && !site.gone)
    }

    pub(crate) fn site_mut(&mut self, node: u64) -> Option<&mut Site> {
        self.sites.iter_mut().find(|site| site.machine.node == node && !site.gone)
    }

    /// Restarts the next of those that are restarted one after the other, once all others are back.
    fn roll(&mut self) {
        let all_work = self.sites.iter().filter(|site| !site.gone).all(|site| {
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
        self.schedule.end();
        self.rolling.clear();
        for (_, fault) in std::mem::take(&mut self.going_on) {
            self.end(&fault);
        }
        for site in &mut self.sites {
            let disk = site.disk.memory();
            disk.fail_next_read(None);
            disk.cut_next_write(None);
            site.cut.take().map(Fact::Missed).into_iter().for_each(|missed| self.shared.note(missed));
        }
        let (lost, doubled, late) = self.shared.wires.counts();
        self.shared.note(Fact::Datagrams { lost, doubled, late });
        self.shared.note(Fact::FaultsEnded);
        *self.shared.phase.lock() = Phase::Settling;
    }

    /// Puts a machine there and starts it.
    pub(crate) fn enter(&mut self, node: u64) {
        let disk = Disk::new(self.shared.streams.open(&format!("disk {node}")));
        let machine = Arc::new(Machine::new(Arc::clone(&self.shared), node, disk.memory()));
        let software = Arc::clone(&machine);
        self.sim.host(ip_of(node), move || {
            let machine = Arc::clone(&software);
            async move {
                host::live(machine).await;
                Ok(())
            }
        });
        self.shared.now_is_there(node, true);
        self.nodes().into_iter().for_each(|other| self.lay_link(node, other));
        self.sites.push(Site {
            machine,
            disk,
            back_at: None,
            flipped: false,
            cut: None,
            frozen: false,
            stays_out: false,
            gone: false,
        });
    }

    /// Tells which nodes there are.
    pub(crate) fn nodes(&self) -> BTreeSet<u64> {
        self.sites.iter().filter(|site| !site.gone).map(|site| site.machine.node).collect()
    }
}

impl Site {
    pub(crate) fn lose_power(&self, keep_percent: u64) {
        let loss = self.disk.crash(keep_percent);
        self.machine.note(Fact::Lost { unsynced: loss.unsynced, kept: loss.kept });
    }

    /// Makes the machine one without a node: it joins as another, or goes for good.
    fn leave(&mut self) {
        self.empty(false);
        if self.stays_out {
            (self.back_at, self.gone) = (None, true);
            self.machine.now_is_there(self.machine.node, false);
            self.machine.note(Fact::Gone);
        }
    }

    /// Puts an empty disk in. Whoever it was is still a member of the cluster, or has left it.
    pub(crate) fn empty(&mut self, is_member: bool) {
        self.disk.empty();
        self.cut.take().map(Fact::Missed).into_iter().for_each(|missed| self.machine.note(missed));
        self.flipped = false;
        self.machine.replace_disk(self.disk.memory(), is_member);
    }
}
