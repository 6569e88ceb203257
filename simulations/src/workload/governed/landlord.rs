//! The landlord: a workspace whose quota is changed live, over more work than it lets through and a pool that would grow
//! past it.
//!
//! The workspace is called by the most tasks that it may ever have in hand, and its pool by the most agents.

use synod::node::domain::access::{AccessCommand, Owned};
use synod::node::domain::command::Command;
use synod::node::domain::quota::Quota;
use synod::node::{Error, Pool};

use crate::history::Change;
use crate::workload::NATIVE;
use crate::workload::governed::{Errand, GOVERNED, Office, Wanted, named};

/// What it is called, and its workspace.
pub(super) const NAME: &str = "tenant-3";

/// The pool that was let to it.
const LET: &str = "let-2";

/// How many agents the pool would have if it might, and how many tasks each may hold.
const WOULD: u32 = 6;
const SLOTS: u32 = 1;

/// Governs until the world settles, then has no quota any more.
pub(super) async fn run(mut office: Office) {
    while office.is_busy() && !is_let(&office) {
        // What has no answer is asked again.
        let _ = put_pool(&office).await;
        put_quota(&office, Some(3), Some(2)).await;
        let (owned, workspace) = (Owned::Pool(named(LET)), Some(named(NAME)));
        let command = Command::Access(AccessCommand::SetOwner { owned, workspace });
        office.govern(Change::SetOwner { pool: named(LET) }, command).await;
        office.pause(20, 300).await;
    }
    while office.is_busy() {
        match office.stream.between(0, 99) {
            0..50 => submit(&mut office, GOVERNED).await,
            50..75 => submit(&mut office, LET).await,
            75..92 => {
                let (at_once, agents) = (office.stream.between(0, 3), office.stream.between(1, 2));
                put_quota(&office, Some(at_once), Some(agents)).await;
            }
            _ => {
                let target = u32::try_from(office.stream.between(0, 4)).unwrap_or(0);
                let command = Command::ScalePool { pool: named(LET), target };
                office.govern(Change::ScalePool { pool: named(LET), target }, command).await;
            }
        }
        office.pause(0, 200).await;
    }
    while office.looks_again().await {
        if office.node.read(|state| state.quota(&named(NAME)).is_some()) {
            put_quota(&office, None, None).await;
        }
    }
}

/// Tells whether the pool is the workspace's, and both have their bounds.
fn is_let(office: &Office) -> bool {
    let (name, pool) = (named(NAME), named(LET));
    office.node.read(|state| {
        state.quota(&name).is_some() && state.pool(&pool).is_some() && state.workspace_of_pool(&pool) == name
    })
}

async fn put_pool(office: &Office) -> Result<(), Error> {
    let pool = Pool::native(LET, NATIVE)?.between(0, WOULD).concurrency(SLOTS);
    office.node.put_pool(pool).await.map(drop)
}

async fn put_quota(office: &Office, concurrency: Option<u64>, agents: Option<u64>) {
    let workspace = named(NAME);
    let quota = Quota { concurrency, agents, ..Quota::default() };
    let change = Change::PutQuota { workspace: workspace.clone(), quota: quota.clone() };
    office.govern(change, Command::Access(AccessCommand::PutQuota { workspace, quota })).await;
}

async fn submit(office: &mut Office, pool: &str) {
    let errand = Errand::of(&mut office.stream, (100, 1_200), Vec::new());
    office.submit_to(pool, Wanted::of("rented", errand)).await;
}
