//! Disks for one node: a small one in memory, that can be filled, and one whose power can be lost.
//!
//! Both need root. Taken away with their values.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::command::{run, told};

/// A small file system in memory.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Makes one at a folder, of a size as `mount` takes it: `200m`.
    ///
    /// # Errors
    /// When this user or this machine cannot.
    pub fn make(at: &Path, size: &str) -> Result<Self, String> {
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", &text(at)])?;
        Ok(Self(at.to_owned()))
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        // Both end with an error: that the disk is full.
        for (name, block) in FILLERS {
            let file = format!("of={}", text(&self.0.join(name)));
            let _ = run("dd", &["if=/dev/zero", &file, &format!("bs={block}"), "status=none"]);
        }
    }

    /// Frees what was filled.
    pub fn free(&self) {
        for (name, _) in FILLERS {
            let _ = std::fs::remove_file(self.0.join(name));
        }
    }
}

/// Files that fill a disk, the large steps first.
const FILLERS: [(&str, &str); 2] = [("filler", "64k"), ("filler-small", "512")];

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", &text(&self.0)]);
    }
}

/// A file system on a file, which forgets what was not synced when its power is lost.
///
/// Whoever makes a namespace of mounts, as `ip netns exec` does, takes a copy of this mount with it, and a copy keeps the
/// file system that was shut down: mounted again it would be that same one, and every write an error. So the mount lies
/// below one that is shared: what is unmounted there is unmounted in all copies.
#[derive(Debug)]
pub struct LoopDisk {
    image: PathBuf,
    shared: PathBuf,
    at: PathBuf,
}

/// How long the kernel may take to let a disk go that nobody has mounted any more.
const RELEASED_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// `FS_IOC_SHUTDOWN` without flushing the log: everything that is not on the disk is gone, as the tests of file
/// systems do it. Python, because a call of this kind has no safe form here.
const SHUT_DOWN: &str = "import fcntl, os, struct, sys\n\
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

impl LoopDisk {
    /// Makes one below a folder, of so many megabytes.
    ///
    /// # Errors
    /// When this user or this machine cannot.
    pub fn make(below: &Path, megabytes: u64) -> Result<Self, String> {
        let at = below.join("disk");
        std::fs::create_dir_all(&at).map_err(|error| error.to_string())?;
        let image = below.with_extension("image");
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(megabytes << 20).map_err(|error| error.to_string())?;
        let disk = Self { image, shared: below.to_owned(), at };
        run("mkfs.ext4", &["-q", "-F", &text(&disk.image)])?;
        run("mount", &["--bind", &text(&disk.shared), &text(&disk.shared)])?;
        // A group of its own, whatever that of the folder around it is.
        run("mount", &["--make-private", &text(&disk.shared)])?;
        run("mount", &["--make-shared", &text(&disk.shared)])?;
        disk.mount()?;
        Ok(disk)
    }

    /// Returns its folder.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Loses the power: what was not synced is gone, and every write fails from here on.
    ///
    /// # Errors
    /// When the file system does not take it.
    pub fn lose_power(&self) -> Result<(), String> {
        run("python3", &["-c", SHUT_DOWN, &text(&self.at)])
    }

    /// Comes back with what was on the disk. Nobody may have a file open.
    ///
    /// # Errors
    /// When it cannot be mounted again, or somebody still holds what was shut down.
    pub fn come_back(&self) -> Result<(), String> {
        run("umount", &[&text(&self.at)])?;
        let until = Instant::now() + RELEASED_WITHIN;
        loop {
            let held = told("losetup", &["-j", &text(&self.image)])?;
            if held.is_empty() {
                return self.mount();
            }
            if Instant::now() > until {
                return Err(format!("somebody still holds the disk that lost its power: {held}"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "loop", &text(&self.image), &text(&self.at)])
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", &text(&self.at)]);
        let _ = run("umount", &["-l", &text(&self.shared)]);
        let _ = std::fs::remove_file(&self.image);
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
