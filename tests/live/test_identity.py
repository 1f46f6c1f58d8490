#!/usr/bin/env python3
"""Who is where: sign-in, sign-out, end and change of tier reach open connections at once and nobody
else's; a session has all addresses of its host, and only of that host."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from datetime import datetime

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, SITES, lab, v6, wait_for  # noqa: E402
from pcapgen import client_hello, http_request, tcp_packet  # noqa: E402
from tap import check, equal, main, note  # noqa: E402

GUEST = "10.77.1.2"
V4, V6, PRIVACY = "10.77.4.2", "fd77:4::2", "fd77:4::beef"  # the laptop's
SYN, PSH, ACK = 2, 8, 16
MAC, OTHER_MAC = "02:00:00:00:04:02", "02:00:00:00:04:99"
BOTH, SOCIAL, GOOD = "good.shared.example", "www.social.example", "www.allowed.example"
TIERS = [{"name": "guest"}, {"name": "staff", "includes": ["guest"]}, {"name": "press"}]
ALLOW = [{"tiers": ["guest"], "sites": ["good"]}, {"tiers": ["staff"], "sites": ["social"]},
         {"tiers": ["press"], "sites": ["social"]}]


def addresses(lab, verb, *which):
    for a in which:
        lab.run("laptop", "ip", "addr", verb, f"{a}/{64 if ':' in a else 24}", "dev", "eth0",
                *(["nodad"] if ":" in a and verb == "add" else []))


def laptop(lab):
    """A host of its own, with its own MAC address, behind the gateway's lan1."""
    gateway, own = lab.ns("gateway"), lab.ns("laptop")
    subprocess.run(["ip", "netns", "add", own], check=True)
    lab.run("laptop", "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0",
            "net.ipv6.conf.default.accept_dad=0", "net.ipv4.tcp_syn_retries=2")
    subprocess.run(["ip", "link", "add", "lan1", "netns", gateway, "type", "veth", "peer", "name", "eth0",
                    "netns", own, "address", MAC], check=True)
    lab.run("gateway", "ip", "addr", "add", "10.77.4.1/24", "dev", "lan1")
    lab.run("gateway", "ip", "addr", "add", "fd77:4::1/64", "dev", "lan1", "nodad")
    lab.run("gateway", "ip", "link", "set", "lan1", "up")
    addresses(lab, "add", V4, V6)
    lab.run("laptop", "ip", "link", "set", "eth0", "up")
    for family, via in (("-4", "10.77.4.1"), ("-6", "fd77:4::1")):
        lab.run("laptop", "ip", family, "route", "add", "default", "via", via)


@contextlib.contextmanager
def identity_lab():
    with lab() as made:
        try:
            laptop(made)
            yield made
        finally:
            subprocess.run(["ip", "netns", "del", made.ns("laptop")], capture_output=True)


@contextlib.contextmanager
def gateway(lab, tier="staff", segment="guest", **over):
    """A gateway; ann may sign in; the laptop's network has `segment` as its tier."""
    own = [{"network": n, "tier": segment} for n in ("10.77.4.0/24", "fd77:4::/64")] if segment else []
    tiers = over.setdefault("tiers", TIERS)
    allow = [line for line in ALLOW if line["tiers"][0] in [t["name"] for t in tiers]]
    (lab.dir / "users").unlink(missing_ok=True)
    lab.run("gateway", "ip", "neigh", "flush", "dev", "lan1")  # as if nobody had been there
    with lab.gateway(inside=["lan0", "lan1"], allow=allow,
                     segments=lab.settings()["segments"] + own, **over):
        user(lab, tier)
        yield


def user(lab, tier):
    done = lab.run("gateway", BUILD / "tiergatectl", "passwd", "--config", lab.config_file, "--user", "ann",
                   "--tier", tier, input="pw pw pw\n", check_exit=False)
    equal(done.returncode, 0, f"passwd: {done.stdout}{done.stderr}")


def sign_in(lab, *options, address=V4):
    covered(lab, address)  # the kernel has met the host: people sign in from it
    done = lab.login(address, "ann", "pw pw pw", *options)
    equal(done.returncode, 0, f"login: {done.stdout}{done.stderr}")


