"""Merges the results of the entries `files` and `licences` into one Markdown report.

Reads a task from stdin, whose payload is {"root", "report", "after": {entry: [{"item", "result"}, ..]}}.
The report depends on the results alone: sorted, without times and without paths of this machine.
"""

import json
import os
import sys
import tempfile
from collections import Counter

# The longest tables that a person still reads.
ROWS = 20


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |")
    return lines


def ranked(files, key):
    """Files with a positive key, largest first, then by name."""
    chosen = [file for file in files if key(file) > 0]
    return sorted(chosen, key=lambda file: (-key(file), file["file"]))


def section(lines, title, head, rows):
    lines += ["", f"## {title}", ""]
    lines += table(head, rows[:ROWS]) if rows else ["None."]
    if len(rows) > ROWS:
        lines += ["", f"… and {len(rows) - ROWS} more."]


def licence_name(package):
    if package["licence"] is None:
        return "(none stated)"
    return package["licence"] if package["stated_by"] == "license" else f"see file {package['licence']}"


def report(files, packages):
    totals = {
        "files": len(files),
        "lines": sum(file["lines"] for file in files),
        "functions": sum(file["functions"] for file in files),
        "todos": sum(file["todos"] for file in files),
        "non_ascii": sum(file["non_ascii"] for file in files),
        "packages": len(packages),
        "licences": len({licence_name(package) for package in packages}),
    }
    names = {
        "files": "Rust files", "lines": "lines", "functions": "functions", "todos": "TODO markers",
        "non_ascii": "non-ASCII characters", "packages": "packages from a registry", "licences": "different licences",
    }
    lines = ["# Audit", ""] + table(["what", "how many"], [(names[key], value) for key, value in totals.items()])

    section(lines, "Largest files", ["file", "lines", "functions"],
            [(file["file"], file["lines"], file["functions"]) for file in ranked(files, lambda file: file["lines"])])
    section(lines, "Longest functions", ["function", "lines", "file"],
            [(file["longest_function"]["name"], file["longest_function"]["lines"], file["file"])
             for file in ranked(files, lambda file: file["longest_function"]["lines"])])
    section(lines, "TODO markers", ["file", "markers"],
            [(file["file"], file["todos"]) for file in ranked(files, lambda file: file["todos"])])
    section(lines, "Non-ASCII characters", ["file", "characters"],
            [(file["file"], file["non_ascii"]) for file in ranked(files, lambda file: file["non_ascii"])])

    counted = Counter(licence_name(package) for package in packages)
    lines += ["", "## Licences", ""]
    lines += table(["licence", "packages"], sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))
    lines += ["", "## Packages", ""]
    lines += table(["package", "version", "licence"],
                   sorted((package["name"], package["version"], licence_name(package)) for package in packages))
    return "\n".join(lines) + "\n", totals


def write(path, text):
    """Writes beside the file and renames, so that nobody ever reads half a report."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".audit-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # A temporary file is for its owner alone; a report is for all.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main():
    payload = json.load(sys.stdin)["payload"]
    results = {entry: [one["result"] for one in ended] for entry, ended in payload["after"].items()}
    text, totals = report(results["files"], results["licences"])
    path = os.path.abspath(os.path.join(payload["root"], payload["report"]))
    write(path, text)
    json.dump({"report": path, "totals": totals}, sys.stdout)


if __name__ == "__main__":
    main()
