#!/usr/bin/env python3
"""tiergate-portal as systemd runs it: its own user without any right, sockets that systemd opened, passwords
by the users file and by PAM; sessions outlive reload and restart of either program."""
import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, SITES, Lab, libconfig, wait_for  # noqa: E402
from machine import Machine  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402
from test_portal import GATE, NOBODY, OTHER, PASSWORD, Browser  # noqa: E402
from test_systemd import Service, install  # noqa: E402

HELD_PAM = "auth required pam_userdb.so db=/etc/tiergate/pam\naccount required pam_userdb.so db=/etc/tiergate/pam\n"
UNIX_PAM = "auth required pam_unix.so\naccount required pam_unix.so\n"
SOCIAL = "https://www.social.example/"


class Portal(Service):
    def portal(self, **over):
        """Writes portal.conf."""
        settings = {"url": GATE, "certificate": "/etc/tiergate/portal.crt", "key": "/etc/tiergate/portal.key",
                    "clients": ["10.77.1.0/24", "fd77:1::/64"], "credentials": ["users", "pam"],
                    "pam_tiers": [{"group": "editors", "tier": "staff"}], "pam_default_tier": "guest", **over}
        (self.machine.root / "etc/tiergate/portal.conf").write_text(libconfig(settings))

    def pid(self):
        return self.systemctl("show", "-P", "MainPID", "tiergate-portal").stdout.strip()

    def active(self):
        return self.systemctl("show", "-P", "ActiveState", "tiergate-portal").stdout.strip() == "active"

    def pam(self, text):
        (self.machine.root / "etc/pam.d/tiergate").write_text(text)

    def own(self, name, mode="0640"):
        """A file that root and the portal alone may read."""
        for argv in (("chown", "root:tiergate-portal", f"/etc/tiergate/{name}"), ("chmod", mode, f"/etc/tiergate/{name}")):
            equal(self.run(*argv).returncode, 0, argv)

    def log(self):
        return self.machine.journal("tiergate-portal")

    def sessions(self):
        done = self.run("tiergatectl", "--json", "sessions")
        equal(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]


def put(root):
    install(root)
    drop = root / "etc/systemd/system/tiergate-portal.service.d"
    drop.mkdir(parents=True)
    (drop / "watchdog.conf").write_text("[Service]\nWatchdogSec=3\n")


def files(s):
    """Certificate, users, and PAM's own users."""
    etc = s.machine.root / "etc/tiergate"
    shutil.copy(s.lab.certificate[0], etc / "portal.crt")
    shutil.copy(s.lab.certificate[1], etc / "portal.key")
    s.own("portal.key")
    done = s.run("tiergatectl", "passwd", "--user", "ann", "--tier", "staff", input=PASSWORD + "\n")
    equal(done.returncode, 0, done.stderr)
    equal(s.run("stat", "-c", "%U:%G %a", "/etc/tiergate/users").stdout.strip(), "root:tiergate-portal 640")
    for argv in (("groupadd", "editors"), ("useradd", "-M", "-G", "editors", "petra"), ("useradd", "-M", "uma")):
        equal(s.run(*argv).returncode, 0, argv)
    equal(s.run("chpasswd", input=f"uma:{PASSWORD}\n").returncode, 0)
    tied = ('use DB_File; tie my %h, "DB_File", "/etc/tiergate/pam.db", O_RDWR|O_CREAT, 0640, $DB_HASH or die; '
            f'$h{{$_}} = q({PASSWORD}) for qw(petra paul);')
    done = s.run("perl", "-e", tied)
    if done.returncode:
        raise Skip(f"perl has no DB_File: {done.stderr[:100]}")
    s.own("pam.db")


@contextlib.contextmanager
def service():
    if not (BUILD / "tiergate-portal").exists():
        raise Skip("build/tiergate-portal is not built")
    with Lab({**SITES, "gate.example": "10.77.1.1"}) as hosts, Machine(hosts.ns("gateway"), put) as machine:
        s = Portal(hosts, machine)
        for argv in (("systemd-sysusers",), ("systemd-tmpfiles", "--create")):
            equal(machine.run(*argv).returncode, 0, argv)
        s.configure(segments=None)
        s.pam(HELD_PAM)
        files(s)
        s.portal()
        yield s


