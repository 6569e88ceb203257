"""Makes the repository, unless it is there."""
import json, os, subprocess, sys

from node import Repository

repository = Repository(json.load(sys.stdin)["payload"])
os.makedirs(repository.path, exist_ok=True)
# Doing it again changes nothing.
subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch", "main", repository.path], check=True)
if not repository.tip("main"):
    repository.commit("main", {}, "Begin", [])
json.dump({"main": repository.tip("main")}, sys.stdout)
