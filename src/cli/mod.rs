//! The command line: what a person types, and what comes back.
//!
//! Results go to standard output and nothing else does; progress, logs and errors go to standard
//! error. Exit codes are in [`exit`].

mod config;
mod dev;
mod doctor;
pub mod exit;
mod print;
mod role;
mod run;
mod schema;
mod server;
mod serving;
mod signals;
mod simulate;
mod tls;

mod confirm;
mod filter;
mod output;
mod pages;
mod remote;

mod agent;
mod approval;
mod audit;
mod breaker;
mod budget;
mod cluster;
mod completions;
mod context;
mod dead_letter;
mod event;
mod hook;
mod limit;
mod mailbox;
mod man;
mod node;
mod policy;
mod pool;
mod resource;
mod task;
mod token;
mod top;
mod webhook;
#[cfg(unix)]
mod worker;
mod workspace;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::settings::{ENV_CONFIG, Flags, Loaded, LogFlags};

/// A distributed actor runtime for fleets of agents.
#[derive(Debug, Parser)]
#[command(name = "synod", version, about, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
struct Common {
    /// Settings file (.toml, .yaml or .json); defaults to $SYNOD_CONFIG.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or a filter such as `synod=debug`.
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a fleet file to its end; the same command continues an interrupted run.
    Run(run::RunArgs),
    /// Serve a node over HTTP.
    Server(server::ServerArgs),
    /// Serve a node for trying things; its data goes away with it.
    Dev(dev::DevArgs),
    /// Make certificates.
    Tls(tls::TlsArgs),
    /// Submit tasks, look at them, wait for them, change them.
    Task(task::TaskArgs),
    /// Look at agents, register and remove them.
    Agent(agent::AgentArgs),
    /// Look at pools, create and scale them.
    Pool(Box<pool::PoolArgs>),
    /// Make budgets, see how they stand and what was used.
    Budget(budget::BudgetArgs),
    /// Look at tasks that failed for good, try them again or forget them.
    DeadLetter(dead_letter::DeadLetterArgs),
    /// Look at what waits where, pause and resume it.
    Mailbox(mailbox::MailboxArgs),
    /// Limit how many tasks of a key run at once or begin in a while; see what each key uses.
    Limit(limit::LimitArgs),
    /// Look at circuit breakers, set, reset and trip them.
    Breaker(breaker::BreakerArgs),
    /// Pin work to agents and keep it in git.
    Hook(hook::HookArgs),
    /// Say of what there is so much, such as GPUs or licences; see who has it and who is next.
    Resource(resource::ResourceArgs),
    /// Be a remote worker: claim tasks and run a command for each.
    #[cfg(unix)]
    Worker(worker::WorkerArgs),
    /// Follow events.
    Event(event::EventArgs),
    /// Watch what goes on: mailboxes, agents, throughput, events.
    Top(top::TopArgs),
    /// Make, rotate and revoke tokens.
    Token(token::TokenArgs),
    /// Look at workspaces; change their weights and quotas.
    Workspace(workspace::WorkspaceArgs),
    /// Make roles, bind them, and give pools and agents to workspaces.
    Role(role::RoleArgs),
    /// Look at who changed what, and check that nobody changed that.
    Audit(audit::AuditArgs),
    /// Say what may be done, look at what was denied.
    Policy(policy::PolicyArgs),
    /// Say yes or no to what waits for it.
    Approval(approval::ApprovalArgs),
    /// Have what happens told to an address, signed; see what was not taken.
    Webhook(webhook::WebhookArgs),
    /// Look at nodes, figures and health; drain nodes.
    Node(node::NodeArgs),
    /// Form a cluster, look at it, let nodes in and out, back it up.
    Cluster(cluster::ClusterArgs),
    /// Keep the nodes that you work with by name.
    Context(context::ContextArgs),
    /// Run real nodes in a simulated world that tries to break them.
    Simulate(simulate::SimulateArgs),
    /// Look at the machine: disk, data folder, limits.
    Doctor(doctor::DoctorArgs),
    /// Show the settings in force.
    Config(config::ConfigArgs),
    /// Print the JSON Schema of a file format.
    Schema(schema::SchemaArgs),
    /// Print what a shell needs to complete commands.
    Completions(completions::CompletionsArgs),
    /// Write man pages.
    Man(man::ManArgs),
    /// Print the version.
    Version,
}

impl Common {
    fn load(&self, data: Option<PathBuf>) -> Result<Loaded, crate::settings::Error> {
        self.load_with(Flags { data, ..Flags::default() })
    }

    fn load_with(&self, flags: Flags) -> Result<Loaded, crate::settings::Error> {
        let file = self.config.clone().or_else(|| std::env::var_os(ENV_CONFIG).map(PathBuf::from));
        let log = self.log.clone().map(|level| LogFlags { level });
        Loaded::read(file.as_deref(), &Flags { log, ..flags })
    }
}

/// Runs what the arguments say and returns the exit code.
pub fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes.
            let code = if error.use_stderr() { exit::USAGE } else { exit::OK };
            let _ = error.print();
            return code.into();
        }
    };
    let code = match cli.command {
        Command::Run(args) => run::main(&cli.common, args),
        Command::Server(args) => server::main(&cli.common, args),
        Command::Dev(args) => dev::main(&cli.common, args),
        Command::Tls(args) => tls::main(&args),
        Command::Task(args) => task::main(&cli.common, &args),
        Command::Agent(args) => agent::main(&cli.common, &args),
        Command::Pool(args) => pool::main(&cli.common, &args),
        Command::Budget(args) => budget::main(&cli.common, &args),
        Command::DeadLetter(args) => dead_letter::main(&cli.common, &args),
        Command::Mailbox(args) => mailbox::main(&cli.common, &args),
        Command::Limit(args) => limit::main(&cli.common, &args),
        Command::Breaker(args) => breaker::main(&cli.common, &args),
        Command::Hook(args) => hook::main(&cli.common, &args),
        Command::Resource(args) => resource::main(&cli.common, &args),
        #[cfg(unix)]
        Command::Worker(args) => worker::main(&cli.common, &args),
        Command::Event(args) => event::main(&cli.common, &args),
        Command::Top(args) => top::main(&cli.common, &args),
        Command::Token(args) => token::main(&cli.common, &args),
        Command::Workspace(args) => workspace::main(&cli.common, &args),
        Command::Role(args) => role::main(&cli.common, &args),
        Command::Audit(args) => audit::main(&cli.common, &args),
        Command::Policy(args) => policy::main(&cli.common, &args),
        Command::Approval(args) => approval::main(&cli.common, &args),
        Command::Webhook(args) => webhook::main(&cli.common, &args),
        Command::Node(args) => node::main(&cli.common, &args),
        Command::Cluster(args) => cluster::main(&cli.common, &args),
        Command::Context(args) => context::main(&args),
        Command::Simulate(args) => simulate::main(&args),
        Command::Doctor(args) => doctor::main(&cli.common, &args),
        Command::Config(args) => config::main(&cli.common, &args),
        Command::Schema(args) => schema::main(&args),
        Command::Completions(args) => completions::main(&args),
        Command::Man(args) => man::main(&args),
        Command::Version => print::result(&concat!("synod ", env!("CARGO_PKG_VERSION")), exit::OK),
    };
    code.into()
}
