"""Measures one Rust file: lines, functions, the longest function, TODO markers, non-ASCII characters.

Reads a task from stdin, whose payload is {"root": folder, "file": path in it}, and prints the measures
as JSON. Tolerant on purpose: it looks at braces and words and does not parse Rust.
"""

import json
import os
import re
import sys

FUNCTION = re.compile(
    r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:default\s+)?(?:const\s+)?(?:async\s+)?(?:unsafe\s+)?"
    r"(?:extern\s+(?:\"[^\"]*\"\s+)?)?fn\s+(\w+)"
)
# A marker is the word in capitals with a sign or the end after it, not a part of a longer word.
TODO = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
# Braces inside of these are no blocks.
NOT_CODE = re.compile(r'//.*$|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'')


def functions(lines):
    """Returns (name, length in lines) of every function that has a body."""
    code = [NOT_CODE.sub("", line) for line in lines]
    found = []
    for start, line in enumerate(code):
        match = FUNCTION.match(line)
        if match:
            length = body_length(code, start)
            if length:
                found.append((match.group(1), length))
    return found


def body_length(code, start):
    """Counts lines from `start` to the brace that closes the body; None for a declaration without one."""
    depth = 0
    opened = False
    for number in range(start, len(code)):
        for character in code[number]:
            if character == "{":
                depth += 1
                opened = True
            elif character == "}":
                depth -= 1
            elif character == ";" and not opened and depth == 0 and "[" not in code[number]:
                return None
        if opened and depth <= 0:
            return number - start + 1
    return len(code) - start if opened else None


def measure(text):
    lines = text.splitlines()
    found = functions(lines)
    # The first of the longest, so that the result does not depend on anything but the text.
    name, length = max(found, key=lambda function: function[1], default=(None, 0))
    return {
        "lines": len(lines),
        "functions": len(found),
        "longest_function": {"name": name, "lines": length},
        "todos": sum(len(TODO.findall(line)) for line in lines),
        "non_ascii": sum(1 for character in text if ord(character) > 127),
    }


def main():
    payload = json.load(sys.stdin)["payload"]
    path = os.path.join(payload["root"], payload["file"])
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8", errors="replace")
    except OSError as error:
        # The file was there when the run began; somebody removed it since.
        sys.exit(f"cannot read {path}: {error.strerror}")
    json.dump({"file": payload["file"], **measure(text)}, sys.stdout)


if __name__ == "__main__":
    main()
