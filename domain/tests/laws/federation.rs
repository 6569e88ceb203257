//! Other regions: how they are let in, once and under a name of their own, how they are known and removed, and the ring
//! that all of them share.

use synod_domain::command::Command;
use synod_domain::federation::{Identified, RegionToken, Rival};
use synod_domain::limits::Limits;
use synod_domain::node::{GossipKey, GossipSecret, Keyring};
use synod_domain::refusal::Refusal;
use synod_domain::reply::{Answer, Reply};
use synod_domain::state::State;

use super::histories::Draw;
use super::world::{World, at, hash, name, node, token};

/// Two other regions are let in, one of them by a node that does not say which cluster it founds.
pub(super) fn founding(now: u64) -> [Command; 4] {
    let put = |number| {
        let (id, hash, expires_at) = (token(number), hash(number), at(now + 1000));
        Command::PutRegionToken { token: RegionToken { id, hash, expires_at, used_by: None } }
    };
    let admit = Command::AdmitRegion { region: name("eu"), founder: node(10), token: hash(605) };
    let (region, founder, cluster) = (name("asia"), node(11), "c1".into());
    let admit_as = Command::AdmitRegionAs { region, founder, token: hash(606), cluster };
    [put(605), admit, put(606), admit_as]
}

/// The part of random histories that is about other regions.
pub(super) fn command(now: u64, draw: &mut Draw) -> Command {
    let region = name(draw.pick(&["eu", "us", "asia"]));
    let number = 600 + draw.below(3);
    let cluster = draw.pick(&["c1", "c2", ""]).into();
    match draw.below(12) {
        0..3 => {
            let expires_at = at((now + draw.below(4000)).saturating_sub(100));
            let (id, hash) = (token(number), hash(number));
            Command::PutRegionToken { token: RegionToken { id, hash, expires_at, used_by: None } }
        }
        3 | 4 => {
            let founder = node(10 + u128::from(draw.below(2)));
            Command::AdmitRegion { region, founder, token: hash(number) }
        }
        5 => {
            let addresses = (0..draw.below(10)).map(|number| format!("far:{number}")).collect();
            Command::KnowRegion { region, addresses, heard: draw.one_in(2) }
        }
        6 => Command::RemoveRegion { region, reason: "why not".into() },
        7 => Command::LoseRegion { region, reason: "it burnt".into() },
        8 => Command::SeeRegion { region, cluster },
        9 => {
            let founder = node(10 + u128::from(draw.below(2)));
            Command::AdmitRegionAs { region, founder, token: hash(number), cluster }
        }
        _ => Command::ShareRing { ring: ring(draw.below(4) as u32, 1), number: draw.below(5) },
    }
}

fn ring(number: u32, byte: u8) -> Keyring {
    let key = GossipKey { number, secret: GossipSecret([byte; 32]) };
    Keyring { keys: vec![key], used: Some(number), last: number }
}

fn world() -> World {
    let mut world = World::empty(Limits::default());
    let expires_at = at(world.now + 1000);
    let token = RegionToken { id: token(7), hash: hash(7), expires_at, used_by: None };
    world.ask(Command::PutRegionToken { token }).unwrap();
    world
}

fn admit(region: &str, founder: u128) -> Command {
    Command::AdmitRegion { region: name(region), founder: node(founder), token: hash(7) }
}

fn why(answer: Answer) -> String {
    answer.unwrap_err().to_string()
}

#[test]
fn a_token_founds_one_region_and_repeats_its_answer_until_that_is_heard_of() {
    let mut world = world();
    let unknown = Command::AdmitRegion { region: name("eu"), founder: node(9), token: hash(8) };
    assert_eq!(why(world.ask(unknown)), "the join token is not known");
    for _ in 0..2 {
        assert_eq!(world.ask(admit("eu", 9)), Ok(Reply::Done));
    }
    let used = "the join token was used for another region";
    assert_eq!(why(world.ask(admit("us", 9))), used);
    assert_eq!(why(world.ask(admit("eu", 8))), used);
    let heard = Command::KnowRegion { region: name("eu"), addresses: vec!["far:1".to_owned()], heard: true };
    world.ask(heard).unwrap();
    let over = "the join token was used, and its region has been heard of since";
    assert_eq!(why(world.ask(admit("eu", 9))), over);
    assert_eq!(world.state.federation().regions[&name("eu")].addresses, ["far:1"]);
}

#[test]
fn a_token_for_a_region_expires_and_can_be_revoked() {
    let mut world = world();
    world.ask(Command::RevokeJoinToken { token: token(7) }).unwrap();
    assert_eq!(why(world.ask(admit("eu", 9))), "the join token is not known");
    let mut world = self::world();
    world.pass(1000);
    assert_eq!(why(world.ask(admit("eu", 9))), "the join token has expired");
    assert!(world.state.federation().regions.is_empty());
}

