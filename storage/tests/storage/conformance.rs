//! The shared suites, against both implementations.

use std::rc::Rc;

use synod_storage::{
    MemoryDisk,
    conformance::{self, Disk, Disks},
};

use crate::support::Folder;

/// Runs a suite on folders that stay until it ends; a suite may drop a disk and keep its storage.
fn on_disk(suite: fn(Disks<'_>)) {
    let mut folders = Vec::new();
    suite(&mut || {
        let folder = Rc::new(Folder::on_disk());
        folders.push(Rc::clone(&folder));
        Box::new(move || folder.open())
    });
}

fn in_memory() -> Disk {
    let disk = MemoryDisk::new();
    Box::new(move || disk.open())
}

#[test]
fn log_on_disk_conforms() {
    on_disk(conformance::log);
}

#[test]
fn log_in_memory_conforms() {
    conformance::log(&mut in_memory);
}

#[test]
fn state_on_disk_conforms() {
    on_disk(conformance::state);
}

#[test]
fn state_in_memory_conforms() {
    conformance::state(&mut in_memory);
}

#[test]
fn snapshots_on_disk_conform() {
    on_disk(conformance::snapshots);
}

#[test]
fn snapshots_in_memory_conform() {
    conformance::snapshots(&mut in_memory);
}

#[test]
fn blobs_on_disk_conform() {
    on_disk(conformance::blobs);
}

#[test]
fn blobs_in_memory_conform() {
    conformance::blobs(&mut in_memory);
}
