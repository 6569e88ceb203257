//! The one task that owns the socket, foca and the timers of a node's gossip.
//!
//! ```text
//!   datagram ─► open ─► fresh? ─► foca / book ─┐
//!   timer due ───────────────► foca ───────────┼─► perform: seal and send, set timers, greet who came, look
//!   told, seeds, leave ──────► foca ───────────┘
//! ```
//!
//! Promises that no datagram, however it is, ends it, and that a flood of them does not keep timers from running. A
//! node that stalled itself gives everybody the time that it missed before it takes anybody for silent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use foca::{Foca, State};
use synod_domain::node::Keyring;
use synod_domain::sources::{Clock, Entropy};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::gossip::book::{Ears, Goodbyes, telling};
use crate::gossip::codec::Plain;
use crate::gossip::counters::count;
use crate::gossip::datagram::Body;
use crate::gossip::handle::{Options, Shared};
use crate::gossip::presence::Presence;
use crate::gossip::profile::{Profile, Timing};
use crate::gossip::replay::{Stale, Windows};
use crate::gossip::runtime::{Collected, Draws};
use crate::gossip::seal::{Refused, Stamp, open, seal};
use crate::gossip::timers::Timers;
use crate::transport::Datagrams;

/// Datagrams that are read before due timers have their turn.
const BURST: u32 = 64;

/// Datagrams to addresses by name that may wait for the name to be found; more are lost.
const LOOKUPS_MAX: usize = 64;

/// How long a name may take to be found; a probe that waited longer is of no use.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait after the socket refused to give a datagram, so that a broken one does not take a core.
const RECEIVE_PAUSE: Duration = Duration::from_millis(50);

/// How many of the dead are knocked at in each round.
const DEAD_KNOCKS: usize = 3;

/// What the handle asks of the task.
pub(super) enum Command {
    /// Say goodbye and end.
    Leave(oneshot::Sender<()>),
}

enum Wake {
    Stop,
    Command(Option<Command>),
    Told,
    Datagram(Result<bytes::Bytes, crate::transport::Error>),
    Due,
}

/// Gossips.
pub(super) struct Task {
    foca: Foca<Presence, Plain, Draws, Ears>,
    collected: Collected,
    timers: Timers,
    datagrams: Arc<dyn Datagrams>,
    keyring: watch::Receiver<Keyring>,
    windows: Windows,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    leaving: Goodbyes,
    profile: Profile,
    timing: Timing,
    /// Counts the datagrams of this start.
    counter: u64,
    /// Counts the tellings of this start.
    sequence: u64,
    /// The members that foca was set for.
    set_for: usize,
    knock_at: Instant,
    knocked_at: Instant,
    /// When the rumour is told next.
    tell_at: Instant,
    told_at: Instant,
    /// Whether all members are to be looked at, though nothing says that one has changed.
    looks: bool,
    lookups: Arc<Semaphore>,
}

