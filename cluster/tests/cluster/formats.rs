//! Golden bytes of everything this crate writes to disk. A change here is a change of format.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use synod_cluster::group::Peer;
use synod_cluster::records::{Bookkeeping, Content, LogRecord, Members, PlaceRecord, VoteRecord};
use synod_domain::capability::Capabilities;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::federation::{Federation, Identified, KnownRegion, RegionToken, Rival};
use synod_domain::hook::{Hook, HookCommand, HookSpec, HookState, HookTerms};
use synod_domain::id::{AgentId, HookId, NodeId, RequestId, RunId, TaskId, TokenId};
use synod_domain::name::Name;
use synod_domain::node::{GossipKey, GossipSecret, Keyring};
use synod_domain::pause::{Pausable, Pause};
use synod_domain::payload::Payload;
use synod_domain::region::{Arrival, Declined, Forwarding, Pointer, Route, Routing};
use synod_domain::retry::RetryPolicy;
use synod_domain::row::{Meta, Row};
use synod_domain::task::{Lane, MailboxId, TaskSpec, TaskStatus, Timeouts};
use synod_domain::terms::Terms;
use synod_domain::time::Timestamp;
use synod_domain::token::{Token, TokenKind, TokenSpec};
use synod_storage::{decode, encode};

use super::support::request;