def sessions(lab):
    done = lab.ctl("--json", "sessions")
    equal(done.returncode, 0, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Open:
    """An HTTP connection that has had an answer and stays open."""

    def __init__(self, lab, name, source=V4, host="laptop"):
        self.name, to = name, SITES[name]
        self.s = lab.connect(v6(to) if ":" in source else to, 80, source, host)
        self.port = self.s.getsockname()[1]
        self.ask()

    def ask(self, path="/"):
        self.s.sendall(http_request(self.name, path=path))
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split()[0])
        while len(body) < length:
            body += self.more()
        check(b" 200 " in head, head)

    def more(self):
        data = self.s.recv(65536)
        check(data, "the connection ended")
        return data

    def end(self, lab, since):
        """Waits for the reset; ms from `since` until the client had it, and the server."""
        self.s.settimeout(10)
        try:
            data = self.s.recv(1)
            raise AssertionError(f"the connection to {self.name} ended without a reset: {data}")
        except ConnectionResetError:
            client = (time.monotonic() - since) * 1000
        wait_for(lambda: not lab.run("outside", "ss", "-Htn", "state", "established",
                                     f"( dport = :{self.port} )").stdout.strip(),
                 10, "the server's reset")
        return client, (time.monotonic() - since) * 1000


class Transfer:
    """Somebody else's long transfer, read slowly: finish() checks that all of it came."""
    SIZE = 20000000

    def __init__(self, lab, source):
        to = SITES[GOOD]
        self.s = lab.socket("client", socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_STREAM)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        self.s.settimeout(20)
        self.s.bind((source, 0))
        self.s.connect((v6(to) if ":" in source else to, 80))
        self.s.sendall(http_request(GOOD, path=f"/{self.SIZE}"))
        self.got, self.error, self.slow, self.worst = 0, None, True, 0
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        try:
            while self.got < self.SIZE:
                began = time.monotonic()
                data = self.s.recv(8192)
                self.worst = max(self.worst, time.monotonic() - began)
                if not data:
                    break
                self.got += len(data)
                if self.slow:
                    time.sleep(0.02)
        except OSError as e:
            self.error = e

    def finish(self):
        self.thread.join(60)
        check(not self.error and self.got >= self.SIZE, self.got, self.error)
        return self.worst * 1000


@contextlib.contextmanager
def others(lab):
    transfers = [Transfer(lab, GUEST), Transfer(lab, v6(GUEST))]
    try:
        yield
    finally:
        going = [t.thread.is_alive() for t in transfers] # both, before either may hurry
        for t in transfers:
            t.slow = False
    check(all(going), "too short to tell anything", [(t.got, t.error) for t in transfers])
    note("others waited at most " + ", ".join(f"{t.finish():.0f} ms" for t in transfers))


def covered(lab, source, name=SOCIAL):
    """Whether a connection from an address works. The first from a new one may come before the kernel
    has met the address."""
    try:
        Open(lab, name, source).s.close()
        return True
    except (OSError, AssertionError):
        return False


def cut(lab, what, flows, act):
    """Acts; all flows end at both ends."""
    since = time.monotonic()
    act()
    done = (time.monotonic() - since) * 1000
    ends = [f.end(lab, since) for f in flows]
    note(f"{what}: acted after {done:.0f} ms; client and server had the reset after " +
         ", ".join(f"{c:.0f} and {s:.0f} ms" for c, s in ends))


def test_logout(lab):
    "signing out, by address or user, resets what the session allowed, over IPv4 and IPv6; others see nothing"
    with gateway(lab), others(lab):
        for how in (("--address", V4), ("--user", "ann"), ("--address", V6)):
            sign_in(lab)
            wait_for(lambda: covered(lab, V6), 10, "IPv6")
            stays = [Open(lab, BOTH, V4), Open(lab, BOTH, V6)]  # the network's own tier allows these
            goes = [Open(lab, SOCIAL, V4), Open(lab, SOCIAL, V6)]
            cut(lab, f"logout {how[0]}", goes, lambda: equal(lab.ctl("logout", *how).returncode, 0))
            for f in stays:
                f.ask()
            check(not covered(lab, V4) and not covered(lab, V6))
            equal(sessions(lab), [])


def test_login(lab):
    "signing in to a tier that may less resets what the network's tier allowed"
    with gateway(lab, "press"), others(lab):
        check(covered(lab, V6, GOOD))
        goes = [Open(lab, GOOD, V4), Open(lab, GOOD, V6)]
        cut(lab, "login", goes, lambda: sign_in(lab))
        wait_for(lambda: covered(lab, V6), 10, "IPv6")
        check(covered(lab, V4) and not covered(lab, V4, GOOD))


