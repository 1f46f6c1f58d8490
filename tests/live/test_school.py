#!/usr/bin/env python3
"""A school's week, by README and man pages: resolver and NAT on the gateway itself, pupils by segment, staff by
portal, social sites for the press at lunch, a long deny list, and what happens to such a gateway from Monday to Friday."""
import contextlib
import datetime
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, SITES, Lab, wait_for  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402
from test_portal import GATE, PASSWORD, Browser, Portal  # noqa: E402

GATEWAY, PUPIL, PUPIL2, TEACHER, REPORTER = "10.77.1.1", "10.77.1.2", "10.77.1.3", "10.77.1.5", "10.77.1.6"
PAGE = {"staff": "https://www.allowed.example/", "press": "https://www.social.example/"}


def hours(now, half=datetime.timedelta(hours=1)):
    """Two hours around a time of a day, as a schedule has them, or the rest of that day."""
    first, last = now - half, now + half
    return (f"{first:%H:%M}" if first.date() == now.date() else "00:00") + "-" + \
        (f"{last:%H:%M}" if last.date() == now.date() else "24:00")


def policy(lab, lunch=None):
    """Everybody reads; staff by portal; the press has social sites at lunch; the list denies."""
    now = datetime.datetime.now(datetime.timezone.utc)
    lunch = lunch or hours(now)
    return {
        "inside": ["lan0", "lan9"],  # lan9: the new wing's, whose switch comes on Thursday
        "internal": ["10.77.0.0/16", "fd77::/16"], "resolvers": [GATEWAY], "on_deny": "redirect",
        "portal": [f"{GATEWAY}:80", "[fd77:1::1]:80"],
        "tiers": [{"name": "pupils"}, {"name": "staff", "includes": ["pupils"]},
                  {"name": "press", "includes": ["staff"]}],
        "segments": [{"network": f"{PUPIL}/31", "tier": "pupils"}, {"network": "fd77:1::2/127", "tier": "pupils"},
                     {"network": "10.77.9.0/24", "tier": "pupils"}],
        "schedules": [{"name": "lunch", "days": "mon-sun", "hours": lunch, "zone": "UTC"}],
        "sites": [{"name": "reading", "hosts": ["allowed.example", "shared.example"]},
                  {"name": "social", "hosts": ["social.example"]},
                  {"name": "bad", "lists": [str(lab.dir / "bad.sites")]}],
        "allow": [{"tiers": ["pupils"], "sites": ["reading"]},
                  {"tiers": ["press"], "sites": ["social"], "when": "lunch"}],
        "deny": [{"tiers": ["pupils"], "sites": ["bad"]}],
    }


@contextlib.contextmanager
def school():
    if not (BUILD / "tiergate-portal").exists():
        raise Skip("build/tiergate-portal is not built")
    with Lab({**SITES, "gate.example": GATEWAY}) as lab:
        lab.run("gateway", "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE")
        lab.spawn("gateway", "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root",
                  f"--listen-address={GATEWAY}", "--bind-interfaces", "--conf-file=/dev/null", "--pid-file=",
                  "--server=10.77.3.53", "--cache-size=1000")
        etc = pathlib.Path("/etc/netns") / lab.ns("client") / "resolv.conf"
        etc.write_text(f"nameserver {GATEWAY}\noptions attempts:2 timeout:2\n")
        wait_for(lambda: lab.resolve("allowed.example", server=GATEWAY), what="the gateway's resolver")
        (lab.dir / "bad.sites").write_text("".join(f"bad{n}.example\n" for n in range(50000)) + "denied.example\n")
        for user, tier in (("tea", "staff"), ("rep", "press")):
            done = lab.ctl("passwd", "--users", lab.dir / "users", "--tier", tier, "--user", user, socket=False,
                           input=PASSWORD + "\n")
            equal(done.returncode, 0, done.stderr)
        lab.start(**policy(lab))
        lab.portal = Portal(lab)
        lab.portal.start()
        yield lab
        lab.portal.stop()


def reaches(lab, url, source):
    return lab.curl(url, source).ok


def sign_in(lab, source, user):
    if not any(source in s for s in signed_in(lab)):
        equal(Browser(lab, source).sign_in(user).status, 303, user)


def signed_in(lab):
    """User, tier, address of each session."""
    return sorted(line.split()[:3] for line in lab.ctl("sessions").stdout.splitlines()[1:])


def all_is_well(lab):
    """What holds on every day."""
    check(reaches(lab, PAGE["staff"], PUPIL), "a pupil cannot read")
    check(not reaches(lab, PAGE["press"], PUPIL), "a pupil has the press's sites")
    check(not reaches(lab, "https://www.denied.example/", PUPIL), "the list denies nothing")


def test_monday(lab):
    "Monday: pupils by segment, a teacher by the portal, the press at lunch; names by the gateway's own resolver, NAT on"
    all_is_well(lab)
    check(not reaches(lab, PAGE["staff"], TEACHER), "nobody is signed in yet")
    got = Browser(lab, TEACHER).get("http://www.allowed.example/")
    equal((got.status, got.headers.get("location")), (302, f"{GATE}/blocked?to=www.allowed.example"), "the portal")
    sign_in(lab, TEACHER, "tea")
    sign_in(lab, REPORTER, "rep")
    check(reaches(lab, PAGE["staff"], TEACHER), "the teacher")
    check(not reaches(lab, PAGE["press"], TEACHER), "the teacher is no press")
    check(reaches(lab, PAGE["press"], REPORTER), "the press at lunch")
    record = lab.record(event__action="allow", source__ip=REPORTER, destination__domain="www.social.example")
    equal((record["user.name"], record["tiergate.evidence"], record["destination.ip"]),
          ("rep", "sni+dns", SITES["www.social.example"]), record)


