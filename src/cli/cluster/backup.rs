//! `synod cluster backup`: a whole file for its owner alone, or none.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;

use crate::cli::print;
use crate::cli::remote::{Failure, Session};
use crate::client::Client;
use crate::node::cluster::Contents;

/// How many bytes lie between two lines of progress.
const PROGRESS_BYTES: u64 = 8 << 20;

pub(super) async fn run(session: &Session, file: &Path) -> Result<u8, Failure> {
    let Session { client, output } = session;
    let before = beside(file)?;
    let written = match write(client, &before).await {
        Ok(bytes) => {
            look(&before).and_then(|contents| put_in_place(&before, file).map(|()| (bytes, contents)))
        }
        Err(failure) => Err(failure),
    };
    let (bytes, Contents { payloads, lacking }) = match written {
        Ok(written) => written,
        Err(failure) => {
            // What is left of it is no backup.
            let _ = std::fs::remove_file(&before);
            return Err(failure);
        }
    };
    let name = file.display().to_string();
    let item = json!({ "id": name, "file": name, "bytes": bytes, "payloads": payloads, "lacking": lacking });
    let said = format!("{name}: {bytes} bytes, with {payloads} large payloads");
    if lacking > 0 {
        print::note(&format!(
            "{lacking} large payloads are not in it, as no node that answered has them; the log of the node names them"
        ));
    }
    Ok(output.streamed("backup", &name, &item, &said).err().unwrap_or(crate::cli::exit::OK))
}

/// Names the file that the backup is until it is whole.
fn beside(file: &Path) -> Result<PathBuf, Failure> {
    let name = file.file_name().ok_or_else(|| Failure::Usage(format!("{} is no file", file.display())))?;
    let mut before = name.to_owned();
    before.push(".part");
    Ok(file.with_file_name(before))
}

async fn write(client: &Client, path: &Path) -> Result<u64, Failure> {
    let unusable =
        |error: std::io::Error| Failure::Usage(format!("{} cannot be written: {error}", path.display()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut into = options.open(path).await.map_err(unusable)?;
    let person = std::io::stderr().is_terminal();
    let mut told = 0;
    let bytes = client
        .backup(&mut into, |bytes| {
            if person && bytes >= told + PROGRESS_BYTES {
                told = bytes;
                print::note(&format!("{} MiB", bytes >> 20));
            }
        })
        .await?;
    into.flush().await.map_err(unusable)?;
    into.sync_all().await.map_err(unusable)?;
    Ok(bytes)
}

/// Reads what is in it.
fn look(path: &Path) -> Result<Contents, Failure> {
    let looked = std::fs::File::open(path).and_then(|mut file| Contents::look(&mut file));
    looked.map_err(|error| Failure::Usage(format!("what came is not kept: {}: {error}", path.display())))
}

fn put_in_place(before: &Path, file: &Path) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::Usage(format!("{} cannot be written: {error}", file.display()));
    std::fs::rename(before, file).map_err(failed)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
