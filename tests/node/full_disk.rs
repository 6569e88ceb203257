//! A full disk: new work is refused, work in hand ends, and freed space is enough to go on.
//!
//! The disk is a small tmpfs in a mount namespace of its own, so it goes with the process that has it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use synod::node::domain::task::Usage;
use synod::node::{Error, Node, Pool};
use tokio::process::Command;
use tokio::time::Instant;

use crate::support::{PATIENCE, Script, completed, external, folder, running, scripted, task};

const FOLDER: &str = "FULL_DISK_FOLDER";

/// More than reserve and ballast (80 MiB), and room for a log.
const DISK_MIB: u32 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_new_work_and_lets_work_in_hand_end() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root may mount the small disk that this test fills");
        return;
    }
    let folder = folder();
    let mount = format!("mount -t tmpfs -o size={DISK_MIB}m tmpfs \"${FOLDER}\" && exec \"$0\" \"$@\"");
    let inner = ["full_disk::on_a_small_disk", "--exact", "--ignored", "--nocapture"];
    let child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &mount])
        .arg(std::env::current_exe().unwrap())
        .args(inner)
        .env(FOLDER, folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(2 * PATIENCE, child).await.expect("it ends").unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("1 passed"), "it did not run: {said}\n{complained}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs on a small disk that the test above mounts for it"]
async fn on_a_small_disk() {
    let Some(disk) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let node = scripted(&disk.join("data")).start().await.unwrap();
    node.put_pool(Pool::native("now", "script").unwrap()).await.unwrap();
    node.put_pool(Pool::external("outside").unwrap().between(0, 1)).await.unwrap();
    let agent = external("outside", 8);
    node.register_agent(agent.clone()).await.unwrap();
    let native = node.submit(task("now", &Script::Wait(1000))).await.unwrap();
    let outside = node.submit(task("outside", &Script::Hang)).await.unwrap();
    let held = node.claim(agent.id, 1).await.unwrap();
    running(&node, native).await;

    let filler = disk.join("filler");
    fill(&filler, 30);
    refused(&node).await;
    node.complete(outside, held[0].attempt, b"1", Usage::default())
        .await
        .expect("work in hand ends on a full disk");
    completed(&node, native).await;
    free(&node, std::slice::from_ref(&filler)).await;

    // Now the disk is full to the last byte: nothing can be written down, and nothing may be forgotten.
    let native = node.submit(task("now", &Script::Wait(1000))).await.unwrap();
    running(&node, native).await;
    fill(&filler, 0);
    refused(&node).await;
    // The node gave up its ballast, and somebody took that as well.
    let more = disk.join("more");
    fill(&more, 0);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(node.task(native).unwrap().phase().as_str(), "running", "its end cannot be written down");
    free(&node, &[filler, more]).await;
    assert_eq!(completed(&node, native).await["attempt"], 1);

    node.stop().await;
    let node = scripted(&disk.join("data")).start().await.unwrap();
    assert_eq!(node.repaired(), None);
    assert_eq!(completed(&node, native).await["attempt"], 1);
    node.stop().await;
}

/// Fills the disk until so many mebibytes are left.
fn fill(path: &Path, left_mib: u64) {
    let mut file = File::create(path).unwrap();
    let block = vec![7; 64 << 10];
    loop {
        let stat = rustix::fs::statvfs(path).unwrap();
        if stat.f_bavail * stat.f_frsize <= left_mib << 20 || file.write_all(&block).is_err() {
            return;
        }
    }
}

/// Waits until new work is refused, for the right reason.
async fn refused(node: &Node) {
    let mut error = None;
    // The free space is not looked at for every submit.
    for _ in 0..1000 {
        match node.submit(task("now", &Script::Echo(json!(1)))).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(refused) => {
                error = Some(refused);
                break;
            }
        }
    }
    let error = error.expect("a submit is refused on a full disk");
    assert!(matches!(error, Error::Journal(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("disk") && text.contains("space"), "{text}");
}

/// Frees the space and waits until work is taken again.
async fn free(node: &Node, fillers: &[PathBuf]) {
    for filler in fillers {
        std::fs::remove_file(filler).unwrap();
    }
    let until = Instant::now() + PATIENCE;
    let id = loop {
        match node.submit(task("now", &Script::Echo(json!("again")))).await {
            Ok(id) => break id,
            Err(error) => assert!(Instant::now() < until, "space was freed, and still: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    completed(node, id).await;
}
