#!/usr/bin/env python3
"""Every program, and every command of one, says on --help and -h how it is called."""
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
from tap import check, equal, main  # noqa: E402

BUILD = pathlib.Path(os.environ.get("TIERGATE_BUILD", ROOT / "build")).resolve()


def helped(*command):
    """What --help says, which -h says, too."""
    said = []
    for word in ("--help", "-h"):
        done = subprocess.run([BUILD / command[0], *command[1:], word], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)
        what = " ".join([*command, word])
        equal((done.returncode, done.stderr), (0, ""), what)
        check(done.stdout.startswith(f"usage: {command[0]}"), what, "says", done.stdout)
        said.append(done.stdout)
    equal(said[0], said[1], f"--help and -h of {command}")
    return said[0]


def test_programs():
    "tiergated, tiergate-portal and tiergatectl say how they are called"
    for program in ("tiergated", "tiergate-portal", "tiergatectl"):
        helped(program)


def test_tiergated():
    "each command of tiergated says how it is called"
    commands = re.findall(r"^  ([a-z]+)  ", helped("tiergated"), re.M)
    equal(commands, ["run", "check", "replay"], "commands")
    for command in commands:
        check(f"tiergated {command}" in helped("tiergated", command), command)


def test_tiergatectl():
    "each command of tiergatectl says how it is called"
    commands = re.findall(r"^  ([a-z]+) ", helped("tiergatectl"), re.M)
    check(len(commands) >= 26, "commands:", commands)
    for command in commands:
        check(f"tiergatectl {command}" in helped("tiergatectl", command), command)
    for word in ("up", "down", "check", "print"):
        helped("tiergatectl", "wiring", word)


if __name__ == "__main__":
    main(globals())
