//! Puts a node together: storage, agreement, what is open towards others, actors.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;
use synod_actors::events::EventHub;
use synod_actors::farewell::Farewell;
use synod_actors::ids::Ids;
use synod_actors::ports::{Alone, Neighbours, NoRegions, Receivers, Regions, Relay};
use synod_actors::runtimes::process::{ProcessNode, ProcessSettings};
use synod_actors::system::{System, World};
use synod_cluster::consensus::{self, Consensus, Formation, Options, Timing};
use synod_cluster::courier::{self, Courier as Post};
use synod_cluster::lasting::Lasting;
use synod_cluster::records::live_prefixes;
use synod_cluster::transport::Network;
use synod_cluster::transport::tcp::Tcp;
use synod_domain::audit::Actor;
use synod_domain::command::Command;
use synod_domain::id::NodeId;
use synod_domain::node::NodeSpec;
use synod_storage::{Repair, Storage, Verify};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::SeededEntropy;
use crate::courier::Courier;
use crate::hooks::Worktrees;
use crate::hooks::keeper::{Keeper, Troubles};
use crate::node::builder::Builder;
use crate::node::drive::{Drive, Readiness};
use crate::node::elsewhere::{Elsewhere, Handed, Nowhere};
use crate::node::feed::Feed;
use crate::node::home::{Home, next_generation, node_id, open};
use crate::node::hooks::Keeping;
use crate::node::member::{Belonging, Doors, Member, Rumours, Surroundings, ToLeader, belonging};
use crate::node::wiring::{HubSink, NodeRuntimes, ProgramLogs, RaftJournal, StoredBlobs};
use crate::node::{Error, Ground, Node, Running};
use crate::webhooks::Sender;

/// The number of the node that founds a group, alone or not.
const FOUNDER: u64 = 1;

/// How long a start waits until a node leads that stands alone. It does within milliseconds; longer than
/// this, its disk hangs.
const LEAD_PATIENCE: Duration = Duration::from_secs(60);

/// Where the worktrees of hooks are, below the data folder.
const HOOKS_FOLDER: &str = "hooks";

/// How long a program may take to end that was told to, unless set.
const KILL_GRACE_DEFAULT: Duration = Duration::from_secs(5);

/// Storage and agreement, and what was told on the way.
struct Foundation {
    consensus: Arc<Consensus>,
    blobs: Arc<dyn synod_storage::Blobs>,
    repaired: Option<Repair>,
    hub: EventHub,
    feed: Feed,
    generation: u64,
    folder: Option<PathBuf>,
    node: NodeId,
    doors: Option<Doors>,
}

/// Starts what of the described node needs nobody else.
pub(super) async fn begin(mut builder: Builder) -> Result<Node, Error> {
    if builder.entropy.is_none() {
        builder.entropy = Some(Arc::new(SeededEntropy::from_system().map_err(Error::Start)?));
    }
    let foundation = lay(&mut builder).await?;
    let processes = match &foundation.folder {
        Some(folder) => {
            let mut settings = ProcessSettings::new(folder.join("logs"), foundation.node.to_string());
            if let Some(grace) = builder.kill_grace {
                settings.grace = grace;
            }
            let started = ProcessNode::start(settings).await;
            Some(started.map_err(|error| Error::Start(format!("programs cannot be run: {error}")))?)
        }
        None => None,
    };
    put_together(builder, foundation, processes).await
}

