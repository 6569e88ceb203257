//! Two regions, each a node of its own with an API: tasks that go from one to the other, and requests that do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use synod::node::Node;
use synod::node::domain::command::Command;
use synod::node::domain::event::Event;
use synod::node::domain::id::{RequestId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::reply::Answer as Judged;
use synod::node::domain::task::TaskSpec;
use synod::node::elsewhere::{Elsewhere, ElsewhereError, HandedAnswer, HandedRequest, Regions};
use synod::node::events::Heard;
use synod_cluster::checkpointer::Policy;
use tokio::sync::watch;

use crate::support::{Answer, Api, PATIENCE, options, send};

/// The wires between the regions, as one of them sees them.
struct Wires {
    here: Name,
    all: Arc<All>,
    changes: watch::Sender<u64>,
}

/// All regions.
#[derive(Default)]
struct All {
    nodes: Mutex<BTreeMap<Name, Weak<Node>>>,
    reachable: Mutex<BTreeSet<Name>>,
    /// Whether offers are lost on the way.
    losing: Mutex<bool>,
}

impl All {
    fn node(&self, region: &Name) -> Result<Arc<Node>, String> {
        let found = self.nodes.lock().get(region).and_then(Weak::upgrade);
        let reached = self.reachable.lock().contains(region);
        found.filter(|_| reached).ok_or_else(|| format!("nobody of {region} answers"))
    }
}

#[async_trait]
impl Regions for Wires {
    fn here(&self) -> &Name {
        &self.here
    }

    fn reachable(&self) -> BTreeSet<Name> {
        let mut reachable = self.all.reachable.lock().clone();
        reachable.remove(&self.here);
        reachable
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn offer(&self, region: &Name, request: RequestId, spec: Arc<TaskSpec>) -> Result<Judged, String> {
        let there = self.all.node(region)?;
        if *self.all.losing.lock() {
            return Err("the offer was lost".to_owned());
        }
        let source = self.all.nodes.lock().get(&self.here).and_then(Weak::upgrade).expect("it asks");
        let payload = source.fetch(&spec.payload).await.map_err(|error| error.to_string())?;
        there.take_arrival(Some(&self.here), request, TaskSpec::clone(&spec), payload).await
    }

    async fn submit_direct(
        &self,
        region: &Name,
        request: RequestId,
        spec: Arc<TaskSpec>,
        payload: Bytes,
    ) -> Result<Judged, String> {
        self.all.node(region)?.take_arrival(None, request, TaskSpec::clone(&spec), payload).await
    }
}

#[async_trait]
impl Elsewhere for Wires {
    async fn ask(&self, region: &Name, request: HandedRequest) -> Result<HandedAnswer, ElsewhereError> {
        let unreachable = |why: String| ElsewhereError::Unreachable { region: region.clone(), why };
        let there = self.all.node(region).map_err(unreachable)?;
        let answer = there.handed().answer(&self.here, request).await;
        answer.ok_or_else(|| unreachable("it serves no API".to_owned()))
    }
}

/// The regions us and eu.
pub(crate) struct World {
    pub(crate) us: Api,
    pub(crate) eu: Api,
    all: Arc<All>,
    wires: Vec<Arc<Wires>>,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::of(["us", "eu"]).await
    }

    /// Regions whose ended tasks go to history at once.
    pub(crate) async fn archiving() -> Self {
        let policy = Policy { checkpoint_interval: Duration::from_millis(1), ..Policy::default() };
        Self::built(["us", "eu"], policy).await
    }

    /// Two regions under these names.
    async fn of(names: [&str; 2]) -> Self {
        Self::built(names, Policy::default()).await
    }

    async fn built(names: [&str; 2], policy: Policy) -> Self {
        let all = Arc::new(All::default());
        let (mut wires, mut apis) = (Vec::new(), Vec::new());
        for region in names {
            let (changes, _) = watch::channel(0);
            let wire = Arc::new(Wires { here: name(region), all: all.clone(), changes });
            let given = wire.clone();
            let api = Api::built(options(), synod::http::routes(), |node| {
                node.regions(given.clone(), given).policy(policy.clone())
            })
            .await;
            all.nodes.lock().insert(name(region), Arc::downgrade(&api.node));
            wires.push(wire);
            apis.push(api);
        }
        let (eu, us) = (apis.pop().unwrap(), apis.pop().unwrap());
        let world = Self { us, eu, all, wires };
        world.reach(&names);
        world
    }

    pub(crate) fn reach(&self, regions: &[&str]) {
        *self.all.reachable.lock() = regions.iter().map(|region| name(region)).collect();
        self.wires.iter().for_each(|wire| wire.changes.send_modify(|changes| *changes += 1));
    }

    /// Submits a task at us.
    async fn submit(&self, task: Value) -> Answer {
        send(self.us.call(Method::POST, "/api/v1/tasks").json(&task)).await
    }

    async fn submitted(&self, task: Value) -> TaskId {
        let answer = self.submit(task).await;
        assert_eq!(answer.status, 201, "{answer:#?}");
        answer.json()["task_id"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn until_forwarded(&self, task: TaskId) {
        let mut events = self.us.node.events();
        let forwarded = async {
            while self.us.node.read(|state| state.pointer(task).is_none()) {
                assert_ne!(events.next().await, Heard::Closed);
            }
        };
        tokio::time::timeout(PATIENCE, forwarded).await.expect("the task is forwarded");
    }

    /// Has it agreed at us that there is a region, whether it is within reach or not.
    pub(crate) async fn know(&self, region: &str) {
        let (region, addresses) = (name(region), vec!["10.0.0.1:7501".to_owned()]);
        let known = Command::KnowRegion { region, addresses, heard: true };
        self.us.node.propose(known).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.us.stop().await;
        self.eu.stop().await;
    }
}

/// An agent of eu completes the one task that waits there.
async fn work(world: &World) {
    world.eu.agent("ada", &["review"]).await;
    let (task, attempt) = world.eu.claim_one("ada").await;
    let said = json!({ "attempt": attempt, "result": { "fine": true } });
    let done = world.eu.post(&format!("/api/v1/tasks/{task}/complete"), &said).await;
    assert_eq!(done.status, 200, "{done:#?}");
}

fn for_eu() -> Value {
    json!({"type": "review", "required_capabilities": ["review"], "payload": {"change": 17}, "region": "eu"})
}

#[tokio::test]
async fn task_for_another_region_is_done_there_and_its_source_shows_it_all_the_same() {
    let world = World::start().await;
    let task = world.submitted(for_eu()).await;
    world.until_forwarded(task).await;
    let here = format!("/api/v1/tasks/{task}");
    let seen = world.us.get(&here).await;
    assert_eq!((seen.status.as_u16(), seen.header("synod-region")), (200, "eu"), "{seen:#?}");
    assert_eq!((&seen.json()["region"], &seen.json()["from_region"]), (&json!("eu"), &json!("us")));
    assert_eq!(seen.json()["payload"], json!({"change": 17}));
    let why = world.us.get(&format!("{here}/why")).await;
    assert_eq!(why.json()["cause"], "no_agent", "{why:#?}");
    work(&world).await;
    let result = world.us.get(&format!("{here}/result")).await;
    assert_eq!((result.status.as_u16(), result.json()), (200, json!({"fine": true})));
    let cancelled = send(world.us.call(Method::POST, &format!("{here}/cancel")).json(&json!({}))).await;
    assert_eq!((cancelled.status.as_u16(), &cancelled.json()["code"]), (409, &json!("already_ended")));
    world.reach(&["us"]);
    world.us.get(&here).await.assert_problem(503, "region_unreachable");
    world.stop().await;
}

#[tokio::test]
async fn large_payload_of_a_task_goes_with_it() {
    let world = World::start().await;
    let text = "x".repeat(200_000);
    let task = world.submitted(json!({"type": "review", "payload": text, "region": "eu"})).await;
    world.until_forwarded(task).await;
    assert_eq!(world.eu.get(&format!("/api/v1/tasks/{task}")).await.json()["payload"], json!(text));
    world.stop().await;
}

#[tokio::test]
async fn task_is_kept_while_its_region_is_away_and_says_so_and_can_be_called_off() {
    let world = World::start().await;
    world.reach(&["us"]);
    let (kept, called_off) = (world.submitted(for_eu()).await, world.submitted(for_eu()).await);
    let seen = world.us.get(&format!("/api/v1/tasks/{kept}")).await.json();
    let wanted = json!({"region": "eu", "fallback_regions": [], "routing": "preferred"});
    assert_eq!(
        (&seen["status"], &seen["region"], &seen["kept_for"]),
        (&json!("pending"), &json!("us"), &wanted)
    );
    let why = world.us.get(&format!("/api/v1/tasks/{kept}/why")).await.json();
    assert_eq!(why["cause"], "kept", "{why}");
    let place = format!("/api/v1/tasks/{called_off}/cancel");
    let answer = send(world.us.call(Method::POST, &place).json(&json!({}))).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("cancelled")), "{answer:#?}");
    world.reach(&["us", "eu"]);
    world.until_forwarded(kept).await;
    assert!(world.eu.node.task(called_off).is_err());
    world.stop().await;
}

#[tokio::test]
async fn task_that_was_offered_and_has_not_come_is_on_its_way_for_who_calls_it_off() {
    let world = World::start().await;
    *world.all.losing.lock() = true;
    let mut events = world.us.node.events();
    let task = world.submitted(for_eu()).await;
    let offered = async {
        loop {
            let Heard::Happening(happening) = events.next().await else { panic!("the node goes on") };
            if happening.events.iter().any(|event| matches!(event, Event::TaskOffered { .. })) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, offered).await.expect("it is offered");
    let place = format!("/api/v1/tasks/{task}/cancel");
    let answer = send(world.us.call(Method::POST, &place).json(&json!({}))).await;
    answer.assert_problem(409, "task_on_its_way");
    *world.all.losing.lock() = false;
    world.until_forwarded(task).await;
    let answer = send(world.us.call(Method::POST, &place).json(&json!({}))).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("cancelled")), "{answer:#?}");
    world.stop().await;
}

