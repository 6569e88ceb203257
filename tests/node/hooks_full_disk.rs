//! A full disk under hooks: whoever needs room is told so, and nothing that an agent left is lost.
//!
//! The disk is a small tmpfs in a mount namespace of its own, so it goes with the process that has it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use synod::hooks::{Error, Load, Repositories as _};
use synod::node::domain::hook::{Hook, HookSpec, HookState};
use synod::node::domain::id::HookId;
use tokio::process::Command;

use crate::hooks::{at_work, by_hand, git, record};
use crate::support::{PATIENCE, folder};

const FOLDER: &str = "FULL_HOOKS_DISK_FOLDER";

#[tokio::test]
async fn a_full_disk_is_told_to_whoever_needs_room_for_a_hook_and_nothing_is_lost() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root may mount the small disk that this test fills");
        return;
    }
    let folder = folder();
    let mount = format!("mount -t tmpfs -o size=64m tmpfs \"${FOLDER}\" && exec \"$0\" \"$@\"");
    let inner = ["hooks_full_disk::on_a_small_disk", "--exact", "--ignored", "--nocapture"];
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

#[tokio::test]
#[ignore = "runs on a small disk that the test above mounts for it"]
async fn on_a_small_disk() {
    let Some(disk) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let folder = tempfile::tempdir_in(&disk).unwrap();
    let (repository, worktrees, worktree) = at_work(&folder).await;
    // Large, so that there may be some room and not enough.
    let half = noise(1 << 20);
    fs::write(worktree.join("half"), &half).unwrap();
    let filler = disk.join("filler");
    fill(&filler);

    let next = by_hand(&repository, 2, 2, HookState::Pending);
    let other = HookSpec { id: HookId::from_raw(8), branch: "other".into(), ..HookSpec::clone(&next.spec) };
    let other = Hook { spec: Arc::new(other), ..by_hand(&repository, 1, 1, HookState::Pending) };
    for room in [0, 64 << 10, 256 << 10] {
        leave(&filler, room);
        for hook in [&next, &other] {
            let refused = worktrees.bring_up(hook, &Load { work: noise(1 << 20).into(), result: None }).await;
            let error = refused.expect_err("there is no room");
            assert!(matches!(error, Error::DiskFull(_)), "with {room} bytes: {error}");
            assert_eq!(error.code(), "no_space");
            assert!(error.to_string().contains("disk is full"), "{error}");
        }
        assert_eq!(fs::read_to_string(worktree.join("half")).unwrap(), half, "with {room} bytes");
        assert_eq!(record(&repository, next.spec.id).attempt, 1, "what did not happen is not on record");
    }

    fs::remove_file(&filler).unwrap();
    worktrees.bring_up(&next, &Load::default()).await.unwrap();
    assert_eq!(git(&repository, &["show", "work:half"]), half);
    assert_eq!(record(&repository, next.spec.id).attempt, 2);
    let there = worktrees.bring_up(&other, &Load::default()).await.unwrap();
    assert_eq!(fs::read_to_string(there.join("readme")).unwrap(), "one\n");
    git(&repository, &["fsck", "--strict", "--no-dangling"]);
}

/// Returns a text that does not become much smaller when it is packed.
fn noise(bytes: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:016x}"));
    }
    text
}

/// Fills the disk to the last byte.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let block = vec![7; 4 << 10];
    while file.write_all(&block).is_ok() {}
}

/// Fills the disk again, and leaves so many bytes.
fn leave(filler: &Path, bytes: u64) {
    let mut file = File::options().append(true).open(filler).unwrap();
    let block = vec![7; 4 << 10];
    while file.write_all(&block).is_ok() {}
    let length = file.metadata().unwrap().len();
    file.set_len(length - bytes).unwrap();
}
