//! Other regions: how they are let in, once and under a name of their own, how they are known and removed, and the ring
//! that all of them share.

use synod_domain::command::Command;
use synod_domain::federation::RegionToken;
use synod_domain::limits::Limits;
use synod_domain::node::{GossipKey, GossipSecret, Keyring};
use synod_domain::refusal::Refusal;
use synod_domain::reply::{Answer, Reply};

use super::histories::Draw;
use super::world::{World, at, hash, name, node, token};

/// Another region is let in.
pub(super) fn founding(now: u64) -> [Command; 2] {
    let token = RegionToken { id: token(605), hash: hash(605), expires_at: at(now + 1000), used_by: None };
    let admit = Command::AdmitRegion { region: name("eu"), founder: node(10), token: hash(605) };
    [Command::PutRegionToken { token }, admit]
}

/// The part of random histories that is about other regions.
pub(super) fn command(now: u64, draw: &mut Draw) -> Command {
    let region = name(draw.pick(&["eu", "us", "asia"]));
    let number = 600 + draw.below(3);
    match draw.below(8) {
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
