#!/usr/bin/env python3
"""The runner itself: what fails, crashes, hangs or lies must never count as passed."""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tap import check, equal, main  # noqa: E402


def tally(*scripts, timeout="20", mode=0o755):
    """Runs a copy of the runner over a suite of shell scripts: exit status, last line, output."""
    with tempfile.TemporaryDirectory() as top:
        suite = pathlib.Path(top, "tests/some")
        suite.mkdir(parents=True)
        runner = pathlib.Path(top, "tests/run")
        runner.write_bytes((HERE.parent / "run").read_bytes())
        for i, text in enumerate(scripts):
            p = suite / f"test_{i}.sh"
            p.write_text(f"#!/bin/sh\n{text}\n")
            os.chmod(p, mode)
        r = subprocess.run([sys.executable, runner, "--timeout", timeout, "some"], text=True,
                           capture_output=True)
        return r.returncode, r.stdout.splitlines()[-1], r.stdout


def test_all_pass():
    "tests that pass are counted and not shown"
    status, last, out = tally("echo secret; echo 1..2; echo ok 1 - a; echo ok 2 - b", "echo 1..1; echo ok 1")
    equal((status, last), (0, "3 passed, 0 failed, 0 skipped"))
    check("secret" not in out, out)


def test_failing():
    "a failing test is shown with its output"
    status, last, out = tally("echo 1..2; echo ok 1 - a; echo '# seen 7'; echo not ok 2 - b; exit 1")
    equal((status, last), (1, "1 passed, 1 failed, 0 skipped"))
    check("test_0.sh: b" in out and "# seen 7" in out, out)


def test_crashing():
    "a crash is a failure, also after the last result"
    equal(tally("echo 1..1; echo ok 1 - a; kill -SEGV $$")[:2], (1, "1 passed, 1 failed, 0 skipped"))


def test_hanging():
    "a hang is a failure, and its child does not outlive it"
    status, last, out = tally("echo 1..1; sleep 987654 & echo ok 1 - a; wait", timeout="1")
    equal((status, last), (1, "1 passed, 1 failed, 0 skipped"))
    check(subprocess.run(["pgrep", "-f", "sleep 98765[4]"], capture_output=True).returncode == 1,
          "the child lives")


def test_no_plan():
    "no plan, or fewer results than planned, is a failure"
    equal(tally("echo ok 1 - a")[:2], (1, "1 passed, 1 failed, 0 skipped"))
    equal(tally("exit 0")[:2], (1, "0 passed, 1 failed, 0 skipped"))
    equal(tally("echo 1..3; echo ok 1 - a")[:2], (1, "1 passed, 1 failed, 0 skipped"))


def test_exit_status():
    "an exit status that no failed test explains is a failure"
    equal(tally("echo 1..1; echo ok 1 - a; exit 3")[:2], (1, "1 passed, 1 failed, 0 skipped"))


def test_skips():
    "a skipped test is named with its reason; nothing but skips is no success"
    skip = "echo 1..1; echo 'ok 1 - live # SKIP needs root'"
    status, last, out = tally(skip, "echo 1..1; echo ok 1 - a")
    equal((status, last), (0, "1 passed, 0 failed, 1 skipped"))
    check("skipped live: needs root" in out, out)
    equal(tally(skip)[:2], (1, "0 passed, 0 failed, 1 skipped"))
    equal(tally("echo '1..0 # SKIP not here'")[:2], (1, "0 passed, 0 failed, 1 skipped"))


def test_not_executable():
    "a test that was committed without its x bit is no test that passed"
    status, last, out = tally("echo 1..1; echo ok 1", mode=0o644)
    equal((status, last), (1, "0 passed, 1 failed, 0 skipped"))
    check("cannot run: Permission denied" in out, out)


def test_nothing():
    "no test at all is no success"
    equal(tally()[:2], (1, "0 passed, 0 failed, 0 skipped"))


if __name__ == "__main__":
    main(globals())
