//! The laws of the spread, and examples.

use proptest::prelude::*;

use super::*;

fn place(node: u128, present: u32, room: u32) -> Place {
    Place { node: NodeId::from_raw(node), zone: 0, present, room, favour: 0, burden: (0, 0) }
}

fn places() -> impl Strategy<Value = Vec<Place>> {
    let one = (0_u32..4, 0_u32..30, 0_u32..30, 0_u32..3, (0_u32..3, 0_u32..3));
    prop::collection::vec(one, 0..9).prop_map(|drawn| {
        let number = |(index, (zone, present, room, favour, burden))| Place {
            zone,
            favour,
            burden,
            ..place(index as u128, present, room)
        };
        drawn.into_iter().enumerate().map(number).collect()
    })
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![Just(Manner::Even), Just(Manner::Packed), Just(Manner::Zones)]
}

/// The places after the shares that were given are there.
fn settled(manner: Manner, target: u32, places: &[Place]) -> Vec<Place> {
    let shares = spread(manner, target, places);
    let there = |place: &Place| Place { present: shares.get(&place.node).copied().unwrap_or(0), ..*place };
    places.iter().map(there).collect()
}

fn presents(places: &[Place]) -> Vec<u32> {
    places.iter().map(|place| place.present).collect()
}

proptest! {
    #[test]
    fn shares_add_up_to_the_target_or_to_what_fits(
        manner in manner(), target in 0_u32..200, places in places(),
    ) {
        let shares = spread(manner, target, &places);
        let room: u32 = places.iter().map(|place| place.room).sum();
        prop_assert_eq!(shares.values().sum::<u32>(), target.min(room));
        for place in &places {
            prop_assert!(shares.get(&place.node).copied().unwrap_or(0) <= place.room);
        }
        prop_assert!(shares.values().all(|share| *share > 0));
    }

    #[test]
    fn nothing_moves_when_nothing_changes(manner in manner(), target in 0_u32..200, places in places()) {
        let there = settled(manner, target, &places);
        prop_assert_eq!(presents(&settled(manner, target, &there)), presents(&there));
    }

    #[test]
    fn growing_takes_from_nobody_and_shrinking_gives_to_nobody(
        manner in manner(), first in 0_u32..200, then in 0_u32..200, places in places(),
    ) {
        let before = settled(manner, first, &places);
        let after = settled(manner, then, &before);
        for (before, after) in before.iter().zip(&after) {
            let (less, more) = if then >= first { (before, after) } else { (after, before) };
            prop_assert!(less.present <= more.present);
        }
    }

    #[test]
    fn an_even_spread_differs_by_one_at_most_where_there_is_room(target in 0_u32..200, places in places()) {
        let there = settled(Manner::Even, target, &places);
        let most = there.iter().map(|place| place.present).max().unwrap_or(0);
        prop_assert!(there.iter().all(|place| place.present + 1 >= most.min(place.room)));
    }

    #[test]
    fn zones_differ_by_one_at_most_where_there_is_room_and_so_do_places_of_a_zone(
        target in 0_u32..200, places in places(),
    ) {
        let there = settled(Manner::Zones, target, &places);
        let of = |zone: u32| there.iter().filter(move |place| place.zone == zone);
        let whole = |zone: u32| of(zone).fold((0, 0), |(present, room), place| (present + place.present, room + place.room));
        let most = (0..4).map(|zone| whole(zone).0).max().unwrap_or(0);
        for zone in 0..4 {
            let (present, room) = whole(zone);
            prop_assert!(present + 1 >= most.min(room));
            let most = of(zone).map(|place| place.present).max().unwrap_or(0);
            prop_assert!(of(zone).all(|place| place.present + 1 >= most.min(place.room)));
        }
    }

    #[test]
    fn the_order_in_which_places_are_named_does_not_matter(
        manner in manner(), target in 0_u32..200, places in places(),
    ) {
        let turned: Vec<Place> = places.iter().rev().copied().collect();
        prop_assert_eq!(spread(manner, target, &places), spread(manner, target, &turned));
    }
}

#[test]
fn a_new_place_takes_its_part_from_those_that_have_too_many() {
    let places = [place(1, 3, 9), place(2, 3, 9), place(3, 0, 9)];
    assert_eq!(presents(&settled(Manner::Even, 6, &places)), [2, 2, 2]);
    assert_eq!(presents(&settled(Manner::Packed, 6, &places)), [3, 3, 0]);
}

#[test]
fn a_small_zone_gets_as_much_as_a_large_one() {
    let zone = |zone, place: Place| Place { zone, ..place };
    let places =
        [zone(0, place(1, 0, 9)), zone(0, place(2, 0, 9)), zone(0, place(3, 0, 9)), zone(1, place(4, 0, 9))];
    assert_eq!(presents(&settled(Manner::Zones, 6, &places)), [1, 1, 1, 3]);
    assert_eq!(presents(&settled(Manner::Even, 6, &places)), [2, 2, 1, 1]);
}

#[test]
fn what_one_place_loses_goes_to_the_others() {
    let places = [place(1, 2, 9), place(2, 2, 0), place(3, 2, 9)];
    assert_eq!(presents(&settled(Manner::Even, 6, &places)), [3, 0, 3]);
}

#[test]
fn a_single_agent_goes_where_the_least_is() {
    let places = [Place { burden: (4, 0), ..place(1, 0, 9) }, place(2, 0, 9)];
    assert_eq!(presents(&settled(Manner::Even, 1, &places)), [0, 1]);
    assert_eq!(presents(&settled(Manner::Packed, 1, &places)), [1, 0]);
}

#[test]
fn a_node_suits_that_is_there_and_labelled() {
    let name = |text: &str| Name::new(text).unwrap_or_default();
    let mut node = NodeSpec::alone(NodeId::from_raw(1));
    node.labels.insert(name("disk"), "ssd".into());
    let demand = |label: &str, region: Option<Name>| SpreadSpec {
        labels: BTreeMap::from([(name("disk"), label.into())]),
        region,
        ..SpreadSpec::default()
    };
    assert!(SpreadSpec::default().suits(&node));
    assert!(demand("ssd", Some(Name::default())).suits(&node));
    assert!(!demand("tape", None).suits(&node));
    assert!(!demand("ssd", Some(name("north"))).suits(&node));
}