def test_tuesday(lab):
    "Tuesday: lunch is over by a reload, open pages end; why says when it is open again, in the policy's own words"
    sign_in(lab, REPORTER, "rep")
    page = lab.connect(SITES["www.social.example"], 80, REPORTER)
    page.sendall(b"GET / HTTP/1.1\r\nHost: www.social.example\r\n\r\n")
    check(page.recv(4096).startswith(b"HTTP/1.1 200"), "the press at lunch")
    now = datetime.datetime.now(datetime.timezone.utc)
    other = now + datetime.timedelta(hours=12)
    lab.reload(**policy(lab, hours(other)))
    page.settimeout(5)
    with contextlib.suppress(ConnectionResetError):
        while page.recv(4096):  # what was on its way, then the end; a page that goes on is silent: a timeout
            pass
    check(not reaches(lab, PAGE["press"], REPORTER), "lunch is over")
    done = lab.ctl("why", "--user", "rep", "--to", "www.social.example", "--at", f"{other:%Y-%m-%d %H:%M}")
    equal(done.returncode, 0, done.stdout + done.stderr)
    done = lab.ctl("why", "--user", "rep", "--to", "www.social.example")
    check("the line holds only mon-sun" in done.stdout, done.stdout + done.stderr)
    lab.reload(**policy(lab))
    check(reaches(lab, PAGE["press"], REPORTER), "lunch again")


def test_wednesday(lab):
    "Wednesday: nftables.service is restarted, Docker loads br_netfilter: the network stays closed, and works"
    lab.run("gateway", "nft", "flush", "ruleset")
    wait_for(lambda: lab.status()["rules"]["put_back"], 15, "our rules")
    lab.run("gateway", "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE")  # its own
    all_is_well(lab)
    keys = [f"net.bridge.bridge-nf-call-{x}tables" for x in ("ip", "ip6")]
    if lab.run("gateway", "sysctl", keys[0], check_exit=False).returncode == 0:
        lab.run("gateway", "sysctl", "-qw", *(f"{k}=1" for k in keys))
        all_is_well(lab)
    check("were put back" in lab.log(), "the log does not say it")


def test_thursday(lab):
    "Thursday: the new wing's interface comes late; until then status says so, then its pupils are pupils"
    check("lan9" in str(lab.status()["wiring"]), lab.status()["wiring"])
    host = lab.ns("wing")
    subprocess.run(["ip", "netns", "add", host], check=True)
    try:
        subprocess.run(["ip", "link", "add", "lan9", "netns", lab.ns("gateway"), "type", "veth", "peer", "name",
                        "eth0", "netns", host], check=True)
        lab.run("gateway", "ip", "addr", "add", "10.77.9.1/24", "dev", "lan9")
        lab.run("gateway", "ip", "link", "set", "lan9", "up")
        lab.run("wing", "ip", "addr", "add", "10.77.9.2/24", "dev", "eth0")
        lab.run("wing", "ip", "link", "set", "eth0", "up")
        lab.run("wing", "ip", "route", "add", "default", "via", "10.77.9.1")
        wait_for(lambda: lab.status()["wiring"] == "in place", 10, "good rules")

        def fetch(name):
            return lab.run("wing", "curl", "-sS", "-m5", "--cacert", lab.ca, "--resolve",
                           f"{name}:443:{SITES[name.removeprefix('www.')]}", f"https://{name}/", check_exit=False)
        wait_for(lambda: fetch("www.allowed.example").returncode == 0, 10, "a pupil of the new wing")
        check(fetch("www.denied.example").returncode, "the new wing is open")
    finally:
        subprocess.run(["ip", "netns", "del", host], check=True)


def test_friday(lab):
    "Friday: an empty download, then a reboot with a bad line in the list: closed meanwhile, up with the last good list"
    good = (lab.dir / "bad.sites").read_text()
    (lab.dir / "bad.sites").write_text("<html>404 not found</html>\n")
    equal(lab.ctl("reload").returncode, 1, "a reload takes an error page for a list")
    all_is_well(lab)
    sign_in(lab, TEACHER, "tea")
    sign_in(lab, REPORTER, "rep")
    before = signed_in(lab)
    lab.stop(wire=False)
    check(not reaches(lab, PAGE["staff"], PUPIL), "open while the daemon is down")
    check(lab.resolve("allowed.example", PUPIL, GATEWAY), "no names while the daemon is down")
    lab.start()
    all_is_well(lab)
    equal(lab.status()["lists_with_faults"], 1, "status")
    equal(signed_in(lab), before, "the sessions")
    (lab.dir / "bad.sites").write_text(good)
    equal(lab.ctl("reload").returncode, 0, "the good list again")
    check("lists_with_faults" not in lab.status(), lab.status())


if __name__ == "__main__":
    main(globals(), school)
