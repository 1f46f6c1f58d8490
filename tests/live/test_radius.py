#!/usr/bin/env python3
"""RADIUS accounting: FreeRADIUS's client, and FreeRADIUS as a proxy, tell the portal who is where."""
import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, ROOT, SITES, Lab, libconfig, v6, wait_for  # noqa: E402
from pcapgen import http_request  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402

HERE, OTHER = "10.77.1.7", "10.77.1.8"
SECRET, GATE = "testing123 and more", "10.77.3.1"
ALLOWED = "https://www.allowed.example/"


class Portal:
    """The portal program of the lab, for its RADIUS side."""

    def __init__(self, lab):
        self.lab, self.process = lab, None
        self.log_path = lab.dir / "portal.log"

    def start(self, **over):
        lab = self.lab
        (lab.dir / "portal-state").mkdir(exist_ok=True)
        settings = {
            "url": "https://gate.example", "certificate": str(lab.certificate[0]), "key": str(lab.certificate[1]),
            "https": f"{GATE}:8443", "http": f"{GATE}:8080", "control_socket": str(lab.control),
            "state_dir": str(lab.dir / "portal-state"), "users_file": str(lab.dir / "users"),
            "texts": str(ROOT / "conf/portal"), "radius": "[::]:1813",
            "radius_clients": [{"network": "10.77.3.0/24", "secret": SECRET},
                               {"network": "fd77:3::/64", "secret": SECRET}],
            "radius_tiers": [{"value": "gold", "tier": "guest"}, {"value": "bad", "tier": "none-such"}],
        }
        settings.update(over)
        file = lab.dir / "portal.conf"
        file.write_text(libconfig({k: v for k, v in settings.items() if v is not None}))
        file.chmod(0o640)
        self.listen()
        with self.log_path.open("a") as log:
            self.process = lab.spawn("gateway", BUILD / "tiergate-portal", "--config", file,
                                     stdout=log, stderr=log,
                                     env={**os.environ, "NOTIFY_SOCKET": str(lab.dir / "portal.notify")})
        wait_for(lambda: self.is_up() or self.process.poll() is not None, 15, "the RADIUS port")
        check(self.process.poll() is None, "tiergate-portal ended:", self.log())

    def listen(self):
        """Plays the service manager, to whom the portal tells its status line."""
        path = self.lab.dir / "portal.notify"
        path.unlink(missing_ok=True)
        end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        end.bind(str(path))

        def take():
            while text := end.recv(4096).decode():
                for line in text.splitlines():
                    if line.startswith("STATUS="):
                        self.status = line.removeprefix("STATUS=")
        self.status = ""
        threading.Thread(target=take, daemon=True).start()

    def counts(self, what):
        """A number of the status line: counts("malformed")."""
        found = re.search(rf"\b{re.escape(what)} (\d+)(?:,|$)", self.status)
        return int(found[1]) if found else 0

    def is_up(self):
        return ":1813" in self.lab.run("gateway", "ss", "-lnu").stdout

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            equal(self.process.wait(15) in (0, -how), True, "tiergate-portal's end")

    def log(self):
        return self.log_path.read_text(errors="replace")[-3000:]


class Nas:
    """radclient: a real client's packets, from a host."""

    def __init__(self, lab, to=GATE, port=1813, secret=SECRET, host="inside"):
        self.lab, self.to, self.secret, self.host = lab, to, secret, host
        self.at = f"[{to}]:{port}" if ":" in to else f"{to}:{port}"

    def send(self, kind, session="s1", user="alice", address=HERE, extra=(), wait=10, **attributes):
        """True where it was answered."""
        text = {"Acct-Status-Type": kind, "Acct-Session-Id": f'"{session}"', "User-Name": f'"{user}"',
                "Framed-IP-Address": address, "Class": '"gold"', "NAS-IP-Address": "10.77.3.9"}
        if user is None:
            del text["User-Name"]
        text.update({k.replace("_", "-"): v for k, v in attributes.items()})
        lines = [f"{k} = {v}" for k, v in text.items() if v is not None] + list(extra)
        done = self.lab.run(self.host, "radclient", "-x", "-t", wait, "-r", "1", self.at, "acct", self.secret,
                            input="\n".join(lines) + "\n", check_exit=False)
        check("Accounting-Request" in done.stdout, done.stdout, done.stderr)
        return done.returncode == 0 and "Received Accounting-Response" in done.stdout


