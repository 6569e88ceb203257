//! Settings of a node as a member of a cluster: where others reach it, and what it says of itself.
//!
//! Who it is stands in its data folder and in no setting. Without that, and without a cluster to join, nothing of
//! the cluster listens; what is set about it then is refused, because somebody meant something by it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use synod_domain::name::Name;
use synod_domain::node::{CAPACITY_DEFAULT, NodeRole};

use crate::node::{Cluster, Join};
use crate::settings::{Error, Loaded};

/// The variable that holds the text of a join token.
pub const ENV_JOIN_TOKEN: &str = "SYNOD_JOIN_TOKEN";

/// Where a member listens for other nodes unless set: on loopback, beside the API's port.
const LISTEN_DEFAULT: &str = "127.0.0.1:7500";

/// The folder below the data folder that says which node of which cluster this is.
const IDENTITY: &str = "cluster";

/// The file in it that is written last, when the node has been let in.
const IDENTITY_FILE: &str = "identity";

/// A node as a member of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSettings {
    /// Where it listens for other nodes, as `host:port`; `127.0.0.1:7500` unless set. TCP and UDP.
    pub listen: Option<String>,
    /// Where other nodes reach it, if that is not where it listens.
    pub advertise: Option<String>,
    /// Where it listens for other regions, as `host:port`; the next free port after that of `listen` unless set. UDP.
    pub wan_listen: Option<String>,
    /// What people call it; unique in its region.
    pub name: Option<String>,
    /// Where it is.
    pub region: String,
    /// What people and placement filter by.
    pub labels: BTreeMap<String, String>,
    /// How many agents it hosts at most. More than the machine bears makes all of them slow.
    pub capacity: u32,
    /// `voter` or `worker`, when it joins.
    pub role: NodeRole,
    /// A member's address, for the first start of a node that shall join.
    pub join: Option<String>,
    /// The file that holds the text of the join token.
    pub token_file: Option<PathBuf>,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            listen: None,
            advertise: None,
            wan_listen: None,
            name: None,
            region: Name::default().to_string(),
            labels: BTreeMap::new(),
            capacity: CAPACITY_DEFAULT,
            role: NodeRole::default(),
            join: None,
            token_file: None,
        }
    }
}

/// What the command line sets about the cluster.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ClusterFlags {
    /// `--cluster-listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// `--advertise`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// `--wan-listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wan_listen: Option<String>,
    /// `--node-name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `--region`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// `--label`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `--capacity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// `--role`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<NodeRole>,
    /// `--join`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// `--token-file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

/// Tells whether a data folder is that of a node of a cluster. One that has asked to be let in and was not answered
/// yet is none: it asks again.
pub fn is_member(data: &Path) -> bool {
    data.join(IDENTITY).join(IDENTITY_FILE).is_file()
}

impl Loaded {
    /// Returns how a node with this data folder takes part in a cluster; `None` for one that stands alone. `api` is
    /// where its API listens, `token` the text of a join token that the command line or the environment gave.
    ///
    /// # Errors
    /// When something is set that only a member has, a name is none, or what joining takes is missing.
    pub fn cluster(
        &self,
        data: &Path,
        api: SocketAddr,
        token: Option<&SecretString>,
    ) -> Result<Option<Cluster>, Error> {
        let set = &self.settings.cluster;
        let member = is_member(data);
        let join = match (&set.join, member) {
            (Some(address), false) => Some(Join {
                address: checked_address("cluster.join", address)?,
                token: self.join_token(token)?,
                role: set.role,
            }),
            // A member joins no more; the flags of its first start may stay on its command line.
            (_, true) => None,
            (None, false) => {
                let meant = [
                    ("cluster.listen", set.listen.is_some()),
                    ("cluster.advertise", set.advertise.is_some()),
                    ("cluster.wan_listen", set.wan_listen.is_some()),
                    ("cluster.token_file", set.token_file.is_some()),
                    ("--token", token.is_some()),
                ];
                return match meant.into_iter().find(|(_, is_set)| *is_set) {
                    None => Ok(None),
                    Some((key, _)) => Err(Error::Invalid(format!(
                        "{key}: {} belongs to no cluster, and nothing listens for other nodes without an identity; \
                         make it the first node with `synod cluster init --data {0}`, or join one with \
                         --join HOST:PORT --token-file FILE",
                        data.display()
                    ))),
                };
            }
        };
        let listen = checked_address("cluster.listen", set.listen.as_deref().unwrap_or(LISTEN_DEFAULT))?;
        let advertise =
            set.advertise.as_deref().map(|text| checked_address("cluster.advertise", text)).transpose()?;
        if advertise.is_none() && host_of(&listen).is_some_and(|host| host.is_unspecified()) {
            return Err(Error::Invalid(format!(
                "cluster.advertise: {listen} is every address of this machine; say at which of them other nodes \
                 reach it, with --advertise HOST:PORT"
            )));
        }
        let wan_listen =
            set.wan_listen.as_deref().map(|text| checked_address("cluster.wan_listen", text)).transpose()?;
        let named = |key: &str, text: &str| {
            Name::new(text).map_err(|error| Error::Invalid(format!("{key}: {error}")))
        };
        let mut labels = BTreeMap::new();
        for (label, value) in &set.labels {
            labels.insert(named("cluster.labels", label)?, value.as_str().into());
        }
        Ok(Some(Cluster {
            api: api_address(api, advertise.as_deref().unwrap_or(&listen)),
            listen,
            advertise,
            wan_listen,
            name: set.name.as_deref().map(|text| named("cluster.name", text)).transpose()?,
            region: named("cluster.region", &set.region)?,
            labels,
            capacity: set.capacity,
            join,
        }))
    }

