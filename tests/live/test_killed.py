#!/usr/bin/env python3
"""A process that is killed with -9 in the middle of what it does: the next one ends what was to end, and
records what had no record."""
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab, wait_for  # noqa: E402
from tap import check, equal, main, note  # noqa: E402
from test_identity import SOCIAL, V4, Open, gateway, identity_lab, sign_in  # noqa: E402

FLOWS = 8


def gone(flows):
    out = []
    for f in flows:
        f.s.settimeout(0.3)
        try:
            f.ask()
        except (OSError, AssertionError):
            out.append(f.port)
    return out


def denials(lab):
    return [r["source.port"] for r in lab.records(**{"event.action": "deny"})]


def round_of(lab, act, wait=0, saved=False, rules=False):
    flows = [Open(lab, SOCIAL, V4) for _ in range(FLOWS)]
    if saved:
        lab.stop(wire=False)
        lab.start(wire=False)
        for f in flows:
            f.ask()
    act()
    time.sleep(wait)
    lab.stop(signal.SIGKILL, wire=False)
    before = set(denials(lab))
    if rules:
        lab.wire()
    lab.launch()
    wait_for(lambda: lab.told("READY=1"), 15, "the start")
    wait_for(lambda: len(gone(flows)) == FLOWS, 20, "ends")
    ports = {f.port for f in flows}  # what was recorded just before the kill may be said again
    if saved:  # nobody knows whether a denial is of a flow that nobody knows
        wait_for(lambda: ports <= set(denials(lab)), 10, "a record of each")
    note(f"{len(before & ports)} of {FLOWS} records before the kill")


def session_kept(lab):
    sign_in(lab)
    kept = lab.dir / "state/sessions.state"
    wait_for(lambda: kept.exists() and b"ann" in kept.read_bytes(), 10, "the session on disk")


def killed(lab, saved):
    with gateway(lab):
        session_kept(lab)
        for i in range(5):
            round_of(lab, lambda: equal(lab.ctl("block", "ann").returncode, 0), i * 0.004, saved)
            equal(lab.ctl("unblock", "ann").returncode, 0)


def test_saved(lab):
    "a block and a kill at once: what was saved of flows is cut, each with a record"
    killed(lab, True)


def test_young(lab):
    "the same of flows that no file knew yet"
    killed(lab, False)


def test_policy(lab):
    "a reload and a kill at once, rules as the service loads them: what only the old policy allowed is cut"
    own = {"inside": ["lan0", "lan1"],
           "segments": lab.settings()["segments"] + [{"network": "10.77.4.0/24", "tier": "guest"}]}
    with gateway(lab):
        session_kept(lab)

        def reload(**over):
            lab.configure(**own, **over)
            lab.wire()
            equal(lab.ctl("reload").returncode, 0)
        for _ in range(3):
            reload()
            round_of(lab, lambda: reload(allow=[{"tiers": ["guest"], "sites": ["good"]}]), rules=True)


if __name__ == "__main__":
    main(globals(), identity_lab)
