//! What the exit code of `synod` means.

/// Everything that was asked for is done.
pub const OK: u8 = 0;
/// It ran, and some of the work failed; or the node refused, for example because there is no such task.
pub const WORK_FAILED: u8 = 1;
/// The arguments, settings or files given are not valid; nothing was started.
pub const USAGE: u8 = 2;
/// The data folder cannot be used: it is in use, damaged, full or not writable.
pub const DATA: u8 = 3;
/// The node cannot be reached, or cannot do it at the moment; try again later.
pub const UNAVAILABLE: u8 = 69;
/// The node failed while it worked; what was acknowledged is kept. Run the command again.
pub const NODE_FAILED: u8 = 70;
/// It ran, and its result could not be written to standard output; run the command again to see it.
pub const OUTPUT: u8 = 74;
/// The time given for waiting is over and the task is not.
pub const NOT_YET: u8 = 75;
/// The token is missing, not valid, or does not allow it.
pub const NO_PERMISSION: u8 = 77;
/// Stopped by SIGINT; run the command again to continue.
pub const INTERRUPTED: u8 = 130;
/// Stopped by SIGTERM; run the command again to continue.
pub const TERMINATED: u8 = 143;
