//! The example of embedding, called as a module: it works, and doing it again redoes nothing.

#[path = "../../examples/embed.rs"]
#[allow(dead_code, reason = "its `main` is for `cargo run --example embed`")]
mod example;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_prints_its_results_and_the_same_again_from_the_same_folder() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let once = example::serve(folder.path()).await.unwrap();
    assert_eq!(once[0], "To be, or not to be: {\"b\":2,\"e\":2,\"n\":1,\"o\":4,\"r\":1,\"t\":3}");
    assert_eq!(once[2], "?!: failed, there is no letter to count");
    assert_eq!(example::serve(folder.path()).await.unwrap(), once);
}
