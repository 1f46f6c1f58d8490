#!/usr/bin/env python3
"""tiergatectl doctor: well where all is well, and the right word for what was broken."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab  # noqa: E402
from tap import check, equal, main  # noqa: E402


def doctor(lab):
    """(exit status, {what: [(state, text)]})"""
    done = lab.ctl("doctor", "--config", lab.config_file, "--json")
    said = json.loads(done.stdout)
    equal(done.returncode, 0 if said["ok"] else 1, "exit status")
    found = {}
    for f in said["findings"]:
        found.setdefault(f["what"], []).append((f["state"], f["text"]))
    equal(said["ok"], all(state != "BAD" for list_ in found.values() for state, _ in list_))
    return found


def bad(found):
    return {what for what, list_ in found.items() for state, _ in list_ if state == "BAD"}


def test_well(lab):
    "a good gateway: nothing is wrong, and each part is named"
    with lab.gateway():
        found = doctor(lab)
        equal(bad(found), set(), found)
        for what in ("configuration", "interfaces", "rules", "forwarding", "conntrack", "daemon", "queues", "tables",
                     "log", "state", "clock"):
            check(what in found, what, "was not looked at")
        text = lab.ctl("doctor", "--config", lab.config_file).stdout
        check("nothing is wrong" in text or "all is well" in text, text)


def test_broken(lab):
    "each thing that is broken is said, with what to do, and the exit status is 1"
    with lab.gateway():
        lab.run("gateway", "sysctl", "-qw", "net.ipv4.ip_forward=0")
        found = doctor(lab)
        lab.run("gateway", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        equal(bad(found), {"forwarding"}, found)
        check("sysctl -w net.ipv4.ip_forward=1" in found["forwarding"][0][1], found["forwarding"])
        lab.configure(allow=[{"tiers": ["staff"], "sites": ["social"]}])
        found = doctor(lab)  # the rules carry the policy's digest
        check(("look", "the configuration on disk is another one than the policy in force; systemctl reload tiergated")
              in found["reload"], found)
        lab.configure()
        lab.run("gateway", "sysctl", "-qw", "net.netfilter.nf_conntrack_acct=0")
        check(any(state == "look" and "nf_conntrack_acct" in text for state, text in doctor(lab)["conntrack"] +
                  doctor(lab).get("network", []) + doctor(lab).get("rules", [])) or "rules" in bad(doctor(lab)), doctor(lab))
        lab.run("gateway", "sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
        lab.configure(inside=["lan7"])
        check("interfaces" in bad(doctor(lab)), doctor(lab))
        lab.configure('modus = "x";\n')
        found = doctor(lab)
        check("configuration" in bad(found) and "modus" in found["configuration"][0][1], found)
        lab.configure()
        lab.stop(wire=False)
        lab.run("gateway", "iptables", "-t", "mangle", "-F", "TIERGATE-INSIDE")
        found = doctor(lab)
        equal(bad(found), {"daemon", "rules"}, found)
        check(any("tiergatectl wiring up" in text for _, text in found["rules"]), found["rules"])
        lab.wire(False)


def test_versions(lab):
    "who governs IPv4 alone is told"
    with lab.gateway(segments=[{"network": "10.77.1.0/24", "tier": "guest"}], internal=["10.0.0.0/8"]):
        texts = [text for state, text in doctor(lab).get("IPv6", []) if state == "look"]
        equal(len(texts), 3, texts)


if __name__ == "__main__":
    main(globals(), lab)
