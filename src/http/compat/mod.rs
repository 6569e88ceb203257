//! The APIs of older systems, over the same node: facades that translate and decide nothing.

pub mod control_plane;

use crate::http::Routes;

/// Returns all routes of all facades.
pub fn routes() -> Routes {
    control_plane::routes()
}
