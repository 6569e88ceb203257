//! How commands reach a node: its address and token, from flags, environment and contexts.
//!
//! Flags go before the environment, the environment before the context, the context before the default. A
//! context's token is for that context's address only: another address from a flag or the environment does not
//! get it.

pub(super) mod contexts;
mod failure;

pub(super) use failure::Failure;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use self::contexts::{Context, Contexts};
use super::output::{Output, OutputArgs};
use super::{Common, print};
use crate::client::{Client, Token};
use crate::settings::LogSettings;
use crate::telemetry;

/// Where a node listens unless something else is said.
const URL_DEFAULT: &str = "http://127.0.0.1:7400";

/// The variables that say where the node is and who asks.
const ENV_URL: &str = "SYNOD_URL";
const ENV_SERVER: &str = "SYNOD_SERVER";
const ENV_TOKEN: &str = "SYNOD_TOKEN";
const ENV_TOKEN_FILE: &str = "SYNOD_TOKEN_FILE";
const ENV_CA: &str = "SYNOD_CA";
const ENV_CONTEXT: &str = "SYNOD_CONTEXT";

/// Which node, and who asks.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RemoteArgs {
    /// The node's address, or those of several nodes of one cluster with commas between them [env: SYNOD_URL or
    /// SYNOD_SERVER; default: http://127.0.0.1:7400].
    #[arg(long, visible_alias = "server", global = true, value_name = "URL,...", help_heading = "Node")]
    url: Option<String>,
    /// The token; other users of this machine may see it, so prefer a file or SYNOD_TOKEN.
    #[arg(long, global = true, value_name = "TOKEN", help_heading = "Node", conflicts_with = "token_file")]
    token: Option<String>,
    /// The file that holds the token [env: SYNOD_TOKEN_FILE].
    #[arg(long, global = true, value_name = "FILE", help_heading = "Node")]
    token_file: Option<PathBuf>,
    /// A PEM file of certificates to believe, beside those of the system [env: SYNOD_CA].
    #[arg(long, global = true, value_name = "FILE", help_heading = "Node")]
    ca: Option<PathBuf>,
    /// Which context to use, see `synod context` [env: SYNOD_CONTEXT].
    #[arg(long, global = true, value_name = "NAME", help_heading = "Node")]
    context: Option<String>,
}

impl RemoteArgs {
    /// Names nodes by their addresses, and where the rest stands if not in the environment.
    pub(super) fn at(url: &str, token_file: Option<PathBuf>, ca: Option<PathBuf>) -> Self {
        Self { url: Some(url.to_owned()), token_file, ca, ..Self::default() }
    }
}

/// What every command over the client understands.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ClientArgs {
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Read what the node that is asked has, also while nobody leads, and say how old that may be; refused by what
    /// changes something.
    #[arg(long, global = true, help_heading = "Node")]
    stale: bool,
}

/// A client, and how its answers are shown.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) output: Output,
}

/// Runs a command over the client and returns its exit code.
pub(super) fn run(
    common: &Common,
    args: &ClientArgs,
    work: impl AsyncFnOnce(Session) -> Result<u8, Failure>,
) -> u8 {
    let output = Output::new(&args.output);
    let done = start_log(common, "warn").and_then(|()| {
        let client = connect(&args.remote)?;
        let client = if args.stale { client.stale() } else { client };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Usage(format!("nothing can be run here: {error}")))?;
        let done = runtime.block_on(work(Session { client: client.clone(), output: output.clone() }));
        if let Some(age) = client.age() {
            print::note(&format!("note: {}", how_old(age)));
        }
        done
    });
    done.unwrap_or_else(|failure| failure.tell(&output))
}

/// Says how old what was read may be.
fn how_old(age: Duration) -> String {
    match age {
        Duration::ZERO => "as of now: the node that answered leads".to_owned(),
        Duration::MAX => {
            "of an age that the node cannot tell: it has heard no leader since it started".to_owned()
        }
        age => format!("up to {} ms old", age.as_millis()),
    }
}

/// Starts logging to standard error, at `level` unless the command line says otherwise.
pub(super) fn start_log(common: &Common, level: &str) -> Result<(), Failure> {
    let level = common.log.clone().unwrap_or_else(|| level.to_owned());
    telemetry::start(&LogSettings { level, ..LogSettings::default() }).map_err(Failure::Usage)
}

