#!/usr/bin/env bash
# Shows that the judges catch bugs: builds one copy of the tree that has four bugs in it, each of which sleeps until the
# environment of a node names it, and runs the scenario that must find each. The same scenarios must hold with none of
# them awake. Needs root for two of them.
#
#   tests/chaos/mutants.sh                        all of them, one after the other
#   tests/chaos/mutants.sh ignore-the-attempt     one
#
# Three of the bugs stand in the tree already (domain/src/mutants.rs); `choose-by-environment.patch` lets a node choose
# one, and the other patches widen the moment in which a bug shows on a machine that is quick, or put in what only this
# harness can find. They have one line of context, and `cargo test` of this package says when one does not fit any more.
# To make one again: edit the tree by hand, `git diff -U1 FILE... >tests/chaos/mutants/NAME.patch`, undo the edit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Which scenario catches what: a sync that is skipped loses nothing to kill -9, because the kernel still has it, and a
# node that lost its power would say itself that its log ends too early, so that mutant does not say how far it got; an
# acknowledgement without a quorum shows where a leader is cut off from the others.
declare -A catches=(
  [acknowledge-before-sync]="kill-all --times 4"
  [skip-the-sync]="power-loss --times 4"
  [acknowledge-before-quorum]="partition --times 1"
  [ignore-the-attempt]="hung-peer --times 2"
)
wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(skip-the-sync acknowledge-before-sync acknowledge-before-quorum ignore-the-attempt)
for name in "${wanted[@]}"; do
  [ -n "${catches[$name]:-}" ] || { echo "there is no mutant $name; there are: ${!catches[*]}" >&2; exit 2; }
done

copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --create --file=- | tar --extract --file=- --directory="$copy"
target="$PWD/target/mutants"
folder="$PWD/target/chaos"
rate="${RATE:-80}"
cargo build --quiet --manifest-path tests/chaos/Cargo.toml --locked
chaos="$PWD/tests/chaos/target/debug/synod-chaos"

echo "== one build with all of them asleep"
for patch in tests/chaos/mutants/*.patch; do
  (cd "$copy" && GIT_CEILING_DIRECTORIES="$copy/.." git apply "$patch")
done
# Where git finds a repository around the copy it applies nothing, and says nothing.
grep --quiet CHAOS_MUTANT "$copy/domain/src/mutants.rs"
(cd "$copy" && CARGO_TARGET_DIR="$target" cargo build --quiet --bin synod --locked)

# Runs the scenario that is for a mutant, with that one awake or none.
attack() {
  # shellcheck disable=SC2086  # a name and its arguments
  CHAOS_MUTANT="$2" timeout 600 "$chaos" run ${catches[$1]} --rate "$rate" --seed 7 --synod "$target/debug/synod" --folder "$folder"
}

failed=0
for name in "${wanted[@]}"; do
  if attack "$name" none >"$copy/said" 2>&1; then
    grep -E "SKIPPED" "$copy/said" && { echo "$name: its scenario cannot run here, so nothing is shown"; failed=1; }
    echo "holds without it: ${catches[$name]}"
  else
    cat "$copy/said"
    echo "the tree itself does not hold, so a mutant that is caught shows nothing"
    failed=1
  fi
done
for name in "${wanted[@]}"; do
  echo "== $name"
  if attack "$name" "$name" >"$copy/said" 2>&1; then
    cat "$copy/said"
    echo "NOT CAUGHT: $name"
    failed=1
  else
    grep -E -A1 "BROKEN|FAILED" "$copy/said" | cut --characters=1-200 | head -20
    echo "caught: $name"
  fi
done
exit "$failed"
