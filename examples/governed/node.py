"""What the agents of this fleet share: words with the node, and git."""
import json, os, subprocess, sys

WHO = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER")
       for part, value in (("NAME", os.environ.get("SYNOD_AGENT", "agent")), ("EMAIL", "agent@localhost"))}

def say(**message):
    """Tells the node something, on descriptor 3."""
    os.write(3, (json.dumps(message) + "\n").encode())

def must(tool, content=None, **attributes):
    """Asks whether a tool may be used, and waits for the answer on descriptor 4; ends when it may not."""
    say(type="tool_request", tool=tool, attributes=attributes, content=content)
    answer = json.loads(answers.readline())
    print(tool, attributes, "->", answer["reason"], file=sys.stderr)
    if not answer["allowed"]:
        sys.exit(f"{tool} was not allowed: {answer['reason']}")
    return answer

answers = os.fdopen(4)

class Repository:
    """A repository without a working tree: a commit is there as a whole or not at all, whenever somebody pulls the plug."""

    def __init__(self, work):
        self.path = os.path.join(work["dir"], work["repository"])

    def git(self, *arguments, text=None):
        ran = subprocess.run(["git", "-C", self.path, *arguments], input=text, text=True, capture_output=True,
                             env={**os.environ, **WHO})
        if ran.returncode:
            sys.exit(f"git {' '.join(arguments)}: {ran.stderr.strip()}")
        return ran.stdout.strip()

    def tip(self, branch):
        """The commit of a branch, or nothing."""
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def files(self, commit):
        """The lines of a commit's tree, by file."""
        lines = self.git("ls-tree", commit).splitlines()
        return {line.split("\t", 1)[1]: line for line in lines}

    def commit(self, branch, files, message, parents):
        """Moves a branch from its first parent, if it is there, to a new commit."""
        tree = self.git("mktree", text="".join(f"{line}\n" for line in files.values()))
        before = self.tip(branch)
        made = self.git("commit-tree", tree, "-m", message, *(word for one in parents for word in ("-p", one)))
        self.git("update-ref", f"refs/heads/{branch}", made, before or "0" * 40)
        return made