    fn join_token(&self, token: Option<&SecretString>) -> Result<String, Error> {
        if let Some(token) = token {
            return Ok(token.expose_secret().trim().to_owned());
        }
        let Some(path) = &self.settings.cluster.token_file else {
            return Err(Error::Invalid(format!(
                "cluster.join: joining takes a token: make one on a member with `synod cluster token create`, and \
                 give it with --token-file FILE or {ENV_JOIN_TOKEN}"
            )));
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::Invalid(format!("cluster.token_file: {} cannot be read: {error}", path.display()))
        })?;
        Ok(text.trim().to_owned())
    }
}

/// Holds that a text is `host:port`.
fn checked_address(key: &str, text: &str) -> Result<String, Error> {
    let fits = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok() && !text.contains(['/', ' '])
    });
    match fits {
        true => Ok(text.to_owned()),
        false => Err(Error::Invalid(format!("{key}: {text:?} is not HOST:PORT"))),
    }
}

fn host_of(address: &str) -> Option<std::net::IpAddr> {
    address.parse::<SocketAddr>().ok().map(|address| address.ip())
}

/// Where others reach the API: where it listens, or when that is every address, at the host where nodes reach it.
fn api_address(api: SocketAddr, advertised: &str) -> String {
    if !api.ip().is_unspecified() {
        return api.to_string();
    }
    let host = advertised.rsplit_once(':').map_or(advertised, |(host, _)| host);
    format!("{host}:{}", api.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Flags;

    fn loaded(flags: ClusterFlags) -> Loaded {
        Loaded::read(None, &Flags { cluster: Some(flags), ..Flags::default() }).expect("settings")
    }

    fn api() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 7400))
    }

    #[test]
    fn a_node_without_identity_stands_alone_and_says_what_to_do_when_more_is_meant() {
        let folder = tempfile::tempdir().expect("a folder");
        let alone = loaded(ClusterFlags::default());
        assert!(alone.cluster(folder.path(), api(), None).expect("alone").is_none());
        let meant =
            loaded(ClusterFlags { listen: Some("0.0.0.0:7500".to_owned()), ..ClusterFlags::default() });
        let said = meant.cluster(folder.path(), api(), None).expect_err("no identity").to_string();
        assert!(said.contains("synod cluster init") && said.contains("--join"), "{said}");
        let joining = loaded(ClusterFlags { join: Some("a:7500".to_owned()), ..ClusterFlags::default() });
        let said = joining.cluster(folder.path(), api(), None).expect_err("no token").to_string();
        assert!(said.contains("synod cluster token create") && said.contains(ENV_JOIN_TOKEN), "{said}");
    }

    #[test]
    fn a_token_comes_from_a_file_or_the_environment_and_is_not_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, "geheim\n").expect("a file");
        let flags = ClusterFlags {
            join: Some("a:7500".to_owned()),
            token_file: Some(file),
            role: Some(NodeRole::Worker),
            ..ClusterFlags::default()
        };
        let cluster = loaded(flags).cluster(folder.path(), api(), None).expect("one").expect("a cluster");
        assert!(!format!("{cluster:?}").contains("geheim"));
        let join = cluster.join.expect("it joins");
        assert_eq!((join.token.as_str(), join.role), ("geheim", NodeRole::Worker));
    }

    #[test]
    fn a_node_whose_asking_was_not_answered_asks_again() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(IDENTITY)).expect("a folder");
        std::fs::write(folder.path().join(IDENTITY).join("joining"), []).expect("a file");
        let joining = loaded(ClusterFlags { join: Some("a:7500".to_owned()), ..ClusterFlags::default() });
        let token = SecretString::from("geheim".to_owned());
        let cluster = joining.cluster(folder.path(), api(), Some(&token)).expect("one").expect("a cluster");
        assert!(cluster.join.is_some());
    }

    #[test]
    fn a_member_has_an_address_that_others_can_use() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(IDENTITY)).expect("a folder");
        std::fs::write(folder.path().join(IDENTITY).join(IDENTITY_FILE), []).expect("a file");
        let of = |listen: &str, advertise: Option<&str>| {
            let flags = ClusterFlags {
                listen: Some(listen.to_owned()),
                advertise: advertise.map(str::to_owned),
                ..ClusterFlags::default()
            };
            loaded(flags).cluster(folder.path(), SocketAddr::from(([0, 0, 0, 0], 7400)), None)
        };
        let said = of("0.0.0.0:7500", None).expect_err("no address").to_string();
        assert!(said.contains("--advertise"), "{said}");
        let cluster = of("0.0.0.0:7500", Some("b.example:7500")).expect("one").expect("a cluster");
        assert_eq!((cluster.api.as_str(), cluster.join.is_none()), ("b.example:7400", true));
        for wrong in ["7500", ":7500", "a:b", "http://a:1", ""] {
            assert!(of(wrong, None).is_err(), "{wrong}");
        }
    }
}