def test_tier_change(lab):
    "signing in again with another tier resets only what the new one does not allow"
    with gateway(lab), others(lab):
        sign_in(lab)
        wait_for(lambda: covered(lab, V6), 10, "IPv6")
        stays, goes = [Open(lab, BOTH, a) for a in (V4, V6)], [Open(lab, SOCIAL, a) for a in (V4, V6)]
        user(lab, "guest")
        cut(lab, "tier change", goes, lambda: sign_in(lab))
        for f in stays:
            f.ask()
        equal([(s["tier"], sorted(s["addresses"])) for s in sessions(lab)], [("guest", [V4, V6])])


def test_expiry(lab):
    "a session that ends by its time resets what it allowed; --for and the tier's own limit, the shorter"
    tiers = [{"name": "guest"}, {"name": "staff", "includes": ["guest"], "absolute": "4s"}]
    with gateway(lab, tiers=tiers), others(lab):
        for options, seconds in ((("--for", "3s"), 3), (("--for", "1h"), 4), ((), 4)):
            began = time.monotonic()
            sign_in(lab, *options)
            end = time.monotonic() + seconds
            flows = [Open(lab, SOCIAL, V4)]
            ends = [f.end(lab, end) for f in flows]
            note(f"{seconds} s: client and server had the reset {ends[0][0]:.0f} and {ends[0][1]:.0f} ms after the end")
            check(time.monotonic() - began >= seconds - 0.1, "it ended too early")


def test_host(lab):
    "signing in over IPv4 or IPv6 covers the host's other addresses, also one that comes later, and no other host's"
    with gateway(lab, segment=None):
        for at in (V4, V6):
            check(not covered(lab, V4) and not covered(lab, V6))
            sign_in(lab, address=at)
            for a in (V4, V6):
                wait_for(lambda: covered(lab, a), 10, f"{a} after a login at {at}")
            addresses(lab, "add", PRIVACY)
            check(covered(lab, PRIVACY), "the privacy address's first connection")
            equal(lab.record(source__ip=PRIVACY, event__action="allow")["user.name"], "ann")
            equal(sorted(sessions(lab)[0]["addresses"]), sorted([V4, V6, PRIVACY]))
            check(lab.curl(f"http://{SOCIAL}/", GUEST).refused, "another host has it too")
            addresses(lab, "del", PRIVACY)
            lab.ctl("logout", "--user", "ann")
            lab.run("gateway", "ip", "neigh", "flush", "dev", "lan1")


def test_several_ipv4(lab):
    "where several IPv4 addresses have one MAC address they share nothing"
    with gateway(lab, segment=None):
        sign_in(lab)
        wait_for(lambda: covered(lab, V6), 10, "IPv6")
        addresses(lab, "add", "10.77.4.3")
        try:
            check(not covered(lab, "10.77.4.3"))
            wait_for(lambda: sessions(lab)[0]["addresses"] == [V4], 10, "the parting")
            check(not covered(lab, "10.77.4.3") and not covered(lab, V6) and covered(lab, V4))
        finally:
            addresses(lab, "del", "10.77.4.3")


def become(lab, mac):
    lab.run("laptop", "ip", "link", "set", "eth0", "address", mac)


def test_another_host(lab):
    "another host at the address has nothing of the session, from its first packet on; the first host keeps the rest"
    with gateway(lab, segment=None), others(lab):
        sign_in(lab)
        wait_for(lambda: covered(lab, V6), 10, "IPv6")
        goes = Open(lab, SOCIAL, V4)
        try:
            since = time.monotonic()
            become(lab, OTHER_MAC)
            check(not covered(lab, V4), "the session was inherited")
            goes.end(lab, since)
            wait_for(lambda: V4 not in str(sessions(lab)), 10, "the session's end there")
            check(not covered(lab, V4) and not covered(lab, V6))
        finally:
            become(lab, MAC)


