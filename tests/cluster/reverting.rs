//! A voter that comes back with an older copy of its own disk, as a machine does that is set back to a snapshot.

use std::path::Path;

use synod::node::domain::command::Command;
use synod::node::domain::limits::Limits;
use synod::node::domain::node::NodeRole;

use crate::group::{Group, within};
use crate::support::{eventually, folder, scripted};

/// Copies a folder into another one that is there.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Empties a folder.
fn empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            std::fs::remove_dir_all(entry.path()).unwrap();
        } else {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Writes something that every voter acknowledges.
async fn write(group: &Group, seat: usize, entries: u64) {
    for number in 0..entries {
        let limits = Limits { dead_letters_max: 1000 + number, ..Limits::default() };
        group.node(seat).propose(Command::SetLimits { limits }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_with_an_older_copy_of_its_disk_is_counted_for_nothing_ends_and_is_shown() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    let voter = group.follower().await;
    group.stop(voter).await;
    let older = folder();
    copy(group.seats[voter].data.path(), older.path());
    group.start(voter).await;
    let leader = group.leader().await;
    write(&group, leader, 50).await;
    let written = group.node(leader).cluster().applied.unwrap();
    eventually("it has everything", || {
        let applied = group.node(voter).cluster().applied?;
        (applied >= written).then_some(())
    })
    .await;
    let term = group.node(leader).cluster().term;
    group.stop(voter).await;
    let data = group.seats[voter].data.path();
    empty(data);
    copy(older.path(), data);
    group.begin(voter).await;
    let lost = group.node(voter).id();
    // It ends by itself, and says what to do.
    let why = within("it ends", group.node(voter).ready()).await.unwrap_err().to_string();
    // The leader lives and goes on.
    let leads = group.leader().await;
    write(&group, leads, 3).await;
    let status = group.node(leads).cluster();
    if status.term == term {
        assert!(why.contains("older copy") && why.contains("join anew"), "{why}");
        let shown = status.nodes.iter().find(|one| one.node.spec.id == lost).unwrap();
        assert!(shown.lost.is_some_and(|through| through >= written), "{shown:?}");
        // Nor does it start again, whoever leads then.
        group.stop(voter).await;
        let again = scripted(group.seats[voter].data.path()).begin().await.unwrap_err().to_string();
        assert!(again.contains("older copy"), "{again}");
    } else {
        // A leader that was elected since knows nothing of what it had. That it has started before is known to all.
        eprintln!("the lead moved meanwhile, so that only the number of its starts was looked at");
        assert!(why.contains("its disk has forgotten something"), "{why}");
        group.stop(voter).await;
    }
    // What the message says is what helps.
    group.node(leads).remove_node(lost, "its disk is an older copy").await.unwrap();
    let seat = group.join(NodeRole::Voter).await;
    within("it takes work", group.node(seat).ready()).await.unwrap();
    group.stop_all().await;
}
