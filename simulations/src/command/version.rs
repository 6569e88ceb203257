//! Which build this is: a ledger of one says nothing about another.

use synod_simulations::trace;

/// How many bytes of the program are hashed at a time.
const PIECE: usize = 8;

/// Returns the version with a hash of the program itself, which holds the node that is simulated.
///
/// # Errors
/// When the program cannot be read.
pub(crate) fn version() -> std::io::Result<String> {
    let program = std::fs::read(std::env::current_exe()?)?;
    let whole = program.chunks(PIECE).fold(0_u64, |hash, piece| {
        let mut bytes = [0; PIECE];
        bytes[..piece.len()].copy_from_slice(piece);
        (hash ^ u64::from_le_bytes(bytes)).wrapping_mul(0x0100_0000_01b3).rotate_left(29)
    });
    Ok(format!("{}-{:016x}", env!("CARGO_PKG_VERSION"), trace::hash(&whole.to_le_bytes())))
}