/// Opens the home and takes part in agreement.
async fn lay(builder: &mut Builder) -> Result<Foundation, Error> {
    let entropy = entropy_of(builder)?;
    let home = std::mem::replace(&mut builder.home, Home::Nowhere);
    // The start reads every row of the state once, when it loads it; a second reading only to check them
    // would double its time.
    let (mut storage, mut repaired, folder) = open(&home, Verify::Prefixes(Vec::new()))?;
    // Who else holds the parts of a storage that was given keeps them.
    let home = folder.clone().map(Home::Folder);
    let network = builder.network.take().unwrap_or_else(|| Arc::new(Tcp) as Arc<dyn Network>);
    let cluster = builder.cluster.take().unwrap_or_default();
    let belonging = match (&folder, builder.closed.take()) {
        (Some(data), _) => belonging(data, &storage, &cluster, &network, &builder.clock, &*entropy).await?,
        (None, Some(identity)) => Some(Belonging::closed(identity, &storage)?),
        (None, None) => None,
    };
    let (node, number) = match &belonging {
        Some(belonging) => belonging.who(),
        None => (node_id(&storage, &*builder.clock, &*entropy).await?, FOUNDER),
    };
    let generation = next_generation(&storage).await?;
    let doors = match belonging {
        Some(belonging) => Some(Doors::open(belonging, &cluster, network, generation).await?),
        None => None,
    };
    let (hub, feed) = (EventHub::default(), Feed::default());
    let state = Arc::new(OnceLock::new());
    let options = |storage: &Storage| Options {
        number,
        me: node,
        storage: storage.clone(),
        clock: builder.clock.clone(),
        entropy: entropy.clone(),
        events: Arc::new(HubSink { hub: hub.clone(), feed: feed.clone(), state: state.clone() }),
        timing: Timing::default(),
        policy: builder.policy.clone(),
        inline: builder.inline,
        formation: match number {
            FOUNDER => Formation::Found(BTreeMap::from([(FOUNDER, node)])),
            _ => Formation::Join,
        },
        links: doors.as_ref().map(|doors| doors.links.clone()),
    };
    let consensus = match (Consensus::start(options(&storage)).await, home) {
        (Err(consensus::Error::Machine(error)), Some(home)) => {
            tracing::warn!(%error, "the state does not load; it is checked and rebuilt");
            // The folder is free again when nobody has its parts any more.
            drop(storage);
            (storage, repaired, _) = open(&home, Verify::Prefixes(live_prefixes()))?;
            Consensus::start(options(&storage)).await?
        }
        (started, _) => started?,
    };
    let blobs = storage.blobs.clone();
    let consensus = Arc::new(consensus);
    state.get_or_init(|| consensus.state());
    Ok(Foundation { consensus, blobs, repaired, hub, feed, generation, folder, node, doors })
}

fn entropy_of(builder: &Builder) -> Result<Arc<dyn synod_domain::sources::Entropy>, Error> {
    let missing = || Error::Start("there is no chance".to_owned());
    builder.entropy.clone().ok_or_else(missing)
}

