//! The binary: everything is in the library, but for the allocator, which is the choice of whoever makes a binary.

/// A fifth of the time of a busy server went into the system's allocator; this one takes less, see
/// docs/BENCHMARKS.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    synod::cli::main()
}
