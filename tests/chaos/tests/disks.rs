//! A disk that loses its power comes back, whoever has copied its mount. Needs root.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use synod_chaos::disks::LoopDisk;

/// How long a program may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process in a namespace of mounts of its own, as `ip netns exec` makes one.
struct Copy(Child);

impl Copy {
    fn make(sees: &str) -> Self {
        let sleeper = Command::new("unshare")
            .args(["--mount", "--propagation", "slave", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn();
        let copy = Self(sleeper.expect("unshare runs"));
        let until = Instant::now() + PATIENCE;
        let here = std::fs::read_link("/proc/self/ns/mnt").expect("a namespace");
        let process = format!("/proc/{}", copy.0.id());
        while std::fs::read_link(format!("{process}/ns/mnt")).expect("a namespace") == here {
            assert!(Instant::now() < until, "no namespace was made");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mounts = std::fs::read_to_string(format!("{process}/mounts")).expect("its mounts");
        assert!(mounts.contains(sees), "the copy has no {sees}");
        copy
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_was_not_synced_is_gone_and_the_rest_comes_back_though_another_namespace_had_the_mount() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = match LoopDisk::make(&folder.path().join("power"), 16) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("SKIPPED: {why}; this was NOT shown");
            return;
        }
    };
    std::fs::write(disk.at().join("kept"), "kept").unwrap();
    std::fs::File::open(disk.at()).and_then(|at| at.sync_all()).unwrap();
    std::fs::File::open(disk.at().join("kept")).and_then(|file| file.sync_all()).unwrap();
    let _copy = Copy::make(&disk.at().display().to_string());
    std::fs::write(disk.at().join("lost"), "lost").unwrap();
    disk.lose_power().unwrap();
    disk.come_back().unwrap();
    assert_eq!(std::fs::read_to_string(disk.at().join("kept")).unwrap(), "kept");
    assert!(!disk.at().join("lost").exists(), "it was not synced and is there");
    std::fs::write(disk.at().join("new"), "new").unwrap();
}