impl Task {
    pub(super) fn new(options: Options, shared: Arc<Shared>) -> Self {
        let leaving = Goodbyes::default();
        let ears = Ears { shared: shared.clone(), clock: options.clock.clone(), leaving: leaving.clone() };
        let presence = Presence {
            node: options.me.node,
            generation: options.me.generation,
            renewed: 0,
            address: shared.address.clone(),
        };
        let (config, draws) = (options.profile.config(1), Draws(options.entropy.clone()));
        let timing = options.profile.timing();
        let now = Instant::now();
        // A gossip that begins anew within the same start of its node goes on above what it sent before.
        let counter = options.clock.now().as_millis() << 20;
        Self {
            foca: Foca::with_custom_broadcast(presence, config, draws, Plain, ears),
            collected: Collected::default(),
            timers: Timers::default(),
            datagrams: Arc::from(options.datagrams),
            keyring: options.keyring,
            windows: Windows::default(),
            shared,
            clock: options.clock,
            entropy: options.entropy,
            leaving,
            profile: options.profile,
            timing,
            counter,
            sequence: counter,
            set_for: 1,
            knock_at: now,
            knocked_at: now,
            tell_at: now,
            told_at: now,
            looks: true,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>, stop: CancellationToken) {
        let mut burst = 0;
        loop {
            let at = self.next_at();
            let due = at <= Instant::now();
            let wake = tokio::select! {
                biased;
                () = stop.cancelled() => Wake::Stop,
                command = commands.recv() => Wake::Command(command),
                () = self.shared.told.notified() => Wake::Told,
                datagram = self.datagrams.receive(), if !(due && burst >= BURST) => {
                    Wake::Datagram(datagram.map(|(bytes, _)| bytes))
                }
                () = tokio::time::sleep_until(at) => Wake::Due,
            };
            burst = if matches!(wake, Wake::Datagram(_)) { burst + 1 } else { 0 };
            match wake {
                Wake::Stop => return,
                // Nobody has a handle any more, which is how it is told to end without a word.
                Wake::Command(None) => return stop.cancel(),
                Wake::Command(Some(Command::Leave(done))) => {
                    self.leave().await;
                    // It was told to end.
                    stop.cancel();
                    let _ = done.send(());
                    return;
                }
                Wake::Told => self.note_told(),
                Wake::Datagram(Ok(bytes)) => self.take(&bytes).await,
                Wake::Datagram(Err(error)) => {
                    tracing::warn!(%error, "a datagram could not be received");
                    tokio::time::sleep(RECEIVE_PAUSE).await;
                }
                Wake::Due => self.run_due().await,
            }
            self.perform().await;
        }
    }

    fn next_at(&self) -> Instant {
        let at = self.knock_at.min(self.tell_at);
        self.timers.next_at().map_or(at, |timer| at.min(timer))
    }

    /// Opens a datagram and lets whoever it concerns hear it.
    async fn take(&mut self, bytes: &[u8]) {
        let counting = &self.shared.counting;
        let opened = open(&self.keyring.borrow(), self.profile.channel(), bytes);
        let (stamp, body) = match opened {
            Ok(opened) => opened,
            Err(Refused::Foreign) => return count(&counting.foreign),
            Err(Refused::UnknownKey) => return count(&counting.unknown_key),
            Err(Refused::Damaged) => return count(&counting.damaged),
        };
        match self.windows.note(stamp) {
            Ok(()) => {}
            Err(Stale::Replayed) => return count(&counting.replayed),
            Err(Stale::Forgotten) => return count(&counting.forgotten),
        }
        let understood = match Body::decode(&body) {
            None => false,
            Some(Body::Swim(message)) => match self.foca.handle_data(&message, &mut self.collected) {
                Ok(()) => true,
                Err(error) => {
                    tracing::debug!(from = %stamp.node, %error, "a message was not understood");
                    false
                }
            },
            Some(Body::Knock(who)) => {
                if who.node != self.foca.identity().node {
                    let here = Body::Here(self.foca.identity().clone());
                    self.send(&who.address, &here).await;
                }
                true
            }
            Some(Body::Here(who)) => {
                let mut active = self.foca.iter_members();
                if who.node != self.foca.identity().node && !active.any(|member| member.id() == &who) {
                    drop(active);
                    let _ = self.foca.announce(who, &mut self.collected);
                }
                true
            }
            Some(Body::Rumour(telling)) => self.ears().hear(&telling).is_ok(),
        };
        let counting = &self.shared.counting;
        count(if understood { &counting.received } else { &counting.malformed });
    }

    fn ears(&self) -> Ears {
        Ears { shared: self.shared.clone(), clock: self.clock.clone(), leaving: self.leaving.clone() }
    }

    async fn run_due(&mut self) {
        let now = Instant::now();
        if let Some(first) = self.timers.next_at() {
            let late = now.saturating_duration_since(first);
            if late > self.timing.probe_period {
                count(&self.shared.counting.stalls);
                tracing::warn!(
                    late_ms = late.as_millis(),
                    "this node stalled; others are given the time it missed"
                );
                self.timers.postpone(late);
            }
        }
        while let Some(timer) = self.timers.due(now) {
            if let Err(error) = self.foca.handle_timer(timer, &mut self.collected) {
                tracing::debug!(%error, "a timer of gossip came to nothing");
            }
        }
        if self.knock_at <= now {
            self.knock(now).await;
        }
        if self.tell_at <= now {
            self.tell(now);
        }
    }

    /// Knocks at seeds where no member is, and at some of the dead.
    async fn knock(&mut self, now: Instant) {
        (self.knock_at, self.knocked_at) = (now + self.timing.knock_every, now);
        // Of a member that was dead before it was heard of, nothing is said.
        self.looks = true;
        let mut there = BTreeSet::from([self.shared.address.clone()]);
        let mut dead = Vec::new();
        for member in self.foca.iter_membership_state() {
            if member.state() == State::Down {
                dead.push(member.id().address.clone());
            } else {
                there.insert(member.id().address.clone());
            }
        }
        let mut doors: BTreeSet<String> = self.shared.seeds.lock().difference(&there).cloned().collect();
        for _ in 0..DEAD_KNOCKS.min(dead.len()) {
            let place = usize::try_from(self.entropy.draw() % dead.len() as u64).unwrap_or(0);
            doors.insert(dead.swap_remove(place));
        }
        let knock = Body::Knock(self.foca.identity().clone());
        for door in doors.difference(&there) {
            self.send(door, &knock).await;
        }
    }

    /// Plans to tell the rumour soon, or to knock at new seeds at once.
    fn note_told(&mut self) {
        let now = Instant::now();
        let me = self.shared.me.lock().clone();
        if self.shared.book.lock().tell(&me) {
            self.shared.changes.send_modify(|number| *number += 1);
            self.tell_at = self.tell_at.min((self.told_at + self.timing.tell_gap).max(now));
        } else {
            self.knock_soon(now);
        }
    }

    /// Tells the rumour anew, so that everybody sends it on.
    fn tell(&mut self, now: Instant) {
        let members = u32::try_from(self.foca.num_members()).unwrap_or(u32::MAX);
        let rest = self.timing.refresh_every + self.timing.refresh_per_member.saturating_mul(members);
        (self.tell_at, self.told_at) = (now + rest, now);
        if let Some(telling) = self.telling(false) {
            let _ = self.foca.add_broadcast(&telling);
        }
    }

    fn telling(&mut self, leaving: bool) -> Option<Vec<u8>> {
        self.sequence += 1;
        let me = self.shared.me.lock().clone();
        let written = telling(&me, self.sequence, leaving);
        written.inspect_err(|error| tracing::error!(%error, "this node's rumour is not told")).ok()
    }

    /// Says goodbye to everybody, and lets SWIM spread it.
    async fn leave(&mut self) {
        if let Some(telling) = self.telling(true) {
            let _ = self.foca.add_broadcast(&telling);
            let goodbye = Body::Rumour(telling);
            let addresses: Vec<String> =
                self.foca.iter_members().map(|member| member.id().address.clone()).collect();
            for address in addresses {
                self.send(&address, &goodbye).await;
            }
        }
        let _ = self.foca.leave_cluster(&mut self.collected);
        for (to, message) in std::mem::take(&mut self.collected.sends) {
            self.send(&to.address, &Body::Swim(message)).await;
        }
    }

    /// Does what foca asked for, and looks what changed.
    async fn perform(&mut self) {
        self.let_go();
        let collected = std::mem::take(&mut self.collected);
        let now = Instant::now();
        for (after, timer) in collected.timers {
            self.timers.add(now + after, timer);
        }
        for (to, message) in collected.sends {
            self.send(&to.address, &Body::Swim(message)).await;
        }
        if !collected.came.is_empty()
            && let Some(telling) = self.telling(false)
        {
            let greeting = Body::Rumour(telling);
            for member in collected.came {
                self.send(&member.address, &greeting).await;
            }
        }
        if collected.renewed {
            count(&self.shared.counting.renewals);
            tracing::warn!("others took this node for dead; it comes back");
            self.knock_soon(now);
        }
        let members = self.foca.num_members() + 1;
        if members != self.set_for && self.foca.set_config(self.profile.config(members)).is_ok() {
            self.set_for = members;
        }
        // A look takes as long as there are members, and most datagrams change nothing. Whatever did is news to be sent
        // on for a while, of suspicions and objections too.
        if !std::mem::take(&mut self.looks) && !collected.changed && self.foca.updates_backlog() == 0 {
            return;
        }
        let states = self.foca.iter_membership_state().map(|member| (member.id(), member.state()));
        if self.shared.book.lock().observe(states, self.clock.now()) {
            self.shared.changes.send_modify(|number| *number += 1);
        }
    }

    /// Takes those who said goodbye for gone, without waiting until they are missed.
    fn let_go(&mut self) {
        let going = std::mem::take(&mut *self.leaving.lock());
        if going.is_empty() {
            return;
        }
        self.looks = true;
        let gone: Vec<foca::Member<Presence>> = self
            .foca
            .iter_members()
            .filter(|member| going.contains(&(member.id().node, member.id().generation)))
            .map(|member| foca::Member::new(member.id().clone(), member.incarnation(), State::Down))
            .collect();
        if !gone.is_empty() {
            let _ = self.foca.apply_many(gone.into_iter(), true, &mut self.collected);
        }
    }

    /// Knocks soon, and not more often than rounds of probes: two nodes that refuse each other would not rest.
    fn knock_soon(&mut self, now: Instant) {
        self.knock_at = self.knock_at.min((self.knocked_at + self.timing.probe_period).max(now));
    }

    async fn send(&mut self, to: &str, body: &Body) {
        self.counter += 1;
        let (node, generation) = (self.foca.identity().node, self.foca.identity().generation);
        let stamp = Stamp { node, generation, counter: self.counter };
        let sealed =
            seal(&self.keyring.borrow(), self.profile.channel(), stamp, &body.encode(), &self.entropy);
        let counting = &self.shared.counting;
        let Some(sealed) = sealed else { return count(&counting.unsent) };
        if to.parse::<std::net::SocketAddr>().is_ok() {
            let sent = self.datagrams.send(to, sealed).await;
            return count(if sent.is_ok() { &counting.sent } else { &counting.unsent });
        }
        // A name must be found first, and one that is not found must hold up nobody else.
        let Ok(place) = self.lookups.clone().try_acquire_owned() else { return count(&counting.unsent) };
        let (datagrams, shared, to) = (self.datagrams.clone(), self.shared.clone(), to.to_owned());
        tokio::spawn(async move {
            let sending = tokio::time::timeout(LOOKUP_PATIENCE, datagrams.send(&to, sealed));
            let sent = matches!(sending.await, Ok(Ok(())));
            count(if sent { &shared.counting.sent } else { &shared.counting.unsent });
            drop(place);
        });
    }
}
