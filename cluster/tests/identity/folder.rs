//! The folder of an identity: whole or not there, its owner's alone, and never beside a log that has forgotten.

use std::os::unix::fs::PermissionsExt as _;
use synod_domain::name::Name;

use synod_cluster::identity::{Error, Folder, init};

use super::support::{Group, id};

fn founded(seed: u64) -> (tempfile::TempDir, Folder) {
    let group = Group::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    init(&folder, id(1), &Name::default(), &*group.clock, &*group.entropy).unwrap();
    (dir, folder)
}

#[test]
fn an_identity_is_read_back_as_it_was_made_and_is_the_owners_alone() {
    let (dir, folder) = founded(80);
    let group = Group::new(80);
    let other = Folder::at(dir.path().join("same"));
    let made = init(&other, id(1), &Name::default(), &*group.clock, &*group.entropy).unwrap();
    assert_eq!(folder.load().unwrap(), Some(made));
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.path()), 0o700);
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(mode(&file.path()), 0o600, "{file:?}");
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["ca.key", "ca.pem", "first-key", "identity", "members", "node.pem"]);
}

#[test]
fn a_folder_with_an_identity_is_not_founded_again() {
    let (_dir, folder) = founded(81);
    let before = folder.load().unwrap();
    let group = Group::new(82);
    let again = init(&folder, id(2), &Name::default(), &*group.clock, &*group.entropy);
    assert!(matches!(again, Err(Error::Exists { node, .. }) if node == id(1)), "{again:?}");
    assert_eq!(folder.load().unwrap(), before);
}

#[test]
fn without_its_last_file_an_identity_is_none() {
    let (_dir, folder) = founded(83);
    std::fs::remove_file(folder.path().join("identity")).unwrap();
    assert!(folder.load().unwrap().is_none());
    assert!(Folder::at("/nowhere/at/all").load().unwrap().is_none());
}

#[test]
fn a_damaged_or_missing_file_is_named_with_what_to_do() {
    for name in ["identity", "ca.pem", "ca.key", "node.pem", "first-key", "members"] {
        for cut in [0, 1, 2] {
            let (_dir, folder) = founded(84);
            let path = folder.path().join(name);
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() * cut / 3]).unwrap();
            let error = folder.load().unwrap_err();
            assert!(
                matches!(&error, Error::Damaged { path: named, .. } if *named == path),
                "{name}: {error}"
            );
            assert!(error.to_string().contains("synod cluster remove"), "{error}");
        }
    }
    for name in ["ca.pem", "node.pem"] {
        let (_dir, folder) = founded(85);
        std::fs::remove_file(folder.path().join(name)).unwrap();
        let error = folder.load().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("missing"), "{error}");
    }
}

#[test]
fn files_of_two_identities_do_not_make_one() {
    let (_one, folder) = founded(86);
    let (_other, foreign) = founded(87);
    std::fs::copy(foreign.path().join("node.pem"), folder.path().join("node.pem")).unwrap();
    let error = folder.load().unwrap_err().to_string();
    assert!(error.contains("another node"), "{error}");
    let (_one, folder) = founded(86);
    std::fs::copy(foreign.path().join("ca.key"), folder.path().join("ca.key")).unwrap();
    let identity = folder.load().unwrap().unwrap();
    let made = synod_cluster::identity::Credentials::new(&identity, Group::new(1).clock.clone());
    assert!(made.unwrap_err().to_string().contains("another authority"));
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let (_dir, folder) = founded(88);
    let path = folder.path().join("ca.key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = folder.load().unwrap_err();
    assert!(matches!(&error, Error::Exposed { mode: 0o640, .. }), "{error}");
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn an_identity_beside_a_log_that_has_forgotten_may_not_start() {
    let (_dir, folder) = founded(89);
    let identity = folder.load().unwrap().unwrap();
    identity.check_against(Some(id(1))).unwrap();
    for (log, found) in [(None, "log is empty"), (Some(id(2)), "log belongs to")] {
        let error = identity.check_against(log).unwrap_err();
        assert!(matches!(error, Error::Amnesia { .. }), "{error}");
        let said = error.to_string();
        for word in [found, "synod cluster remove", "synod cluster token create", "join anew"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}

#[test]
fn where_the_members_are_is_kept() {
    let (_dir, folder) = founded(90);
    let members = [(id(2), "127.0.0.1:7".to_owned())].into();
    folder.keep_members(&members).unwrap();
    assert_eq!(folder.load().unwrap().unwrap().members, members);
}
