//! Two tenants of one node, each with one of everything, and somebody who is not there at all.

mod ended;
mod matrix;
mod roles;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use synod::node::domain::command::Command;
use synod::node::domain::hook::{HookCommand, HookSpec};
use synod::node::domain::id::{AgentId, ApprovalId, HookId, TaskId, TokenId, ViolationId};
use synod::node::domain::name::Name;
use synod::node::domain::payload::Payload;

use crate::support::{Answer, Api, send};

/// The workspaces of the two. No other word holds their names.
pub(crate) const RED: &str = "crimson";
pub(crate) const BLUE: &str = "azure";

/// What is called what: the names and ids of a tenant.
pub(crate) struct Tenant {
    pub(crate) secret: String,
    marks: BTreeMap<&'static str, String>,
}

impl Tenant {
    /// Returns the name or id of one of its things.
    pub(crate) fn of(&self, thing: &str) -> String {
        self.marks[thing].clone()
    }

    /// Sends a request of this tenant.
    pub(crate) async fn send(&self, api: &Api, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = api.bare(method, path).bearer_auth(&self.secret);
        send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn post(&self, api: &Api, path: &str, body: &Value) -> Value {
        let answer = self.send(api, Method::POST, path, Some(body)).await;
        assert!(answer.status.is_success(), "POST {path} {body}: {answer:#?}");
        answer.json()
    }

    /// Returns the text with everything of this tenant called as the other calls it.
    pub(crate) fn renamed(&self, text: &str, other: &Self) -> String {
        // The longest first: some names begin with others.
        let mut marks: Vec<_> = self.marks.iter().collect();
        marks.sort_by_key(|(_, mark)| std::cmp::Reverse(mark.len()));
        marks.into_iter().fold(text.to_owned(), |text, (thing, mark)| text.replace(mark, &other.marks[thing]))
    }

    /// Returns what of this tenant stands in a text.
    pub(crate) fn found_in(&self, text: &str) -> Option<&str> {
        self.marks.values().map(String::as_str).find(|mark| text.contains(mark))
    }

    /// Somebody who is bound to nothing.
    pub(crate) fn of_operator(api: &Api) -> Self {
        Self { secret: api.admin.expose().to_owned(), marks: BTreeMap::new() }
    }

    /// Nobody: names and ids that are as good as others and name nothing.
    pub(crate) fn nobody() -> Self {
        let raw = 0x00c0_ffee_u128 << 80;
        let ids = [
            ("agent", AgentId::from_raw(raw).to_string()),
            ("lone", AgentId::from_raw(raw + 1).to_string()),
            ("waiting", TaskId::from_raw(raw + 2).to_string()),
            ("leased", TaskId::from_raw(raw + 3).to_string()),
            ("ended", TaskId::from_raw(raw + 4).to_string()),
            ("letter", TaskId::from_raw(raw + 5).to_string()),
            ("approval", ApprovalId::from_raw(raw + 6).to_string()),
            ("violation", ViolationId::from_raw(raw + 7).to_string()),
            ("hook", HookId::from_raw(raw + 8).to_string()),
            ("token", TokenId::from_raw(raw + 9).to_string()),
        ];
        Self { secret: String::new(), marks: names("gone").into_iter().chain(ids).collect() }
    }

    /// Makes a tenant with one of everything.
    pub(crate) async fn make(api: &Api, workspace: &'static str) -> Self {
        let mut tenant = Self { secret: String::new(), marks: names(workspace).into_iter().collect() };
        let new = json!({ "name": tenant.of("token name"), "kind": "admin", "workspace": workspace });
        let made = api.post("/api/v1/tokens", &new).await.json();
        tenant.secret = text(&made["secret"]);
        tenant.marks.insert("token", text(&made["token"]["id"]));
        let pool = json!({ "name": tenant.of("pool"), "runtime": "external", "max": 5 });
        tenant.post(api, "/api/v1/pools", &pool).await;
        for (thing, in_pool) in [("agent", true), ("lone", false)] {
            let mut new = json!({ "name": tenant.of(&format!("{thing} name")), "concurrency": 9 });
            if in_pool {
                new["pool"] = json!(tenant.of("pool"));
            }
            let made = tenant.post(api, "/api/v1/agents", &new).await;
            tenant.marks.insert(thing, text(&made["id"]));
        }
        tenant.work(api).await;
        tenant.govern(api).await;
        tenant
    }

    /// A task of each sort.
    async fn work(&mut self, api: &Api) {
        for (thing, end) in [
            ("letter", Some(("fail", json!({ "attempt": 1, "reason": "broken", "retryable": false })))),
            ("ended", Some(("complete", json!({ "attempt": 1 })))),
            ("leased", None),
            ("waiting", None),
        ] {
            let new = json!({ "type": "work", "pool": self.of("pool"), "running_timeout_ms": 0 });
            let id = text(&self.post(api, "/api/v1/tasks", &new).await["task_id"]);
            self.marks.insert(thing, id.clone());
            if thing == "waiting" {
                return;
            }
            let claim = json!({ "agent_id": self.of("agent"), "max": 1 });
            let claimed = self.post(api, "/api/v1/tasks/claim", &claim).await;
            assert_eq!(claimed["tasks"][0]["task"]["id"], json!(id));
            if let Some((verb, said)) = end {
                self.post(api, &format!("/api/v1/tasks/{id}/{verb}"), &said).await;
            }
        }
    }

    /// What governs, some of it made by the operator.
    async fn govern(&mut self, api: &Api) {
        let evaluated = async |action: &str| {
            let ask = json!({ "action": action, "agent_id": self.of("agent") });
            self.post(api, "/api/v1/policy/evaluate", &ask).await
        };
        let approval = text(&evaluated("tool.deploy").await["approval_id"]);
        assert_eq!(evaluated("tool.burn").await["decision"], "deny");
        let listed = self.send(api, Method::GET, "/api/v1/policies/violations", None).await.json();
        self.marks.insert("approval", approval);
        self.marks.insert("violation", text(&listed["items"][0]["id"]));
        let workspace = self.of("workspace");
        let limits = json!([{ "measure": "tokens", "most": 1_000_000, "window": "hour" }]);
        let scope = format!("workspace:{workspace}");
        let budget = json!({ "name": self.of("budget"), "scope": scope, "limits": limits });
        assert_eq!(api.post("/api/v1/budgets", &budget).await.status.as_u16(), 201);
        let limit = json!({ "key": "type", "workspace": workspace, "concurrency": 100 });
        let made = api.put(&format!("/api/v1/limits/{}", self.of("limit")), &limit).await;
        assert_eq!(made.status.as_u16(), 201, "{made:#?}");
        let breaker = format!("/api/v1/breakers/pool/{}", self.of("pool"));
        let made = self.send(api, Method::PUT, &breaker, Some(&json!({}))).await;
        assert_eq!(made.status.as_u16(), 200, "{made:#?}");
        let binding = json!({ "role": "viewer", "name": self.of("bound name") });
        self.post(api, "/api/v1/role-bindings", &binding).await;
        self.post(api, "/api/v1/mailboxes/pause", &json!({ "pool": self.of("pool") })).await;
        let hook = HookId::from_raw(self.of("agent").parse::<AgentId>().unwrap().raw() + 1);
        let spec = HookSpec {
            id: hook,
            workspace: Name::new(&workspace).unwrap(),
            agent: self.of("agent").parse().unwrap(),
            // It keeps no hooks, so nobody looks for the repository.
            node: api.node.read(|state| state.nodes().next().map(|node| node.spec.id)).unwrap(),
            repository: "/srv/repository".into(),
            branch: format!("work-{workspace}").into(),
            base: "0".repeat(40).into(),
            kind: Name::new("work").unwrap(),
            work: Payload::default(),
            max_retries: 0,
            stale_after: Duration::from_secs(3600),
        };
        let create = HookCommand::Create { spec: Arc::new(spec) };
        api.node.propose(Command::Hook(create)).await.unwrap();
        self.marks.insert("hook", hook.to_string());
    }
}

fn names(workspace: &'static str) -> [(&'static str, String); 8] {
    [
        ("workspace", workspace.to_owned()),
        ("token name", format!("{workspace}-token")),
        ("bound name", format!("{workspace}-bound")),
        ("pool", format!("{workspace}/pool")),
        ("agent name", format!("{workspace}/agent")),
        ("lone name", format!("{workspace}/lone")),
        ("budget", format!("{workspace}-budget")),
        ("limit", format!("{workspace}-limit")),
    ]
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text and not {value}")).to_owned()
}

/// Serves a node with two tenants: red and blue.
pub(crate) async fn two_tenants() -> (Api, Tenant, Tenant) {
    let api = Api::start().await;
    for (name, action, effect) in [("ask", "tool.deploy", "require_approval"), ("no", "tool.burn", "deny")] {
        let policy = json!({ "name": name, "rules": [{ "action": action, "effect": effect }] });
        let made = api.post("/api/v1/policies", &policy).await;
        assert!(made.status.is_success(), "{made:#?}");
    }
    let red = Tenant::make(&api, RED).await;
    let blue = Tenant::make(&api, BLUE).await;
    (api, red, blue)
}
