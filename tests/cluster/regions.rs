//! Regions: each a group of its own, over real streams and real gossip between them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use synod::http::server::{self, Bound};
use synod::http::{Server, TokenText, first_token};
use synod::node::cluster::{found_region, init_region};
use synod::node::domain::command::Command;
use synod::node::domain::id::TaskId;
use synod::node::domain::name::Name;
use synod::node::domain::node::NodeRole;
use synod::node::domain::region::{Route, Routing};
use synod::node::domain::task::Phase;
use synod::node::{NewTask, Node, Pool};

use crate::group::{Group, within};
use crate::support::{Script, completed, eventually, folder, task};

/// How long a token is good for in a test.
const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// How long work may go on in a node that stops.
const DRAIN: Duration = Duration::from_secs(2);

/// Larger than what travels in the log, and than a piece between regions.
const LARGE: usize = 3 << 20;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Founds the region that the others are founded beside.
pub(crate) async fn first(region: &str, voters: usize) -> Group {
    let data = folder();
    init_region(data.path(), &name(region)).await.unwrap();
    let group = Group::grow(data, voters, DRAIN).await;
    group.voters(voters).await;
    group
}

/// Founds a region beside another.
pub(crate) async fn beside(other: &Group, region: &str, voters: usize) -> Group {
    let node = other.nodes().next().unwrap();
    let token = within("a token is made", node.create_region_token(TOKEN_LIFE)).await.unwrap();
    let address = node.cluster().listens.unwrap();
    let data = folder();
    let region = name(region);
    let founding = found_region(data.path(), &region, &address, &token.text);
    within("a region is founded", founding).await.unwrap();
    let group = Group::grow(data, voters, DRAIN).await;
    group.voters(voters).await;
    group
}

fn alive(node: &Node, region: &str) -> usize {
    let known =
        node.regions().into_iter().find(|known| known.name == name(region) && known.removed.is_none());
    known.map_or(0, |known| known.alive())
}

/// Waits until every node of a group hears so many of a region.
pub(crate) async fn hear(group: &Group, region: &str, voters: usize) {
    eventually("the other region is heard", || {
        group.nodes().all(|node| alive(node, region) == voters).then_some(())
    })
    .await;
}

pub(crate) fn route(region: &str, fallbacks: &[&str]) -> Route {
    let fallbacks = fallbacks.iter().map(|text| name(text)).collect();
    Route { region: name(region), fallbacks, routing: Routing::Preferred }
}