/// Puts the actors on it.
async fn put_together(
    builder: Builder,
    foundation: Foundation,
    processes: Option<ProcessNode>,
) -> Result<Node, Error> {
    let entropy = entropy_of(&builder)?;
    let Foundation { consensus, blobs, repaired, hub, feed, generation, folder, node, doors } = foundation;
    let ids = Arc::new(Ids::new(builder.clock.clone(), entropy.clone()));
    let (readiness, ready) = watch::channel(Readiness::Waiting("the node comes up".to_owned()));
    let (member, stored) = match doors {
        Some(doors) => {
            let around = Surroundings {
                consensus: consensus.clone(),
                blobs: blobs.clone(),
                clock: builder.clock.clone(),
                entropy: entropy.clone(),
                ids: ids.clone(),
                logs: Arc::new(ProgramLogs(processes.clone())),
                generation,
                inline: builder.inline,
            };
            let (member, copies) = Member::start(doors, around).await?;
            member.keep_payloads(consensus.clone(), copies.clone(), ready.clone(), hub.subscribe());
            (Some(member), StoredBlobs::member(copies))
        }
        None => (None, StoredBlobs::alone(blobs)),
    };
    let (blobs, state) = (Arc::new(stored), consensus.state());
    let journal = Arc::new(match &member {
        Some(member) => RaftJournal::member(member.forwarder.clone(), state, node),
        None => RaftJournal::alone(consensus.proposer(), state, node),
    });
    let (neighbours, relay): (Arc<dyn Neighbours>, Arc<dyn Relay>) = match &member {
        Some(member) => (
            Arc::new(Rumours(member.gossip.clone())),
            Arc::new(ToLeader { forwarder: member.forwarder.clone(), ear: member.ear() }),
        ),
        None => {
            let alone = Arc::new(Alone::default());
            (alone.clone(), alone)
        }
    };
    let spec = match &member {
        Some(member) => member.spec.clone(),
        None => Arc::new(NodeSpec::alone(node)),
    };
    let post = match &member {
        Some(member) => member.courier(builder.clock.clone()),
        None => Post::new(courier::Options {
            me: node,
            links: None,
            others: Arc::new(()),
            clock: builder.clock.clone(),
        }),
    };
    let courier = Courier::new(post, builder.clock.clone(), entropy.clone());
    let handed = Handed::default();
    let (regions, elsewhere): (Arc<dyn Regions>, Arc<dyn Elsewhere>) = match (builder.regions, &member) {
        (Some(given), _) => given,
        (None, Some(member)) => (member.regions.clone(), member.regions.clone()),
        (None, None) => (Arc::new(NoRegions::new(spec.region.clone())), Arc::new(Nowhere)),
    };
    let sending = builder.webhooks;
    let over_http = sending.clone().map(|settings| Arc::new(Sender::new(settings)) as Arc<dyn Receivers>);
    let world = World {
        node,
        spec,
        generation,
        journal: journal.clone(),
        blobs: blobs.clone(),
        runtimes: Arc::new(NodeRuntimes { processes: processes.clone(), natives: builder.natives.clone() }),
        neighbours,
        relay,
        regions,
        receivers: builder.receivers.or(over_http),
        clock: consensus.clock(),
        entropy,
        ids,
        hub,
        agent_timeout: builder.agent_timeout,
        farewell: Farewell::default(),
    };
    if let Some(member) = &member {
        member.answer_regions(world.clone(), handed.clone());
    }
    let mut system = System::new(world.clone());
    let (told, failed) = watch::channel(None);
    let (desk, liveness, hosted) = (system.desk().clone(), system.liveness().clone(), system.hosted());
    let mut tasks = vec![
        tokio::spawn(pass_on(system.failed(), told.clone(), "")),
        tokio::spawn(pass_on(consensus.fatal(), told.clone(), "the log has failed: ")),
    ];
    let stop = CancellationToken::new();
    let lasting = Lasting::noticing_panics(told.clone());
    let tree = match &member {
        Some(member) => {
            let fatal = member.fatal().into_iter();
            tasks.extend(fatal.map(|fatal| tokio::spawn(pass_on(fatal, told.clone(), ""))));
            member.note_signs_of_life(liveness.clone());
            let tree = Arc::new(Mutex::new(Some(system)));
            let drive = Drive {
                member: member.clone(),
                consensus: consensus.clone(),
                world: world.clone(),
                limits: builder.limits,
                tree: tree.clone(),
                readiness,
                failed: told.clone(),
                stop: stop.clone(),
            };
            // It ends by itself when it has said why it cannot come up.
            tasks.push(lasting.spawn("following the lead", drive.run()));
            tree
        }
        None => {
            let term = wait_to_lead(&consensus).await?;
            if let Some(limits) = builder.limits {
                world.propose(Command::SetLimits { limits }).await??;
            }
            system.begin().await?;
            system.lead(journal.clone(), term).await?;
            readiness.send_replace(Readiness::Ready);
            Arc::new(Mutex::new(Some(system)))
        }
    };
    let hooks = folder.zip(builder.hooks).map(|(folder, settings)| Keeping {
        repositories: Arc::new(Worktrees::new(folder.join(HOOKS_FOLDER), &settings)),
        troubles: Troubles::default(),
        settings,
    });
    if let Some(hooks) = &hooks {
        let keeper = Keeper {
            world: world.clone(),
            history: consensus.history(),
            repositories: hooks.repositories.clone(),
            patrol: hooks.settings.patrol,
            kill_grace: builder.kill_grace.unwrap_or(KILL_GRACE_DEFAULT),
            troubles: hooks.troubles.clone(),
            stop: stop.clone(),
        };
        let ready = ready.clone();
        tasks.push(lasting.spawn("keeping hooks", keep_hooks(keeper, ready)));
    }
    Ok(Node {
        feed,
        desk,
        liveness,
        hosted,
        world,
        processes,
        natives: builder.natives,
        repaired,
        failed,
        ready,
        drain: builder.drain,
        member,
        stop,
        running: Mutex::new(Some(Running { tree, tasks })),
        ground: RwLock::new(Ground::Held { history: consensus.history(), consensus }),
        journal,
        blobs,
        courier,
        elsewhere,
        handed,
        hooks,
        webhook_rules: sending.map(|settings| settings.rules).unwrap_or_default(),
        itself: Arc::new(Actor::local()),
    })
}

/// Returns the term in which it leads.
async fn wait_to_lead(consensus: &Consensus) -> Result<u64, Error> {
    let mut leadership = consensus.leadership();
    let mut fatal = consensus.fatal();
    let waited = tokio::time::timeout(LEAD_PATIENCE, async {
        tokio::select! {
            biased;
            died = fatal.wait_for(Option::is_some) => {
                let reason = died.ok().and_then(|reason| reason.clone());
                Err(Error::Failed(reason.unwrap_or_else(|| "the log stopped".to_owned())))
            }
            led = leadership.wait_for(Option::is_some) => {
                let stopped = || Error::Failed("the log stopped".to_owned());
                led.ok().and_then(|term| *term).ok_or_else(stopped)
            }
        }
    });
    waited.await.unwrap_or_else(|_| {
        Err(Error::Start(format!("the node did not lead its group within {LEAD_PATIENCE:?}")))
    })
}

/// Looks after hooks from when the node takes work.
async fn keep_hooks(keeper: Keeper, mut ready: watch::Receiver<Readiness>) {
    if ready.wait_for(|readiness| *readiness == Readiness::Ready).await.is_ok() {
        keeper.run().await;
    }
}

async fn pass_on(
    mut from: watch::Receiver<Option<String>>,
    to: watch::Sender<Option<String>>,
    prefix: &'static str,
) {
    while let Ok(reason) = from.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
        if let Some(reason) = reason {
            to.send_replace(Some(format!("{prefix}{reason}")));
            return;
        }
    }
}