def sessions(lab):
    done = lab.ctl("--json", "sessions")
    equal(done.returncode, 0, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def who(lab, address=HERE):
    """Who has the address, by RADIUS; None: nobody."""
    for s in sessions(lab):
        if address in s["addresses"]:
            equal(s["source"], "radius")
            return s["user"]
    return None


def hand_made(attributes, identifier=7, secret=SECRET):
    """An Accounting-Request of raw attributes."""
    body = b"".join(bytes([t, len(v) + 2]) + v for t, v in attributes)
    head = struct.pack("!BBH", 4, identifier, 20 + len(body))
    return head + hashlib.md5(head + bytes(16) + body + secret.encode()).digest() + body


def exchange(lab, packet, timeout=5, sock=None):
    s = sock or lab.socket("inside", socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(timeout)
    s.sendto(packet, (GATE, 1813))
    try:
        return s.recv(4096)
    except socket.timeout:
        return None


def number(n):
    return struct.pack("!I", n)


def test_session(lab):
    "Start signs in with all addresses, Interim keeps, Stop cuts open connections"
    nas = Nas(lab)
    check(lab.curl(ALLOWED, HERE).refused)
    six = v6(HERE)
    more = {"Framed_IPv6_Address": six, "Framed_IPv6_Prefix": "fd77:9::/64",
            "Framed_Interface_Id": "0200:0000:0000:0001"}
    check(nas.send("Start", **more), lab.portal.log())
    equal(who(lab), "alice")
    equal(who(lab, six), "alice")
    equal(who(lab, "fd77:9::200:0:0:1"), "alice")
    check(lab.curl(ALLOWED, HERE).ok)
    check(lab.curl(ALLOWED, six).ok)
    before = sessions(lab)[0]["session"]
    check(nas.send("Interim-Update", Acct_Session_Time=60, **more))
    equal(sessions(lab)[0]["session"], before, "the session")
    s = lab.connect(SITES["allowed.example"], 80, HERE)
    s.sendall(http_request("www.allowed.example"))
    check(b" 200 " in s.recv(4096))
    check(nas.send("Stop", Acct_Session_Time=61))
    equal(who(lab), None)

    def ended():
        try:
            s.sendall(http_request("www.allowed.example"))
            return s.recv(4096) == b""
        except OSError:
            return True
    wait_for(ended, 5, "the end of the connection")
    check(lab.curl(ALLOWED, HERE).refused)


def test_ipv6_transport(lab):
    "a client over IPv6 is served, and answered from the address that it asked"
    nas = Nas(lab, "fd77:3::1")
    check(nas.send("Start", "six"), lab.portal.log())
    equal(who(lab), "alice")
    check(nas.send("Stop", "six"))
    equal(who(lab), None)


def test_forged(lab):
    "another secret, an unknown client and broken packets get no answer and change nothing"
    check(not Nas(lab, secret="another secret").send("Start", "f1", wait=1))
    check(not Nas(lab, "10.77.1.1", host="client").send("Start", "f2", wait=1))
    attributes = [(40, number(1)), (44, b"f3"), (1, b"eve"), (8, socket.inet_aton(HERE)), (25, b"gold")]
    packet = hand_made(attributes)
    for broken in (packet[:-1], packet[:19], b"", packet[:4] + bytes(16) + packet[20:],
                   packet[:-3] + b"xyz", bytes([1]) + packet[1:]):
        equal(exchange(lab, broken, 0.2), None)
    equal(who(lab), None)
    check("another secret" in lab.portal.log() and "unknown client" in lab.portal.log(), lab.portal.log())
    check(exchange(lab, packet))
    equal(who(lab), "eve")
    check(Nas(lab).send("Stop", "f3", NAS_IP_Address=None))


def test_repeated(lab):
    "a packet sent again is answered with the same bytes and has no second effect"
    s = lab.socket("inside", socket.AF_INET, socket.SOCK_DGRAM)
    start = hand_made([(40, number(1)), (44, b"r1"), (1, b"rita"), (8, socket.inet_aton(HERE)), (25, b"gold"),
                       (33, b"proxy")])
    first = exchange(lab, start, sock=s)
    check(first and first[0] == 5 and first.endswith(b"proxy"), first)
    lab.ctl("logout", "--user", "rita")
    for _ in range(3):
        equal(exchange(lab, start, sock=s), first)
    equal(who(lab), None, "who, after a logout and the same packets again")
    check(exchange(lab, hand_made([(40, number(2)), (44, b"r1"), (1, b"rita")], 8), sock=s))


def test_disorder(lab):
    "a Stop before its Start, and reports of before, open nothing"
    nas, now = Nas(lab), int(time.time())
    check(nas.send("Stop", "d1", Event_Timestamp=now))
    check(nas.send("Start", "d1", Event_Timestamp=now - 5))
    check(nas.send("Interim-Update", "d1"))
    equal(who(lab), None)
    check(nas.send("Start", "d2", Event_Timestamp=now - 3600))
    equal(who(lab), None, "who, after a replay")
    check("Event-Timestamp" in lab.portal.log(), lab.portal.log())
    check(nas.send("Start", "d3", "ann"))
    check(nas.send("Start", "d4", "bob"))  # the address has a new user
    check(nas.send("Stop", "d3", "ann"))
    equal(who(lab), "bob", "who, after the Stop of who was there before")
    check(nas.send("Stop", "d4", "bob"))


def test_tiers(lab):
    "a value that stands for no tier signs nobody in, and is answered"
    nas = Nas(lab)
    for value in ('"silver"', '"bad"', None):
        check(nas.send("Start", "t1", Class=value))
        equal(who(lab), None)
    check(nas.send("Start", "t2", None))
    equal(who(lab), None)
    check(nas.send("Stop", "t1"))
    check(nas.send("Stop", "t2"))


def test_blocked(lab):
    "who is blocked is not signed in, the NAS is answered and others are served; the next report after the block signs in"
    nas = Nas(lab)
    equal(lab.ctl("block", "ann").returncode, 0)
    check(nas.send("Start", "b1", "ann"))
    equal(who(lab), None, "who, blocked")
    check(nas.send("Interim-Update", "b1", "ann", Acct_Session_Time=1))
    equal(who(lab), None, "who, blocked, by a report")
    equal(lab.ctl("unblock", "ann").returncode, 0)
    check(nas.send("Interim-Update", "b1", "ann", Acct_Session_Time=2))
    equal(who(lab), "ann", "who, when it is over")
    check(nas.send("Stop", "b1", "ann"))


NAMES = ["DESK\\\\ann", "ann@example.org", "host/pc-7.example.org", "PC-7$", "Ann Smith", "a:b=c", "Ана Петрова",
         "a%s<b>&'", "x" * 63]


def test_user_names(lab):
    "names as directories and 802.1X clients send them sign in; they are safe in log, JSON, state and commands"
    nas = Nas(lab)
    for i, written in enumerate(NAMES):
        name = written.replace("\\\\", "\\")
        check(nas.send("Start", f"n{i}", written), lab.portal.log())
        equal(who(lab), name)
        check(lab.curl(ALLOWED, HERE).ok, name)
        lab.record(source__ip=HERE, user__name=name, event__action="allow")
        equal(lab.record(user__name=name, event__action="act", tiergate__act="login")["source.ip"], HERE)
        why = lab.ctl("--json", "why", "--user", name, "--to", "www.allowed.example")
        equal((why.returncode, json.loads(why.stdout)["user"]), (0, name), why.stderr)
        table = lab.ctl("sessions", "--user", name).stdout.splitlines()
        check(table[1].startswith(name + "  ") and table[1].index(HERE) == table[0].index("ADDRESS"), table)
        check(nas.send("Interim-Update", f"n{i}", written, Acct_Session_Time=1))
        equal(len(sessions(lab)), 1)
        replayed = subprocess.run([BUILD / "tiergated", "replay", "--config", lab.config_file, "--session",
                                   f"{HERE}={name}:guest", "--read", ROOT / "tests/golden/allow-sni/in.pcap"],
                                  capture_output=True, text=True)
        equal(replayed.returncode, 0, replayed.stderr)
        if i % 2:
            equal(lab.ctl("logout", "--user", name).returncode, 0)
        check(nas.send("Stop", f"n{i}", written))
        equal(who(lab), None)
    check(nas.send("Start", "n", NAMES[6]))
    time.sleep(2)  # the table is saved once a second
    lab.stop(signal.SIGKILL, wire=False)
    lab.start(wire=False)
    equal(who(lab), NAMES[6], "who, after the daemon was killed")
    wait_for(lambda: nas.send("Stop", "n", NAMES[6], wait=2), 30, "an answer")


def test_end_outlives(lab):
    "a kill of the daemon in the very moment of the NAS's answer brings back no address that a session left, and nobody whose place another took"
    six, kept, nas = "fd77:9::7", lab.dir / "state/sessions.state", Nas(lab)

    def there(user, count):
        return kept.exists() and kept.read_bytes().count(user.encode()) == count
    for i, (update, now) in enumerate((
            (("Interim-Update", "k", "kate", HERE, {"Framed_IPv6_Address": "fd77:9::8"}), {HERE: "kate", six: None}),
            (("Start", "l", "lea", HERE, {}), {HERE: None}),
            (("Stop", "k", "kate", HERE, {}), {HERE: None, six: None}))):
        check(nas.send("Start", f"end-k{i}", "kate", Framed_IPv6_Address=six))
        equal((who(lab), who(lab, six)), ("kate", "kate"))
        wait_for(lambda: there("kate", 1), 10, "the kept table")
        kind, session, user, address, more = update
        check(nas.send(kind, f"end-{session}{i}", user, address, **more))
        lab.stop(signal.SIGKILL, wire=False)
        lab.start(wire=False)
        for at, want in now.items():
            found = who(lab, at)
            check(found == want or (found == "lea" and user == "lea"), at, found, kind)
        lab.ctl("logout", "--all")
        wait_for(lambda: there("kate", 0), 10, "the table without her")


def test_names_that_are_none(lab):
    "a name with control characters, no UTF-8 or too long signs nobody in, and is counted"
    before = lab.portal.counts("no-user")
    names = [b"a\nb", b"\x1b[2Jann", b"ann\0", b"\xff\xfe", b"a\xc0\xaf", "\u202enna".encode(), b"x" * 64, b" ann", b"-x",
             "é".encode()[:1]]
    for i, name in enumerate(names):
        check(exchange(lab, hand_made([(40, number(1)), (44, b"b%d" % i), (1, name), (8, socket.inet_aton(HERE)),
                                       (25, b"gold")], i)), name)
        equal(who(lab), None, name)
    wait_for(lambda: lab.portal.counts("no-user") == before + len(names), 10, "the count")
    check("cannot be one" in lab.portal.log() and "nna" not in lab.portal.log(), lab.portal.log())


def test_counts(lab):
    "what was dropped, and why, is in the status line, and in the log at the end"
    lab.portal.stop()
    lab.portal.start(radius_clients=[{"network": "10.77.3.0/24", "secret": SECRET, "require": ["event-timestamp"]}])
    start = [(40, number(1)), (44, b"c1"), (1, b"cara"), (8, socket.inet_aton(HERE)), (25, b"gold"),
             (55, number(int(time.time())))]
    s = lab.socket("inside", socket.AF_INET, socket.SOCK_DGRAM)
    good = hand_made(start)
    for packet in (good, good, good):
        check(exchange(lab, packet, sock=s))
    for packet in (good[:-1], b"junk", hand_made(start, secret="another secret"), hand_made(start[:-1])):
        equal(exchange(lab, packet, 0.2, s), None)
    check(not Nas(lab, "10.77.1.1", host="client").send("Start", "c2", wait=1))
    check(exchange(lab, hand_made([(40, number(2)), *start[1:]], 8), sock=s))
    want = {"packets": 9, "answered": 4, "repeated": 2, "malformed": 2, "forged": 1,
            "lacking": 1, "unknown_client": 1}

    def seen():
        return {k: lab.portal.counts(k) for k in want}
    wait_for(lambda: seen()["packets"] >= 9, 10, "the status line")
    want["packets"] = want["packets"] + seen()["unknown_client"] - 1  # radclient may have sent twice
    want["unknown_client"] = seen()["unknown_client"]
    equal(seen(), want, lab.portal.status)
    status = lab.portal.status
    lab.portal.stop()
    check(status in lab.portal.log(), status, lab.portal.log())
    lab.portal.start()


def test_lost_stop(lab):
    "a session whose updates stop coming ends and is cut, also where the portal has restarted; a late update revives it"
    lab.portal.stop()
    lab.portal.start(radius_interim="5s", radius_missed=1)
    nas = Nas(lab)
    check(nas.send("Start", "l1"))
    check(nas.send("Start", "l2", "bob", OTHER))
    check(lab.curl(ALLOWED, HERE).ok)
    s = lab.connect(SITES["allowed.example"], 80, HERE)
    s.settimeout(20)
    s.sendall(http_request("www.allowed.example"))
    check(b" 200 " in s.recv(4096))
    began = time.monotonic()

    def kept():
        check(nas.send("Interim-Update", "l2", "bob", OTHER))
        time.sleep(1)
        return who(lab) is None
    wait_for(kept, 30, "the end of a session that nobody reports")
    check(time.monotonic() - began > 3, "it ended too early")
    with contextlib.suppress(ConnectionResetError):
        while s.recv(4096):  # the rest of the answer
            pass
    check(lab.curl(ALLOWED, HERE).refused)
    equal(who(lab, OTHER), "bob", "who goes on being reported")
    wait_for(lambda: lab.portal.counts("timed_out") == 1, 10, "the count")
    check(nas.send("Interim-Update", "l1", Acct_Session_Time=30))
    equal(who(lab), "alice", "who, after a late update")
    lab.portal.stop(signal.SIGKILL)
    lab.portal.start(radius_interim="5s", radius_missed=1)
    wait_for(lambda: not sessions(lab), 30, "the end of sessions of a portal before")
    lab.portal.stop()
    lab.portal.start()


def test_restart_of_nas(lab):
    "Accounting-On ends the sessions of that NAS and no other's"
    nas = Nas(lab)
    check(nas.send("Start", "o1", NAS_IP_Address="10.77.3.21"))
    check(nas.send("Start", "o2", "bob", OTHER, NAS_IP_Address="10.77.3.22"))
    time.sleep(0.01)
    check(nas.send("Accounting-On", NAS_IP_Address="10.77.3.21"))
    equal(who(lab), None)
    equal(who(lab, OTHER), "bob")
    check(nas.send("Accounting-Off", NAS_IP_Address="10.77.3.22"))
    equal(who(lab, OTHER), None)


def test_portal_restart(lab):
    "sessions outlive the portal, which then knows their Stop"
    nas = Nas(lab)
    check(nas.send("Start", "p1"))
    before = sessions(lab)[0]["session"]
    lab.portal.stop(signal.SIGKILL)
    check(lab.curl(ALLOWED, HERE).ok)
    lab.portal.start()
    check(nas.send("Interim-Update", "p1"))
    equal(sessions(lab)[0]["session"], before, "the session")
    check(nas.send("Stop", "p1"))
    equal(who(lab), None)


def test_ended_outlives_the_portal(lab):
    "a Start that is sent again after its Stop opens nothing, whether the portal has ended in order or was killed"
    now = int(time.time())
    of = [(44, b"e1"), (1, b"alice"), (8, socket.inet_aton(HERE)), (25, b"gold"), (4, bytes([10, 77, 3, 9]))]
    start = hand_made([(40, number(1)), *of, (55, number(now - 2))], 7)
    check(exchange(lab, start))
    equal(who(lab), "alice")
    check(exchange(lab, hand_made([(40, number(2)), *of, (55, number(now - 1))], 8)))
    for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        lab.portal.stop(how)
        lab.portal.start()
        check(exchange(lab, start))
        equal(who(lab), None, how)
        stop = hand_made([(40, number(2)), *of, (55, number(now + 1))], 9)
        check(exchange(lab, hand_made([(40, number(1)), *of, (55, number(now))], 10)))  # a new one
        check(exchange(lab, stop))
        now += 2
        start = hand_made([(40, number(1)), *of, (55, number(now - 2))], 11)


def test_signed_out_stays_out(lab):
    "who was signed out by hand while there was no portal stays out until the next Start"
    nas, now = Nas(lab), int(time.time())
    check(nas.send("Start", "h1", Event_Timestamp=now - 5))
    lab.portal.stop()
    equal(lab.ctl("logout", "--user", "alice").returncode, 0)
    lab.portal.start()
    check(nas.send("Interim-Update", "h1", Event_Timestamp=now - 4))
    equal(who(lab), None)
    check(nas.send("Start", "h1", Event_Timestamp=now - 3))
    equal(who(lab), "alice")
    check(nas.send("Stop", "h1", Event_Timestamp=now - 2))


def test_status_server(lab):
    "a client that asks whether the portal is alive is answered while the daemon answers (RFC 5997)"
    def ask(secret=SECRET, wait=3):
        done = lab.run("inside", "radclient", "-x", "-t", wait, "-r", "1", f"{GATE}:1813", "status", secret,
                       input="Message-Authenticator = 0x00\n", check_exit=False)
        check("Status-Server" in done.stdout, done.stdout, done.stderr)
        return "Received Accounting-Response" in done.stdout
    check(ask(), lab.portal.log())
    check(not ask("another secret", 1))
    lab.stop(wire=False)
    check(not ask(wait=1), "answered without a daemon")
    lab.start(wire=False)
    wait_for(ask, 30, "an answer")


def test_clients_with_one_address(lab):
    "two access points that both say 127.0.0.1 are two: by where they send from, and by their names"
    packets = {}
    for i, (at, name, user, address) in enumerate((("10.77.3.2", b"ap-1", b"ann", HERE),
                                                   ("10.77.3.53", b"ap-2", b"bob", OTHER))):
        packets[user] = s = lab.socket("inside", socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((at, 0))
        of = [(44, b"00000001"), (1, user), (8, socket.inet_aton(address)), (25, b"gold"), (4, bytes([127, 0, 0, 1]))]
        check(exchange(lab, hand_made([(40, number(1)), *of], i), sock=s), lab.portal.log())
    equal((who(lab), who(lab, OTHER)), ("ann", "bob"))
    check(exchange(lab, hand_made([(40, number(7)), (4, bytes([127, 0, 0, 1]))], 9), sock=packets[b"bob"]))
    equal((who(lab), who(lab, OTHER)), ("ann", None))
    check(exchange(lab, hand_made([(40, number(7)), (4, bytes([127, 0, 0, 1]))], 9), sock=packets[b"ann"]))
    equal(who(lab), None)


def test_address_changes(lab):
    "an IPv6 address that changes with each update ends no connection, and the session goes on"
    nas, six = Nas(lab), v6(HERE)
    check(nas.send("Start", "v1", extra=[f"Framed-IPv6-Address = {six}", "Framed-IPv6-Address = fd77:1::a1"]))
    before = sessions(lab)[0]
    s = lab.connect(SITES["allowed.example"], 80, HERE)
    for i in range(8):
        check(nas.send("Interim-Update", "v1", Acct_Session_Time=i + 1,
                       extra=[f"Framed-IPv6-Address = {six}", f"Framed-IPv6-Address = fd77:1::b{i:x}"]))
        s.sendall(http_request("www.allowed.example"))
        check(s.recv(65536), "the connection was ended")
    after = sessions(lab)[0]
    equal([after[k] for k in ("session", "since")], [before[k] for k in ("session", "since")])
    equal(sorted(after["addresses"]), sorted([HERE, six, "fd77:1::b7"]))
    check(nas.send("Interim-Update", "v1", Acct_Session_Time=20, Class=None, User_Name=None))  # nothing new
    equal(who(lab), "alice")
    check(nas.send("Stop", "v1"))
    equal(who(lab), None)


def test_calling_station(lab):
    "a session is its host's: another MAC address at the same address has none"
    nas = Nas(lab)
    mac = lab.run("client", "cat", "/sys/class/net/eth0/address").stdout.strip()
    check(nas.send("Start", "k1", Calling_Station_Id=f'"{mac.upper().replace(":", "-")}"'))
    check(lab.curl(ALLOWED, HERE).ok, lab.portal.log())
    check(nas.send("Stop", "k1"))
    check(nas.send("Start", "k2", Calling_Station_Id='"02-00-00-00-00-99"'))
    equal(who(lab), "alice")
    check(lab.curl(ALLOWED, HERE).refused)
    check(nas.send("Stop", "k2"))


def test_reload(lab):
    "SIGHUP takes other clients, secrets and tiers; sessions stay, and end by the new secret"
    portal, nas = lab.portal, Nas(lab)
    check(nas.send("Start", "kept"), "no answer")
    file = lab.dir / "portal.conf"
    before, new = file.read_text(), Nas(lab, secret="another secret")
    try:
        file.write_text(libconfig({"radius_clients": [{"network": "fd77:9::/64", "secret": SECRET},
                                                      {"network": "10.77.3.0/24", "secret": new.secret}]}) +
                        re.sub(r"(?s)radius_clients = \(.*?\);\n", "", before).replace('"gold"', '"silver"'))
        portal.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "are read again" in portal.log(), 5, "the reload")
        check(not nas.send("Interim-Update", "kept", wait=1), "the old secret counts")
        equal(who(lab), "alice")
        check(new.send("Start", "more", address=OTHER, Class='"silver"'), "no answer")
        equal(who(lab, OTHER), "alice")
        check(new.send("Stop", "kept"), "no answer to the Stop")
        equal(who(lab), None)
        check(new.send("Stop", "more", address=OTHER), "no answer to the Stop")
    finally:
        file.write_text(before)
        portal.process.send_signal(signal.SIGHUP)
        wait_for(lambda: portal.log().count("are read again") == 2, 5, "the reload back")


def test_daemon_away(lab):
    "while the daemon is away nothing is answered; sent again later it counts"
    nas = Nas(lab)
    lab.stop(wire=False)
    check(not nas.send("Start", "a1", wait=1))
    lab.start(wire=False)
    wait_for(lambda: nas.send("Start", "a1", wait=2), 30, "an answer")
    equal(who(lab), "alice")
    check(nas.send("Stop", "a1"))
    equal(who(lab), None)


def test_required(lab):
    "a client that must send a Message-Authenticator is not heard without; a wrong one never"
    lab.portal.stop()
    lab.portal.start(radius_attribute="vendor:9:1", radius_tiers=None, radius_clients=[
        {"network": "10.77.3.0/24", "secret": SECRET, "require": ["message-authenticator"]}])
    nas = Nas(lab)
    pair = ['Cisco-AVPair = "guest"']
    check(not nas.send("Start", "m1", extra=pair, wait=1))
    check(nas.send("Start", "m1", extra=[*pair, "Message-Authenticator = 0x00"]), lab.portal.log())
    equal(who(lab), "alice")
    wrong = hand_made([(40, number(2)), (44, b"m1"), (80, bytes(16))])
    equal(exchange(lab, wrong, 0.5), None)
    equal(who(lab), "alice")
    check(nas.send("Stop", "m1", extra=["Message-Authenticator = 0x00"]))
    lab.portal.stop()
    lab.portal.start()


def test_clock(lab):
    "a clock hours off signs nobody in, which is counted; disregarded, its reports count as they come"
    def send(status, sid, off):
        at = number(int(time.time()) + off)
        return exchange(lab, hand_made([(40, number(status)), (44, sid), (1, b"ann"), (8, socket.inet_aton(HERE)),
                                        (25, b"gold"), (55, at)], random.randrange(256)))
    check(send(1, b"k1", 3 * 3600), lab.portal.log())
    equal(who(lab), None)
    wait_for(lambda: lab.portal.counts("stale"), what="the count")
    lab.portal.stop()
    lab.portal.start(radius_clients=[{"network": "10.77.3.0/24", "secret": SECRET, "clock": "disregard"}])
    try:
        check(send(1, b"k2", 3 * 3600), lab.portal.log())
        equal(who(lab), "ann")
        check(send(3, b"k2", -7200), lab.portal.log())
        equal(who(lab), "ann", "an update of two hours ago")
        check(send(2, b"k2", -86400), lab.portal.log())
        equal(who(lab), None, "a Stop of yesterday")
    finally:
        lab.portal.stop()
        lab.portal.start()


PROXY = """
prefix = /usr
name = freeradius
raddbdir = %(dir)s
confdir = ${raddbdir}
modconfdir = ${confdir}/mods-config
run_dir = %(dir)s
logdir = %(dir)s
libdir = /usr/lib/freeradius
pidfile = %(dir)s/pid
log { destination = stdout }
security { allow_vulnerable_openssl = yes }
max_requests = 1024
proxy_requests = yes
proxy server { }
home_server portal { type = acct
  ipaddr = %(gate)s
  port = 1813
  secret = "%(secret)s"
  response_window = 5
  status_check = none }
home_server_pool portal { home_server = portal }
realm portal { acct_pool = portal }
client nas { ipaddr = 127.0.0.1
  secret = "%(secret)s" }
modules {
  always ok {
    rcode = ok
  }
}
server default {
  listen { type = acct
    ipaddr = 127.0.0.1
    port = 11813 }
  preacct {
    update control {
      Proxy-To-Realm := "portal"
    }
  }
  accounting {
    ok
  }
}
"""


def test_proxied(lab):
    "what a proxying FreeRADIUS passes on counts, and its answer reaches the NAS"
    server = shutil.which("freeradius") or shutil.which("radiusd")
    if not server:
        raise Skip("needs freeradius")
    folder = lab.dir / "proxy"
    folder.mkdir()
    (folder / "radiusd.conf").write_text(PROXY % {"dir": folder, "gate": GATE, "secret": SECRET})
    (folder / "dictionary").write_text("")
    log = (folder / "log").open("w")
    lab.spawn("inside", server, "-f", "-d", folder, "-l", "stdout", stdout=log, stderr=log)
    proxy = lab.children[-1]
    wait_for(lambda: proxy.poll() is not None or ":11813" in lab.run("inside", "ss", "-lnu").stdout, 20,
             "the proxy's port")
    check(proxy.poll() is None, (folder / "log").read_text()[-2000:])
    nas = Nas(lab, "127.0.0.1", 11813)
    check(nas.send("Start", "x1"), (folder / "log").read_text()[-2000:], lab.portal.log())
    equal(who(lab), "alice")
    check(lab.curl(ALLOWED, HERE).ok)
    check(nas.send("Interim-Update", "x1", Acct_Session_Time=9))
    check(nas.send("Stop", "x1"))
    equal(who(lab), None)
    for i, name in enumerate(NAMES):
        check(nas.send("Start", f"y{i}", name), (folder / "log").read_text()[-2000:], lab.portal.log())
        equal(who(lab), name.replace("\\\\", "\\"))
        check(nas.send("Stop", f"y{i}", name))


@contextlib.contextmanager
def context():
    for program in ("tiergated", "tiergatectl", "tiergate-portal"):
        if not (BUILD / program).exists():
            raise Skip(f"build/{program} is not built")
    for tool in ("radclient", "ss"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    with Lab() as lab:
        with lab.gateway(segments=None):
            lab.portal = Portal(lab)
            lab.portal.start()
            try:
                yield lab
                lab.portal.stop()
            finally:
                lab.portal.stop()


if __name__ == "__main__":
    main(globals(), context)
