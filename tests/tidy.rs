//! The tree is tested too: what the compiler and the lints do not see.
//!
//! Each file below holds one family of checks: functions from text to findings, small bad inputs that show
//! that they can fail, and one test that runs them over the repository. It needs nothing but std and takes a
//! second; `cargo test --test tidy`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "tidy/repository.rs"]
mod repository;
#[path = "tidy/rust.rs"]
mod rust;

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/figures.rs"]
mod figures;
#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/mutants.rs"]
mod mutants;
#[path = "tidy/notes.rs"]
mod notes;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/words.rs"]
mod words;
