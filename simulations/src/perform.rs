//! What each fault does to the world, and what its end does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::driver::Driver;
use crate::faults::Fault;
use crate::history::Fact;
use crate::machine::Order;
use crate::net::ip_of;

/// The most milliseconds that a message takes on one link longer than on the best one of its world.
const LATENCY_LINK_MAX: u64 = 20;

impl Driver<'_> {
    pub(crate) fn perform(&mut self, now: Duration, fault: Fault) {
        match &fault {
            Fault::Crash { node, down, keep_percent, silent } => {
                self.crash(now, *node, *down, *keep_percent, *silent);
            }
            Fault::Blackout { down, apart, keep_percent } => {
                let mut down = *down;
                for node in self.nodes() {
                    if self.site(node).is_some_and(|site| site.back_at.is_none()) {
                        self.crash(now, node, down, *keep_percent, true);
                    }
                    down += *apart;
                }
            }
            Fault::EmptyDisk { node, down } => {
                self.crash(now, *node, *down, 0, true);
                if let Some(site) = self.site_mut(*node) {
                    site.empty(true);
                }
            }
            Fault::LostFile { node, part, position, down } => {
                self.crash(now, *node, *down, 100, false);
                if let Some(site) = self.site_mut(*node) {
                    site.flipped |= site.disk.memory().lose_files(*part, *position);
                }
            }
            Fault::CutWrite { node, down, keep_percent, .. } => {
                self.crash(now, *node, *down, *keep_percent, true);
            }
            Fault::Restart { node } => self.tell(*node, Order::Stop),
            Fault::Leave { node } => self.tell(*node, Order::Leave),
            Fault::Join { node } => self.enter(*node),
            Fault::StayOut { node } => {
                if let Some(site) = self.site_mut(*node) {
                    site.stays_out = true;
                }
                self.tell(*node, Order::Leave);
            }
            Fault::RollingRestart => {
                // In any order: who leads may be the first or the last.
                let mut left: Vec<u64> = self.nodes().into_iter().collect();
                while let Some(next) = self.orders.pick(&left).copied() {
                    left.retain(|node| *node != next);
                    self.rolling.push_back(next);
                }
            }
            Fault::Reconnect { one, other } => self.shared.wires.cut(*one, *other),
            Fault::LyingDisk => {
                self.sites.iter().for_each(|site| site.machine.disk_lies.store(true, Ordering::Relaxed));
            }
            Fault::SlowLink { one, other, latency, .. } => {
                self.sim.set_link_latency(ip_of(*one), ip_of(*other), *latency);
            }
            Fault::SlowDisk { node, .. }
            | Fault::FailedSync { node }
            | Fault::FailedRead { node, .. }
            | Fault::FullDisk { node, .. }
            | Fault::BitFlip { node, .. }
            | Fault::ClockJump { node, .. }
            | Fault::ClockDrift { node, .. }
            | Fault::Pause { node, .. } => self.perform_on(*node, &fault),
            Fault::Partition { .. }
            | Fault::OneWay { .. }
            | Fault::Partial { .. }
            | Fault::HungPeer { .. }
            | Fault::Datagrams { .. } => {}
        }
        if let Some(lasts) = fault.lasts() {
            self.going_on.push((now + lasts, fault));
            self.lay_wires();
        }
    }

    /// Does what concerns one machine alone.
    fn perform_on(&mut self, node: u64, fault: &Fault) {
        let Some(site) = self.site_mut(node) else { return };
        match fault {
            Fault::SlowDisk { sync, .. } => site.disk.slow(Some(*sync)),
            Fault::FailedSync { .. } => site.disk.fail_next_sync(),
            Fault::FailedRead { part, .. } => site.disk.memory().fail_next_read(Some(*part)),
            Fault::FullDisk { bytes, .. } => site.disk.limit(Some(*bytes)),
            Fault::BitFlip { part, position, .. } => {
                site.flipped |= site.disk.memory().flip_bit(*part, *position);
            }
            Fault::ClockJump { millis, .. } => site.machine.clock.jump(*millis),
            Fault::ClockDrift { millionths, .. } => site.machine.clock.drift(*millionths),
            Fault::Pause { .. } => {
                site.frozen = true;
                site.machine.clock.stand_still(true);
            }
            _ => {}
        }
    }

    fn tell(&self, node: u64, order: Order) {
        if let Some(site) = self.site(node) {
            site.machine.tell(order);
        }
    }

    fn crash(&mut self, now: Duration, node: u64, down: Duration, keep_percent: u64, silent: bool) {
        let Some(site) = self.sites.iter_mut().find(|site| site.machine.node == node && !site.gone) else {
            return;
        };
        // The disk first: what runs while the host is torn down reaches it no more.
        site.lose_power(keep_percent);
        site.back_at = Some(now + down);
        let others: Vec<u64> = self.nodes().into_iter().filter(|other| *other != node).collect();
        if silent {
            // Whoever has no power says no farewell, and what was on its way to others is gone.
            others.iter().for_each(|other| self.sim.partition(ip_of(node), ip_of(*other)));
        }
        self.sim.crash(ip_of(node));
        if silent {
            others.iter().for_each(|other| self.sim.repair(ip_of(node), ip_of(*other)));
        } else {
            self.shared.wires.refuse(node, true);
        }
    }

    pub(crate) fn end(&mut self, fault: &Fault) {
        self.shared.note(Fact::Healed(fault.clone()));
        self.lay_wires();
        let goes_on = self
            .going_on
            .iter()
            .any(|(_, other)| other.kind() == fault.kind() && other.node() == fault.node());
        if let Fault::SlowLink { one, other, .. } = fault {
            self.lay_link(*one, *other);
        }
        let Some(site) = fault.node().and_then(|node| self.site_mut(node)) else { return };
        match fault {
            Fault::ClockJump { millis, .. } => site.machine.clock.jump(-millis),
            Fault::ClockDrift { .. } => site.machine.clock.drift(0),
            // A later fault of the kind goes on.
            _ if goes_on => {}
            Fault::SlowDisk { .. } => site.disk.slow(None),
            Fault::FullDisk { .. } => site.disk.limit(None),
            Fault::Pause { .. } => {
                site.frozen = false;
                site.machine.clock.stand_still(false);
            }
            _ => {}
        }
    }

    /// Makes a link take the time that a message takes there in this world: each has its own longest one.
    pub(crate) fn lay_link(&self, one: u64, other: u64) {
        let (least, most) = self.latency;
        let mut stream = self.shared.streams.open(&format!("link {} {}", one.min(other), one.max(other)));
        let most = most + stream.millis(0, LATENCY_LINK_MAX);
        self.sim.set_link_latency(ip_of(one), ip_of(other), least);
        self.sim.set_link_max_message_latency(ip_of(one), ip_of(other), most);
    }

    /// Makes the wires what the faults that go on make of them.
    fn lay_wires(&self) {
        let wires = &self.shared.wires;
        let nodes = self.nodes();
        let ways = || nodes.iter().flat_map(|from| nodes.iter().map(move |to| (*from, *to)));
        wires.heal();
        for (_, fault) in &self.going_on {
            match fault {
                Fault::Partition { side, .. } => ways()
                    .filter(|(from, to)| side.contains(from) != side.contains(to))
                    .for_each(|(from, to)| wires.change(from, to, |way| way.blocked = true)),
                Fault::Pause { node, .. } => ways()
                    .filter(|(from, to)| from == node || to == node)
                    .for_each(|(from, to)| wires.change(from, to, |way| way.blocked = true)),
                Fault::OneWay { from, to, .. } => wires.change(*from, *to, |way| way.blocked = true),
                Fault::Partial { one, other, .. } => {
                    wires.change(*one, *other, |way| way.blocked = true);
                    wires.change(*other, *one, |way| way.blocked = true);
                }
                Fault::HungPeer { node, .. } => ways()
                    .filter(|(from, to)| from == node && to != node)
                    .for_each(|(from, to)| wires.change(from, to, |way| way.mute = true)),
                Fault::Datagrams { lost, doubled, late, .. } => {
                    ways().for_each(|(from, to)| {
                        wires.change(from, to, |way| {
                            (way.lost, way.doubled, way.late) = (*lost, *doubled, *late);
                        });
                    });
                }
                _ => {}
            }
        }
    }
}