#[test]
fn a_name_that_is_or_was_a_regions_is_not_given_out_again() {
    let mut world = world();
    let know = |heard| Command::KnowRegion { region: name("eu"), addresses: Vec::new(), heard };
    world.ask(know(true)).unwrap();
    assert_eq!(world.ask(admit("eu", 9)), Err(Refusal::RegionNameTaken(name("eu"))));
    world.ask(Command::RemoveRegion { region: name("eu"), reason: "gone".into() }).unwrap();
    assert!(world.state.federation().is_removed(&name("eu")));
    assert_eq!(world.state.federation().others().count(), 0);
    assert_eq!(world.ask(admit("eu", 9)), Err(Refusal::RegionNameTaken(name("eu"))));
    assert_eq!(world.ask(know(true)), Err(Refusal::RegionNotKnown(name("eu"))));
    let unknown = Command::RemoveRegion { region: name("moon"), reason: "gone".into() };
    assert_eq!(world.ask(unknown), Err(Refusal::RegionNotKnown(name("moon"))));
    assert_eq!(world.ask(admit(&"x".repeat(64), 9)).map_err(|refusal| refusal.code()), Err("invalid"));
}

#[test]
fn the_later_ring_wins_whichever_comes_first() {
    let share = |ring: &Keyring, number| Command::ShareRing { ring: ring.clone(), number };
    let (first, second, rival) = (ring(1, 1), ring(2, 2), ring(2, 3));
    let mut rings = Vec::new();
    for order in [[(&first, 1), (&second, 2), (&rival, 2)], [(&rival, 2), (&second, 2), (&first, 1)]] {
        let mut world = world();
        for (ring, number) in order {
            world.ask(share(ring, number)).unwrap();
        }
        rings.push(world.state.federation().ring.clone());
    }
    assert_eq!(rings[0], rings[1]);
    assert_eq!(rings[0].keys[0].secret, GossipSecret([3; 32]));
    let mut world = world();
    let unused = Keyring { used: None, ..first };
    assert_eq!(world.ask(share(&unused, 9)).map_err(|refusal| refusal.code()), Err("gossip_key_refused"));
}

fn see(region: &str, cluster: &str) -> Command {
    Command::SeeRegion { region: name(region), cluster: cluster.into() }
}

#[test]
fn of_two_clusters_of_one_name_the_first_is_the_region_and_the_other_is_shown() {
    let mut world = world();
    world.ask(see("eu", "c1")).unwrap();
    world.ask(see("eu", "c1")).unwrap();
    let seen = |world: &World| world.state.federation().clusters[&name("eu")].clone();
    assert_eq!(seen(&world), Identified { cluster: "c1".into(), rival: None });
    world.ask(see("eu", "c2")).unwrap();
    let rival = Some(Rival { cluster: "c2".into(), at: at(world.now) });
    world.pass(10);
    world.ask(see("eu", "c2")).unwrap();
    assert_eq!(seen(&world), Identified { cluster: "c1".into(), rival }, "since it was seen first");
    assert!(world.state.federation().regions[&name("eu")].heard);
    let restored = State::restore(world.state.rows().into_iter().map(|(_, row)| row)).unwrap();
    assert_eq!(restored.federation(), world.state.federation());
    let backwards = State::restore(world.state.rows().into_iter().rev().map(|(_, row)| row)).unwrap();
    assert_eq!(backwards.federation(), world.state.federation());
    for bad in ["", &"x".repeat(65)] {
        assert_eq!(world.ask(see("eu", bad)).map_err(|refusal| refusal.code()), Err("invalid"));
    }
    world.ask(Command::RemoveRegion { region: name("eu"), reason: "gone".into() }).unwrap();
    assert_eq!(world.ask(see("eu", "c1")), Err(Refusal::RegionNotKnown(name("eu"))));
}

#[test]
fn a_region_is_the_cluster_that_was_let_in_and_a_founder_may_begin_anew_until_it_is_seen() {
    let admit_as = |cluster: &str| Command::AdmitRegionAs {
        region: name("eu"),
        founder: node(9),
        token: hash(7),
        cluster: cluster.into(),
    };
    let mut world = world();
    world.ask(admit_as("c1")).unwrap();
    // The answer was lost, and what it had begun with it.
    world.ask(admit_as("c2")).unwrap();
    let cluster = |world: &World| world.state.federation().cluster_of(&name("eu")).cloned();
    assert_eq!(cluster(&world).as_deref(), Some("c2"));
    assert!(!world.state.federation().regions[&name("eu")].heard);
    world.ask(see("eu", "c3")).unwrap();
    assert_eq!(cluster(&world).as_deref(), Some("c2"), "another region let another cluster in");
    world.ask(see("eu", "c2")).unwrap();
    let over = "the join token was used, and its region has been heard of since";
    assert_eq!(why(world.ask(admit_as("c4"))), over);
    assert_eq!(cluster(&world).as_deref(), Some("c2"));
}
