#!/usr/bin/env python3
"""tiergatectl probe: packets of its own, through the kernel's rules, the queue and the daemon."""
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, lab, wait_for  # noqa: E402, F401
from tap import check, equal, main  # noqa: E402

INSIDE = ["lan0", "tgprobe"]


def probe(lab):
    return lab.run("gateway", BUILD / "tiergatectl", "--socket", lab.control, "probe", "--once", "--config",
                   lab.config_file, check_exit=False)


def told(lab):
    return {row["tier"]: (row["allowed"], row["denied"]) for row in lab.status().get("probe", [])}


def metric(lab, name, tier):
    lines = lab.ctl("metrics").stdout.splitlines()
    found = [line.split()[1] for line in lines if line.startswith(f'{name}{{tier="{tier}"}}')]
    return found[0] if found else None


def test_all_is_well(lab):
    "each tier reaches what it is allowed and not what it is denied; status and metrics say so; nothing stays"
    with lab.gateway(inside=INSIDE):
        done = probe(lab)
        equal(done.returncode, 0, done.stdout + done.stderr)
        equal(told(lab), {"guest": ("ok", "ok"), "staff": ("ok", "ok")})
        for tier in ("guest", "staff"):
            equal((metric(lab, "tiergate_probe_allowed", tier), metric(lab, "tiergate_probe_denied", tier)), ("1", "1"))
        rows = {(r["tiergate.tier"], r["event.action"], ":" in r["source.ip"])
                for r in lab.records(user__name="tiergate-probe") if r["event.action"] != "act"}
        equal(rows, {(t, a, six) for t in ("guest", "staff") for a in ("allow", "deny") for six in (False, True)})
        check("tiergate-probe" not in lab.ctl("--json", "sessions").stdout, "its session stays")
        check("tgprobe" not in lab.run("gateway", "ip", "link").stdout, "its links stay")
        check("2 tiers tried, 0 wrong" in lab.ctl("status").stdout, lab.ctl("status").stdout)


def test_rules_that_let_through(lab):
    "another program accepts all before our rules, of either IP version: what is denied goes through, and is seen"
    with lab.gateway(inside=INSIDE, when_flushed="report"):
        for tool, bad in (("iptables", "IPv4"), ("ip6tables", "IPv6")):
            for chain in ("PREROUTING", "FORWARD"):
                lab.run("gateway", tool, "-t", "mangle", "-I", chain, "-j", "ACCEPT")
            done = probe(lab)
            for chain in ("PREROUTING", "FORWARD"):
                lab.run("gateway", tool, "-t", "mangle", "-D", chain, "-j", "ACCEPT")
            equal(done.returncode, 1, done.stdout + done.stderr)
            equal(told(lab), {"guest": ("ok", "wrong"), "staff": ("ok", "wrong")}, done.stdout)
            equal(metric(lab, "tiergate_probe_denied", "guest"), "0")
            status = lab.ctl("status")
            equal(status.returncode, 1, status.stdout)
            check("NOT OK: probe: tier guest reaches denied.tiergate-probe.invalid, which it is denied" in status.stdout,
                  status.stdout)
            check(f"its TLS hello came out over {bad}" in status.stdout, status.stdout)
        equal(probe(lab).returncode, 0)
        wait_for(lambda: lab.ctl("status").returncode == 0, 20, "that all is well again")


def test_rules_that_are_gone(lab):
    "the rules are flushed and nobody puts them back: what is denied goes through, and the probe says so"
    with lab.gateway(inside=INSIDE, when_flushed="report"):
        lab.run("gateway", "iptables", "-t", "mangle", "-F")
        equal(probe(lab).returncode, 1)
        equal(told(lab)["guest"], ("ok", "wrong"))


def test_what_does_not_go_through(lab):
    "another firewall drops what is allowed: the probe says that, and that what is denied is denied"
    with lab.gateway(inside=INSIDE):
        lab.run("gateway", "iptables", "-I", "FORWARD", "-i", "tgprobe", "-j", "DROP")
        done = probe(lab)
        lab.run("gateway", "iptables", "-D", "FORWARD", "-i", "tgprobe", "-j", "DROP")
        equal(done.returncode, 1, done.stdout)
        equal(told(lab)["staff"], ("wrong", "ok"))
        check("its connection is not answered over IPv4" in lab.ctl("status").stdout, lab.ctl("status").stdout)
        equal(lab.ctl("status").returncode, 0)


def test_names(lab):
    "names are those of expect lines first; who reaches all has none that is denied; observe mode denies nothing"
    with lab.gateway(inside=INSIDE, tiers=[{"name": "guest"}, {"name": "all"}, {"name": "seen", "mode": "observe"}],
                     segments=None, deny=[{"tiers": ["guest"], "sites": ["social"]}],
                     allow=[{"tiers": ["guest"], "sites": ["good"]}, {"tiers": ["all"], "sites": ["*"]}],
                     expect=[{"tier": "guest", "to": "good.shared.example", "outcome": "allow"}]):
        done = probe(lab)
        equal(done.returncode, 0, done.stdout + done.stderr)
        rows = {row["tier"]: row for row in lab.status()["probe"]}
        equal((rows["guest"]["allowed_name"], rows["guest"]["denied_name"]), ("good.shared.example", "social.example"))
        equal(told(lab), {"guest": ("ok", "ok"), "all": ("ok", "none"), "seen": ("none", "none")})
        check("observed" in rows["seen"]["why"], rows["seen"])


def test_refused(lab):
    "where it can't tell anything it says why and what to do"
    with lab.gateway():
        done = probe(lab)
        equal(done.returncode, 3, done.stdout)
        check('inside does not name "tgprobe": add it' in done.stderr, done.stderr)
    with lab.gateway(inside=INSIDE, internal=["10.0.0.0/8", "198.18.0.0/15"]):
        done = probe(lab)
        equal(done.returncode, 3, done.stdout)
        check("internal holds 198.18.255.6" in done.stderr, done.stderr)
    with lab.gateway(inside=INSIDE):
        check(lab.status()["wiring"] == "in place", "a link that is not there while nothing is probed")
        lab.stop(wire=False)
        done = probe(lab)
        equal(done.returncode, 3, done.stdout)
        check("the daemon does not answer" in done.stderr, done.stderr)
        lab.start(wire=False)


def test_service(lab):
    "as a service it tells that it is ready and goes on; a second one beside it is refused; its end takes all with it"
    with lab.gateway(inside=INSIDE):
        p = lab.spawn("gateway", BUILD / "tiergatectl", "--socket", lab.control, "probe", "--config", lab.config_file)
        wait_for(lambda: told(lab) == {"guest": ("ok", "ok"), "staff": ("ok", "ok")}, 30, "its word")
        lines = pathlib.Path(f"/proc/{p.pid}/status").read_text().splitlines()
        equal({line.split()[1] for line in lines if line.startswith(("CapEff", "CapPrm"))}, {"0" * 16})
        done = probe(lab)
        equal(done.returncode, 3, done.stdout)
        check("another probe runs" in done.stderr, done.stderr)
        p.send_signal(signal.SIGKILL)
        p.wait()
        wait_for(lambda: "tgprobe" not in lab.run("gateway", "ip", "link").stdout, 10, "its links to go")


sys.exit(main(globals(), lab))
