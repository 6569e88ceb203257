# `just verify` only reads, `just fix` writes, `.ci/run` is what a machine runs. Every recipe is one cargo
# command or two, so nobody needs `just` to work here.

# Lists the recipes.
default:
    @just --list

# Everything that must hold before a change is handed in. Changes no file of the repository.
verify: fmt lint test doc

# Formatting, as rustfmt.toml wants it.
fmt:
    cargo fmt --all -- --check

# The compiler and clippy, warnings as errors.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# All tests, the tidy test of the tree among them.
test *args:
    cargo test --workspace --locked {{args}}

# The laws of the domain on other cases than the gate draws, from one seed after the other: `just laws 100 200`. A seed that
# breaks one is named; `PROPTEST_RNG_SEED` set to it draws the same cases again.
laws from="100" to="120":
    for seed in $(seq {{from}} {{to}}); do echo "seed $seed"; PROPTEST_RNG_SEED=$seed cargo test --locked -p synod-domain -q || exit 1; done

# Only what looks at the tree itself: arrows, forbidden words, links, dependencies.
tidy:
    cargo test --locked --test tidy

# The public Python client of the older control plane against a server, with its table of methods.
sdk:
    cargo test --locked --test sdk -- --nocapture

# A real server asked at random by its own OpenAPI document, for five minutes unless told otherwise.
fuzz-api *args="--seconds 300":
    cargo build --release --locked
    tests/contract/run {{args}}

# synod beside Redis and PostgreSQL, as far as they are installed; docs/BENCHMARKS.md.
peers *args:
    cargo build --release --locked
    cargo run --release --locked --manifest-path benches/peers/Cargo.toml -- {{args}}

# Real nodes killed, stopped, cut off and filled up under load, and judged: the long form, an hour or more. Parts of
# it need root: they say loudly what they skip. `just chaos kill-leader --times 10` runs one scenario.
chaos *args:
    cargo build --release --locked
    cargo run --release --locked --manifest-path tests/chaos/Cargo.toml -- run {{args}}

# Shows that the judges of `just chaos` catch bugs: builds a copy of the tree with four in it, which wake by name.
chaos-mutants:
    tests/chaos/mutants.sh

# Shows that the judges of `just simulate` catch bugs: one build with all of them in it, one process for each and seed.
mutants *args:
    simulations/mutants.sh {{args}}

# The seeds that once found what another had found as well: those of each finding are among the tests.
kept-seeds:
    cargo test --locked -p synod-simulations --test scenarios -- --ignored

# Every order of a few events on the real rules; `just model --large` takes some millions of states.
model *args:
    cargo run --release --locked -p synod-model -- {{args}}

# Three replicas beside one node and beside etcd, as far as it is installed; docs/BENCHMARKS.md.
cluster-bench *args:
    cargo build --release --locked
    cargo run --release --locked --manifest-path benches/cluster/Cargo.toml -- {{args}}

# The documentation, links in it checked; a link to a private item is for readers of the source.
doc:
    RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --locked

# Licences and advisories of dependencies; needs cargo-deny and the network.
deny:
    cargo deny check

# All benches; docs/BENCHMARKS.md says which one shows what.
bench *args:
    cargo bench --workspace --locked {{args}}

# Real nodes in a simulated world: `just simulate --seed 7`; docs/SIMULATION.md.
simulate *args:
    cargo run --release --locked -p synod-simulations --bin synod-simulate -- {{args}}

# One seed after the other until it is stopped; goes on from there the next time. Exit code 130 is the usual end.
sweep *args="--seeds 0.. --duration 1m":
    cargo build --release --locked -p synod-simulations --bin synod-simulate
    target/release/synod-simulate --ledger target/sweep.jsonl {{args}}

# The main job, as a person runs it.
run *args:
    cargo run --release --locked -- run examples/audit.yaml {{args}}

# Writes what can be written by a machine: formatting and the fixes that clippy is sure of.
fix:
    cargo fmt --all
    cargo clippy --workspace --all-targets --locked --fix --allow-dirty --allow-staged
    cargo fmt --all