def test_start(s):
    "a first request of a client starts the portal; it is its own user's, without a capability in any set"
    done = s.systemctl("start", "tiergated", "tiergate-portal.socket")
    equal(done.returncode, 0, f"{done.stderr} {s.machine.journal('tiergated')}")
    equal(s.active(), False, "the portal runs")
    check(Browser(s.lab).get("/").ok, s.log())
    check(s.active(), s.log())
    status = dict(line.split(":\t", 1) for line in s.run("cat", f"/proc/{s.pid()}/status").stdout.splitlines())
    for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        equal(int(status[which], 16), 0, which)
    equal(status["NoNewPrivs"], "1")
    equal(status["Seccomp"], "2")
    own = s.run("id", "-u", "tiergate-portal").stdout.strip()
    equal(status["Uid"].split(), [own] * 4)
    check(own != "0", own)
    names = s.run("id", "-Gn", "tiergate-portal").stdout.split()
    equal(sorted(names), ["tiergate", "tiergate-portal"])
    equal(sorted(status["Groups"].split()), sorted(s.run("id", "-G", "tiergate-portal").stdout.split()))
    score = s.run("systemd-analyze", "security", "--no-pager", "tiergate-portal").stdout.splitlines()
    check(score and float(re.search(r"[0-9.]+", score[-1].split(":")[1])[0]) <= 1.5, "exposure:", *score[-1:])


def test_sandbox(s):
    "as a service, too, it shuts itself in: the unit's own filter lets it"
    check("is not bounded" not in s.log(), s.log())


def test_users_file(s):
    "signing in and out with the users file"
    b = Browser(s.lab)
    check(s.lab.curl(SOCIAL, NOBODY).refused)
    equal(b.sign_in("ann", "wrong").status, 403)
    equal(b.sign_in("ann").status, 303, s.log())
    equal([(x["user"], x["tier"], x["source"]) for x in s.sessions()], [("ann", "staff", "portal")])
    check(s.lab.curl(SOCIAL, NOBODY).ok)
    equal(b.sign_out().status, 303)
    equal(s.sessions(), [])


def test_pam(s):
    "signing in by PAM works under the unit's restrictions, group and all"
    b = Browser(s.lab)
    equal(b.sign_in("petra", "wrong").status, 403)
    equal(b.sign_in("petra").status, 303, s.log())
    equal([(x["user"], x["tier"], x["source"]) for x in s.sessions()], [("petra", "staff", "pam")])
    check(s.lab.curl(SOCIAL, NOBODY).ok)
    equal(b.sign_out().status, 303)
    equal(b.sign_in("paul").status, 303, s.log())
    equal([(x["user"], x["tier"]) for x in s.sessions()], [("paul", "guest")])
    equal(b.sign_out().status, 303)


def test_pam_unix(s):
    "pam_unix lets nobody in: its helper checks no other user's password than the portal's own; nothing else suffers"
    s.pam(UNIX_PAM)
    try:
        equal(Browser(s.lab, "10.77.1.5").sign_in("uma").status, 403)
        check("pam_unix" in s.log(), s.log())
        equal(s.sessions(), [])
    finally:
        s.pam(HELD_PAM)
    equal(Browser(s.lab, "10.77.1.5").sign_in("petra").status, 303, s.log())
    s.run("tiergatectl", "logout", "--user", "petra")


def keeps(s, browser, what, act):
    """The session, its browser and its open access outlive what is done; back: the session's row."""
    before = s.sessions()
    act()
    after = s.sessions()
    for key in ("user", "tier", "addresses", "since", "until", "source"):
        equal([x[key] for x in after], [x[key] for x in before], f"{key} after {what}")
    check(s.lab.curl(SOCIAL, browser.source).ok, what)
    check("You are signed in" in browser.get("/").body, f"the page after {what}", s.log())


def good(s, *argv):
    done = s.systemctl(*argv)
    equal(done.returncode, 0, f"{argv}: {done.stderr}{s.log()}")


def again(s, unit, pid):
    """The unit's next process is up."""
    def up():
        got = s.systemctl("show", "-P", "MainPID", "-P", "ActiveState", unit).stdout.split()
        return "active" in got and not {pid, "0"} & set(got)
    wait_for(up, 40, f"{unit} again")


