#!/usr/bin/env bash
# Shows that the judges notice bugs: one build with all mutants in it (domain/src/mutants.rs), then one process for each
# mutant and seed. Prints the table of docs/SIMULATION.md; exit code 1 when one survives or when the node itself does
# not hold.
#
#   simulations/mutants.sh [--seeds 20] [--duration 60] [NAME ...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The flag goes to the crates of this workspace alone, so that what they depend on is compiled once; the folder is one
# of its own, so that nobody takes these programs for ordinary ones.
export RUSTC_WORKSPACE_WRAPPER="$PWD/simulations/mutants-rustc.sh"
export CARGO_TARGET_DIR="$PWD/target/mutants"
cargo build --quiet --locked --profile mutants -p synod-simulations -p synod-model
exec "$CARGO_TARGET_DIR/mutants/synod-mutants" "$@"
