#!/usr/bin/env python3
"""Runs a program by `swathe run --ask-fd` and answers its questions by a list of paths.

    ask-client.py [--read PATH]... [--write PATH]... -- CMD...

What is asked about below a path of the list is allowed as far as it says, everything else is
refused. docs/ask-protocol.md describes what is said. $SWATHE is the program, `swathe` if unset.
"""

import json
import os
import re
import socket
import subprocess
import sys

READS = {"stat", "read"}
WRITES = READS | {"write", "create", "truncate", "metadata", "remove", "rename"}


def path_of(text):
    """The bytes of a path: \\xNN is one byte."""
    return re.sub(
        rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode()
    )


def below(path, directory):
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")


def decide(question, read, write):
    """Whether a question is about something of the lists."""
    path = path_of(question["object"])
    for actions, directories in ((READS, read + write), (WRITES, write)):
        if question["action"] in actions and any(below(path, d) for d in directories):
            return True
    return False


def serve(lines, answers, read, write):
    """Answers until the run has ended."""
    hello = json.loads(lines.readline() or "{}")
    if hello.get("swathe-ask") != 1:
        return
    for line in lines:
        said = json.loads(line)
        if "question" in said:
            question = said["question"]
            allow = decide(question, read, write)
            verdict = "allowed" if allow else "refused"
            print(f"{verdict}: {question['action']} {question['object']}", file=sys.stderr)
            answer = {"id": question["id"], "allow": allow, "term": "run"}
            answers.write(json.dumps({"answer": answer}) + "\n")
            answers.flush()
        elif "error" in said:
            print(f"error: {said['error']}", file=sys.stderr)


def arguments(words):
    lists = {"--read": [], "--write": []}
    while words and words[0] in lists:
        lists[words[0]].append(os.fsencode(os.path.abspath(words[1])))
        words = words[2:]
    if not words or words[0] != "--" or len(words) < 2:
        sys.exit(__doc__)
    return lists["--read"], lists["--write"], words[1:]


def main():
    read, write, command = arguments(sys.argv[1:])
    ours, theirs = socket.socketpair()
    swathe = os.environ.get("SWATHE", "swathe")
    run = [swathe, "run", f"--ask-fd={theirs.fileno()}", "--", *command]
    child = subprocess.Popen(run, pass_fds=[theirs.fileno()])
    theirs.close()
    try:
        serve(ours.makefile("r", encoding="utf-8"), ours.makefile("w", encoding="utf-8"), read, write)
    except (BrokenPipeError, ConnectionResetError):
        pass  # The run has ended.
    sys.exit(child.wait())


if __name__ == "__main__":
    main()
