#!/usr/bin/env python3
"""tiergatectl doctor: well where all is well, and the right word for what was broken."""
import contextlib
import json
import os
import pathlib
import pwd
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, ROOT, lab, libconfig, wait_for  # noqa: E402
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
        for what in ("configuration", "interfaces", "rules", "kernel", "forwarding", "conntrack", "daemon", "queues", "tables",
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


def states(found, what):
    return [state for state, _ in found.get(what, [])]


def test_lists(lab):
    "a list that was not fetched anew for longer than its site's max_age is said, by doctor and by check"
    file = lab.dir / "news.sites"
    file.write_text("news.example\n")
    sites = [*lab.settings()["sites"], {"name": "news", "lists": ["news.sites"], "max_age": "2h"}]
    with lab.gateway(sites=sites):
        found = doctor(lab)
        equal(states(found, "lists"), ["ok"], found)
        then = time.time() - 3 * 3600
        os.utime(file, (then, then))
        found = doctor(lab)
        equal(bad(found), {"lists"}, found)
        check("news.sites" in found["lists"][0][1] and "3 hours" in found["lists"][0][1], found["lists"])
        done = lab.run("gateway", BUILD / "tiergated", "check", "--config", lab.config_file)
        check("max_age" in done.stderr, done.stderr)
        sites[-1]["max_age"] = "4h"
        lab.reload(sites=sites)
        equal(states(doctor(lab), "lists"), ["ok"])


def portal_files(lab, name="portal.example", begin=-1, end=300):
    """portal.conf beside the configuration, with a certificate of these days."""
    days = lambda n: time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + n * 86400))  # noqa: E731
    (lab.dir / "template").write_text(f'cn = "x"\ndns_name = "{name}"\nactivation_date = "{days(begin)}"\n'
                                      f'expiration_date = "{days(end)}"\ntls_www_server\n')
    key = lab.dir / "portal.key"
    for argv in (["--generate-privkey", "--key-type", "ecdsa", "--outfile", key],
                 ["--generate-self-signed", "--load-privkey", key, "--template", lab.dir / "template",
                  "--outfile", lab.dir / "portal.pem"]):
        subprocess.run(["certtool", *argv], check=True, capture_output=True)
    key.chmod(0o600)
    (lab.dir / "portal.conf").write_text(libconfig({
        "url": "https://portal.example", "certificate": str(lab.dir / "portal.pem"), "key": str(key),
        "clients": ["10.77.1.0/24"], "control_socket": str(lab.control), "users_file": str(lab.dir / "users"),
        "state_dir": str(lab.dir / "state"), "texts": str(ROOT / "conf/portal")}))


def test_portal_that_does_not_run(lab):
    "people are sent to a portal that does not run: that is wrong; where nobody is sent, nothing is said"
    with lab.gateway():
        check(not states(doctor(lab), "portal"), doctor(lab))
    with lab.gateway(on_deny="redirect", portal=["10.77.1.1:80"]):
        found = doctor(lab)
        check("portal" in bad(found) and "not running, and on_deny sends people there" in found["portal"][0][1], found)


def test_portal(lab):
    "the portal's certificate: its name, its dates, its key; as its user finds them"
    (lab.dir / "users").write_text("")
    lab.dir.chmod(0o711)
    with lab.gateway(), contextlib.ExitStack() as undo:
        undo.callback(lambda: (lab.dir / "portal.conf").unlink())
        for what, state, word, over in (
                ("good", "ok", "is good", {}),
                ("a name of another", "BAD", "is not for portal.example", {"name": "other.example"}),
                ("ended", "BAD", "has ended on", {"begin": -9, "end": -2}),
                ("not begun", "BAD", "not valid yet", {"begin": 2}),
                ("ends soon", "look", "renew it", {"end": 10}),
                ("15 days", "ok", "is good", {"end": 15})):
            portal_files(lab, **over)
            mine_to_read(lab)
            found = doctor(lab)
            equal([s for s, t in found["portal"] if word in t], [state], f"{what}: {found['portal']}")
            equal(bad(found), {"portal"} if state == "BAD" else set(), found)
        (lab.dir / "portal.key").chmod(0o644)
        check(any("open to others" in text for _, text in doctor(lab)["portal"]), doctor(lab)["portal"])
        (lab.dir / "portal.key").write_text("no key")
        (lab.dir / "portal.key").chmod(0o600)
        check("portal" in bad(doctor(lab)), doctor(lab)["portal"])
        (lab.dir / "portal.pem").unlink()
        check("portal" in bad(doctor(lab)), doctor(lab)["portal"])
    check("portal" not in doctor(lab), "without portal.conf")


def mine_to_read(lab):
    """Where there is a user tiergate-portal here, the files are its own."""
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam("tiergate-portal")
        for name in ("portal.key", "portal.pem", "users"):
            os.chown(lab.dir / name, user.pw_uid, user.pw_gid)


def test_machine(lab):
    "NAT that is missing, folders that the daemon's user can't write, packets without a way back, resolvers"
    with lab.gateway(segments=[{"network": "10.77.1.0/24", "tier": "guest"}]):
        found = doctor(lab)
        equal((bad(found), states(found, "NAT"), states(found, "resolvers"), states(found, "kernel")),
              (set(), [], [], ["ok"]), found)
        lab.run("gateway", "ip", "route", "add", "default", "via", "198.51.100.2", "dev", "wan0")
        equal(states(doctor(lab), "NAT"), ["look"])
        lab.run("gateway", "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE")
        equal(states(doctor(lab), "NAT"), [])
        lab.run("gateway", "iptables", "-t", "nat", "-F")
        lab.run("gateway", "nft", "add table ip mine { chain c { type nat hook postrouting priority 99; ip saddr "
                "10.0.0.0/8 snat to 198.51.100.1; }; }")
        equal(states(doctor(lab), "NAT"), [])
        lab.run("gateway", "nft", "delete", "table", "ip", "mine")
        lab.run("gateway", "ip", "route", "del", "default")
        lab.hello("www.allowed.example")
        equal(states(doctor(lab), "resolvers"), ["look"], doctor(lab))
        lab.resolve("www.allowed.example")
        wait_for(lambda: states(doctor(lab), "resolvers") == ["ok"], 10, "the resolver's answer")
        lab.run("client", "ip", "addr", "add", "10.99.0.5/32", "dev", "lo")
        lab.run("client", "ping", "-c", "1", "-W", "1", "-I", "10.99.0.5", "198.51.100.11", check_exit=False)
        lab.run("client", "ip", "addr", "del", "10.99.0.5/32", "dev", "lo")
        wait_for(lambda: states(doctor(lab), "reverse path") == ["look"], 10, "the packet without a way back")
        lab.run("gateway", "iptables", "-I", "FORWARD", "-j", "ACCEPT")
        wait_for(lambda: states(doctor(lab), "rules") == ["ok", "look"], 10, "what another did to the rules")
        lab.run("gateway", "iptables", "-D", "FORWARD", "-j", "ACCEPT")
        os.chown(lab.control, 65534, -1)  # as if it were nobody's daemon
        found = doctor(lab)
        os.chown(lab.control, 0, -1)
        equal(bad(found), {"log", "state"}, found)
        check("nobody" in found["state"][0][1] and "Permission denied" in found["state"][0][1], found["state"])
        equal(bad(doctor(lab)), set())


if __name__ == "__main__":
    main(globals(), lab)