/// Submits a task that another region shall have; again while the outcome is not known.
pub(crate) async fn keep_for(node: &Node, route: &Route, task: NewTask) -> TaskId {
    let spec = Arc::new(node.spec_of(task).await.unwrap());
    let request = node.new_request_id();
    within("a task is kept", async {
        loop {
            let command = Command::KeepForRegion { spec: spec.clone(), route: route.clone() };
            match node.propose_as(request, command).await {
                Ok(_) => return spec.id,
                Err(synod::node::Error::Journal(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await
}

pub(crate) async fn pool(group: &Group) {
    let node = group.nodes().next().unwrap();
    node.put_pool(Pool::native("p", "script").unwrap().size(2)).await.unwrap();
}

/// Waits until a task has left a region, and nothing but a pointer to it is there.
pub(crate) async fn forwarded(group: &Group, task: TaskId, region: &str) {
    eventually("it is forwarded", || {
        group.nodes().next().unwrap().read(|state| {
            let there = state.pointer(task).is_some_and(|pointer| pointer.region == name(region));
            (there && state.task(task).is_none()).then_some(())
        })
    })
    .await;
}

/// Holds that a task was attempted once in a region.
pub(crate) async fn ran_once(group: &Group, task: TaskId) {
    let node = group.nodes().next().unwrap();
    eventually("it comes", || node.task(task).ok()).await;
    completed(node, task).await;
    let ended = node.task(task).unwrap();
    assert_eq!((ended.phase(), ended.attempts.len()), (Phase::Completed, 1), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_alone_has_nothing_of_regions_open() {
    let group = Group::form(1).await;
    let node = group.node(0);
    assert_eq!((node.region(), node.region_gossip()), (&Name::default(), None));
    let regions = node.regions();
    assert_eq!((regions.len(), regions[0].here, regions[0].members.len()), (1, true, 0));
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_find_each_other_and_find_each_other_again_after_all_of_them_stopped() {
    let mut us = first("us", 1).await;
    let mut eu = beside(&us, "eu", 3).await;
    hear(&us, "eu", 3).await;
    hear(&eu, "us", 1).await;
    assert_eq!((us.node(0).region(), eu.node(2).region()), (&name("us"), &name("eu")));
    let clusters: Vec<_> = [&us, &eu].map(|group| group.node(0).cluster().cluster).into();
    assert_ne!(clusters[0], clusters[1]);
    for seat in 0..3 {
        eu.stop(seat).await;
    }
    us.stop(0).await;
    us.start(0).await;
    for seat in 0..3 {
        eu.begin(seat).await;
    }
    hear(&us, "eu", 3).await;
    hear(&eu, "us", 1).await;
    us.stop_all().await;
    eu.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_had_once_and_a_token_founds_one_region() {
    let us = first("us", 1).await;
    let node = us.node(0);
    let (token, address) =
        (node.create_region_token(TOKEN_LIFE).await.unwrap(), node.cluster().listens.unwrap());
    let found = async |region: &str, token: &str| {
        let data = folder();
        found_region(data.path(), &name(region), &address, token).await.map(drop)
    };
    let refused = found("us", &token.text).await.unwrap_err().to_string();
    assert!(refused.contains("called us already"), "{refused}");
    found("eu", &token.text).await.unwrap();
    let refused = found("asia", &token.text).await.unwrap_err().to_string();
    assert!(refused.contains("used for another region"), "{refused}");
    let another = node.create_region_token(TOKEN_LIFE).await.unwrap();
    let refused = found("eu", &another.text).await.unwrap_err().to_string();
    assert!(refused.contains("known already"), "{refused}");
    let join = node.create_join_token(NodeRole::Voter, TOKEN_LIFE).await.unwrap();
    let refused = found("asia", &join.text).await.unwrap_err().to_string();
    assert!(refused.contains("is not known"), "a node's token founds no region: {refused}");
    us.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preferred_task_runs_once_in_the_other_region_however_large_it_is() {
    let us = first("us", 1).await;
    let eu = beside(&us, "eu", 3).await;
    pool(&eu).await;
    hear(&us, "eu", 3).await;
    let large = Script::Echo("x".repeat(LARGE).into());
    for script in [Script::Echo(1.into()), large] {
        let made = keep_for(us.node(0), &route("eu", &[]), task("p", &script)).await;
        forwarded(&us, made, "eu").await;
        ran_once(&eu, made).await;
    }
    us.stop_all().await;
    eu.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_wait_for_a_region_that_is_away_and_none_is_lost_or_doubled_though_the_leader_dies() {
    let mut us = first("us", 3).await;
    let mut eu = beside(&us, "eu", 1).await;
    pool(&eu).await;
    hear(&us, "eu", 1).await;
    let mut made = Vec::new();
    for turn in 0..5 {
        made.push(keep_for(us.node(0), &route("eu", &[]), task("p", &Script::Echo(turn.into()))).await);
    }
    // Some may be on their way, some may be there.
    eu.stop(0).await;
    for turn in 5..10 {
        made.push(keep_for(us.node(1), &route("eu", &[]), task("p", &Script::Echo(turn.into()))).await);
    }
    let leader = us.leader().await;
    us.kill(leader);
    let survivor = us.leader().await;
    for turn in 10..15 {
        let node = us.node(survivor);
        made.push(keep_for(node, &route("eu", &[]), task("p", &Script::Echo(turn.into()))).await);
    }
    eu.start(0).await;
    for task in &made {
        forwarded(&us, *task, "eu").await;
        ran_once(&eu, *task).await;
    }
    let there = eu.node(0).ended(None, 1000).unwrap();
    assert_eq!(there.len(), made.len(), "nothing else came");
    us.stop_all().await;
    eu.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_goes_to_its_fallback_while_its_region_was_never_asked() {
    let us = first("us", 1).await;
    let eu = beside(&us, "eu", 1).await;
    pool(&eu).await;
    hear(&us, "eu", 1).await;
    let made = keep_for(us.node(0), &route("moon", &["eu"]), task("p", &Script::Echo(1.into()))).await;
    forwarded(&us, made, "eu").await;
    ran_once(&eu, made).await;
    us.stop_all().await;
    eu.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_was_removed_is_heard_no_more_and_gets_nothing() {
    let us = first("us", 1).await;
    let eu = beside(&us, "eu", 1).await;
    pool(&us).await;
    pool(&eu).await;
    hear(&us, "eu", 1).await;
    hear(&eu, "us", 1).await;
    eu.node(0).remove_region(&name("us"), "we part").await.unwrap();
    assert_eq!(alive(eu.node(0), "us"), 0);
    let refused = eu.node(0).remove_region(&name("eu"), "me").await.unwrap_err().to_string();
    assert!(refused.contains("this region"), "{refused}");
    // It is not let in, though it hears the region and knows nothing of the removal.
    let kept = keep_for(us.node(0), &route("eu", &[]), task("p", &Script::Echo(1.into()))).await;
    eventually("it is offered", || us.node(0).read(|state| state.task(kept)?.forwarding()?.offered.clone()))
        .await;
    let here = us.node(0).submit(task("p", &Script::Echo(2.into()))).await.unwrap();
    completed(us.node(0), here).await;
    assert!(us.node(0).read(|state| state.task(kept).is_some() && state.pointer(kept).is_none()));
    assert!(eu.node(0).task(kept).is_err());
    us.stop_all().await;
    eu.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_gossip_between_regions_are_rotated_in_one_and_used_in_all() {
    let us = first("us", 1).await;
    let eu = beside(&us, "eu", 1).await;
    hear(&us, "eu", 1).await;
    let (us_node, eu_node) = (us.node(0), eu.node(0));
    let number = us_node.install_region_key().await.unwrap();
    let has = async |wanted: &[u32], used| {
        eventually("the ring is shared", || {
            let ring = eu_node.region_keyring();
            let numbers: Vec<u32> = ring.keys.iter().map(|key| key.number).collect();
            (numbers == wanted && ring.used == Some(used)).then_some(())
        })
        .await;
    };
    has(&[1, number], 1).await;
    // Any region may go on with it.
    eu_node.use_region_key(number).await.unwrap();
    eventually("the ring is shared", || (us_node.region_keyring().used == Some(number)).then_some(())).await;
    us_node.remove_region_key(1).await.unwrap();
    has(&[number], number).await;
    let before = us_node.region_gossip().unwrap();
    eventually("they hear each other", || {
        (us_node.region_gossip()?.received > before.received + 3).then_some(())
    })
    .await;
    assert_eq!((alive(us_node, "eu"), alive(eu_node, "us")), (1, 1));
    us.stop_all().await;
    eu.stop_all().await;
}

/// Whether bytes stand in any file of a folder.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        std::fs::read(&path).is_ok_and(|content| content.windows(bytes.len()).any(|window| window == bytes))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_task_leaves_nothing_where_it_was_submitted() {
    let mut us = first("us", 1).await;
    let eu = beside(&us, "eu", 1).await;
    pool(&eu).await;
    hear(&us, "eu", 1).await;
    let secret = "nobody-but-eu-may-keep-this";
    for payload in [secret.to_owned(), format!("{secret}{}", "x".repeat(LARGE))] {
        let wanted = task("p", &Script::Echo(payload.into())).region(name("eu"), Routing::Strict);
        let submission = within("it is submitted", us.node(0).submit_task(wanted)).await.unwrap();
        assert_eq!(submission.region, Some(name("eu")));
        ran_once(&eu, submission.task).await;
        assert!(us.node(0).read(|state| state.pointer(submission.task).is_none()));
    }
    let moon = task("p", &Script::Echo(secret.into())).region(name("moon"), Routing::Strict);
    let refused = us.node(0).submit_task(moon).await.unwrap_err().to_string();
    assert!(refused.contains("there is no region moon"), "{refused}");
    us.node(0).snapshot().await;
    us.stop(0).await;
    let (here, there) = (us.seats[0].data.path(), eu.seats[0].data.path());
    assert!(!holds(here, secret.as_bytes()), "the source keeps it");
    assert!(holds(there, secret.as_bytes()), "the search finds what is there");
    eu.stop_all().await;
}

/// A node of a group, served over HTTP.
pub(crate) struct Served {
    pub(crate) server: Server,
    pub(crate) token: TokenText,
}

impl Served {
    pub(crate) async fn start(group: &Group, seat: usize) -> Self {
        let node = group.node(seat).clone();
        let data = group.seats[seat].data.path();
        let token = first_token::first_token(&node, data).await.unwrap().expect("the first token");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = server::Options { listen, ..server::Options::default() };
        let server = Bound::bind(options).await.unwrap().serve(node, synod::http::routes()).unwrap();
        Self { server, token }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let asked = reqwest::Client::new().get(format!("{}{path}", self.server.url()));
        let answer = asked.bearer_auth(self.token.expose()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn stop(self) {
        within("the server stops", self.server.stop()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_all_regions_are_listed_from_any_and_a_forwarded_one_is_read_where_it_was_submitted() {
    let us = first("us", 1).await;
    let mut eu = beside(&us, "eu", 1).await;
    pool(&us).await;
    pool(&eu).await;
    hear(&us, "eu", 1).await;
    hear(&eu, "us", 1).await;
    let (from, to) = (Served::start(&us, 0).await, Served::start(&eu, 0).await);
    let mine = us.node(0).submit(task("p", &Script::Echo(1.into()))).await.unwrap();
    completed(us.node(0), mine).await;
    let theirs = keep_for(us.node(0), &route("eu", &[]), task("p", &Script::Echo(2.into()))).await;
    forwarded(&us, theirs, "eu").await;
    ran_once(&eu, theirs).await;
    let ids = |body: &Value| {
        let mut ids: Vec<String> = body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().into())
            .collect();
        ids.sort();
        ids
    };
    let text = |task: TaskId| task.to_string();
    for (served, here, there) in [(&from, mine, theirs), (&to, theirs, mine)] {
        let there_name = if there == theirs { "eu" } else { "us" };
        let (status, body) = served.get("/api/v1/tasks?region=*&status=completed").await;
        let mut all = vec![text(mine), text(theirs)];
        all.sort();
        assert_eq!((status, ids(&body)), (200, all), "{body}");
        let (status, body) = served.get(&format!("/api/v1/tasks?region={there_name}&status=completed")).await;
        assert_eq!((status, ids(&body)), (200, vec![text(there)]), "{body}");
        let (status, body) = served.get("/api/v1/tasks?status=completed").await;
        assert_eq!((status, ids(&body)), (200, vec![text(here)]), "{body}");
    }
    let (status, body) = from.get(&format!("/api/v1/tasks/{theirs}")).await;
    assert_eq!((status, &body["id"], &body["region"]), (200, &json!(text(theirs)), &json!("eu")), "{body}");
    let (status, body) = from.get("/api/v1/cluster/regions").await;
    let names: Vec<_> = body["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!((status, names), (200, vec![json!("eu"), json!("us")]), "{body}");
    assert_eq!(body["items"][0]["alive"], 1);
    // A region that is away is named and not passed over in silence.
    to.stop().await;
    eu.stop(0).await;
    hear(&us, "eu", 0).await;
    let (status, body) = from.get("/api/v1/tasks?region=*&status=completed").await;
    assert_eq!((status, ids(&body)), (200, vec![text(mine)]), "{body}");
    assert_eq!(body["unanswered"][0]["region"], "eu", "{body}");
    from.stop().await;
    us.stop_all().await;
}
