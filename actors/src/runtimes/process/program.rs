//! Finds the program that a pool names, and says precisely why there is none.
//!
//! The same look serves `prepare`, before any task, and each attempt. It follows the rules of `execvp` with the
//! *program's* `PATH` and folder, not the node's.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use synod_domain::agent::ProcessSpec;
use tokio::process::Command;

use super::environment::Environment;

/// What will be started, and where.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    folder: PathBuf,
    /// As the pool names it, for messages and as the program's own name.
    name: String,
    arguments: Vec<String>,
}

impl Program {
    /// Looks for it.
    ///
    /// # Errors
    /// With what is wrong and what to do.
    pub(super) fn find(spec: &ProcessSpec, environment: &Environment) -> Result<Self, String> {
        let (name, arguments) = spec
            .command
            .split_first()
            .filter(|(name, _)| !name.is_empty())
            .ok_or("the pool names no program; set its command to a program and its arguments")?;
        let folder = folder(spec)?;
        let path = if name.contains('/') {
            let path = folder.join(name);
            check(&path).map_err(|problem| problem.explain(&path))?;
            path
        } else {
            search(name, environment.get(OsStr::new("PATH")))?
        };
        Ok(Self { path, folder, name: name.clone(), arguments: arguments.to_vec() })
    }

    /// Returns the command that starts it, with an empty environment.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.arg0(&self.name).args(&self.arguments).current_dir(&self.folder).env_clear();
        command
    }

    /// Explains why the kernel did not start what looked startable.
    pub(super) fn explain(&self, error: &io::Error) -> String {
        let path = self.path.display();
        match error.kind() {
            io::ErrorKind::NotFound => format!(
                "{path} is there but the interpreter it asks for is not; look at its first line (#!) or its loader"
            ),
            io::ErrorKind::PermissionDenied => {
                format!(
                    "the system does not let us run {path}; check its permissions and that its disk allows programs"
                )
            }
            _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => format!(
                "{path} is no program for this system; give a script a first line such as #!/bin/sh, or name its interpreter first"
            ),
            io::ErrorKind::ArgumentListTooLong => {
                format!(
                    "the arguments and variables for {path} are too long for this system; shorten the pool's command or env"
                )
            }
            _ => format!("cannot start {path}: {error}"),
        }
    }
}

fn folder(spec: &ProcessSpec) -> Result<PathBuf, String> {
    let folder = match &spec.cwd {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir().map_err(|error| {
            format!("the node's own working folder is gone ({error}); set the pool's cwd")
        })?,
    };
    match folder.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(folder),
        Ok(_) => {
            Err(format!("the working folder {} is not a folder; correct the pool's cwd", folder.display()))
        }
        Err(error) => Err(format!(
            "the working folder {} cannot be used ({error}); create it or correct the pool's cwd",
            folder.display()
        )),
    }
}

fn search(name: &str, path: Option<&OsString>) -> Result<PathBuf, String> {
    let path = path.map(OsString::as_os_str).unwrap_or_default();
    let mut found = None;
    // Relative entries would mean a different program in each folder.
    for folder in std::env::split_paths(path).filter(|folder| folder.is_absolute()) {
        let candidate = folder.join(name);
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Problem::Missing) => {}
            Err(problem) => found = found.or(Some((candidate, problem))),
        }
    }
    Err(match found {
        Some((candidate, problem)) => problem.explain(&candidate),
        None => format!(
            "program {name} is not in the PATH ({}); install it, or give its full path in the pool's command",
            path.to_string_lossy()
        ),
    })
}

enum Problem {
    Missing,
    NotAFile,
    NotExecutable,
    Other(io::Error),
}

impl Problem {
    fn explain(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Missing => {
                format!("program {path} does not exist; install it or correct the pool's command")
            }
            Self::NotAFile => format!("{path} is not a file; correct the pool's command"),
            Self::NotExecutable => {
                format!("{path} is not executable; run chmod +x on it, or name its interpreter first")
            }
            Self::Other(error) => format!("program {path} cannot be looked at: {error}"),
        }
    }
}

fn check(path: &Path) -> Result<(), Problem> {
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => Err(Problem::NotAFile),
        Ok(_) => access(path, Access::EXEC_OK).map_err(|_| Problem::NotExecutable),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Problem::Missing,
            _ => Problem::Other(error),
        }),
    }
}
