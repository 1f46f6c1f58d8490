#!/usr/bin/env python3
"""tests/live/groups.py: control groups of a test go when what is in them has ended, and those of killed tests later."""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "live")]
import groups  # noqa: E402
from tap import Skip, check, main  # noqa: E402


def make(name):
    tops = [c for c in (groups.ROOT / "unified", groups.ROOT / "systemd", groups.ROOT) if (c / "cgroup.procs").exists()]
    try:
        for top in tops[:1]:
            (top / name / "inner").mkdir(parents=True)
            return top / name / "inner"
    except OSError as e:
        raise Skip(f"no control group can be made: {e}") from e
    raise Skip("there are no control groups")


def test_removed_when_empty():
    "a folder goes with what is in it: not before its process has ended"
    name = f"tgb{os.getpid()}"
    inner = make(name)
    with subprocess.Popen(["sleep", "60"]) as p:
        (inner / "cgroup.procs").write_text(str(p.pid))
        check(not groups.remove(name, 0.2), "a folder with a process in it went")
        groups.remove_left()
        check(groups.folders(name), "that of a test that runs was taken for one that was left")
        p.kill()
    check(groups.remove(name), groups.folders(name))


def test_left_over():
    "a folder of a test that is gone goes at the start of the next one"
    with subprocess.Popen(["true"]) as p:
        p.wait()
    name = f"tgm{p.pid}"
    make(name)
    groups.remove_left()
    check(not groups.folders(name), groups.folders(name))


if __name__ == "__main__":
    main(globals())
