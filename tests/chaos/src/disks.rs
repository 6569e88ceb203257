//! Disks for one node: a small one in memory, that can be filled, and one whose power can be lost.
//!
//! Both need root. Taken away with their values.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
#[derive(Debug)]
pub struct LoopDisk {
    image: PathBuf,
    at: PathBuf,
}

/// `FS_IOC_SHUTDOWN` without flushing the log: everything that is not on the disk is gone, as the tests of file
/// systems do it. Python, because a call of this kind has no safe form here.
const SHUT_DOWN: &str = "import fcntl, os, struct, sys\n\
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

impl LoopDisk {
    /// Makes one at a folder, of so many megabytes.
    ///
    /// # Errors
    /// When this user or this machine cannot.
    pub fn make(at: &Path, megabytes: u64) -> Result<Self, String> {
        std::fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let image = at.with_extension("image");
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(megabytes << 20).map_err(|error| error.to_string())?;
        run("mkfs.ext4", &["-q", "-F", &text(&image)])?;
        let disk = Self { image, at: at.to_owned() };
        disk.mount()?;
        Ok(disk)
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
    /// When it cannot be mounted again.
    pub fn come_back(&self) -> Result<(), String> {
        run("umount", &[&text(&self.at)])?;
        self.mount()
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "loop", &text(&self.image), &text(&self.at)])
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", &text(&self.at)]);
        let _ = std::fs::remove_file(&self.image);
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