def test_reload_and_restart(s):
    "sessions and browsers outlive reload, restart, kill and hang of either program, by users file and PAM"
    for user in ("ann", "petra"):
        b = Browser(s.lab)
        equal(b.sign_in(user).status, 303, s.log())
        keeps(s, b, "reload of the portal", lambda: good(s, "reload", "tiergate-portal"))
        keeps(s, b, "reload of the daemon", lambda: good(s, "reload", "tiergated"))
        keeps(s, b, "restart of the portal", lambda: good(s, "restart", "tiergate-portal"))
        keeps(s, b, "restart of the daemon", lambda: good(s, "restart", "tiergated"))
        b.source = OTHER
        check("You are signed in" in b.get("/").body, "the cookie is forgotten", s.log())
        equal([x["addresses"] for x in s.sessions()], [[OTHER]])
        pid = s.pid()

        def by(signal, unit, pid):
            s.run("kill", f"-{signal}", pid)
            again(s, unit, pid)
        keeps(s, b, "a killed portal", lambda: by("KILL", "tiergate-portal", pid))
        daemon = s.show("MainPID")
        keeps(s, b, "a killed daemon", lambda: by("KILL", "tiergated", daemon))
        equal(b.sign_out().status, 303)
    b = Browser(s.lab)
    equal(b.sign_in("ann").status, 303, s.log())
    hung = s.pid()
    keeps(s, b, "a portal that hung", lambda: by("STOP", "tiergate-portal", hung))
    equal(b.sign_out().status, 303)
    equal(s.sessions(), [])


def test_away(s):
    "without the daemon the portal says so; a request while the portal restarts waits and is served"
    b = Browser(s.lab)
    csrf = b.csrf()
    good(s, "stop", "tiergated")
    equal(b.sign_in("ann", PASSWORD, csrf=csrf).status, 503)
    good(s, "start", "tiergated")
    good(s, "stop", "tiergate-portal.service")
    equal(b.sign_in("ann").status, 303, s.log())
    equal(b.sign_out().status, 303)


def test_bad_reload(s):
    "a reload of what is not good fails, says why, and changes nothing"
    before = s.systemctl("show", "-P", "MainPID", "tiergate-portal").stdout
    s.portal(session="for ever")
    done = s.systemctl("reload", "tiergate-portal")
    check(done.returncode != 0, "the reload of a bad file succeeds")
    check("portal.conf:" in s.log() and "session" in s.log(), s.log())
    check(Browser(s.lab).get("/").ok, s.log())
    equal(s.systemctl("show", "-P", "MainPID", "tiergate-portal").stdout, before, "the process")
    s.portal()
    good(s, "reload", "tiergate-portal")
    check(Browser(s.lab).get("/").ok, s.log())


def test_reload_outside(s):
    "what the check can read and the sandboxed portal can't fails the reload, says what to do, and changes nothing"
    logo = s.machine.root / "srv/logo.svg"
    logo.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    s.portal(logo="/srv/logo.svg")
    equal(s.run("tiergate-portal", "--check").returncode, 0)
    done = s.systemctl("reload", "tiergate-portal")
    check(done.returncode != 0, "the reload says it is good", s.log())
    check("the running portal refused the reload" in s.log() and "systemctl restart tiergate-portal" in s.log(), s.log())
    check(Browser(s.lab).get("/").ok and Browser(s.lab).get("/logo").status == 404, s.log())
    good(s, "restart", "tiergate-portal")
    equal(Browser(s.lab).get("/logo").status, 200)
    s.portal()
    good(s, "reload", "tiergate-portal")
    equal(Browser(s.lab).get("/logo").status, 404)


def test_bad_start(s):
    "with a bad portal.conf it does not start, says why, and does not try for ever; the daemon goes on"
    s.portal(session="for ever")
    check(s.systemctl("restart", "tiergate-portal").returncode != 0, "it starts")
    wait_for(lambda: s.systemctl("show", "-P", "ActiveState", "tiergate-portal").stdout.strip() == "failed", 10, "failed")
    check("portal.conf:" in s.log() and "session" in s.log(), s.log())
    s.run("tiergatectl", "status")
    s.portal()
    good(s, "restart", "tiergate-portal.socket", "tiergate-portal")
    check(Browser(s.lab).get("/").ok, s.log())


if __name__ == "__main__":
    main(globals(), service)
