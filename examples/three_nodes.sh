#!/bin/sh
# Runs the audit fleet on three nodes of one cluster, all on this machine, and kills the leader midway.
#
#   examples/three_nodes.sh [ROOT [TASKS]]
#
# ROOT is the tree to audit, by default this repository; it needs a Cargo.lock. The leader is killed when TASKS of its
# tasks have ended, by default 100.
#
# Ends with exit code 0 and a line of figures if every task completed exactly once and the report is there. The program
# is $SYNOD, or target/release/synod, or target/debug/synod. Needs Python 3 for the agents and for reading JSON.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "${1:-$here/..}" && pwd)
kill_after=${2:-100}
synod=${SYNOD:-}
for built in "$here/../target/release/synod" "$here/../target/debug/synod"; do
    if [ -z "$synod" ] && [ -x "$built" ]; then synod=$built; fi
done
[ -n "$synod" ] || { echo "build it first: cargo build --release" >&2; exit 2; }

# Nothing from outside decides which nodes are asked.
unset SYNOD_URL SYNOD_SERVER SYNOD_TOKEN SYNOD_CONTEXT SYNOD_DEV 2>/dev/null || true

work=$(mktemp -d)
nodes=
clean() {
    # The nodes end with the process that runs them.
    if [ -n "$nodes" ]; then kill "$nodes" 2>/dev/null || true; wait "$nodes" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

field() { python3 -c 'import json, sys; print(eval(sys.argv[1], {"d": json.load(open(sys.argv[2]))}))' "$1" "$2"; }

echo "starting three nodes"
mkfifo "$work/ready"
"$synod" dev --nodes 3 --data "$work/nodes" --json >"$work/ready" 2>"$work/dev.log" &
nodes=$!
# Waits until the cluster is formed; an end without a line means that it was not.
head -n 1 <"$work/ready" >"$work/nodes.json"
[ -s "$work/nodes.json" ] || { cat "$work/dev.log" >&2; exit 1; }
SYNOD_SERVER=$(field 'd["servers"]' "$work/nodes.json")
SYNOD_TOKEN_FILE=$(field 'd["token_file"]' "$work/nodes.json")
export SYNOD_SERVER SYNOD_TOKEN_FILE

# The leader is killed when so many tasks have ended. Ends early if the run does.
"$synod" event --type task_ended --count "$kill_after" -q >/dev/null 2>"$work/event.log" &
events=$!

{
    code=0
    "$synod" run "$here/audit.yaml" --server "$SYNOD_SERVER" --input "root=$root" \
        --input "report=$work/audit.md" --json >"$work/outcome.json" 2>"$work/run.log" || code=$?
    kill "$events" 2>/dev/null || true
    exit "$code"
} &
run=$!

wait "$events" || true
"$synod" cluster status --json >"$work/before.json"
leader=$(field 'next(n["name"] for n in d["item"]["nodes"] if n["leader"])' "$work/before.json")
"$synod" dev kill "$leader" --data "$work/nodes"

code=0
wait "$run" || code=$?
cat "$work/run.log"
if [ "$code" -ne 0 ]; then echo "the run ended with $code" >&2; exit 1; fi

"$synod" cluster status || true
"$synod" cluster status --json >"$work/after.json" || true
python3 - "$work" "$leader" <<'PY'
import json, os, sys

work, killed = sys.argv[1:]
outcome = json.load(open(os.path.join(work, "outcome.json")))
cluster = json.load(open(os.path.join(work, "after.json")))["item"]
tasks = [task for entry in outcome["outcome"]["entries"] for task in entry["tasks"]]
wrong = [task["key"] for task in tasks if task["status"] != "completed" or task["completions"] != 1]
report = open(os.path.join(work, "audit.md")).read()
leader = next((node["name"] for node in cluster["nodes"] if node["leader"]), None)
again = sum(len(task["attempts"]) > 1 for task in tasks)
assert outcome["complete"] and tasks, "not complete"
assert not wrong, f"not completed exactly once: {wrong}"
assert len({task["task"] for task in tasks}) == len(tasks), "one task twice"
assert leader and leader != killed, f"{leader} leads and {killed} was killed"
assert report.startswith("#"), "there is no report"
print(f"{len(tasks)} tasks completed once each, {again} of them at a second attempt, in {outcome['duration_ms']} ms; "
      f"{killed} was killed and {leader} leads; the report has {len(report.splitlines())} lines")
PY
