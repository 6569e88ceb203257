//! Contexts: nodes that a person works with, by name, in a file of theirs.
//!
//! The file is `synod/contexts.yaml` in the folder for settings of the user (`$XDG_CONFIG_HOME`, or `~/.config`),
//! readable by its owner only, because it may hold tokens. It is replaced whole, never written in place.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Failure;
use crate::cli::print;

/// All contexts of a person.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::cli) struct Contexts {
    /// The one that counts when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) current: Option<String>,
    /// By name.
    pub(in crate::cli) contexts: BTreeMap<String, Context>,
}

/// One node, and who asks there.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::cli) struct Context {
    /// The node's address.
    pub(in crate::cli) url: String,
    /// The token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) token: Option<String>,
    /// Or the file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) token_file: Option<PathBuf>,
    /// Certificates to believe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) ca: Option<PathBuf>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Contexts {
    /// Reads the contexts; no file is no context.
    pub(in crate::cli) fn read() -> Result<Self, Failure> {
        match path() {
            Some(path) => Self::read_from(&path),
            None => Ok(Self::default()),
        }
    }

    fn read_from(path: &Path) -> Result<Self, Failure> {
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::Usage(format!("the contexts in {} cannot be read: {why}", path.display()))
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(wrong(&error)),
        };
        if is_open_to_others(path) {
            print::note(&format!(
                "note: others can read {}, and it may hold tokens; run chmod 600 on it",
                path.display()
            ));
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_saphyr::from_str(&text).map_err(|error| wrong(&error))
    }

    /// Writes them.
    pub(in crate::cli) fn write(&self) -> Result<(), Failure> {
        let Some(path) = path() else {
            let why = "there is no folder for settings: neither XDG_CONFIG_HOME nor HOME is set";
            return Err(Failure::Usage(why.to_owned()));
        };
        self.write_to(&path).map_err(|error| {
            Failure::Usage(format!("the contexts in {} cannot be written: {error}", path.display()))
        })
    }

    fn write_to(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        create_private_folder(folder)?;
        let text = serde_saphyr::to_string(self).map_err(io::Error::other)?;
        let draft = path.with_extension(format!("yaml.{}", std::process::id()));
        let written = create_private_file(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        let replaced = written.and_then(|()| fs::rename(&draft, path));
        if replaced.is_err() {
            // What is half written helps nobody.
            let _ = fs::remove_file(&draft);
        }
        replaced
    }

    /// Finds the context with this name, or the current one if none is named.
    pub(in crate::cli) fn find(&self, name: Option<&str>) -> Result<Option<&Context>, Failure> {
        let Some(name) = name.or(self.current.as_deref()) else { return Ok(None) };
        self.contexts.get(name).map(Some).ok_or_else(|| {
            let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            Failure::Usage(format!("there is no context {name:?} ({known}); `synod context set` makes one"))
        })
    }
}

/// Returns where the contexts are.
pub(in crate::cli) fn path() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(folder.join("synod").join("contexts.yaml"))
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

#[cfg(unix)]
fn create_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn create_private_file(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private_file(path: &Path) -> io::Result<fs::File> {
    fs::File::create(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn some() -> Contexts {
        let context = Context {
            url: "http://a:1".to_owned(),
            token: Some("geheim: yes".to_owned()),
            token_file: None,
            ca: Some("/a/ca.pem".into()),
        };
        Contexts { current: Some("a".to_owned()), contexts: [("a".to_owned(), context)].into() }
    }

    #[test]
    fn contexts_round_trip_through_a_file_that_only_the_owner_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("synod").join("contexts.yaml");
        assert_eq!(Contexts::read_from(&path).expect("none yet"), Contexts::default());
        some().write_to(&path).expect("written");
        some().write_to(&path).expect("written again");
        assert_eq!(Contexts::read_from(&path).expect("read"), some());
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
        assert_eq!(
            fs::read_dir(path.parent().expect("a folder")).expect("a folder").count(),
            1,
            "no draft stays"
        );
    }

    #[test]
    fn a_context_that_is_not_there_is_refused_with_those_that_are() {
        let contexts = some();
        assert_eq!(
            contexts.find(None).expect("the current one").map(|one| one.url.as_str()),
            Some("http://a:1")
        );
        let error = contexts.find(Some("b")).expect_err("none");
        assert!(error.to_string().contains("\"b\" (a)"), "{error}");
        assert_eq!(Contexts::default().find(None).expect("none is fine"), None);
    }

    #[test]
    fn a_field_that_is_not_known_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("contexts.yaml");
        fs::write(&path, "contexts: {a: {url: 'http://a', tokn: x}}\n").expect("written");
        let error = Contexts::read_from(&path).expect_err("refused");
        assert!(error.to_string().contains("tokn"), "{error}");
    }

    #[test]
    fn debug_never_shows_a_token() {
        assert!(!format!("{:?}", some()).contains("geheim"));
    }
}
