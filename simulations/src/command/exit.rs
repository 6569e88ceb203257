//! What the exit code of `synod-simulate` means; the same as that of `synod`.

pub(crate) use synod::cli::exit::{DATA, INTERRUPTED, OK, OUTPUT, TERMINATED, UNAVAILABLE, USAGE};

/// A judge objected, two processes differed, or the process of a world died.
pub(crate) const BROKEN: u8 = synod::cli::exit::WORK_FAILED;
