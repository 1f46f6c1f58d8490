#!/usr/bin/env python3
"""What lines and list entries are used is counted by the daemon, and outlives reloads that move them and
restarts; a killed daemon loses what it counted since it saved, and says so."""
import json
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab, wait_for  # noqa: E402
from tap import check, equal, main  # noqa: E402

GUEST = "10.77.1.2"
SITES = [{"name": "good", "hosts": ["allowed.example", "never.example"]}, {"name": "talk", "hosts": ["social.example"]}]
GOOD, TALK = ({"tiers": ["guest"], "sites": [s]} for s in ("good", "talk"))


def unused(lab, *options):
    """Lines to look at by their sites, unused entries, and the sums."""
    done = lab.ctl("--json", "unused", "--config", lab.config_file, *options)
    check(done.returncode in (0, 1), done.stderr)
    *rows, last = [json.loads(x) for x in done.stdout.splitlines()]
    equal(done.returncode, 1 if last["lines"] else 0)
    return [r["sites"][0] for r in rows if "rule" in r], [r["entry"] for r in rows if "entry" in r], last


def visit(lab, name):
    check(lab.curl(f"https://www.{name}/", GUEST).ok, name)


def restart(lab, how=signal.SIGTERM):
    lab.stop(how, wire=False)
    lab.launch()
    wait_for(lambda: lab.told("READY=1"), 15, "the start")


def test_moves(lab):
    "counts stay with lines that a reload moves, and outlive a restart; a changed line is new"
    with lab.gateway(sites=SITES, allow=[GOOD, TALK]):
        equal(unused(lab)[:2], (["good", "talk"], ["allowed.example", "never.example", "social.example"]))
        visit(lab, "allowed.example")
        lines, entries, last = unused(lab)
        equal((lines, entries), (["talk"], ["never.example", "social.example"]))
        equal((last["by"], last["unknown"], last["not_counted"], last["too_short"]), ("daemon", 0, 0, True))
        check("lost_to" not in last, last)
        lab.reload(sites=SITES[::-1], allow=[TALK, dict(GOOD, owner="desk")])
        equal(unused(lab)[:2], (["talk"], ["social.example", "never.example"]))
        restart(lab)
        lines, entries, after = unused(lab)
        equal((lines, entries), (["talk"], ["social.example", "never.example"]))
        equal(after["first"], last["first"])
        check("lost_to" not in after, after)
        lab.reload(sites=SITES, allow=[dict(GOOD, ports=["tcp/443"]), TALK])
        lines, entries, last = unused(lab)  # never hit: judged by the days, of which there are none yet
        equal(entries, ["never.example", "social.example"])
        check("good" not in lines or last["new"] == 0, last)
        lab.configure(sites=SITES, allow=[dict(GOOD, ports=["tcp/444"]), TALK])
        lines, entries, last = unused(lab)
        equal((lines, last["unknown"]), (["talk"], 1))
        said = lab.ctl("unused", "--config", lab.config_file).stdout
        check("not in force" in said and "by the daemon's counters since" in said, said)


def test_observed(lab):
    "a deny line that only observes is used where it would have denied, and so are its entries"
    watch = {"tiers": ["guest"], "sites": ["watched"], "mode": "observe"}
    sites = [*SITES, {"name": "watched", "hosts": ["www.allowed.example", "other.example"]}]
    with lab.gateway(sites=sites, allow=[GOOD, TALK], deny=[watch]):
        visit(lab, "social.example")
        equal(unused(lab)[0], ["good", "watched"])
        visit(lab, "allowed.example")
        lines, entries, last = unused(lab)
        equal((lines, last["by"]), ([], "daemon"))
        equal(entries, ["never.example", "other.example"])
        restart(lab)
        equal(unused(lab)[0], [])
        lab.reload(sites=sites, allow=[GOOD, TALK], deny=[dict(watch, mode="enforce")])
        equal(unused(lab)[2]["unknown"], 0)


def test_killed(lab):
    "a killed daemon loses what it counted since it saved, says so at the next start, and no more"
    with lab.gateway(sites=SITES, allow=[GOOD, TALK]):
        visit(lab, "allowed.example")
        restart(lab)
        visit(lab, "social.example")
        equal(unused(lab)[0], [])
        restart(lab, signal.SIGKILL)
        lines, entries, last = unused(lab)
        equal((lines, entries), (["talk"], ["never.example", "social.example"]))
        check(last["lost_from"] <= last["lost_to"], last)
        check("killed between" in lab.ctl("unused", "--config", lab.config_file).stdout)
        check("what lines of the policy were used after" in lab.log(), lab.log())
        restart(lab)
        equal(unused(lab)[2]["lost_to"], last["lost_to"])


def test_no_daemon(lab):
    "where no daemon answers the records tell, and that is said"
    with lab.gateway(sites=SITES, allow=[GOOD, TALK]):
        visit(lab, "social.example")
        lab.record(**{"event.action": "allow"})
        lab.stop(wire=False)
        done = lab.ctl("unused", "--config", lab.config_file)
        check("by the records" in done.stderr and "1 records" in done.stdout, done.stdout + done.stderr)
        check("site good" in done.stdout and "social" not in done.stdout, done.stdout)
        lab.launch()
        wait_for(lambda: lab.told("READY=1"), 15, "the start")


if __name__ == "__main__":
    main(globals(), lab)
