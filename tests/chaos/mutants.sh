#!/usr/bin/env bash
# Shows that the judges catch bugs: builds the tree with each of four bugs in it, in a copy, and runs the scenario that
# must find it. The same scenarios must hold on the tree as it is. Needs root for two of them.
#
#   tests/chaos/mutants.sh                        all of them, one after the other
#   tests/chaos/mutants.sh ignore-the-attempt     one
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Which scenario catches what: a sync that is skipped loses nothing to kill -9, because the kernel still has it, and a
# node that lost its power would say itself that its log ends too early, so that mutant does not say how far it got; an
# acknowledgement without a quorum shows where a leader is cut off from the others.
declare -A catches=(
  [acknowledge-before-the-sync]="kill-all --times 4"
  [skip-the-sync]="power-loss --times 4"
  [acknowledge-before-a-quorum]="partition --times 1"
  [ignore-the-attempt]="hung-peer --times 2"
)
wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(skip-the-sync acknowledge-before-the-sync acknowledge-before-a-quorum ignore-the-attempt)

copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --create --file=- | tar --extract --file=- --directory="$copy"
target="$PWD/target/mutants"
folder="$PWD/target/chaos"
rate="${RATE:-80}"
cargo build --quiet --manifest-path tests/chaos/Cargo.toml --locked
chaos="$PWD/tests/chaos/target/debug/synod-chaos"

# Builds the copy; prints where the binary is.
build() {
  (cd "$copy" && CARGO_TARGET_DIR="$target" cargo build --quiet --bin synod --locked)
}

# Runs the scenario that is for a mutant; says what became of it.
attack() {
  # shellcheck disable=SC2086  # a name and its arguments
  timeout 600 "$chaos" run ${catches[$1]} --rate "$rate" --seed 7 --synod "$target/debug/synod" --folder "$folder"
}

failed=0
echo "== the tree as it is"
build
for name in "${wanted[@]}"; do
  if attack "$name" >"$copy/said" 2>&1; then
    grep -E "SKIPPED" "$copy/said" && { echo "$name: its scenario cannot run here, so nothing is shown"; failed=1; }
    echo "holds: ${catches[$name]}"
  else
    cat "$copy/said"
    echo "the tree itself does not hold, so a mutant that is caught shows nothing"
    failed=1
  fi
done
for name in "${wanted[@]}"; do
  echo "== $name"
  (cd "$copy" && patch --quiet --strip=1 <"tests/chaos/mutants/$name.patch")
  build
  if attack "$name" >"$copy/said" 2>&1; then
    cat "$copy/said"
    echo "NOT CAUGHT: $name"
    failed=1
  else
    grep -E -A1 "BROKEN|FAILED" "$copy/said" | cut --characters=1-200 | head -20
    echo "caught: $name"
  fi
  (cd "$copy" && patch --quiet --strip=1 --reverse <"tests/chaos/mutants/$name.patch")
done
exit "$failed"