#[tokio::test]
async fn nothing_of_a_strict_task_is_kept_outside_of_its_region() {
    let world = World::start().await;
    let secret = "only-for-eu-".repeat(20_000);
    let strict =
        |region: &str| json!({"type": "review", "payload": secret, "region": region, "routing": "strict"});
    let answer = world.submit(strict("eu")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["region"]), (201, &json!("eu")), "{answer:#?}");
    let task: TaskId = answer.json()["task_id"].as_str().unwrap().parse().unwrap();
    let place = answer.header("location").to_owned();
    assert_eq!(place, format!("/api/v1/tasks/{task}?region=eu"));
    // That it is there is shown; what it holds does not leave its region.
    let seen = world.us.get(&place).await.json();
    assert_eq!((&seen["withheld"], seen.get("payload")), (&json!("strict"), None), "{seen}");
    assert_eq!(world.eu.get(&place).await.json()["payload"], json!(secret));
    world.us.get(&format!("/api/v1/tasks/{task}")).await.assert_problem(404, "task_unknown");
    world.reach(&["us"]);
    world.submit(strict("eu")).await.assert_problem(404, "region_unknown");
    let mut both = strict("eu");
    both["fallback_regions"] = json!(["us"]);
    world.submit(both).await.assert_problem(400, "invalid");
    world.us.node.stop().await;
    world.eu.node.stop().await;
    let holds = |api: &Api| holds(&api.folder().join("data"), "only-for-eu-only-for-eu-");
    assert!(!holds(&world.us), "something of it is on the disk of us");
    assert!(holds(&world.eu), "it is on the disk of eu, so the search finds what is there");
    world.stop().await;
}