/// Makes the client that flags, environment and contexts describe.
pub(super) fn connect(args: &RemoteArgs) -> Result<Client, Failure> {
    let wanted = args.context.clone().or_else(|| variable(ENV_CONTEXT));
    let contexts = Contexts::read()?;
    let context = contexts.find(wanted.as_deref())?;
    let target = Target::choose(args, variable, context)?;
    let token = target.token()?;
    let pem = target.ca.as_deref().map(read_certificates).transpose()?;
    let client = Client::trusting(&target.url, token, pem.as_deref())?;
    if client.is_exposed() {
        print::note(&format!("note: the token travels unencrypted to {}", client.url()));
    }
    Ok(client)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What was chosen, with the files not read yet.
#[derive(Debug, PartialEq)]
struct Target {
    url: String,
    source: Option<TokenSource>,
    ca: Option<PathBuf>,
}

/// Where the token stands.
#[derive(PartialEq)]
enum TokenSource {
    Text(String),
    File(PathBuf),
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

impl Target {
    fn choose(
        args: &RemoteArgs,
        variable: impl Fn(&str) -> Option<String>,
        context: Option<&Context>,
    ) -> Result<Self, Failure> {
        let said = args.url.clone().or_else(|| variable(ENV_URL)).or_else(|| variable(ENV_SERVER));
        // Elsewhere than the context says, its secrets are not for.
        let context = context.filter(|context| said.as_ref().is_none_or(|url| *url == context.url));
        let source = args
            .token
            .clone()
            .map(TokenSource::Text)
            .or_else(|| args.token_file.clone().map(TokenSource::File))
            .or_else(|| variable(ENV_TOKEN).map(TokenSource::Text))
            .or_else(|| variable(ENV_TOKEN_FILE).map(|path| TokenSource::File(path.into())))
            .or_else(|| context?.token.clone().map(TokenSource::Text))
            .or_else(|| context?.token_file.clone().map(TokenSource::File));
        let ca =
            args.ca.clone().or_else(|| variable(ENV_CA).map(PathBuf::from)).or_else(|| context?.ca.clone());
        let url = said.or_else(|| Some(context?.url.clone())).unwrap_or_else(|| URL_DEFAULT.to_owned());
        Ok(Self { url, source, ca })
    }

    fn token(&self) -> Result<Token, Failure> {
        match &self.source {
            Some(TokenSource::Text(text)) => Ok(Token::from(text.trim())),
            Some(TokenSource::File(path)) => read_token(path),
            None => Err(Failure::NoToken(self.url.clone())),
        }
    }
}

fn read_token(path: &Path) -> Result<Token, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::Usage(format!("the token's file {} cannot be read: {error}", path.display()))
    })?;
    let token = text.trim();
    if token.is_empty() {
        return Err(Failure::Usage(format!("the token's file {} is empty", path.display())));
    }
    Ok(Token::from(token))
}

fn read_certificates(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::Usage(format!("the certificates {} cannot be read: {error}", path.display()))
    })
}

/// Says what a missing token means and where to get one.
pub(super) fn where_tokens_come_from(url: &str) -> String {
    format!(
        "there is no token for {url}; give one with --token-file, SYNOD_TOKEN_FILE, SYNOD_TOKEN or a context \
         (`synod context set`). The first one stands in the file `admin-token` of the node's data folder; \
         `synod token create` makes others"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context {
            url: "https://prod:7400".to_owned(),
            token: Some("of the context".to_owned()),
            token_file: None,
            ca: Some("ca.pem".into()),
        }
    }

    fn choose(args: &RemoteArgs, variables: &[(&str, &str)], context: Option<&Context>) -> Target {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Target::choose(args, variable, context).expect("a target")
    }

    fn text(text: &str) -> Option<TokenSource> {
        Some(TokenSource::Text(text.to_owned()))
    }

    #[test]
    fn flags_go_before_the_environment_and_the_environment_before_the_context() {
        let context = context();
        let flags = RemoteArgs {
            url: Some("http://flag".to_owned()),
            token: Some("of the flag".to_owned()),
            ..RemoteArgs::default()
        };
        let variables = [(ENV_URL, "http://env"), (ENV_TOKEN, "of the env")];
        let none = RemoteArgs::default();
        let all = choose(&flags, &variables, Some(&context));
        assert_eq!((all.url.as_str(), all.source), ("http://flag", text("of the flag")));
        let env = choose(&none, &variables, Some(&context));
        assert_eq!((env.url.as_str(), env.source), ("http://env", text("of the env")));
        let from_context = choose(&none, &[], Some(&context));
        assert_eq!(
            (from_context.url.as_str(), from_context.source),
            ("https://prod:7400", text("of the context"))
        );
        assert_eq!(from_context.ca, Some("ca.pem".into()));
        let bare = choose(&none, &[], None);
        assert_eq!((bare.url.as_str(), bare.source), (URL_DEFAULT, None));
    }

    #[test]
    fn a_contexts_token_is_not_given_to_another_address() {
        let context = context();
        let elsewhere = choose(&RemoteArgs::default(), &[(ENV_URL, "http://evil")], Some(&context));
        assert_eq!((elsewhere.source, elsewhere.ca), (None, None));
        let same = choose(&RemoteArgs::default(), &[(ENV_URL, "https://prod:7400")], Some(&context));
        assert_eq!(same.source, text("of the context"));
    }

    #[test]
    fn a_missing_token_says_where_to_get_one() {
        let error = choose(&RemoteArgs::default(), &[], None).token().expect_err("none");
        let said = error.to_string();
        for words in ["SYNOD_TOKEN", "admin-token", "synod token create"] {
            assert!(said.contains(words), "{said}");
        }
    }
}
