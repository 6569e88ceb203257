//! From settings to a server.

use secrecy::ExposeSecret;
use synod_domain::permission::Permissions;

use crate::http::context::{self, StaticToken};
use crate::http::{Rate, server, tls, token_text};
use crate::settings::{ENV_EXTRA_TOKEN, EXTRA_TOKEN_LEN_MIN, Error, Loaded};

/// What clients of the older control plane may do: all that it knew.
const EXTRA_PERMISSIONS: &str = "control_plane:*";

impl Loaded {
    /// Returns how to serve a node with these settings; reads certificate and key.
    ///
    /// # Errors
    /// When they cannot be used, or only one of them is given, or the environment's token is too short.
    pub fn server(&self) -> Result<server::Options, Error> {
        let settings = &self.settings;
        let http = &settings.http;
        let tls = match (&http.tls.cert, &http.tls.key) {
            (Some(cert), Some(key)) => {
                Some(tls::read(cert, key).map_err(|error| Error::Invalid(error.to_string()))?)
            }
            (None, None) => None,
            (Some(_), None) => {
                return Err(Error::Invalid("http.tls.key: a certificate needs its key".to_owned()));
            }
            (None, Some(_)) => {
                return Err(Error::Invalid("http.tls.cert: a key needs its certificate".to_owned()));
            }
        };
        let defaults = context::Options::default();
        Ok(server::Options {
            listen: http.listen,
            tls,
            connections: http.connections,
            drain: settings.stop.drain.0,
            hosts: http.allow_hosts.clone(),
            origins: http.allow_origins.clone(),
            api: context::Options {
                static_tokens: self.static_tokens()?,
                agent_timeout: settings.agents.timeout.0,
                heartbeat_interval: settings.agents.heartbeat_interval.0,
                retries_default: settings.tasks.max_retries_default,
                body_bytes: http.body_bytes,
                timeout: http.timeout.0,
                requests: Rate { per_second: http.requests_per_second, burst: http.burst },
                streams_per_token: http.streams_per_token,
                ..defaults
            },
            ..server::Options::default()
        })
    }

    fn static_tokens(&self) -> Result<Vec<StaticToken>, Error> {
        let Some(text) = &self.extra_token else { return Ok(Vec::new()) };
        let text = text.expose_secret();
        if text.len() < EXTRA_TOKEN_LEN_MIN {
            return Err(Error::Invalid(format!(
                "{ENV_EXTRA_TOKEN}: it is shorter than {EXTRA_TOKEN_LEN_MIN} characters and could be guessed; use a \
                 longer one, or none and `synod token create`"
            )));
        }
        let permissions: Permissions = EXTRA_PERMISSIONS
            .parse()
            .map_err(|error| Error::Invalid(format!("{EXTRA_PERMISSIONS}: {error}")))?;
        Ok(vec![StaticToken { name: ENV_EXTRA_TOKEN, hash: token_text::hash(text), permissions }])
    }
}