/// Returns a record's bytes as hexadecimal digits, after reading them back.
fn bytes_of<T>(value: &T) -> String
where
    T: std::fmt::Debug + PartialEq + serde::Serialize + serde::de::DeserializeOwned,
{
    let bytes = encode(value).unwrap();
    assert_eq!(&decode::<T>(&bytes).unwrap(), value);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn members() -> Members {
    Members {
        voters: vec![BTreeSet::from([1, 2])],
        peers: BTreeMap::from([
            (1, Peer { node: NodeId::from_raw(0xa1) }),
            (2, Peer { node: NodeId::from_raw(0xb1) }),
        ]),
    }
}

#[test]
fn log_records_keep_their_bytes() {
    let entry = Entry {
        at: Timestamp::from_millis(1000),
        seed: 9,
        commands: vec![Request {
            id: request(3),
            command: Command::SetWeight { workspace: Name::default(), weight: 4 },
        }],
    };
    let found = [
        bytes_of(&LogRecord { term: 2, index: 5, content: Content::Blank }),
        bytes_of(&LogRecord { term: 2, index: 6, content: Content::Commands(Arc::new(entry)) }),
        bytes_of(&LogRecord { term: 2, index: 7, content: Content::Members(members()) }),
    ];
    assert_eq!(
        found,
        [
            "03d950024d020500",
            "03edcdb093020601fbe803090103010764656661756c7404",
            "03262a3c59020702010201020201a102b1"
        ]
    );
}

#[test]
fn notes_and_bookkeeping_keep_their_bytes() {
    let place = PlaceRecord { term: 3, index: 300 };
    let kept = Bookkeeping { applied: Some(place), members_at: Some(place), members: members() };
    let vote = VoteRecord { term: 3, node: Some(1), committed: true };
    let found = [bytes_of(&vote), bytes_of(&place), bytes_of(&kept)];
    assert_eq!(
        found,
        ["03c349e9fc03010101", "032ae5906403fb2c01", "036603a5a30103fb2c010103fb2c01010201020201a102b1"]
    );
}

fn token() -> TokenSpec {
    TokenSpec {
        id: TokenId::from_raw(5),
        name: Name::default(),
        kind: TokenKind::Worker,
        hash: [7; 32],
        permissions: "agents:read agents:write tasks:read tasks:work".parse().unwrap(),
        expires_at: Some(Timestamp::from_millis(9)),
        created_by: None,
    }
}

#[test]
fn commands_and_rows_of_the_control_plane_keep_their_bytes() {
    let offered = ["rust@1".parse().unwrap()].into_iter().collect();
    let agent = AgentId::from_raw(2);
    let what = || Pausable::Mailbox(MailboxId::Pool(Name::default()));
    let commands = [
        Command::Claim { agent, max: 1, start: true, offered: Some(offered) },
        Command::RetireAgent { agent },
        Command::RetirePool { pool: Name::default() },
        Command::Pause { what: what(), reason: "why".into() },
        Command::Resume { what: Pausable::Workspace(Name::default()) },
        Command::PutToken { spec: Arc::new(token()) },
        Command::RotateToken { token: TokenId::from_raw(5), hash: [8; 32], keep_old_until: None },
        Command::RevokeToken { token: TokenId::from_raw(5), reason: "lost".into() },
    ];
    let since = Timestamp::from_millis(3);
    let rotated = Token {
        spec: Arc::new(token()),
        created_at: since,
        rotated_at: None,
        previous: Some(([6; 32], since)),
    };
    let rows = [
        Row::Token(Arc::new(rotated)),
        Row::Pause(Pause { what: what(), reason: "why".into(), since }),
        Row::Meta(Meta::default()),
    ];
    let found: Vec<String> = commands.iter().map(bytes_of).chain(rows.iter().map(bytes_of)).collect();
    let expected = [
        "030872fe110a020101010106727573744031",
        "03b0b3910f1602",
        "03752aebb4170764656661756c74",
        "034e61af091800010764656661756c7403776879",
        "03f183df7319020764656661756c74",
        concat!(
            "0379218fea1a050764656661756c74020707070707070707070707070707070707070707070707070707070707",
            "0707070400010407010900",
        ),
        "03f351b3bb1b05080808080808080808080808080808080808080808080808080808080808080800",
        "03f5429f8f1c05046c6f7374",
        concat!(
            "0318e4fe170b050764656661756c74020707070707070707070707070707070707070707070707070707070707",
            "070707040001040701090003000106060606060606060606060606060606060606060606060606060606060606",
            "0603",
        ),
        "03d80f70e80c00010764656661756c740377687903",
        concat!(
            "03a55751d8000000fc40420f00fc40420f00fc80841e00fc00000080fca0860100fb2c01001e00fc8051010000",
            "00000000000000000000000000000000000000000000000000",
        ),
    ];
    assert_eq!(found, expected);
}

#[test]
fn commands_and_rows_about_other_regions_keep_their_bytes() {
    let (region, id) = (|| Name::new("eu").unwrap(), TokenId::from_raw(5));
    let key = GossipKey { number: 1, secret: GossipSecret([1; 32]) };
    let ring = Keyring { keys: vec![key], used: Some(1), last: 1 };
    let expires_at = Timestamp::from_millis(9);
    let token =
        RegionToken { id, hash: [7; 32], expires_at, used_by: Some((NodeId::from_raw(0xa1), region())) };
    let known = KnownRegion {
        addresses: vec!["a:1".to_owned()],
        since: Timestamp::from_millis(3),
        heard: true,
        removed: None,
    };
    let federation = Federation {
        ring: ring.clone(),
        ring_number: 2,
        tokens: BTreeMap::from([(id, token.clone())]),
        regions: BTreeMap::from([(region(), known)]),
        clusters: BTreeMap::new(),
    };
    let commands = [
        Command::PutRegionToken { token },
        Command::AdmitRegion { region: region(), founder: NodeId::from_raw(0xa1), token: [7; 32] },
        Command::KnowRegion { region: region(), addresses: vec!["a:1".to_owned()], heard: true },
        Command::RemoveRegion { region: region(), reason: "why".into() },
        Command::ShareRing { ring, number: 2 },
    ];
    let found: Vec<String> =
        commands.iter().map(bytes_of).chain([bytes_of(&Row::Federation(federation))]).collect();
    let (hash, secret) = ("07".repeat(32), "01".repeat(32));
    let token = format!("05{hash}0901a1026575");
    let ring = format!("0101{secret}010101");
    let expected = [
        format!("28{token}"),
        format!("29026575a1{hash}"),
        "2a0265750103613a3101".to_owned(),
        "2b02657503776879".to_owned(),
        format!("2c{ring}02"),
        format!("10{ring}020105{token}010265750103613a31030100"),
    ];
    // Behind the version and the checksum, which other tests hold.
    let bodies: Vec<&str> = found.iter().map(|record| &record[10..]).collect();
    assert_eq!(bodies, expected);
}

#[test]
fn what_was_added_about_regions_keeps_its_bytes() {
    let (id, region, at) = (TaskId::from_raw(7), Name::new("eu").unwrap(), Timestamp::from_millis(3));
    let founder = NodeId::from_raw(0xa1);
    let commands = [
        Command::RefuseOffered { task: id, from: region.clone(), why: "why".into() },
        Command::AdmitRegionAs { region: region.clone(), founder, token: [7; 32], cluster: "c".into() },
        Command::SeeRegion { region: region.clone(), cluster: "c".into() },
        Command::LoseRegion { region: region.clone(), reason: "why".into() },
    ];
    let rival = Some(Rival { cluster: "d".into(), at });
    let clusters = BTreeMap::from([(region.clone(), Identified { cluster: "c".into(), rival })]);
    let rows = [Row::Declined(id, Declined { from: region, why: "why".into(), at }), Row::Clusters(clusters)];
    let found: Vec<String> = commands.iter().map(bytes_of).chain(rows.iter().map(bytes_of)).collect();
    let expected = [
        "03c152c748340702657503776879",
        concat!(
            "03cf06377c35026575a10707070707070707070707070707070707070707070707070707070707070707",
            "0163",
        ),
        "031ade0597360265750163",
        "037c6bee693702657503776879",
        "0393887de814070265750377687903",
        "038e42ad001501026575016301016403",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_claim_under_a_key_keeps_its_bytes() {
    let offered = ["rust@1".parse().unwrap()].into_iter().collect();
    let (key, agent) = (RequestId::from_raw(7), AgentId::from_raw(2));
    let claim = Command::ClaimOnce { key, agent, max: 1, start: true, offered: Some(offered) };
    assert_eq!(bytes_of(&claim), "039b4611ea3307020101010106727573744031");
}

#[test]
fn commands_and_rows_about_regions_keep_their_bytes() {
    let (id, region) = (TaskId::from_raw(7), Name::new("eu").unwrap());
    let spec = || {
        Arc::new(TaskSpec {
            id,
            workspace: Name::default(),
            kind: region.clone(),
            mailbox: MailboxId::Open,
            demand: Capabilities::default(),
            lane: Lane::Normal,
            deadline: None,
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            payload: Payload::default(),
            idempotency_key: None,
            labels: BTreeMap::new(),
            run: None,
            redriven_from: None,
            metadata: None,
        })
    };
    let route =
        || Route { region: region.clone(), fallbacks: vec![Name::default()], routing: Routing::Preferred };
    let at = Timestamp::from_millis(3);
    let commands = [
        Command::KeepForRegion { spec: spec(), route: route() },
        Command::OfferToRegion { task: id, region: region.clone() },
        Command::ForwardedTo { task: id, region: region.clone(), known_as: id },
        Command::RegionRefused { task: id, region: region.clone(), why: "why".into() },
        Command::TakeHere { task: id, here: region.clone() },
        Command::TakeOffered { spec: spec(), from: region.clone() },
    ];
    let mut forwarding = Forwarding::new(route());
    forwarding.offer(&region);
    forwarding.refuse(&region, "why".into());
    forwarding.offer(&Name::default());
    let kept = TaskStatus::Kept { forwarding: Box::new(forwarding) };
    let rows = [
        Row::Pointer(id, Pointer { region: region.clone(), known_as: id, workspace: Name::default(), at }),
        Row::Arrival(id, Arrival { from: region.clone(), known_as: id, at }),
        Row::Route(id, route()),
    ];
    let found: Vec<String> =
        commands.iter().map(bytes_of).chain(rows.iter().map(bytes_of)).chain([bytes_of(&kept)]).collect();
    let expected = [
        "030a0cdcd42d070764656661756c7402657502000200000000030100c83c0000000000000000026575010764656661756c7401",
        "03eeb411ef2e07026575",
        "03407767c02f0702657507",
        "03cd032b15300702657503776879",
        "03bdb4a10d3107026575",
        "03c9ed405532070764656661756c7402657502000200000000030100c83c0000000000000000026575",
        "0389c7e4bc1107026575070764656661756c7403",
        "03425ca3f412070265750703",
        "03736772f71307026575010764656661756c7401",
        "03f1ab2e1b05026575010764656661756c7401010764656661756c740102657503776879",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_said_of_strict_tasks_keeps_its_bytes() {
    let spec = Arc::new(TaskSpec {
        id: TaskId::from_raw(7),
        workspace: Name::default(),
        kind: Name::new("eu").unwrap(),
        mailbox: MailboxId::Open,
        demand: Capabilities::default(),
        lane: Lane::Normal,
        deadline: None,
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        payload: Payload::default(),
        idempotency_key: None,
        labels: BTreeMap::new(),
        run: None,
        redriven_from: None,
        metadata: None,
    });
    let (after, terms) = ([TaskId::from_raw(8)].into(), None);
    let submit = Command::SubmitStrict { spec: spec.clone(), after, terms };
    // Apart from the version and checksum.
    let body = |text: String| text[10..].to_owned();
    let spec_bytes = "070764656661756c7402657502000200000000030100c83c0000000000000000";
    assert_eq!(body(bytes_of(&submit)), format!("46{spec_bytes}010800"));
    assert_eq!(body(bytes_of(&Row::Strict(spec.id))), "2a07");
}

#[test]
fn commands_and_rows_about_hooks_keep_their_bytes() {
    let (id, agent) = (HookId::from_raw(7), AgentId::from_raw(2));
    let at = Timestamp::from_millis(3);
    let spec = Arc::new(HookSpec {
        id,
        workspace: Name::default(),
        agent,
        node: NodeId::from_raw(0xa1),
        repository: "/r".into(),
        branch: "b".into(),
        base: "c".into(),
        kind: Name::default(),
        work: Payload::inline(*b"w"),
        max_retries: 3,
        stale_after: Duration::from_secs(300),
    });
    let hook = Arc::new(Hook {
        spec: spec.clone(),
        agent,
        pool: Some(Name::default()),
        state: HookState::Failed { reason: "why".into() },
        attempt: 4,
        retries: 3,
        revision: 9,
        last_error: Some("why".into()),
        heard_at: at,
        created_at: at,
        updated_at: at,
    });
    let of_task = Terms { account: Some(Name::default()), ..Terms::default() };
    let terms = Arc::new(HookTerms { run: Some(RunId::from_raw(5)), terms: Some(of_task.into()) });
    let reason = || Arc::from("why");
    let commands = [
        HookCommand::Create { spec: spec.clone() },
        HookCommand::Start { hook: id, attempt: 4 },
        HookCommand::Touch { hook: id, attempt: 4 },
        HookCommand::Complete { hook: id, attempt: 4, result: Payload::inline(*b"r") },
        HookCommand::Fail { hook: id, attempt: 4, reason: reason() },
        HookCommand::Abandon { hook: id, attempt: 4, reason: reason() },
        HookCommand::Reassign { hook: id, agent: Some(agent) },
        HookCommand::Remove { hook: id },
        HookCommand::Adopt { hook: hook.clone() },
        HookCommand::CreateWith { spec, terms: terms.clone() },
    ];
    // Apart from the version and checksum and from what stands around them, which other tests hold.
    let body = |text: String, skip: usize| text[skip..].to_owned();
    let found: Vec<String> = commands.iter().map(|command| body(bytes_of(command), 10)).collect();
    let row = body(bytes_of(&Row::Hook(hook.clone())), 12);
    let states =
        [HookState::Pending, HookState::Active, HookState::Completed { result: Payload::inline(*b"r") }];
    let states: Vec<String> = states.iter().map(|state| body(bytes_of(state), 10)).collect();
    let spec = "070764656661756c7402a1022f7201620163 0764656661756c740001770 3fb2c0100".replace(' ', "");
    let hook = format!("{spec}02010764656661756c7403037768790403090103776879030303");
    let on = "0105010001 0764656661756c7400000000".replace(' ', "");
    let expected = [
        format!("00{spec}"),
        "010704".to_owned(),
        "020704".to_owned(),
        "030704000172".to_owned(),
        "04070403776879".to_owned(),
        "05070403776879".to_owned(),
        "06070102".to_owned(),
        "0707".to_owned(),
        format!("08{hook}"),
        format!("09{spec}{on}"),
    ];
    assert_eq!(found, expected);
    assert_eq!(row, hook);
    assert_eq!(body(bytes_of(&Row::HookTerms(id, terms)), 10), format!("2c07{on}"));
    assert_eq!(states, ["00", "01", "02000172"]);
}
