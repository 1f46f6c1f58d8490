#!/usr/bin/env python3
"""A lockdown shuts at once what is open, of those it names and of nobody else; it outlives a reload and
a restart, ends by itself, and everybody who asks is told."""
import json
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab, wait_for  # noqa: E402
from tap import check, equal, main  # noqa: E402
from test_identity import (BOTH, GOOD, SOCIAL, V4, V6, Open, covered, cut, gateway, identity_lab,  # noqa: E402
                           others, sessions, sign_in)

ROOM = "10.77.4.0/24"


def shut(lab, *argv):
    done = lab.ctl("--json", "lockdown", *argv)
    equal(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


def ended(lab, number):
    equal(lab.ctl("lockdown", "end", str(number)).returncode, 0)


def test_segment(lab):
    "a segment's open connections end, but to the sites that stay open; others see nothing"
    with gateway(lab), others(lab):
        sign_in(lab)
        wait_for(lambda: covered(lab, V6), 10, "IPv6")
        stays, goes = [Open(lab, GOOD, V4), Open(lab, SOCIAL, V6)], [Open(lab, SOCIAL, V4)]
        made = {}
        cut(lab, "lockdown", goes, lambda: made.update(
            shut(lab, "--segment", ROOM, "--only", "good", "--for", "1h")))
        for f in stays:  # IPv6 is another segment, which is said
            f.ask()
        equal((made["elsewhere"], made["elsewhere_one"]), (1, V6))
        equal((made["whom"], made["only"], made["by"]), (f"segment {ROOM}", ["good"], "root"))
        check(covered(lab, V4, GOOD) and not covered(lab, V4) and covered(lab, V6))
        record = lab.record(**{"rule.name": "lockdown", "event.action": "deny"})
        equal((record["event.reason"], record["user.name"]), ("lockdown", "ann"))
        why = lab.ctl("why", "--address", V4, "--to", SOCIAL)
        check(f"root locked down segment {ROOM}" in why.stdout, why.stdout)
        ended(lab, made["lockdown"])
        lab.record(**{"tiergate.act": "lockdown-end"})
        acts = [(r["tiergate.act"], r["tiergate.by"], r.get("user.name")) for r in lab.records(**{"event.action": "act"})]
        equal(acts, [("login", "root", "ann"), ("lockdown", "root", None), ("lockdown-end", "root", None)])
        wait_for(lambda: covered(lab, V4), 3, "the end")


def test_outlives(lab):
    "a reload, a restart and a new sign-in change nothing; it ends by itself at its time"
    with gateway(lab):
        sign_in(lab)
        shut(lab, "--tier", "staff", "--only", "good", "--for", "1h")
        short = shut(lab, "--user", "ann", "--for", "12s")
        until = time.monotonic() + 12
        check(not covered(lab, V4, GOOD))
        lab.reload()
        check(not covered(lab, V4, GOOD), "after a reload")
        lab.stop(wire=False)
        lab.launch()
        wait_for(lambda: lab.told("READY=1"), 15, "the start")
        check(sessions(lab) and not covered(lab, V4), "after a restart")
        listed = [json.loads(x) for x in lab.ctl("--json", "lockdown", "list").stdout.splitlines()]
        equal([x["whom"] for x in listed], ["tier staff", "user ann"][:len(listed)])
        wait_for(lambda: time.monotonic() > until and covered(lab, V4, GOOD), 30, "the end by itself")
        check(not covered(lab, V4), "the other one")
        equal(lab.ctl("lockdown", "end", str(short["lockdown"] + 9)).returncode, 1)
        lab.record(**{"tiergate.act": "reload", "tiergate.by": "a signal"})
        lab.record(**{"tiergate.act": "lockdown-end", "tiergate.by": "its time", "tiergate.detail": str(short["lockdown"])})
        lab.ctl("logout", "--user", "ann")
        check(covered(lab, V4, GOOD), "nobody's: what the segment gives")


def test_block(lab):
    "a blocked user's connections end and the user can't sign in, until unblocked"
    with gateway(lab), others(lab):
        sign_in(lab)
        goes = [Open(lab, BOTH, V4), Open(lab, SOCIAL, V4)]
        cut(lab, "block", goes, lambda: equal(lab.ctl("block", "Ann").returncode, 0))
        lab.stop(signal.SIGKILL, wire=False)  # in the very moment of the answer
        lab.start(wire=False)
        check(not covered(lab, V4))
        lab.ctl("logout", "--user", "ann")
        done = lab.login(V4, "ann", "pw pw pw")
        equal(done.returncode, 1, done.stdout)
        check("blocked" in done.stderr, done.stderr)
        equal(lab.ctl("unblock", "ANN").returncode, 0)
        equal(lab.ctl("unblock", "ann").returncode, 1)
        sign_in(lab)
        check(covered(lab, V4))


def test_bad(lab):
    "what is misspelt shuts nothing and says so; a site that a later policy lacks is shut"
    with gateway(lab):
        for argv, status in ((("--segment", "room12", "--for", "1h"), 2), (("--tier", "staf", "--for", "1h"), 1),
                             (("--user", "ann", "--only", "god", "--for", "1h"), 1),
                             (("--user", "ann", "--only", "good"), 2), (("--user", "ann", "--for", "soon"), 2),
                             (("--user", "ann", "--until", "2020-01-01 10:00"), 2), (("--for", "1h"), 2),
                             (("end", "x"), 2)):
            done = lab.ctl("lockdown", *argv)
            equal(done.returncode, status, f"{argv}: {done.stdout}{done.stderr}")
            check(done.stderr, argv)
        equal(lab.ctl("lockdown", "list").stdout, "")
        sign_in(lab)
        shut(lab, "--user", "ann", "--only", "social", "--for", "1h")
        check(covered(lab, V4))
        lab.reload(sites=[{"name": "good", "hosts": ["allowed.example"]},
                          {"name": "talk", "hosts": ["social.example"]}],
                   inside=["lan0", "lan1"], allow=[{"tiers": ["staff"], "sites": ["talk", "good"]}],
                   segments=[{"network": ROOM, "tier": "guest"}])
        check(not covered(lab, V4) and not covered(lab, V4, GOOD))


def test_lost(lab):
    "what was shut and can't be read again is said until an operator shuts anew: status, doctor and metric"
    with gateway(lab):
        sign_in(lab)
        shut(lab, "--user", "ann", "--only", "good", "--for", "1h")
        equal(lab.ctl("status").returncode, 0)
        lab.stop(wire=False)
        kept = lab.dir / "state/lockdowns.state"
        kept.write_bytes(kept.read_bytes()[:-5])
        lab.start(wire=False)
        status = lab.ctl("status")
        equal(status.returncode, 1)
        check("NOT OK: lockdowns were lost" in status.stdout, status.stdout)
        check("BAD   lockdowns" in lab.ctl("doctor", "--config", lab.config_file).stdout)
        check("tiergate_lockdowns_lost 1\n" in lab.ctl("metrics").stdout)
        shut(lab, "--user", "ann", "--only", "good", "--for", "1h")
        equal(lab.ctl("status").returncode, 0)
        check(not covered(lab, V4) and covered(lab, V4, GOOD))


if __name__ == "__main__":
    main(globals(), identity_lab)
