"""Finds the licence that the source of one package states.

Reads a task from stdin, whose payload is {"name", "version", "cargo_home"}, looks into the local cargo
registry (never into the network), and prints the licence as JSON. Ends with 1 when the source is not there.
"""

import glob
import json
import os
import re
import sys
import tarfile

KEY = re.compile(r'^\s*(license|license-file)\s*=\s*(?:"([^"]*)"|\'([^\']*)\')')
TABLE = re.compile(r"^\s*\[")


def cargo_home(given):
    """The folder of cargo: the given one, or as cargo itself finds it."""
    return given or os.environ.get("CARGO_HOME") or os.path.join(os.path.expanduser("~"), ".cargo")


def manifest(home, package):
    """Returns the text of the package's Cargo.toml, unpacked or from its archive; None if neither is there."""
    pattern = os.path.join(glob.escape(home), "registry", "src", "*", glob.escape(package), "Cargo.toml")
    for path in sorted(glob.glob(pattern)):
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    pattern = os.path.join(glob.escape(home), "registry", "cache", "*", glob.escape(package) + ".crate")
    for path in sorted(glob.glob(pattern)):
        with tarfile.open(path, "r:gz") as archive:
            member = archive.extractfile(f"{package}/Cargo.toml")
            if member:
                return member.read().decode("utf-8", errors="replace")
    return None


def licence(text):
    """Returns what the table [package] states: (licence, "license") or (file, "license-file")."""
    stated = {}
    in_package = False
    for line in text.splitlines():
        if TABLE.match(line):
            in_package = line.strip().startswith(("[package]", "[project]"))
        match = KEY.match(line) if in_package else None
        if match:
            stated[match.group(1)] = match.group(2) or match.group(3) or ""
    for kind in ("license", "license-file"):
        if stated.get(kind):
            return stated[kind], kind
    return None, "none"


def main():
    payload = json.load(sys.stdin)["payload"]
    package = f"{payload['name']}-{payload['version']}"
    try:
        text = manifest(cargo_home(payload.get("cargo_home")), package)
    except (OSError, KeyError, tarfile.TarError) as error:
        sys.exit(f"cannot read the source of {package} in the local registry: {error}; run cargo fetch")
    if text is None:
        # $CARGO_HOME itself does not reach an agent, whose environment is a short list.
        sys.exit(f"the source of {package} is not in the local registry: run cargo fetch, "
                 "or say where cargo's folder is with --input cargo_home=FOLDER")
    stated, kind = licence(text)
    # The spelling with a slash is an old one for OR.
    stated = " OR ".join(part.strip() for part in stated.split("/")) if kind == "license" else stated
    json.dump({"name": payload["name"], "version": payload["version"], "licence": stated, "stated_by": kind}, sys.stdout)


if __name__ == "__main__":
    main()
