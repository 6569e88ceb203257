//! The judges themselves: right histories pass, and each seeded wrong one is caught by the judge that it is for.

#[path = "checker/hosted.rs"]
mod hosted;
#[path = "checker/made_up.rs"]
mod made_up;
#[path = "checker/mutations.rs"]
mod mutations;
#[path = "checker/right.rs"]
mod right;
#[path = "checker/unhealed.rs"]
mod unhealed;
