#!/usr/bin/env python3
"""The sandbox of a running daemon: on in each thread, and all that an administrator does goes on in it."""
import os
import pathlib
import re
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab, wait_for  # noqa: E402
from tap import check, equal, main  # noqa: E402

GUEST = "10.77.1.2"


def field(path, name):
    return int(re.search(rf"^{name}:\s*(\d+)", path.read_text(), re.M)[1])


def threads(lab):
    return {(t / "comm").read_text().strip(): t
            for t in pathlib.Path(f"/proc/{lab.daemon.pid}/task").iterdir()}


def is_shut(lab):
    own = field(pathlib.Path("/proc/self/status"), "Seccomp_filters")
    for name, t in threads(lab).items():
        equal(field(t / "status", "Seccomp"), 2, f"Seccomp of {name}")
        equal(field(t / "status", "Seccomp_filters"), own + 1, f"filters of {name}")
        equal(field(t / "status", "NoNewPrivs"), 1, f"NoNewPrivs of {name}")


def only(path):
    """Settings whose one list is a file."""
    return {"sites": [{"name": "good", "lists": [str(path)]}], "allow": [{"tiers": ["guest"], "sites": ["good"]}]}


def test_on(lab):
    "each thread has the filter, by its name; the process that runs nft holds no socket of the daemon's"
    with lab.gateway():
        is_shut(lab)
        check("sandbox_lacks" not in lab.status(), lab.status().get("sandbox_lacks"))
        check("sandbox" in lab.ctl("doctor", "--config", lab.config_file).stdout)
        names = set(threads(lab))
        check({"tiergated", "decision log", "wiring", "queue 0"} <= names, names)
        children = pathlib.Path(f"/proc/{lab.daemon.pid}/task/{lab.daemon.pid}/children").read_text().split()
        equal(len(children), 1, "children")
        child = pathlib.Path(f"/proc/{children[0]}")
        equal((child / "comm").read_text().strip(), "tiergate-tool")
        equal(sorted(os.listdir(child / "fd")), ["0", "1", "2", "3"])
        lab.stop(how=signal.SIGKILL, wire=False)
        wait_for(lambda: not child.exists() or "State:\tZ" in (child / "status").read_text(), 15,
                 "the end of what runs nft")


def test_helper_gone(lab):
    "without the process that runs nft the daemon goes on, and says what could not be put back and why"
    with lab.gateway():
        child = pathlib.Path(f"/proc/{lab.daemon.pid}/task/{lab.daemon.pid}/children").read_text().strip()
        os.kill(int(child), signal.SIGKILL)
        lab.run("gateway", "nft", "flush", "ruleset")
        wait_for(lambda: "the process that runs it has ended; restart tiergated" in lab.log(), 20, "the word")
        equal(lab.ctl("status").returncode, 1)
        lab.wire()
        wait_for(lambda: lab.ctl("status").returncode == 0, 20, "the rules")
        check(lab.curl("https://www.allowed.example/", GUEST).ok)


def test_outside(lab):
    "a list where nothing was named at the start is refused by a reload with what to do, and taken by a restart"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        away = pathlib.Path(folder) / "more.sites"
        away.write_text("www.social.example\n")
        away.parent.chmod(0o755)
        more = only(away)
        with lab.gateway():
            before = lab.policy()
            lab.configure(**more)
            done = lab.ctl("reload")
            equal(done.returncode, 1, done.stdout + done.stderr)
            check("restart lets it in" in done.stdout + done.stderr, done.stdout, done.stderr)
            equal(lab.policy(), before)
            check(lab.curl("https://www.allowed.example/", GUEST).ok)
            lab.configure()
        with lab.gateway(**more):
            check(lab.curl("https://www.social.example/", GUEST).ok)
            # replaced as a download replaces it, and another one beside it
            fresh = away.with_suffix(".new")
            fresh.write_text("www.allowed.example\n")
            fresh.rename(away)
            lab.reload(**more)
            check(lab.curl("https://www.allowed.example/", GUEST).ok)
            beside = away.with_name("beside.sites")
            beside.write_text("www.social.example\n")
            lab.reload(**only(beside))
            check(lab.curl("https://www.social.example/", GUEST).ok)
            is_shut(lab)


def test_zone(lab):
    "a reload reads a time zone and a calendar of dates that the start did not know"
    with lab.gateway():
        before = lab.policy()
        lab.reload(schedules=[{"name": "always", "zone": "Pacific/Chatham"},
                              {"name": "dates", "zone": "America/St_Johns", "dates": ["2026-01-01"]}],
                   allow=[{"tiers": ["guest"], "sites": ["good"], "when": "always"}])
        check(lab.policy() != before, lab.log())
        check(lab.curl("https://www.allowed.example/", GUEST).ok)


def test_log(lab):
    "the log is opened again under its name, by SIGUSR1 and by a reload, also in a folder that was emptied"
    with lab.gateway():
        log = lab.records_file
        for n, ask in enumerate((lambda: lab.daemon.send_signal(signal.SIGUSR1), lab.reload)):
            log.rename(log.with_suffix(f".{n}"))
            ask()
            wait_for(log.exists, 15, "the new log")
            check(lab.curl("https://www.allowed.example/", GUEST).ok)
            wait_for(lambda: log.stat().st_size > 0, 15, "a record")


def test_knob(lab):
    "TIERGATE_SANDBOX=off runs without, and says so; a word that is none is refused"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        away = pathlib.Path(folder) / "more.sites"
        away.write_text("www.social.example\n")
        os.environ["TIERGATE_SANDBOX"] = "off"
        try:
            with lab.gateway():
                own = field(pathlib.Path("/proc/self/status"), "Seccomp")
                equal(field(pathlib.Path(f"/proc/{lab.daemon.pid}/status"), "Seccomp"), own)
                lab.reload(**only(away))
                check(lab.curl("https://www.social.example/", GUEST).ok)
                check("TIERGATE_SANDBOX=off" in lab.log(), lab.log())
                check("TIERGATE_SANDBOX=off" in lab.status()["sandbox_lacks"], lab.status())
            os.environ["TIERGATE_SANDBOX"] = "of"
            lab.launch()
            equal(lab.daemon.wait(20), 3)
            check("on, log and off" in lab.log(), lab.log())
            lab.daemon = None
        finally:
            del os.environ["TIERGATE_SANDBOX"]


if __name__ == "__main__":
    main(globals(), lab)