/// Tells whether any file below a folder holds this text.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn the_same_key_is_the_same_task_although_that_has_gone_to_another_region() {
    let world = World::start().await;
    let keyed = || {
        let mut task = for_eu();
        task["idempotency_key"] = json!("build-17");
        task
    };
    let task = world.submitted(keyed()).await;
    world.until_forwarded(task).await;
    let again = world.submit(keyed()).await;
    let said = (again.status.as_u16(), again.json()["task_id"].clone(), again.json()["duplicate"].clone());
    assert_eq!(said, (200, json!(task.to_string()), json!(true)));
    // Who turns to the other region itself means the same task too.
    let there = send(world.eu.call(Method::POST, "/api/v1/tasks").json(&keyed())).await;
    assert_eq!(
        (there.status.as_u16(), &there.json()["task_id"]),
        (200, &json!(task.to_string())),
        "{there:#?}"
    );
    world.stop().await;
}

#[tokio::test]
async fn request_for_another_region_is_answered_there_as_who_asks_here() {
    let world = World::start().await;
    let register = json!({"name": "ada", "capabilities": ["review"]});
    let made = send(world.us.call(Method::POST, "/api/v1/agents?region=eu").json(&register)).await;
    assert!(made.status.is_success(), "{made:#?}");
    assert_eq!((made.header("synod-region"), &made.json()["region"]), ("eu", &json!("eu")));
    let names = |answer: &Answer| -> Vec<String> {
        let items = answer.json()["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&world.us.get("/api/v1/agents").await), Vec::<String>::new());
    assert_eq!(names(&world.us.get("/api/v1/agents?region=eu").await), ["ada"]);
    assert_eq!(names(&world.eu.get("/api/v1/agents?region=eu").await), ["ada"]);
    // What the token does not allow here it does not allow there; and the other region knows no such token itself.
    let (_, reader) = world.us.token("agents:read".parse().unwrap(), None).await;
    let place = "/api/v1/agents/ada?region=eu";
    let read = send(world.us.bare(Method::GET, place).bearer_auth(&reader)).await;
    assert_eq!(read.status, 200, "{read:#?}");
    let removed = send(world.us.bare(Method::DELETE, place).bearer_auth(&reader)).await;
    removed.assert_problem(403, "not_allowed");
    send(world.eu.bare(Method::GET, place).bearer_auth(&reader)).await.assert_problem(401, "token_unknown");
    world.us.get("/api/v1/agents?region=moon").await.assert_problem(404, "region_unknown");
    world.us.get("/api/v1/events?region=eu").await.assert_problem(400, "invalid");
    world.us.get("/api/v1/pools?region=*").await.assert_problem(400, "invalid");
    let unknown = world.us.get("/api/v1/agents/nobody?region=eu").await;
    assert_eq!((unknown.status.as_u16(), &unknown.json()["code"]), (404, &json!("agent_unknown")));
    world.stop().await;
}

#[tokio::test]
async fn list_of_all_regions_goes_page_by_page_through_each_and_names_who_is_missing() {
    let world = World::start().await;
    let mut made = BTreeSet::new();
    for number in 0..7 {
        let region = if number % 3 == 0 { "us" } else { "eu" };
        let place = format!("/api/v1/tasks?region={region}");
        let task = send(world.us.call(Method::POST, &place).json(&json!({"type": "review"}))).await;
        made.insert((task.json()["task_id"].as_str().unwrap().to_owned(), region.to_owned()));
    }
    let (mut seen, mut cursor, mut pages) = (BTreeSet::new(), String::new(), 0);
    loop {
        let page = world.us.get(&format!("/api/v1/tasks?region=*&limit=2{cursor}")).await.json();
        assert!(page.get("unanswered").is_none(), "{page}");
        let ids: Vec<String> =
            page["items"].as_array().unwrap().iter().map(|item| item["id"].to_string()).collect();
        assert!(ids.is_sorted_by(|left, right| left > right), "the latest first: {ids:?}");
        for item in page["items"].as_array().unwrap() {
            let text = |field: &str| item[field].as_str().unwrap().to_owned();
            assert!(seen.insert((text("id"), text("region"))), "{item} came twice");
        }
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((seen, pages), (made, 2));
    let reachable = world.all.reachable.lock().clone();
    world.all.nodes.lock().remove(&name("eu"));
    assert!(reachable.contains(&name("eu")));
    let page = world.us.get("/api/v1/tasks?region=*").await.json();
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["unanswered"][0]["region"]),
        (3, &json!("eu"))
    );
    world.stop().await;
}

#[tokio::test]
async fn region_whose_name_has_a_slash_and_a_plus_is_found_by_every_place_that_names_it() {
    let west = "eu/west+1";
    let world = World::of(["us", west]).await;
    let strict = json!({"type": "review", "payload": 17, "region": west, "routing": "strict"});
    let answer = world.submit(strict).await;
    let task = answer.json()["task_id"].as_str().unwrap().to_owned();
    let place = answer.header("location").to_owned();
    assert_eq!(place, format!("/api/v1/tasks/{task}?region=eu%2Fwest%2B1"));
    assert_eq!(world.us.get(&place).await.json()["id"], json!(task));
    // What that region says of a place is completed by its name.
    let there = "/api/v1/tasks?region=eu%2Fwest%2B1";
    let made = send(world.us.call(Method::POST, there).json(&json!({"type": "review", "payload": 18}))).await;
    let place = made.header("location").to_owned();
    assert!(place.ends_with("?region=eu%2Fwest%2B1"), "{place}");
    assert_eq!(world.us.get(&place).await.json()["payload"], 18);
    for number in 0..2 {
        send(world.us.call(Method::POST, there).json(&json!({"type": "review", "payload": number}))).await;
    }
    // A cursor may be put into an address as it is, and escaped.
    for escaped in [false, true] {
        let (mut seen, mut cursor) = (BTreeSet::new(), String::new());
        loop {
            let page = world.us.get(&format!("/api/v1/tasks?region=*&limit=1{cursor}")).await.json();
            let items = page["items"].as_array().unwrap_or_else(|| panic!("{cursor}: {page}"));
            assert!(items.iter().all(|item| seen.insert(item["id"].to_string())), "{page}");
            let Some(next) = page["next_cursor"].as_str() else { break };
            let next = if escaped { next.replace('%', "%25").replace('=', "%3D") } else { next.to_owned() };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen.len(), 4);
    }
    world.stop().await;
}

#[tokio::test]
async fn strict_task_that_became_a_dead_letter_is_redriven_in_its_region_and_nowhere_else() {
    let world = World::start().await;
    let secret = "only-for-eu-".repeat(20_000);
    let strict = json!({"type": "review", "required_capabilities": ["review"], "payload": secret,
        "region": "eu", "routing": "strict"});
    let answer = world.submit(strict).await;
    assert_eq!(answer.status, 201, "{answer:#?}");
    world.eu.agent("ada", &["review"]).await;
    let (task, attempt) = world.eu.claim_one("ada").await;
    let said = json!({ "attempt": attempt, "reason": "no", "retryable": false });
    let failed = world.eu.post(&format!("/api/v1/tasks/{task}/fail"), &said).await;
    assert_eq!(failed.status, 200, "{failed:#?}");
    // Who asks the other region finds no dead letter of it there, and redrives it where it is.
    let none = world.us.get("/api/v1/dead-letters").await.json();
    assert_eq!(none["items"], json!([]));
    let place = format!("/api/v1/dead-letters/{task}/redrive");
    send(world.us.call(Method::POST, &place).json(&json!({}))).await.assert_problem(404, "task_unknown");
    let redriven = send(world.us.call(Method::POST, &format!("{place}?region=eu")).json(&json!({}))).await;
    assert!(redriven.status.is_success(), "{redriven:#?}");
    let (again, _) = world.eu.claim_one("ada").await;
    assert_ne!(again, task);
    assert_eq!(world.eu.get(&format!("/api/v1/tasks/{again}")).await.json()["payload"], json!(secret));
    world.us.get(&format!("/api/v1/tasks/{again}")).await.assert_problem(404, "task_unknown");
    world.us.node.stop().await;
    assert!(!holds(&world.us.folder().join("data"), "only-for-eu-only-for-eu-"));
    world.stop().await;
}
