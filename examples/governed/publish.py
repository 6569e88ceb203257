"""Merges all pages into the main branch, when somebody has agreed to it."""
import json, sys

from node import Repository, must

work = json.load(sys.stdin)["payload"]
repository = Repository(work)
pages = [written["result"] for written in work["after"]["write"]]
branches = sorted(page["branch"] for page in pages)
# The same question in every attempt, so that it is asked once.
answer = must("git.merge", content="merge " + ", ".join(branches), into="main", branches=branches)

main = repository.tip("main")
files = repository.files(main)
pages_of = {name: line for page in pages for name, line in repository.files(page["commit"]).items()}
if pages_of.items() - files.items():
    commits = sorted(page["commit"] for page in pages)
    message = f"Publish {len(commits)} pages\n\nApproval: {answer['approval_id']}"
    repository.commit("main", {**files, **pages_of}, message, [main, *commits])
json.dump({"main": repository.tip("main"), "approval": answer["approval_id"]}, sys.stdout)
