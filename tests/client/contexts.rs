//! Contexts: which node a command talks to.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Served, ended, synod};

#[tokio::test]
async fn a_context_says_which_node_and_flags_and_environment_go_before_it() {
    let served = Served::start().await;
    let folder = served.folder.path();
    let bare = |args: &[&str]| {
        let mut command = synod(folder);
        command.args(args);
        ended(command)
    };
    let token_file = served.token_file();
    let token_file = token_file.to_str().unwrap();
    bare(&["context", "set", "here", "--url", &served.url, "--token-file", token_file]).await.assert_code(0);
    let gone = ["context", "set", "gone", "--url", "http://127.0.0.1:1", "--token", "geheim"];
    bare(&gone).await.assert_code(0);

    // The first one is current, until another is chosen.
    bare(&["task", "list"]).await.assert_code(0);
    bare(&["context", "use", "gone"]).await.assert_code(0);
    bare(&["task", "list"]).await.assert_code(69);
    bare(&["task", "list", "--context", "here"]).await.assert_code(0);
    let mut by_environment = synod(folder);
    by_environment.args(["task", "list"]).env("SYNOD_CONTEXT", "here");
    ended(by_environment).await.assert_code(0);
    // The token of a context is not given to another address.
    bare(&["task", "list", "--url", &served.url]).await.assert_code(77);
    served.said(&["task", "list"]).await.assert_code(0);

    let list = bare(&["context", "list", "--json"]).await;
    let document = list.json();
    let names: Vec<&str> =
        document["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!((document["kind"].as_str(), names), (Some("context_list"), vec!["gone", "here"]));
    assert_eq!(document["items"][0]["current"], true);
    let shown = bare(&["context", "show"]).await;
    assert!(shown.out.contains("http://127.0.0.1:1") && !shown.out.contains("geheim"), "{shown:#?}");
    let file = folder.join("config").join("synod").join("contexts.yaml");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);

    bare(&["context", "remove", "gone"]).await.assert_code(0);
    bare(&["context", "show"]).await.assert_code(2);
    let unknown = bare(&["task", "list", "--context", "gone"]).await;
    unknown.assert_code(2);
    assert!(unknown.err.contains("\"gone\" (here)"), "{unknown:#?}");
}