def test_move(lab):
    "host_change = move: the session follows the host to another MAC or IPv4 address"
    with gateway(lab, segment=None, host_change="move"):
        sign_in(lab)
        stays = Open(lab, SOCIAL, V4)
        try:
            become(lab, OTHER_MAC)
            stays.ask()
            check(covered(lab, V4))
        finally:
            become(lab, MAC)
        stays.ask()
        wait_for(lambda: MAC in lab.run("gateway", "ip", "neigh", "show", V4).stdout, 10, "the old host")
        addresses(lab, "add", "10.77.4.3")
        wait_for(lambda: covered(lab, "10.77.4.3"), 10, "the next address")
        check("10.77.4.2" not in sessions(lab)[0]["addresses"], sessions(lab))
        addresses(lab, "del", "10.77.4.3")


class Forger:
    """A host that writes what it likes into its frames: TCP by hand, from any address and MAC address."""

    def __init__(self, lab, host="laptop", towards="lan1"):
        self.s = lab.socket(host, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.s.bind(("eth0", 0))
        text = lab.run("gateway", "cat", f"/sys/class/net/{towards}/address").stdout
        self.to = bytes.fromhex(text.strip().replace(":", ""))

    def send(self, mac, packet):
        kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
        self.s.send(self.to + bytes.fromhex(mac.replace(":", "")) + kind + packet)

    def syn_ack(self, port, seconds):
        """The sequence number of the answer to a SYN from `port`; None where there is none."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.s.settimeout(left)
            try:
                p = self.s.recv(70000)[14:]
            except TimeoutError:
                return None
            tcp = p[40:] if p[0] >> 4 == 6 else p[20:]
            if len(tcp) >= 20 and tcp[2:4] == struct.pack("!H", port) and tcp[13] == SYN | ACK:
                return struct.unpack("!I", tcp[4:8])[0]
        return None

    def ask(self, mac, source, to, port, name):
        """A connection and a request; nothing is looked for but an answer to the SYN."""
        self.send(mac, tcp_packet(source, port, to, 80, 1000, 0, SYN))
        began = self.syn_ack(port, 2)
        if began is None:
            return False
        self.send(mac, tcp_packet(source, port, to, 80, 1001, began + 1, ACK))
        for _ in range(3):
            self.send(mac, tcp_packet(source, port, to, 80, 1001, began + 1, PSH | ACK, http_request(name)))
            time.sleep(0.3)
        return True


def test_forged(lab):
    "with another's MAC or IP address in its frames a host is not the other, and keeps nothing of the other's alive"
    for change in ("end", "move"):
        with gateway(lab, segment=None, host_change=change):
            sign_in(lab)
            wait_for(lambda: covered(lab, V6), 10, "IPv6")
            addresses(lab, "del", V4, V6)  # ann leaves; who comes has her MAC address from the air
            become(lab, OTHER_MAC)
            addresses(lab, "add", "10.77.4.9", PRIVACY)
            for tables in ("iptables", "ip6tables"):
                lab.run("laptop", tables, "-A", "OUTPUT", "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP")
            before = sessions(lab)[0]
            forger = Forger(lab)
            try:
                time.sleep(1.2)  # a session's last traffic is told by the second
                forger.ask(MAC, PRIVACY, v6(SITES[SOCIAL]), 4001, SOCIAL)
                forger.ask(MAC, "10.77.4.9", SITES[SOCIAL], 4002, SOCIAL)
                forger.ask(OTHER_MAC, V4, SITES[SOCIAL], 4003, SOCIAL)
                wait_for(lambda: all(lab.record(source__port=p) for p in (4001, 4002, 4003)), 10, "the records")
                for p in (4001, 4002, 4003):
                    record = lab.record(source__port=p)
                    equal((record["event.action"], record["event.reason"], record.get("user.name")),
                          ("deny", "no-tier", None), f"port {p}")
                after = sessions(lab)
                equal([(s["addresses"], s["last_seen"]) for s in after], [(before["addresses"], before["last_seen"])])
            finally:
                forger.s.close()
                for tables in ("iptables", "ip6tables"):
                    lab.run("laptop", tables, "-F", "OUTPUT")
                addresses(lab, "del", "10.77.4.9", PRIVACY)
                become(lab, MAC)
                addresses(lab, "add", V4, V6)
                lab.run("laptop", "ip", "-4", "route", "replace", "default", "via", "10.77.4.1")
                lab.run("laptop", "ip", "-6", "route", "replace", "default", "via", "fd77:4::1")


def test_asked(lab):
    "the segment is asked who is at an address whose first packet is a datagram that nobody has answered"
    with gateway(lab, segment=None):
        sign_in(lab)
        wait_for(lambda: covered(lab, V6), 10, "IPv6")
        addresses(lab, "add", PRIVACY)
        try:
            check(PRIVACY not in lab.run("gateway", "ip", "neigh", "show").stdout, "it is known already")
            s = lab.socket("laptop", socket.AF_INET6, socket.SOCK_DGRAM)
            s.bind((PRIVACY, 0))
            s.sendto(b"\xc0" + bytes(1199), (v6(SITES[SOCIAL]), 443))
            s.close()
            wait_for(lambda: MAC in lab.run("gateway", "ip", "neigh", "show", PRIVACY).stdout, 10, "the answer")
            check(lab.status()["neighbours"]["solicited"] >= 1)
            check(sum(q["unconfirmed"] for q in lab.status()["queues"]) >= 1)
            wait_for(lambda: PRIVACY in sessions(lab)[0]["addresses"], 10, "the session's new address")
        finally:
            addresses(lab, "del", PRIVACY)


def test_names_by_host(lab):
    "what DNS told a host counts for all its addresses, over both families, and for no other host"
    by_dns = [{"tiers": ["guest"], "sites": ["good"], "evidence": "dns", "ports": ["udp/5000"]}]

    def ping(source, host):
        six = ":" in source
        s = lab.socket(host, socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((source, 0))
        s.setsockopt(*((socket.IPPROTO_IPV6, 25) if six else (socket.IPPROTO_IP, 11)), 1)  # RECVERR
        server = SITES["allowed.example"]
        s.connect((v6(server) if six else server, 5000))
        try:
            return lab.udp(server, 5000, b"ping", sock=s)
        finally:
            s.close()
    with gateway(lab):
        lab.reload(inside=["lan0", "lan1"], allow=by_dns,
                   segments=lab.settings()["segments"] + [{"network": "10.77.4.0/24", "tier": "guest"}])
        for source in ("10.77.1.2", "10.77.1.3", V4):
            lab.run("client" if source != V4 else "laptop", "ping", "-I", source, "-c1", "-W2", "10.77.3.2")
        lab.resolve("allowed.example", "10.77.1.2")
        equal(ping("10.77.1.3", "client"), b"ping", "the host's other address")
        lab.run("client", "ping", "-6", "-I", v6("10.77.1.2"), "-c1", "-W2", v6("10.77.3.2"))
        equal(ping(v6("10.77.1.2"), "client"), "refused", "an address that nobody was told")
        lab.resolve("allowed.example", "10.77.1.2", kind=28)
        wait_for(lambda: ping(v6("10.77.1.2"), "client") == b"ping", 5, "IPv6, of which it asked over IPv4")
        with contextlib.suppress(OSError):
            lab.connect(v6(SITES["allowed.example"]), 4444, v6("10.77.1.2"))
        record = lab.record(source__ip=v6("10.77.1.2"), destination__port=4444)
        equal((record["event.action"], record.get("destination.domain")), ("deny", "allowed.example"), record)
        equal(ping(V4, "laptop"), "refused", "another host")


def test_wall_clock(lab):
    "a wall clock that is set, far and back, changes neither a session's time nor a hello's; what people read follows it"
    tiers = [{"name": "guest"}, {"name": "staff", "includes": ["guest"], "idle": "8h"}]
    wall = lab.dir / "wall"
    wall.write_text("0")
    os.environ["WALL_CLOCK"] = str(wall)
    with gateway(lab, tiers=tiers):
        lab.stop(wire=False)
        lab.start(wire=False, prefix=("env", f"LD_PRELOAD={BUILD}/live/wall_clock.so"))
        sign_in(lab, "--for", "30m")
        until = sessions(lab)[0]["until"]
        for seconds in (-3600, 86400 * 3, -86400 * 2, 0):
            wall.write_text(str(seconds))
            time.sleep(1.2)  # the table is looked over once a second
            row = sessions(lab)[0]
            moved = datetime.fromisoformat(row["until"][:-1]) - datetime.fromisoformat(until[:-1])
            equal(round(moved.total_seconds()), seconds, "until")
            check(covered(lab, V4), f"signed out by a step of {seconds} s")
            half = lab.say(SITES[GOOD], [client_hello(GOOD)[:60]], timeout=8)
            equal(half.how, "reset", f"half a hello after a step of {seconds} s")


def test_idle(lab):
    "traffic that the kernel passes by itself keeps a session, an open connection without any does not"
    tiers = [{"name": "guest"}, {"name": "staff", "includes": ["guest"], "idle": "4s"}]
    with gateway(lab, tiers=tiers):
        sign_in(lab)
        f = Open(lab, SOCIAL, V4)
        queued = [q["packets"] for q in lab.status()["queues"]]
        for _ in range(16):
            time.sleep(0.5)
            f.ask()
        equal([q["packets"] for q in lab.status()["queues"]], queued, "packets that workers saw")
        equal(len(sessions(lab)), 1)
        began = time.monotonic()
        wait_for(lambda: not sessions(lab), 20, "the end of an idle session")
        check(time.monotonic() - began > 2, "it ended too early")
        f.end(lab, time.monotonic())


def test_count(lab):
    "sessions tells bytes and flows, of open and of ended flows"
    with gateway(lab):
        sign_in(lab)
        f = Open(lab, SOCIAL, V4)
        f.ask("/300000")

        def counted():
            row = sessions(lab)[0]
            return row if row["bytes"] > 300000 else None
        row = wait_for(counted, 10, "the bytes of an open flow")
        equal(row["flows"], 1, "flows")
        check(row["bytes"] < 400000, row)
        f.s.close()
        g = Open(lab, SOCIAL, V4)
        lab.run("gateway", "conntrack", "-D", "-s", V4, "-p", "tcp", "--sport", f.port)
        wait_for(lambda: sessions(lab)[0]["flows"] == 2, 10, "the second flow")
        wait_for(lambda: 300000 < sessions(lab)[0]["bytes"] < 400000, 10, "each flow counted once")
        table = lab.ctl("sessions").stdout.splitlines()
        check("BYTES" in table[0] and "FLOWS" in table[0] and " 2 " in table[1], table)
        g.s.close()


def test_outlive(lab):
    "sessions outlive a restart and a kill with all their addresses and their host, and their flows go on"
    with gateway(lab, segment=None):
        sign_in(lab, "--for", "1h")
        wait_for(lambda: covered(lab, V6), 10, "IPv6")
        before = sessions(lab)[0]
        flows = [Open(lab, SOCIAL, a) for a in (V4, V6)]
        time.sleep(2.5)  # the table is saved once a second
        for how in (signal.SIGTERM, signal.SIGKILL):
            lab.stop(how, wire=False)
            lab.start(wire=False)
            after = sessions(lab)[0]
            equal([after[k] for k in ("user", "tier", "addresses", "since", "until")],
                  [before[k] for k in ("user", "tier", "addresses", "since", "until")])
            for f in flows:
                f.ask()
            check(covered(lab, V4) and covered(lab, V6))
        become(lab, OTHER_MAC)
        try:
            check(not covered(lab, V4), "the host was forgotten")
        finally:
            become(lab, MAC)


def test_end_outlives(lab):
    "a kill in the very moment of the answer brings back nobody who was signed out, and ends nobody else's session"
    kept, desk = lab.dir / "state/sessions.state", "10.77.1.4"
    with gateway(lab, segment=None):
        for how in (("--user", "ann"), ("--address", V4), ("--all",), ("--tier", "staff")):
            sign_in(lab)
            wait_for(lambda: covered(lab, V6), 10, "IPv6")
            equal(lab.login(desk, "ann", "pw pw pw").returncode, 0)
            wait_for(lambda: len(sessions(lab)) == 2 and kept.exists() and kept.read_bytes().count(b"ann") == 2, 10, "the kept table")
            time.sleep(1.5)
            equal(lab.ctl("logout", *how).returncode, 0)
            lab.stop(signal.SIGKILL, wire=False)
            lab.start(wire=False)
            left = [a for s in sessions(lab) for a in s["addresses"]]
            equal(left, [desk] if how[0] == "--address" else [], f"after logout {how}")
            check(not covered(lab, V4) and not covered(lab, V6), how)
            lab.stop(wire=False)  # nothing of it comes later, either
            lab.start(wire=False)
            equal(len(sessions(lab)), len(left))
            lab.ctl("logout", "--all")


if __name__ == "__main__":
    main(globals(), identity_lab)
