"""Writes a page and leaves it on a branch of its own, once, however often it is begun."""
import fcntl, json, os, sys, time

from node import Repository, must, say

work = json.load(sys.stdin)["payload"]
repository, page, branch = Repository(work), work["page"], f"page/{work['page']}"
# Only looks whether the limit is kept: somebody else on the shelf would be a fault, and not waited for.
shelf = open(os.path.join(repository.path, f"{work['shelf']}.shelf"), "w")
try:
    fcntl.flock(shelf, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(f"there are two on the shelf {work['shelf']}")

must("git.commit", branch=branch)
time.sleep(float(work["seconds"]))
say(type="usage", tokens_in=600, tokens_out=300, model="none")
if not repository.tip(branch):
    blob = repository.git("hash-object", "-w", "--stdin", text=f"All about {page}.\n")
    files = {f"{page}.txt": f"100644 blob {blob}\t{page}.txt"}
    repository.commit(branch, files, f"Write about {page}", [repository.tip("main")])
json.dump({"branch": branch, "commit": repository.tip(branch)}, sys.stdout)
