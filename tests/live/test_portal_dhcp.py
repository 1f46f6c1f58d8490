#!/usr/bin/env python3
"""A client that knows nothing but its cable: address, resolver and the captive portal's API come by DHCP from
dnsmasq (RFC 8910), the API says what to do (RFC 8908), and the page does it."""
import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import ROOT, Fetch, wait_for  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402
from test_portal import GATE, Browser, portal_lab  # noqa: E402

API = f"{GATE}/api"
MAC = "02:00:00:00:05:02"
HOOK = """#!/bin/sh
# what udhcpc calls: the lease as a shell would set it
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr replace "$ip/$mask" dev "$interface"
ip route replace default via $router
printf 'nameserver %s\\n' $dns >{etc}/resolv.conf
echo "$ip $opt114" >{etc}/lease
"""


def manual(word):
    """The indented examples of portal.8 that hold a word."""
    text = (ROOT / "packaging/man/tiergate-portal.8").read_text()
    found = [x for x in re.findall(r"(?ms)^\.Bd -literal.*?\n(.*?)^\.Ed", text) if word in x]
    check(found, f"tiergate-portal.8 has no example with {word}")
    return found[0].replace("\\(dq", '"')


class Laptop(Browser):
    """A browser on a host that has what DHCP gave it, and resolves by that."""

    def get(self, url, *options, timeout=10):
        if url.startswith("/"):
            url = GATE + url
        return Fetch(self.lab.run("laptop", "curl", "-sS", "--cacert", self.lab.ca, "-m", timeout, "-b", self.jar,
                                  "-c", self.jar, "-w", "\n%{http_code} %{time_total} %{time_connect}", *options, url,
                                  check_exit=False))

    def state(self):
        """What the API says, asked as RFC 8908 section 4.1 wants it."""
        got = self.get(self.api, "-H", "Accept: application/captive+json")
        check(got.ok, got)
        return json.loads(got.body)


@contextlib.contextmanager
def laptop(lab):
    own, gateway = lab.ns("laptop"), lab.ns("gateway")
    etc = pathlib.Path("/etc/netns") / own
    try:
        etc.mkdir(parents=True)
        (etc / "resolv.conf").write_text("")
        subprocess.run(["ip", "netns", "add", own], check=True)
        lab.run("laptop", "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv4.tcp_syn_retries=2")
        subprocess.run(["ip", "link", "add", "lan1", "netns", gateway, "type", "veth", "peer", "name", "eth0",
                        "netns", own, "address", MAC], check=True)
        for host, *argv in (("gateway", "addr", "add", "10.77.5.1/24", "dev", "lan1"),
                            ("gateway", "link", "set", "lan1", "up"), ("laptop", "link", "set", "lo", "up"),
                            ("laptop", "link", "set", "eth0", "up")):
            lab.run(host, "ip", *argv)
        yield etc
    finally:
        subprocess.run(["ip", "netns", "del", own], capture_output=True)
        shutil.rmtree(etc, ignore_errors=True)


def lease(lab):
    """Asks by DHCP: the address, and what option 114 says."""
    (lab.etc / "lease").unlink(missing_ok=True)
    done = lab.run("laptop", "busybox", "udhcpc", "-f", "-q", "-n", "-i", "eth0", "-s", lab.etc / "hook", "-O", "114",
                   check_exit=False)
    check(done.returncode == 0, done.stdout, done.stderr)
    address, api = (lab.etc / "lease").read_text().split()
    return address, bytes.fromhex(api).decode()


@contextlib.contextmanager
def dhcp_lab():
    if not shutil.which("busybox"):
        raise Skip("needs busybox")
    with portal_lab() as lab, laptop(lab) as lab.etc:
        hook = lab.etc / "hook"
        hook.write_text(HOOK.replace("{etc}", str(lab.etc)))
        hook.chmod(0o755)
        conf = lab.dir / "dhcp.conf"
        conf.write_text(manual("dhcp-option=114") + "interface=lan1\nbind-interfaces\nexcept-interface=lo\n"
                        "no-resolv\nno-hosts\nserver=10.77.3.53\nuser=root\npid-file=\n"
                        "dhcp-range=10.77.5.10,10.77.5.20,1h\ndhcp-leasefile=" + str(lab.dir / "leases") + "\n")
        lab.spawn("gateway", "dnsmasq", "--keep-in-foreground", f"--conf-file={conf}")
        lab.portal.stop()
        lab.stop()
        lab.start(inside=["lan0", "lan1"], resolvers=["10.77.5.1"], on_deny="redirect", portal="10.77.1.1:80")
        lab.portal.start(clients=["10.77.1.0/24", "10.77.5.0/24"])
        wait_for(lambda: "10.77.5.1:53" in lab.run("gateway", "ss", "-lnu").stdout, 10, "dnsmasq")
        lab.laptop = Laptop(lab)
        yield lab


def test_lease(lab):
    "address, resolver and the API's address come by DHCP, past a gateway that lets nothing else out"
    address, api = lease(lab)
    check(address.startswith("10.77.5.1"), address)
    equal(api, API)
    lab.laptop.source, lab.laptop.api = address, api
    equal(lab.run("laptop", "getent", "ahostsv4", "gate.example").stdout.split()[0], "10.77.1.1")
    check(lab.laptop.get("https://www.social.example/").refused)


def test_captive(lab):
    "captive: the API says where to sign in, and plain HTTP leads there"
    b = lab.laptop
    state = b.state()
    equal((state["captive"], state["user-portal-url"]), (True, GATE))
    got = b.get("http://www.denied.example/", "-L")
    check(got.ok and "www.denied.example is not open to you" in got.body, got)
    check('name="password"' in b.get(state["user-portal-url"] + "/").body, "no form there")


def test_free(lab):
    "signed in by the page: not captive, until when, and sites open by the names that this resolver told"
    b = lab.laptop
    equal(b.sign_in().status, 303)
    state = b.state()
    check(state["captive"] is False and 43000 < state["seconds-remaining"] <= 43200, state)
    got = b.get("https://www.social.example/")
    check(got.ok, got)
    record = lab.record(source__ip=b.source, destination__domain="www.social.example", event__action="allow")
    equal((record["user.name"], record["tiergate.evidence"]), ("ann", "sni+dns"))
    check(b.get("https://www.denied.example/").refused)


def test_renewed(lab):
    "the lease is renewed and names resolve while the daemon is away; the session is still there when it is back"
    lab.stop(wire=False)
    try:
        equal(lease(lab), (lab.laptop.source, API))
        equal(lab.run("laptop", "getent", "ahostsv4", "gate.example").stdout.split()[0], "10.77.1.1")
    finally:
        lab.start(wire=False)
    equal(lab.laptop.state()["captive"], False)
    check(lab.laptop.get("https://www.social.example/").ok)


def test_captive_again(lab):
    "signed out, it is captive again"
    equal(lab.laptop.sign_out().status, 303)
    equal(lab.laptop.state()["captive"], True)
    check(lab.laptop.get("https://www.social.example/").refused)


if __name__ == "__main__":
    main(globals(), dhcp_lab)
