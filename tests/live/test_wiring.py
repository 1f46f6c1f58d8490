#!/usr/bin/env python3
"""Each line of the ruleset, IPv4 and IPv6: what the kernel does by itself, what it sends up, what the
marks do. The daemon's place is taken by queue_probe, which answers as it is told.
TIERGATE_BACKEND=nft|iptables picks the backend; without it the one that this kernel has."""
import contextlib
import fcntl
import itertools
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, Lab, v6, wait_for  # noqa: E402
from tap import Skip, check, equal, main, note  # noqa: E402

CLIENT, OTHER, SERVER, INSIDE, RESOLVER = ("10.77.1.2", "10.77.1.3", "198.51.100.10", "10.77.3.2",
                                           "10.77.3.53")
GATEWAY, PORTAL = "10.77.1.1", "10.77.1.1"
MASK, DNS = 0x7f000000, 1
PENDING, ANSWERED, HEARD, ALLOWED, DENIED, REDIRECT = range(1, 7)
BOTH = (CLIENT, v6(CLIENT))
QUIET = 0.3  # long enough for what should not come to have come; nothing is measured by it


def peer(source, address=SERVER):
    return v6(address) if ":" in source else address


class Probe:
    """A queue_probe that runs; what it printed."""

    def __init__(self, lab, queue, *options):
        self.path = lab.dir / f"probe{queue}"
        with open(self.path, "w") as out:  # the probe's alone: an offset shared with a reader would be moved
            self.process = lab.spawn("gateway", BUILD / "live/queue_probe", queue, f"mask={MASK:#x}",
                                     *options, stdout=out, stderr=subprocess.PIPE)
        wait_for(lambda: "ready" in self.text() or self.process.poll() is not None,
                 what="the queue's reader")
        check(self.process.poll() is None, f"queue {queue}:", self.process.stderr)

    def text(self):
        return self.path.read_text()

    def packets(self, **want):
        """What came up, as dicts; want: fields that must match."""
        found = [dict(re.findall(r"(\w+)=(\S+)", line)) for line in self.text().splitlines()
                 if line.startswith("packet ")]
        return [p for p in found if all(p.get(k) == str(v) for k, v in want.items())]

    def close(self):
        self.process.kill()
        self.process.wait()


class Wired:
    """A lab whose gateway has the rules of one configuration, and readers on its queues."""

    def __init__(self, lab):
        self.lab = lab
        self.probes = {}

    def ctl(self, verb, **more):
        return self.lab.run("gateway", BUILD / "tiergatectl", "wiring", verb, "--config",
                            self.lab.config_file, *BACKEND, check_exit=False, **more)

    def up(self, **over):
        over.setdefault("resolvers", [RESOLVER, v6(RESOLVER)])
        over.setdefault("queues", 1)
        self.lab.configure(**over)
        done = self.ctl("up")
        check(done.returncode == 0, done.stdout, done.stderr)

    def reader(self, *options, queue=0):
        self.probes[queue] = Probe(self.lab, queue, *options)
        return self.probes[queue]

    @contextlib.contextmanager
    def daemon_runs(self):
        """As a daemon says it, to whoever looks at the runtime folder."""
        with (self.lab.dir / "run/running").open("w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            yield

    def close(self):
        for p in self.probes.values():
            p.close()
        done = self.ctl("down")
        self.lab.run("gateway", "conntrack", "-F", check_exit=False)
        check(done.returncode == 0, done.stdout, done.stderr)

    # -- the kernel's side -------------------------------------------------------------------------
    def dropped(self, by=""):
        """Packets that rules of ours dropped, both families; of those rules alone that match `by`."""
        return sum(int(n) for line in self.rules()
                   if re.search(r"-j DROP|\bdrop\b", line) and re.search(by, line)
                   for n in re.findall(r"\[(\d+):|packets (\d+)", line) for n in n if n)

    def undecided(self):
        """What passed or was dropped without a verdict."""
        text = "\n".join(self.rules())
        return sum(int(n) for n in re.findall(r"\[(\d+):\d+\] -A TIERGATE-SENT -j", text) +
                   re.findall(r"chain sent \{[^}]*\}[^}]*counter packets (\d+)", text))

    def rules(self):
        listed = []
        for tool in ("iptables-save", "ip6tables-save"):
            listed += [line for line in self.lab.run("gateway", tool, "-c").stdout.splitlines()
                       if "TIERGATE" in line]
        nft = self.lab.run("gateway", "nft", "list", "table", "inet", "tiergate", check_exit=False)
        return listed + nft.stdout.splitlines()

    def mark_of(self, *match):
        """Our bits of the conntrack entries that match."""
        out = self.lab.conntrack("-f", "ipv6" if any(":" in m for m in match) else "ipv4", *match)
        return [int(m) & MASK for m in re.findall(r"\bmark=(\d+)", out)]


BACKEND = ["--backend", os.environ["TIERGATE_BACKEND"]] if "TIERGATE_BACKEND" in os.environ else []


def mark(kind, epoch=0):
    return (kind | epoch << 4) << 24


@contextlib.contextmanager
def context():
    for program in ("tiergatectl", "live/queue_probe", "live/conntrack_probe"):
        if not (BUILD / program).exists():
            raise Skip(f"build/{program} is not built")
    with Lab() as lab:
        note("backend " + (BACKEND[1] if BACKEND else "as probed"))
        yield lab


@contextlib.contextmanager
def wired(lab, **over):
    w = Wired(lab)
    try:
        w.up(**over)
        yield w
    finally:
        w.close()


# -- raw packets -----------------------------------------------------------------------------------

def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def ip(src, dst, proto, body, hops=64):
    """An IP packet around a transport's bytes whose checksum field is 0 (at its usual place)."""
    a, b = packed(src), packed(dst)
    at = {6: 16, 17: 6, 58: 2}.get(proto)
    if at:
        pseudo = a + b + struct.pack("!II", len(body), proto)
        sum_ = checksum(pseudo + body) or 0xffff
        body = body[:at] + struct.pack("!H", sum_) + body[at + 2:]
    if len(a) == 16:
        return struct.pack("!IHBB", 0x60000000, len(body), proto, hops) + a + b + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, hops, proto, 0) + a + b
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def udp(src, sport, dst, dport, payload=b"x"):
    return ip(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload)


def tcp(src, sport, dst, dport, flags, payload=b"", seq=1000, ack=0):
    return ip(src, dst, 6, struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 512, 0, 0)
              + payload)


def device_mac(lab, host, device):
    text = lab.run(host, "cat", f"/sys/class/net/{device}/address").stdout
    return bytes.fromhex(text.strip().replace(":", ""))


def throw(lab, host, packet, device="eth0", to=None, times=1):
    """Puts a packet on the wire from a host towards the gateway, whatever its addresses say."""
    near = {"client": "lan0", "outside": "wan0", "inside": "dmz0"}[host]
    s = lab.socket(host, socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((device, 0))
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    frame = (to or device_mac(lab, "gateway", near)) + device_mac(lab, host, device) + kind + packet
    for _ in range(times):
        s.send(frame)
    s.close()


def listener(lab, host, address, port, kind=socket.SOCK_STREAM):
    s = lab.socket(host, socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(3)
    s.bind((address, port))
    if kind == socket.SOCK_STREAM:
        s.listen(16)
    return s


def never(condition, what):
    time.sleep(QUIET)
    check(not condition(), what)


# -- 1. forged and invalid -------------------------------------------------------------------------

def test_forged_source(lab):
    "forged source on an inside interface: dropped, neither forwarded nor sent up"
    with wired(lab) as w:
        worker, dns, far = w.reader(), w.reader("dns", queue=DNS), lab.sniff("inside")
        for source in BOTH:
            forged = peer(source, "198.51.100.77")
            throw(lab, "client", udp(forged, 4000, peer(source, INSIDE), 5000, b"forged-here"))
            throw(lab, "client", udp(peer(source, RESOLVER), 53, peer(source, OTHER), 4000, b"forged"))
        wait_for(lambda: w.dropped() == 4, what="four packets dropped")
        check(not far.contains(b"forged-here"), "a forged packet was forwarded")
        equal(worker.packets() + dns.packets(), [], "packets that came up")


def test_invalid(lab):
    "an invalid packet (SYN with FIN) from inside: dropped"
    with wired(lab) as w:
        worker, far = w.reader(), lab.sniff("inside")
        for source in BOTH:
            throw(lab, "client", tcp(source, 4000, peer(source, INSIDE), 80, 0x03, b"invalid-here"))
        wait_for(lambda: w.dropped() == 2, what="two packets dropped")
        check(not far.contains(b"invalid-here"), "an invalid packet was forwarded")
        equal(worker.packets(), [], "packets that came up")


def test_new_without_syn(lab):
    "a new TCP flow without a SYN from outside: dropped; one with a SYN passes"
    with wired(lab) as w:
        seen = lab.sniff("client")
        for source in BOTH:
            out = peer(source)
            throw(lab, "outside", tcp(out, 443, source, 7000, 0x10, b"no-syn-here", ack=5))
        wait_for(lambda: w.dropped() == 2, what="two packets dropped")
        check(not seen.contains(b"no-syn-here"), "a packet without a flow reached the client")
        for source in BOTH:
            l = listener(lab, "client", source, 8000)
            s = lab.connect(source, 8000, peer(source), host="outside")
            s.close()
            l.close()


# -- 2. DNS ----------------------------------------------------------------------------------------

def ask(lab, source, server, kind=socket.SOCK_DGRAM, wait=2):
    query = (b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07allowed\x07example\x00\x00\x01"
             b"\x00\x01")
    s = lab.socket("client", socket.AF_INET6 if ":" in source else socket.AF_INET, kind)
    try:
        s.settimeout(wait)
        s.bind((source, 0))
        s.connect((server, 53))
        s.send(query if kind == socket.SOCK_DGRAM else struct.pack("!H", len(query)) + query)
        return s.recv(4096)
    except OSError:
        return None
    finally:
        s.close()


def test_dns(lab):
    "queries to the resolvers and their answers come up as copies, UDP and TCP, and to no queue"
    with wired(lab) as w:
        worker, dns = w.reader(), w.reader("dns", queue=DNS)
        for source in BOTH:
            server = peer(source, RESOLVER)
            check(ask(lab, source, server), "no answer over UDP")
            check(ask(lab, source, server, socket.SOCK_STREAM), "no answer over TCP")
            for proto in (17, 6):
                wait_for(lambda: dns.packets(proto=proto, src=source, dst=server, dport=53), 5, "a query")
                wait_for(lambda: any(int(a["payload"]) > 40 for a in dns.packets(
                    proto=proto, src=server, dst=source, sport=53)), 5, "an answer")
        equal(worker.packets(), [], "packets in the worker's queue")


def test_dns_without_daemon(lab):
    "names are resolved while no daemon runs and while it is stopped dead; the copies are there then"
    with wired(lab) as w:
        for source in BOTH:
            check(ask(lab, source, peer(source, RESOLVER)), "no answer without a daemon")
        dns = w.reader("dns", queue=DNS)
        dns.process.send_signal(19)
        for _ in range(50):
            check(ask(lab, CLIENT, RESOLVER, wait=2), "no answer while the daemon is stopped")
        dns.process.send_signal(18)
        wait_for(lambda: len(dns.packets(sport=53)) == 50, what="the copies of all answers")
        check("lost" not in dns.text(), dns.text())


def test_dns_copies_lost(lab):
    "copies that find the socket full are counted, and reading goes on"
    with wired(lab, resolvers=[RESOLVER, INSIDE]) as w:
        dns = w.reader("dns", "room=64000", queue=DNS)
        dns.process.send_signal(19)
        for n in range(200):
            throw(lab, "client", udp(CLIENT, 4000, INSIDE, 53, b"%03d" % n + bytes(900)))
        dns.process.send_signal(18)
        wait_for(lambda: dns.packets(dst=INSIDE), what="a copy")
        time.sleep(QUIET)
        check(ask(lab, CLIENT, RESOLVER), "no answer")
        wait_for(lambda: f"src={RESOLVER}" in dns.text() and "lost=" in dns.text(), what="a count")
        lost = int(re.findall(r"lost=(\d+)", dns.text())[-1])
        equal(lost + len(dns.packets(dst=INSIDE)), 200, "copies, lost or not")


def test_dns_behind_nat(lab):
    "an answer comes up with its client's address when the gateway masquerades"
    with wired(lab) as w:
        dns = w.reader("dns", queue=DNS)
        lab.run("gateway", "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "dmz0", "-j", "MASQUERADE")
        try:
            check(ask(lab, CLIENT, RESOLVER), "no answer")
        finally:
            lab.run("gateway", "iptables", "-t", "nat", "-F")
        wait_for(lambda: dns.packets(src=RESOLVER, dst=CLIENT, sport=53), what="the answer's copy")


def test_dns_on_gateway(lab):
    "answers of a resolver on the gateway come up too"
    server = lab.spawn("gateway", "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
                       "--user=root", f"--listen-address={GATEWAY},{v6(GATEWAY)}", "--bind-interfaces",
                       "--conf-file=/dev/null", "--pid-file=", "--host-record=allowed.example,192.0.2.1")
    with wired(lab, resolvers=[GATEWAY, v6(GATEWAY)]) as w:
        dns = w.reader("dns", queue=DNS)
        for source in BOTH:
            wait_for(lambda: ask(lab, source, peer(source, GATEWAY)), what="an answer")
            wait_for(lambda: dns.packets(src=source, dport=53), what="the query's copy")
            wait_for(lambda: dns.packets(src=peer(source, GATEWAY), dst=source, sport=53),
                     what="the answer's copy")
    server.kill()


def test_dns_elsewhere(lab):
    "a query to a resolver that is not believed is a flow like any other"
    with wired(lab) as w:
        worker, dns = w.reader("data=drop"), w.reader("dns", queue=DNS)
        for source in BOTH:
            s = lab.socket("client", socket.AF_INET6 if ":" in source else socket.AF_INET,
                           socket.SOCK_DGRAM)
            s.sendto(b"query", (peer(source), 53))
            wait_for(lambda: worker.packets(dst=peer(source), dport=53), what="the query")
            s.close()
        equal(dns.packets(), [], "copies of DNS packets")


# -- 3. what passes without the daemon ---------------------------------------------------------------

def test_local(lab):
    "the gateway itself is reached without a daemon: management never depends on it"
    with wired(lab):
        for source in BOTH:
            l = listener(lab, "gateway", peer(source, GATEWAY), 2222)
            lab.connect(peer(source, GATEWAY), 2222, source).close()
            l.close()
        # by its outer address too
        l = listener(lab, "gateway", "198.51.100.1", 2222)
        lab.connect("198.51.100.1", 2222).close()
        l.close()


def test_broadcast_and_multicast(lab):
    "broadcast, multicast and link-local pass"
    with wired(lab) as w:
        worker = w.reader()
        for address in ("10.77.1.255", "255.255.255.255", "224.0.0.251"):
            l = listener(lab, "gateway", "0.0.0.0", 5353, socket.SOCK_DGRAM)
            l.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                         packed("224.0.0.251") + packed(GATEWAY))
            s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            s.bind((CLIENT, 0))
            s.sendto(address.encode(), (address, 5353))
            equal(l.recv(100), address.encode(), "what the gateway got")
            s.close()
            l.close()
        index = int(lab.run("client", "cat", "/sys/class/net/eth0/ifindex").stdout)
        near = int(lab.run("gateway", "cat", "/sys/class/net/lan0/ifindex").stdout)
        link = re.search(r"fe80::\S+(?=/)", lab.run("gateway", "ip", "-6", "addr", "show", "lan0").stdout)
        for address in ("ff02::fb", link[0]):
            l = listener(lab, "gateway", "::", 5353, socket.SOCK_DGRAM)
            l.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                         packed("ff02::fb") + struct.pack("@i", near))
            s = lab.socket("client", socket.AF_INET6, socket.SOCK_DGRAM)
            s.sendto(address.encode(), (address, 5353, 0, index))
            equal(l.recv(100), address.encode(), "what the gateway got")
            s.close()
            l.close()
        equal(worker.packets(), [], "packets that came up")
        equal(w.dropped(), 0, "packets dropped")


def test_dhcp(lab):
    "DHCP passes: a client without an address asks by broadcast; DHCPv6 by multicast"
    with wired(lab) as w:
        worker = w.reader()
        l = listener(lab, "gateway", "0.0.0.0", 67, socket.SOCK_DGRAM)
        l.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lan0\0")
        throw(lab, "client", udp("0.0.0.0", 68, "255.255.255.255", 67, b"discover"), to=b"\xff" * 6)
        equal(l.recv(100), b"discover", "what the gateway got")
        l.close()
        l = listener(lab, "gateway", "::", 547, socket.SOCK_DGRAM)
        near = int(lab.run("gateway", "cat", "/sys/class/net/lan0/ifindex").stdout)
        l.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                     packed("ff02::1:2") + struct.pack("@i", near))
        s = lab.socket("client", socket.AF_INET6, socket.SOCK_DGRAM)
        s.sendto(b"solicit", ("ff02::1:2", 547, 0,
                              int(lab.run("client", "cat", "/sys/class/net/eth0/ifindex").stdout)))
        equal(l.recv(100), b"solicit", "what the gateway got")
        s.close()
        l.close()
        equal(worker.packets(), [], "packets that came up")


def icmp6(kind, body):
    return struct.pack("!BBHI", kind, 0, 0, 0) + body


def test_neighbours(lab):
    "neighbour discovery, duplicate address detection and MLD pass"
    with wired(lab) as w:
        worker = w.reader()
        lab.run("client", "ip", "-6", "neigh", "flush", "all")
        lab.run("gateway", "ip", "-6", "neigh", "flush", "all")
        l = listener(lab, "gateway", v6(GATEWAY), 2222)
        lab.connect(v6(GATEWAY), 2222, v6(CLIENT)).close()
        l.close()
        target = packed("fd77:1::99")
        throw(lab, "client", ip("::", "ff02::1:ff00:99", 58, icmp6(135, target), 255),
              to=bytes.fromhex("3333ff000099"))
        throw(lab, "client", ip("::", "ff02::16", 58, icmp6(143, b""), 1),
              to=bytes.fromhex("333300000016"))
        never(lambda: w.dropped() or worker.packets(),
              f"dropped or sent up: {w.dropped()} {worker.packets()}")
        # the gateway itself defends an address that a client tries to take
        seen = lab.sniff("client")
        throw(lab, "client", ip("::", "ff02::1:ff00:1", 58, icmp6(135, packed(v6(GATEWAY))), 255),
              to=bytes.fromhex("3333ff000001"))
        wait_for(lambda: any(f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] == 136 and
                             f[62:78] == packed(v6(GATEWAY)) for f in seen.frames()),
                 what="the neighbour advertisement")


def test_internal(lab):
    "internal hosts are reached without a daemon, TCP and UDP"
    with wired(lab):
        for source in BOTH:
            lab.connect(peer(source, INSIDE), 80, source).close()
            equal(lab.udp(peer(source, INSIDE), 5000, b"hello", source), b"hello", "the echo")


def test_related(lab):
    "ICMP about a flow that was passed goes out; about none it does not"
    with wired(lab) as w:
        worker = w.reader("data=pending")
        for source in BOTH:
            far = lab.sniff()
            six = ":" in source
            s = lab.socket("client", socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((source, 0))
            port = s.getsockname()[1]
            s.sendto(b"out", (peer(source), 9999))
            wait_for(lambda: worker.packets(sport=port), what="the packet")
            s.close()
            throw(lab, "outside", udp(peer(source), 9999, source, port, b"answer-to-nobody"))
            kind, at = (1, 54) if six else (3, 34)  # unreachable
            wait_for(lambda: any(len(f) > at + 8 and b"answer-to-nobody" in f[at + 8:] and f[at] == kind
                                 for f in far.frames()), what="the ICMP error outside")
            quoted = udp(peer(source), 1, source, 2, b"never-sent-here")
            if six:
                error = ip(source, peer(source), 58, struct.pack("!BBHI", 1, 4, 0, 0) + quoted)
            else:
                body = struct.pack("!BBHI", 3, 3, 0, 0) + quoted
                error = ip(source, peer(source), 1, body[:2] + struct.pack("!H", checksum(body)) +
                           body[4:])
            throw(lab, "client", error)
            never(lambda: far.contains(b"never-sent-here"), "ICMP about no flow went out")


def test_port_forward(lab):
    "a flow that began outside with a SYN has its answers let go without a daemon, and no other"
    with wired(lab) as w:
        worker = w.reader("data=denied")
        for source in BOTH:
            l = listener(lab, "client", source, 8000)
            s = lab.connect(source, 8000, peer(source), host="outside")
            a, _ = l.accept()
            a.sendall(b"answer")
            equal(s.recv(100), b"answer", "what came outside")
            s.close(), a.close(), l.close()
            equal(worker.packets(), [], "packets that came up")
        # UDP that began outside opens nothing: the inside's answer is a client's packet
        for source in BOTH:
            l = listener(lab, "client", source, 8001, socket.SOCK_DGRAM)
            s = lab.socket("outside", l.family, socket.SOCK_DGRAM)
            s.bind((peer(source), 8001))
            s.settimeout(QUIET)
            s.sendto(b"knock", (source, 8001))
            equal(l.recv(100), b"knock", "what came inside")
            l.sendto(b"leak", (peer(source), 8001))
            wait_for(lambda: worker.packets(src=source, sport=8001), what="the answer in the queue")
            with contextlib.suppress(socket.timeout, ConnectionError, OSError):
                check(s.recv(100) is None, "the answer went out")
            remark(lab, "allowed", source, l, 8001, proto=17)  # a flow from its client's side, as ever
            l.sendto(b"fine", (peer(source), 8001))
            equal(s.recv(100), b"fine", "what came outside once it was allowed")
            s.close(), l.close()


def test_spoofed_opening(lab):
    "a SYN in a far server's name from another network does not make a client's own SYN to that server an answer"
    silent = ("OUTPUT", "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP")
    with wired(lab) as w:
        worker, far = w.reader("data=denied"), lab.sniff()
        for source, tool in zip(BOTH, ("iptables", "ip6tables")):
            lab.run("client", tool, "-A", *silent)
            throw(lab, "inside", tcp(peer(source), 8443, source, 8002, 0x02))
            wait_for(lambda: w.mark_of("-p", "tcp", "--orig-src", peer(source)), what="its flow")
            throw(lab, "client", tcp(source, 8002, peer(source), 8443, 0x02, b"syn-here"))
            lab.run("client", tool, "-D", *silent)
        wait_for(lambda: w.dropped() == 2, what="both SYNs dropped")
        check(not far.contains(b"syn-here"), "a SYN went out as an answer")
        equal(worker.packets(), [], "packets that came up")


# Drops of one kind: what else a kernel sends in the meantime (a late FIN, a probe) is another rule's.
REVERSE_PATH = r"rpfilter|fib saddr"


def spoof_segments(lab, w, source, mark):
    """Throws, from another network, a SYN and data of every number and flags at a connection that has the mark."""
    l = listener(lab, "outside", peer(source), 8003)
    s = lab.connect(peer(source), 8003, source, host="inside")
    port = s.getsockname()[1]
    entry = ("-p", "tcp", "--orig-src", source, "--orig-port-src", str(port))
    lab.run("gateway", "conntrack", "-U", *entry, "-m", f"{mark:#x}/{MASK:#x}")
    equal(w.mark_of(*entry), [mark], "the flow's mark")
    before = w.dropped(REVERSE_PATH)
    throw(lab, "client", tcp(source, port, peer(source), 8003, 0x02, b"forged-here"))
    wait_for(lambda: w.dropped(REVERSE_PATH) == before + 1, what=f"the SYN dropped by the reverse path ({mark:#x})")
    # old numbers, half of all, are conntrack's ESTABLISHED too; data may come with any flags
    for quarter, flags in itertools.product(range(4), (0x10, 0x18, 0x11, 0x30, 0x50)):
        before = w.dropped(REVERSE_PATH)
        throw(lab, "client", tcp(source, port, peer(source), 8003, flags, b"forged-here", seq=1 + (quarter << 30), ack=1))
        wait_for(lambda: w.dropped(REVERSE_PATH) == before + 1, what=f"the data dropped by the reverse path ({mark:#x})")
    s.close(), l.close()


def test_spoofed_on_others(lab):
    "on another network's flow, allowed or not yet, a client gets neither a datagram, nor a SYN, nor data further"
    with wired(lab) as w:
        worker, far = w.reader("data=allowed"), lab.sniff()
        for source in ("10.77.3.2", "fd77:3::2"):
            l = listener(lab, "outside", peer(source), 8003, socket.SOCK_DGRAM)
            s = lab.socket("inside", socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((source, 0))
            s.connect((peer(source), 8003))
            s.send(b"own")
            data, at = l.recvfrom(100)
            l.sendto(b"answer", at)
            s.settimeout(3)
            s.recv(100)
            remark(lab, "allowed", source, s, 8003, proto=17)
            before = w.dropped(REVERSE_PATH)
            throw(lab, "client", udp(source, s.getsockname()[1], peer(source), 8003, b"forged-here"))
            wait_for(lambda: w.dropped(REVERSE_PATH) == before + 1, what="the datagram dropped by the reverse path")
            s.send(b"own-again")
            equal(l.recv(100), b"own-again")
            s.close(), l.close()
            for mark in (0x4000000, 0x3000000, 0x2000000):  # allowed, heard, answered
                spoof_segments(lab, w, source, mark)
        equal(worker.packets(), [], "packets that came up")
        check(not far.contains(b"forged-here"), "it went out")


def test_kept_from_ours(lab):
    "what another program's rules keep from ours (an ACCEPT before them, a chain emptied) does not go out; internal hosts stay in reach"
    with wired(lab) as w:
        if not any("-A TIERGATE-UNSEEN" in line for line in w.rules()):
            raise Skip("a table of nft's own is not kept from packets by another's ACCEPT")
        worker, far, near = w.reader("data=allowed"), lab.sniff(), lab.sniff("inside")
        for n, rule in enumerate((("-I", "PREROUTING", "-i", "lan0", "-j", "ACCEPT"), ("-F", "TIERGATE-PREROUTING"), ("-F", "TIERGATE-INSIDE"))):
            for tool in ("iptables", "ip6tables"):
                lab.run("gateway", tool, "-t", "mangle", *rule)
            for source in BOTH:
                for kind, packet in (("udp", udp(source, 6100 + n, peer(source), 5000, b"unseen-here")),
                                     ("tcp", tcp(source, 6100 + n, peer(source), 443, 0x02, b"unseen-here"))):
                    before = w.dropped()
                    throw(lab, "client", packet)
                    wait_for(lambda: w.dropped() > before, what=f"the {kind} packet dropped, after {rule}")
                throw(lab, "client", udp(source, 6200 + n, peer(source, INSIDE), 5000, b"internal-%d" % n))
                wait_for(lambda: near.contains(b"internal-%d" % n), what="the internal host's")
                l = listener(lab, "client", source, 8100 + n)  # a flow that began outside
                s = lab.connect(source, 8100 + n, peer(source), host="outside")
                a, _ = l.accept()
                a.sendall(b"answer")
                equal(s.recv(100), b"answer", "what came outside")
                s.close(), a.close(), l.close()
            for tool in ("iptables", "ip6tables") if rule[0] == "-I" else ():
                lab.run("gateway", tool, "-t", "mangle", "-D", *rule[1:])
        check(not far.contains(b"unseen-here"), "a packet went out that our rules never saw")
        equal(worker.packets(), [], "packets that came up")


def test_untracked(lab):
    "what conntrack was told not to track is denied from inside, at once"
    with wired(lab) as w:
        worker = w.reader("data=allowed")
        for tool in ("iptables", "ip6tables"):
            lab.run("gateway", tool, "-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "5000",
                    "-j", "CT", "--notrack")
        try:
            for source in BOTH:
                equal(lab.udp(peer(source), 5000, b"untracked", source), "refused", "the answer")
        finally:
            for tool in ("iptables", "ip6tables"):
                lab.run("gateway", tool, "-t", "raw", "-D", "PREROUTING", "1")
        equal(worker.packets(), [], "packets that came up")


# -- 4. marks and queues ---------------------------------------------------------------------------

def request(lab, source, size=200000, port=80, timeout=5):
    """An HTTP request over a connection; the body's length."""
    s = lab.connect(peer(source), port, source, timeout=timeout)
    try:
        s.sendall(f"GET /{size} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while b := s.recv(1 << 16):
            got += b
        return s.getsockname()[1], len(got.partition(b"\r\n\r\n")[2])
    finally:
        s.close()


def test_allowed(lab):
    "an allowed flow stays in the kernel: its SYN and its first data come up, no server's packet"
    with wired(lab) as w:
        worker = w.reader()
        for source in BOTH:
            port, got = request(lab, source)
            equal(got, 200000, "bytes received")
            up = worker.packets(sport=port)
            equal([p["flags"] for p in up], ["02", "18"], "flags of the packets that came up")
            equal(worker.packets(src=peer(source)), [], "server's packets that came up")
            equal(w.mark_of("-p", "tcp", "--orig-src", source), [mark(ALLOWED)], "the flow's mark")


def test_udp_allowed(lab):
    "UDP: the first packet comes up, of the next ones only what may begin a QUIC connection"
    with wired(lab) as w:
        worker = w.reader("data=allowed")
        for source in BOTH:
            family = socket.AF_INET6 if ":" in source else socket.AF_INET
            s = lab.socket("client", family, socket.SOCK_DGRAM)
            s.settimeout(3)
            s.bind((source, 0))
            for n in range(5):
                s.sendto(b"%d" % n, (peer(source), 5000))
                equal(s.recv(100), b"%d" % n, "the echo")
            for first in (0x40, 0x7f, 0xc3, 0xd0, 0x83, 0x90):  # short ones; Initials of v1, v2; with grease
                s.sendto(bytes([first, 0, 0, 0, 1]), (peer(source), 5000))
                s.recv(100)
            up = worker.packets(sport=s.getsockname()[1])
            equal([p["payload"] for p in up], ["1", "5", "5", "5", "5"], "packets that came up")
            equal(w.mark_of("-p", "udp", "--orig-src", source), [mark(ALLOWED)], "the flow's mark")
            s.close()


def test_pending(lab):
    "a pending flow's client packets all come up; the server's pass"
    with wired(lab) as w:
        worker = w.reader("data=pending")
        for source in BOTH:
            port, got = request(lab, source, 20000)
            equal(got, 20000, "bytes received")
            check(worker.packets(sport=port, flags="18"), "the request did not come up")
            equal(worker.packets(src=peer(source)), [], "server's packets that came up")
            equal(w.mark_of("-p", "tcp", "--orig-src", source), [mark(PENDING)], "the flow's mark")


def test_empty_ack(lab):
    "an empty ACK, FIN or RST of an answered flow stays in the kernel, with and without options; one with data does not"
    with wired(lab) as w:
        worker = w.reader("data=pending")
        for stamps in ("1", "0"):
            lab.run("client", "sysctl", "-qw", f"net.ipv4.tcp_timestamps={stamps}")
            for source in BOTH:
                s = lab.connect(peer(source), 80, source)
                port = s.getsockname()[1]
                never(lambda: len(worker.packets(sport=port)) != 1, "more than the SYN came up")
                s.sendall(b"G")
                wait_for(lambda: worker.packets(sport=port, payload=1), what="one byte of data")
                s.close()
                for linger in (0, 1):  # FIN, RST
                    s = lab.connect(peer(source), 80, source)
                    port = s.getsockname()[1]
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", linger, 0))
                    s.close()
                    never(lambda: len(worker.packets(sport=port)) != 1, "more than the SYN came up")
        lab.run("client", "sysctl", "-qw", "net.ipv4.tcp_timestamps=1")


def test_other_bits(lab):
    "bits of the marks that are not ours are left alone"
    with wired(lab) as w:
        worker = w.reader()
        for tool in ("iptables", "ip6tables"):
            lab.run("gateway", tool, "-t", "raw", "-A", "PREROUTING", "-i", "lan0", "-j", "MARK",
                    "--set-mark", "0x1234")
        try:
            for source in BOTH:
                port, got = request(lab, source, 100)
                equal(got, 100, "bytes received")
                equal({int(p["mark"], 16) & ~MASK for p in worker.packets(sport=port)}, {0x1234},
                      "the packet's mark as it came up")
        finally:
            for tool in ("iptables", "ip6tables"):
                lab.run("gateway", tool, "-t", "raw", "-D", "PREROUTING", "1")


def test_large(lab):
    "large packets come up whole, up to 64 KiB, and go on as they were"
    with wired(lab) as w:
        worker = w.reader("data=pending")
        for source in BOTH:
            l = listener(lab, "outside", peer(source), 4444)
            s = lab.connect(peer(source), 4444, source)
            a, _ = l.accept()
            sent = os.urandom(1 << 20)
            t = threading.Thread(target=s.sendall, args=(sent,))
            t.start()
            got = b""
            while len(got) < len(sent) and (piece := a.recv(1 << 16)):
                got += piece
            t.join()
            check(got == sent, "bytes changed on their way")
            lengths = [int(p["len"]) for p in worker.packets(sport=s.getsockname()[1])]
            check(max(lengths) > 4000, "no large packet came up:", max(lengths))
            equal(worker.packets(cut=1), [], "packets that were cut")
            s.close(), a.close(), l.close()


def test_reader_errors(lab):
    "a queue in use and a missing right are one clear sentence each"
    reader = (BUILD / "live/queue_probe", "0")
    with wired(lab) as w:
        w.reader()
        done = lab.run("gateway", *reader, check_exit=False, timeout=5)
        equal(done.returncode, 3)
        check(re.fullmatch(r"queue 0 is in use by \S+ \(netlink port \d+\)\n", done.stderr), done.stderr)
        done = lab.run("gateway", "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-all", *reader,
                       check_exit=False, timeout=5)
        equal((done.returncode, done.stderr),
              (3, "no right to read queue 0: the capability CAP_NET_ADMIN is missing\n"))


def denied_hello(lab, source, payload, wait=3):
    """Connects, sends; what the client then got and what the server."""
    l = listener(lab, "outside", peer(source), 4444)
    s = lab.connect(peer(source), 4444, source)
    a, _ = l.accept()
    a.settimeout(wait)
    s.settimeout(wait)
    try:
        s.sendall(payload)
        try:
            got = s.recv(100) or "closed"
        except ConnectionResetError:
            got = "reset"
        except socket.timeout:
            got = "nothing"
        try:
            server = a.recv(100) or "closed"
        except ConnectionResetError:
            server = "reset"
        except socket.timeout:
            server = "nothing"
        return got, server
    finally:
        s.close(), a.close(), l.close()


def test_denied_hello(lab):
    "a denied hello: both ends are reset, no byte of it leaves, the flow stays denied in the kernel"
    with wired(lab) as w:
        w.reader("data=denied", "reset")
        for source in BOTH:
            far = lab.sniff()
            equal(denied_hello(lab, source, b"secret-hello" * 200), ("reset", "reset"), "both ends")
            check(not far.contains(b"secret-hello"), "a denied hello went out")
            equal(w.mark_of("-p", "tcp", "--orig-src", source, "--dport", "4444")[:1], [mark(DENIED)],
                  "the flow's mark")


def test_denied_without_filter(lab):
    "with the filter table flushed a denied hello still does not leave"
    with wired(lab) as w:
        w.reader("data=denied")
        for tool in ("iptables", "ip6tables"):
            lab.run("gateway", tool, "-F")
        for source in BOTH:
            far = lab.sniff()
            client, server = denied_hello(lab, source, b"secret-hello", QUIET)
            check(client in ("nothing", "reset") and server == "nothing", client, server)
            check(not far.contains(b"secret-hello"), "a denied hello went out")


def test_denied_server(lab):
    "a flow that is denied while its server speaks: the server's next packet is answered by a reset"
    with wired(lab) as w:
        w.reader("data=allowed")
        for source in BOTH:
            l = listener(lab, "outside", peer(source), 4444)
            s = lab.connect(peer(source), 4444, source)
            a, _ = l.accept()
            s.sendall(b"hello")
            equal(a.recv(100), b"hello", "the server's bytes")
            remark(lab, "denied", source, s)
            with contextlib.suppress(ConnectionError):
                for _ in range(3):
                    a.sendall(b"more")
                    time.sleep(0.1)
                raise AssertionError("the server was not reset")
            s.close(), a.close(), l.close()


def remark(lab, verdict, source, sock, port=4444, expect=0, epoch=0, proto=6):
    done = lab.run("gateway", BUILD / "live/conntrack_probe", hex(MASK), epoch, "mark", verdict, proto, source,
                   sock.getsockname()[1], peer(source), port, check_exit=False)
    equal(done.returncode, expect, "conntrack_probe: " + done.stderr)


def idle_revoked(lab, w, nat):
    for source in BOTH:
        l = listener(lab, "outside", peer(source), 4444)
        s = lab.connect(peer(source), 4444, source)
        a, _ = l.accept()
        s.sendall(b"hello")
        equal(a.recv(100), b"hello", "the server's bytes")
        remark(lab, "denied", source, s)
        for end, name in ((s, "client"), (a, "server")):
            try:
                got = end.recv(100)
            except ConnectionResetError:
                continue
            except socket.timeout:
                got = "nothing"
            raise AssertionError(f"{name} got {got!r} instead of a reset, {source} nat={nat}")
        s.close(), a.close(), l.close()


def test_idle_revoked(lab):
    "an idle allowed flow that is revoked: both ends get their reset at once, with and without NAT"
    with wired(lab) as w:
        w.reader("data=allowed")
        idle_revoked(lab, w, False)
        rule = ("-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE")
        for tool in ("iptables", "ip6tables"):
            lab.run("gateway", tool, *rule)
        try:
            idle_revoked(lab, w, True)
        finally:
            for tool in ("iptables", "ip6tables"):
                lab.run("gateway", tool, "-t", "nat", "-F")


def offloaded(lab, port):
    """Whether the flow from a client's port is in a flowtable."""
    table = lab.run("gateway", "cat", "/proc/net/nf_conntrack").stdout
    return any(f"sport={port} " in line and "[OFFLOAD]" in line for line in table.splitlines())


def counted(lab, port):
    """Bytes of the flow from a client's port, both ways, as conntrack counts them."""
    table = lab.run("gateway", "cat", "/proc/net/nf_conntrack").stdout
    line = next(x for x in table.splitlines() if f"sport={port} " in x)
    return sum(map(int, re.findall(r"bytes=(\d+)", line)))


def talk(s, a, text=b"there and back"):
    s.sendall(text)
    equal(a.recv(100), text, "the server's bytes")
    a.sendall(text)
    equal(s.recv(100), text, "the client's bytes")


def opened(lab, source, port=4444):
    """An allowed connection, both ends, that the kernel forwards past all rules."""
    with contextlib.closing(listener(lab, "outside", peer(source), port)) as l:
        s = lab.connect(peer(source), port, source)
        a, _ = l.accept()
    a.settimeout(3)
    for _ in range(3):
        talk(s, a)
    check(offloaded(lab, s.getsockname()[1]), f"{source}: the flow is not in the flowtable")
    return s, a


@contextlib.contextmanager
def skipping(lab, *more):
    if "nft" not in BACKEND:
        raise Skip("iptables has no flowtable")
    os.environ["CONNTRACK_SKIPS"] = "1"
    try:
        with wired(lab, flowtable=["lan0", "wan0", *more]) as w:
            yield w
    finally:
        del os.environ["CONNTRACK_SKIPS"]


def test_flowtable_revoked(lab):
    "a flow that a flowtable forwards ends with its mark: a reset at once for both ends; others' go on"
    with skipping(lab) as w:
        worker = w.reader("data=allowed")
        equal(w.ctl("check").returncode, 0, "wiring check")
        for source, other in zip(BOTH, (OTHER, v6(OTHER))):
            s, a = opened(lab, source)
            s2, a2 = opened(lab, other, 4445)
            up = len(worker.packets())
            before = counted(lab, s.getsockname()[1])
            for _ in range(20):
                talk(s, a, b"x" * 100)
            check(counted(lab, s.getsockname()[1]) >= before + 4000, "what skips the rules is not counted, for quotas neither")
            equal(len(worker.packets()), up, "packets that came up")
            remark(lab, "denied", source, s)
            for end, name in ((s, "client"), (a, "server")):
                try:
                    raise AssertionError(f"{name} got {end.recv(100)!r} instead of a reset")
                except ConnectionResetError:
                    pass
            talk(s2, a2)
            talk(s2, a2)
            check(offloaded(lab, s2.getsockname()[1]), "another's flow is not in the flowtable again")
            equal(lab.run("gateway", "ip", "-6" if ":" in source else "-4", "rule", "list", "priority", "32999").stdout, "",
                  "the rule that stays")
            for x in (s, a, s2, a2):
                x.close()


def test_flowtable_cleared(lab):
    "a flow whose mark is cleared comes up with its next packet, also out of a flowtable"
    with skipping(lab) as w:
        worker = w.reader("data=allowed")
        for source in BOTH:
            s, a = opened(lab, source)
            up = len(worker.packets(sport=s.getsockname()[1]))
            remark(lab, "pending", source, s)
            talk(s, a, b"again")
            equal(len(worker.packets(sport=s.getsockname()[1])), up + 1, "packets that came up")
            s.close(), a.close()


def test_flowtable_reopened(lab):
    "a SYN on the ports of a flow that was in a flowtable and is over comes up, whatever came after its end"
    with skipping(lab) as w:
        worker = w.reader("data=allowed")
        for source, reset in itertools.product(BOTH, (True, False)):
            s, a = opened(lab, source)
            port = s.getsockname()[1]
            equal(len(worker.packets(sport=port, flags="02")), 1, "SYNs that came up")
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                a.shutdown(socket.SHUT_WR)
            s.close()
            wait_for(lambda: not offloaded(lab, port), what="the flow out of the flowtable")
            for seq in (1000, 1 << 30, 2 << 30, 3 << 30):
                throw(lab, "client", tcp(source, port, peer(source), 4444, 0x10, b"straggler", seq=seq, ack=1))
            never(lambda: offloaded(lab, port), "the flow in the flowtable again")
            throw(lab, "client", tcp(source, port, peer(source), 4444, 0x02, seq=77))
            wait_for(lambda: len(worker.packets(sport=port, flags="02")) == 2, what="the second SYN")
            a.close()


def test_flowtable_absent(lab):
    "an interface of the flowtable that is not there is said, and the rules are loaded without it"
    with skipping(lab, "ppp7") as w:
        w.reader("data=allowed")
        check("ppp7" in (done := w.ctl("check")).stdout + done.stderr, done.stdout, done.stderr)
        equal(done.returncode, 0, "wiring check: " + done.stdout + done.stderr)
        for x in opened(lab, CLIENT):
            x.close()


def test_cleared(lab):
    "a flow whose mark is cleared comes up again; a flow that is not there is told so"
    with wired(lab) as w:
        worker = w.reader("data=allowed")
        for source in BOTH:
            l = listener(lab, "outside", peer(source), 4444)
            s = lab.connect(peer(source), 4444, source)
            a, _ = l.accept()
            port = s.getsockname()[1]
            s.sendall(b"one")
            a.recv(100)
            s.sendall(b"two")
            a.recv(100)
            equal(len(worker.packets(sport=port, flags="18")), 1, "data packets that came up")
            remark(lab, "pending", source, s)
            s.sendall(b"three")
            a.recv(100)
            equal(len(worker.packets(sport=port, flags="18")), 2, "data packets that came up")
            remark(lab, "allowed", source, s, port=4445, expect=1)
            done = lab.run("gateway", BUILD / "live/conntrack_probe", hex(MASK), 0, "mark", "pending", 6, peer(source),
                           4444, source, port, check_exit=False)  # as one that the server began is named
            equal(done.returncode, 0, "by its other direction: " + done.stderr)
            s.sendall(b"four")
            a.recv(100)
            equal(len(worker.packets(sport=port, flags="18")), 3, "data packets that came up")
            s.close(), a.close(), l.close()


def test_denied_first(lab):
    "a denied first packet is answered at once: TCP by a reset, UDP by ICMP"
    with wired(lab) as w:
        w.reader("syn=denied", "data=denied")
        for source in BOTH:
            try:
                lab.connect(peer(source), 80, source).close()
                raise AssertionError("connected")
            except ConnectionRefusedError:
                pass
            equal(lab.udp(peer(source), 5000, b"x", source), "refused", "the answer")


def test_drop(lab):
    "on_deny = drop: no answer"
    with wired(lab, on_deny="drop") as w:
        w.reader("data=denied")
        for source in BOTH:
            far = lab.sniff()
            equal(lab.udp(peer(source), 5000, b"dropped-here", source, timeout=QUIET), None, "the answer")
            check(not far.contains(b"dropped-here"), "it went out")


def test_redirect(lab):
    "on_deny = redirect: a SYN to port 80 reaches the portal of its family; without one it is rejected"
    four, six = PORTAL + ":8088", f"[{v6(PORTAL)}]:8088"
    for portal, served in ((four, [CLIENT]), (six, [v6(CLIENT)]), ([six, four], BOTH)):
        with wired(lab, on_deny="redirect", portal=portal) as w:
            worker = w.reader("syn=redirect", "data=denied")
            for source in served:
                l = listener(lab, "gateway", peer(source, PORTAL), 8088)
                s = lab.connect(peer(source), 80, source)
                a, _ = l.accept()
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                check(a.recv(100).startswith(b"GET /"), "what the portal got")
                a.sendall(b"HTTP/1.0 302 x\r\n\r\n")
                check(s.recv(100), "the portal's answer")
                s.close(), a.close(), l.close()
            equal(len(worker.packets()), len(served), "packets that came up")
            for other in set(BOTH) - set(served):
                try:
                    lab.connect(peer(other), 80, other).close()
                    raise AssertionError("the other family connected")
                except ConnectionRefusedError:
                    pass


def test_closed(lab):
    "when_down = closed: without a daemon nothing undecided leaves"
    with wired(lab):
        for source in BOTH:
            far = lab.sniff()
            equal(lab.udp(peer(source), 5000, b"closed-here", source, timeout=QUIET), None, "the answer")
            check(not far.contains(b"closed-here"), "it went out")


def test_open(lab):
    "when_down = open: without a daemon it passes, and is counted"
    with wired(lab, when_down="open") as w:
        for source in BOTH:
            equal(lab.udp(peer(source), 5000, b"open", source), b"open", "the answer")
            equal(w.mark_of("-p", "udp", "--orig-src", source), [0], "the flow's mark")
        equal(w.undecided(), 2, "packets counted")


def flood(lab, source, count):
    s = lab.socket("client", socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    for _ in range(count):
        s.sendto(b"flood-here", (peer(source), 5000))
    s.close()


def test_full(lab):
    "a full queue: closed drops what it can't take; open passes it, and both count"
    for setting, options in (("closed", ()), ("open", ("fail-open",))):
        for source in BOTH:
            with wired(lab, when_full=setting) as w:
                worker = w.reader("data=drop", "length=4", *options)
                worker.process.send_signal(19)
                far = lab.sniff()
                flood(lab, source, 20)
                if setting == "open":
                    wait_for(lambda: far.contains(b"flood-here"), what="the overflow outside")
                    check(w.undecided() >= 10, "overflow not counted:", w.undecided())
                else:
                    never(lambda: far.contains(b"flood-here"), "the overflow went out")
                worker.process.send_signal(18)


def test_balance(lab):
    "flows are spread over the queues by address, and a flow stays in one"
    with wired(lab, queues=2) as w:
        workers = [w.reader("data=drop", queue=0), w.reader("data=drop", queue=1)]
        for family in (lambda a: a, v6):
            for n in range(2, 10):
                s = lab.socket("client", socket.AF_INET6 if ":" in family("10.77.1.2") else socket.AF_INET,
                               socket.SOCK_DGRAM)
                s.bind((family(f"10.77.1.{n}"), 0))
                for _ in range(3):
                    s.sendto(b"x", (family(SERVER), 5000))
                s.close()
        wait_for(lambda: sum(len(x.packets()) for x in workers) == 48, what="48 packets")
        flows = [{(p["src"], p["sport"]) for p in x.packets()} for x in workers]
        check(flows[0] and flows[1], "one queue got nothing", flows)
        check(not flows[0] & flows[1], "a flow in both queues")


def test_ends(lab):
    "ends of marked flows are told, with bytes and packets; of unmarked ones not"
    with wired(lab) as w:
        w.reader()
        ends = lab.dir / "ends"
        with open(ends, "w") as out:
            p = lab.spawn("gateway", BUILD / "live/conntrack_probe", hex(MASK), 0, "ends", stdout=out)
        wait_for(lambda: "ready" in ends.read_text(), what="the reader of ends")
        for source in BOTH:
            port, _ = request(lab, source, 50000)
            lab.udp(peer(source, INSIDE), 5000, b"internal", source)
            for proto in ("tcp", "udp"):
                lab.run("gateway", "conntrack", "-D", "-f", "ipv6" if ":" in source else "ipv4", "-p", proto,
                        "--orig-src", source, check_exit=False)
            wait_for(lambda: f"sport={port}" in ends.read_text(), what="the flow's end")
            line = [line for line in ends.read_text().splitlines() if f"sport={port}" in line][0]
            check(f"src={source}" in line and f"dst={peer(source)} dport=80" in line, line)
            check(int(re.search(r"bytes=(\d+)", line)[1]) > 50000, line)
        check("dport=5000" not in ends.read_text(), "the end of an unmarked flow was told")
        p.kill()


# -- the tool ------------------------------------------------------------------------------------------

def epoch_of(w):
    return int(re.search(r"TIERGATE-([0-9a-f])[01]-[0-9a-f]{16}", "\n".join(w.rules()))[1], 16)


def test_up_twice(lab):
    "up twice changes nothing; another policy moves the epoch unless a daemon runs"
    with wired(lab) as w:
        before = [re.sub(r"^\[\S+ |packets \d+ bytes \d+", "", line) for line in w.rules()]
        w.up()
        after = [re.sub(r"^\[\S+ |packets \d+ bytes \d+", "", line) for line in w.rules()]
        check(before == after, "a second up changed:", set(before) ^ set(after))
        equal(epoch_of(w), 0, "the epoch")
        w.up(allow=[{"tiers": ["staff"], "sites": ["social"]}])
        equal(epoch_of(w), 1, "the epoch with another policy")
        with w.daemon_runs():
            w.up()
            equal(epoch_of(w), 1, "the epoch while a daemon runs")
        check(w.ctl("check").returncode == 0, w.ctl("check").stderr)


def get_ten(s):
    """A request on a connection that stays open, and its whole answer."""
    s.sendall(b"GET /10 HTTP/1.1\r\nHost: x\r\n\r\n")
    got = b""
    while not got.endswith(b"\r\n\r\n" + b"." * 10):
        piece = s.recv(1000)
        check(piece, "the connection ended after", got)
        got += piece


def test_old_epoch(lab):
    "marks of an older epoch count for nothing, and are gone before their number is used again"
    with wired(lab) as w:
        worker = w.reader("data=allowed")
        s = lab.connect(SERVER, 80, CLIENT)
        get_ten(s)
        equal(w.mark_of("-p", "tcp", "--orig-src", CLIENT), [mark(ALLOWED, 0)], "the flow's mark")
        worker.close()
        del w.probes[0]
        w.up(allow=[{"tiers": ["staff"], "sites": ["social"]}])
        worker = w.reader("data=allowed", "epoch=1")
        get_ten(s)
        check(worker.packets(flags="18"), "the flow's packet did not come up")
        equal(w.mark_of("-p", "tcp", "--orig-src", CLIENT), [mark(ALLOWED, 1)], "the flow's mark")
        done = lab.run("gateway", BUILD / "live/conntrack_probe", hex(MASK), 1, "sweep")
        equal(done.stdout, "swept 1\n")
        equal(w.mark_of("-p", "tcp", "--orig-src", CLIENT), [0], "the flow's mark after the sweep")
        s.close()


def test_check(lab):
    "check says what is missing, what is strange, and what stands in our way"
    with wired(lab) as w:
        done = w.ctl("check")
        equal((done.returncode, done.stderr), (0, ""))
        if any("-A TIERGATE-INSIDE" in line for line in w.rules()):
            lab.run("gateway", "iptables", "-I", "FORWARD", "-j", "ACCEPT")
            lab.run("gateway", "iptables", "-t", "mangle", "-A", "PREROUTING", "-j", "ACCEPT")
            lab.run("gateway", "ip6tables", "-t", "mangle", "-D", "TIERGATE-INSIDE", "2")
            wanted = ["stands before ours in FORWARD", "stands after ours in PREROUTING",
                      "missing from the kernel: mangle: -A TIERGATE-INSIDE -m rpfilter"]
        else:
            lab.run("gateway", "nft", "insert", "rule", "inet", "tiergate", "from_inside", "accept")
            lab.run("gateway", "nft", "flush", "chain", "inet", "tiergate", "denied")
            wanted = ["not ours, but among our rules: from_inside: accept", "reject with tcp reset"]
        done = w.ctl("check")
        equal(done.returncode, 1)
        for text in wanted:
            check(text in done.stderr, f"{text!r} is not said in", done.stderr)
        lab.configure(inside=["lan0", "dmz0"], queues=1)
        done = w.ctl("check")
        check(done.returncode == 1 and "another configuration" in done.stderr, done.stderr)
        lab.run("gateway", "iptables", "-F", "FORWARD")
        lab.run("gateway", "iptables", "-t", "mangle", "-D", "PREROUTING", "-j", "ACCEPT", check_exit=False)
        w.up()
        equal(w.ctl("check").returncode, 0, "check after another up")
        lab.run("gateway", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=1")
        done = w.ctl("check")
        lab.run("gateway", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=0")
        check(done.returncode == 1 and "nf_conntrack_tcp_be_liberal is on" in done.stderr, done.stderr)


def test_warnings(lab):
    "check warns of a resolver whose answers need not cross the gateway, and of fwmark_reflect"
    with wired(lab, resolvers=["10.77.1.9", RESOLVER, GATEWAY, v6("10.77.1.9")]) as w:
        done = w.ctl("check")
        equal(done.returncode, 0, done.stderr)
        equal([line.split(":")[1].split()[1] for line in done.stderr.splitlines()[:1]], ["10.77.1.9"])
        equal(done.stderr.count("is a neighbour of the clients on lan0"), 2, done.stderr)
        same = [line for line in done.stderr.splitlines() if "neighbour" in line]
        done = lab.run("gateway", BUILD / "tiergated", "check", "--config", lab.config_file)
        equal(done.stderr.splitlines(), same, "what tiergated check says")
        done = lab.run("inside", BUILD / "tiergated", "check", "--config", lab.config_file)
        check("neighbour" not in done.stderr, "said on a host without the interface")
        lab.run("gateway", "sysctl", "-qw", "net.ipv4.fwmark_reflect=1")
        done = w.ctl("check")
        lab.run("gateway", "sysctl", "-qw", "net.ipv4.fwmark_reflect=0")
        check(done.returncode == 0 and "fwmark_reflect is on" in done.stderr, done.stderr)
        lab.configure(resolvers=["10.77.1.9"], dnstap_socket=str(lab.dir / "dnstap.sock"))
        done = lab.run("gateway", BUILD / "tiergated", "check", "--config", lab.config_file)
        check("neighbour" not in done.stderr, "said where dnstap is heard")


def test_warning_of_ways(lab):
    "check names the interface of inside by which the default route leaves, IPv4 and IPv6"
    with wired(lab, inside=["lan0", "wan0"]) as w:
        check("default route" not in w.ctl("check").stderr, "said without one")
        for family, via in (("-4", "198.51.100.10"), ("-6", v6("198.51.100.10"))):
            lab.run("gateway", "ip", family, "route", "add", "default", "via", via)
        try:
            for done in (w.ctl("check"), lab.run("gateway", BUILD / "tiergated", "check", "--config", lab.config_file)):
                for v in "46":
                    check(f'the default route of IPv{v} leaves by "wan0"' in done.stderr, done.stderr)
                check("lan0" not in done.stderr, done.stderr)
            lab.configure(inside=["lan0"])
            done = lab.run("gateway", BUILD / "tiergated", "check", "--config", lab.config_file)
            check("default route" not in done.stderr, done.stderr)
        finally:
            for family in ("-4", "-6"):
                lab.run("gateway", "ip", family, "route", "del", "default")


@contextlib.contextmanager
def link(lab, name, *kind):
    """An interface of the gateway's, for a while."""
    lab.run("gateway", "ip", "link", "add", name, "type", *kind)
    try:
        yield
    finally:
        lab.run("gateway", "ip", "link", "del", name, check_exit=False)


def test_interfaces(lab):
    "check names every name of inside by which no packet can arrive, and what was meant"
    def said(inside):
        lab.configure(inside=inside, resolvers=[], queues=1)
        done = w.ctl("check")
        mine = [line for line in done.stderr.splitlines() if line.startswith("inside: ")]
        warned = lab.run("gateway", BUILD / "tiergated", "check", "--config", lab.config_file).stderr
        equal([line for line in warned.splitlines() if "inside: " in line], ["warning: " + m for m in mine])
        equal(done.returncode, 1 if mine else 0, f"wiring check: {done.stderr}")
        return mine
    with wired(lab, resolvers=[]) as w, link(lab, "br7", "bridge"), link(lab, "port7", "veth", "peer", "other7"):
        lab.run("gateway", "ip", "link", "set", "port7", "master", "br7")
        lab.run("gateway", "ip", "link", "property", "add", "dev", "br7", "altname", "enlan7")
        for inside, words in ((["lan1"], ('no interface is called "lan1"', 'did you mean "lan0"?')),
                              (["LAN0"], ('no interface is called "LAN0"', 'did you mean "lan0"?')),
                              (["other7@port7"], ('no interface is called', 'did you mean "other7"?')),
                              (["uplink9"], ("no interface is called", "interfaces known: lo, ", "lan0", "wan0")),
                              (["port7"], ('a port of the bridge "br7"', 'write "br7"')),
                              (["enlan7"], ('another name of "br7"', 'write "br7"')),
                              (["lo"], ("the gateway's loopback",))):
            w.up(inside=["lan0", "br7", *inside], resolvers=[])
            lines = said(["lan0", "br7", *inside])
            equal(len(lines), 1, f"{inside}: {lines}")
            for word in words:
                check(word in lines[0], f"{inside}: {lines[0]}")
        w.up(inside=["lan0", "late7"], resolvers=[])
        equal(len(said(["lan0", "late7"])), 1)
        with link(lab, "late7", "bridge"):  # it comes later: nothing else is to be done
            equal(said(["lan0", "late7"]), [])
            lab.run("gateway", "ip", "link", "set", "late7", "name", "late8")
            equal(len(said(["lan0", "late7"])), 1)
            lab.run("gateway", "ip", "link", "set", "late8", "name", "late7")


@contextlib.contextmanager
def bridged(lab):
    """Two hosts of one segment, at two ports of the gateway's br9."""
    lab.run("gateway", "ip", "link", "add", "br9", "type", "bridge")
    lab.run("gateway", "ip", "link", "set", "br9", "up")
    hosts = ("left", "right")
    try:
        for i, host in enumerate(hosts):
            subprocess.run(["ip", "netns", "add", lab.ns(host)], check=True)
            subprocess.run(["ip", "link", "add", f"port{i}", "netns", lab.ns("gateway"), "type", "veth", "peer",
                            "name", "eth0", "netns", lab.ns(host)], check=True)
            lab.run("gateway", "ip", "link", "set", f"port{i}", "master", "br9", "up")
            lab.run(host, "ip", "addr", "add", f"203.0.113.1{i}/24", "dev", "eth0")
            lab.run(host, "ip", "addr", "add", f"2001:db8:9::1{i}/64", "dev", "eth0", "nodad")
            lab.run(host, "ip", "link", "set", "eth0", "up")
            for family, via in (("-4", "203.0.113.1"), ("-6", "2001:db8:9::1")):
                lab.run(host, "ip", family, "route", "add", "default", "via", via)
        lab.run("gateway", "ip", "addr", "add", "203.0.113.1/24", "dev", "br9")
        lab.run("gateway", "ip", "addr", "add", "2001:db8:9::1/64", "dev", "br9", "nodad")
        yield
    finally:
        for host in hosts:
            subprocess.run(["ip", "netns", "del", lab.ns(host)])
        lab.run("gateway", "ip", "link", "del", "br9", check_exit=False)


def test_bridged_traffic(lab):
    "with br_netfilter on, hosts of one bridged segment reach each other, and the world no more than before"
    if lab.run("gateway", "sysctl", "net.bridge.bridge-nf-call-iptables", check_exit=False).returncode:
        raise Skip("no br_netfilter")
    keys = [f"net.bridge.bridge-nf-call-{x}tables" for x in ("ip", "ip6")]
    try:
        with bridged(lab), lab.gateway(inside=["lan0", "br9"]):
            lab.run("gateway", "sysctl", "-qw", *(f"{k}=1" for k in keys))
            for family, here, there in ((socket.AF_INET, "203.0.113.10", "203.0.113.11"),
                                        (socket.AF_INET6, "2001:db8:9::10", "2001:db8:9::11")):
                listener = lab.socket("right", family, socket.SOCK_STREAM)
                listener.bind((there, 8080))
                listener.listen()
                s = lab.socket("left", family, socket.SOCK_STREAM)
                s.settimeout(5)
                s.connect((there, 8080))
                c, _ = listener.accept()
                for i in range(3):
                    s.sendall(b"ping%d" % i)
                    equal(c.recv(100), b"ping%d" % i)
                    c.sendall(b"pong")
                    equal(s.recv(100), b"pong")
            out = lab.run("left", "curl", "-sS", "-m3", "http://198.51.100.10/", check_exit=False)
            check(out.returncode, "the world is open to a host of no tier")
    finally:
        lab.run("gateway", "sysctl", "-qw", *(f"{k}=0" for k in keys))


def test_warning_of_bridges(lab):
    "check warns where br_netfilter hands an inside bridge's own traffic to our rules"
    if lab.run("gateway", "sysctl", "net.bridge.bridge-nf-call-iptables", check_exit=False).returncode:
        raise Skip("no br_netfilter")
    lab.run("gateway", "ip", "link", "add", "br9", "type", "bridge")
    try:
        with wired(lab, inside=["lan0", "br9"]) as w:
            for on in (0, 1):
                lab.run("gateway", "sysctl", "-qw", f"net.bridge.bridge-nf-call-iptables={on}",
                        f"net.bridge.bridge-nf-call-ip6tables={on}")
                done = w.ctl("check")
                equal((done.returncode, done.stderr.count("the bridge br9"), done.stderr.count("bridge lan0")),
                      (0, 2 * on, 0), done.stderr)
    finally:
        lab.run("gateway", "ip", "link", "del", "br9")
        lab.run("gateway", "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0",
                "net.bridge.bridge-nf-call-ip6tables=0")


def test_check_without_root(lab):
    "check needs CAP_NET_ADMIN alone; print needs nothing; up without the right is one clear sentence"
    with wired(lab) as w:
        folder = pathlib.Path("/tmp") / f"tiergate-wiring-{os.getpid()}"
        folder.mkdir(mode=0o755)
        try:
            shutil.copy(BUILD / "tiergatectl", folder / "ctl")
            shutil.copy(lab.config_file, folder / "conf")
            for f in folder.iterdir():
                f.chmod(0o755)

            def run(verb, *caps):
                return lab.run("gateway", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                               *caps, folder / "ctl", "wiring", verb, "--config", folder / "conf", *BACKEND,
                               check_exit=False)
            right = ("--inh-caps", "-all,+net_admin", "--ambient-caps", "+net_admin",
                     "--bounding-set", "-all,+net_admin")
            none = ("--inh-caps", "-all", "--bounding-set", "-all")
            done = run("check", *right)
            equal((done.returncode, done.stderr), (0, ""), "check with CAP_NET_ADMIN")
            equal(run("print", *none).returncode, 0, "print")
            for verb in ("up", "check"):
                done = run(verb, *none)
                equal((done.returncode, done.stderr.count("\n")), (3, 1), f"{verb} without a right: " + done.stderr)
            (folder / "conf").chmod(0o600)
            done = run("check", *right)
            equal(done.returncode, 3, "check without its file: " + done.stderr)
        finally:
            shutil.rmtree(folder)


def test_up_without_root(lab):
    "up with CAP_NET_ADMIN alone, as the service, finds the backend that root finds, loads its rules and counts bytes; so does down"
    w = Wired(lab)
    w.up()
    folder = pathlib.Path("/tmp") / f"tiergate-wiring-{os.getpid()}"
    folder.mkdir(mode=0o755)
    acct = "/proc/sys/net/netfilter/nf_conntrack_acct"
    try:
        shutil.copy(BUILD / "tiergatectl", folder / "ctl")
        shutil.copy(lab.config_file, folder / "conf")
        for f in folder.iterdir():
            f.chmod(0o755)
        equal(w.ctl("down").returncode, 0)
        lab.run("gateway", "sh", "-c", f"echo 0 >{acct}")

        def run(verb):
            return lab.run("gateway", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps",
                           "-all,+net_admin", "--ambient-caps", "+net_admin", "--bounding-set", "-all,+net_admin", "--no-new-privs",
                           folder / "ctl", "wiring", verb, "--config", folder / "conf", check_exit=False)
        nft = lab.run("gateway", folder / "ctl", "wiring", "print", "--config", folder / "conf").stdout.startswith("# nft")
        done = run("up")
        equal((done.returncode, done.stderr), (0, ""), "up")
        equal("table inet tiergate" in lab.run("gateway", "nft", "list", "tables").stdout, nft, "the backend is nft's")
        equal(lab.run("gateway", "cat", acct).stdout.strip(), "1")
        equal(run("check").returncode, 0)
        equal(run("down").returncode, 0)
        equal([line for line in w.rules() if "TIERGATE-" in line], [], "what is left")
    finally:
        shutil.rmtree(folder)
        w.close()


def test_down_without_configuration(lab):
    "down works with a configuration that does not load"
    w = Wired(lab)
    w.up()
    lab.config_file.write_text("inside = ")
    equal(w.ctl("down").returncode, 0)
    equal([line for line in w.rules() if "TIERGATE-" in line], [], "what is left")


def test_down(lab):
    "down leaves no trace: rules, tables, marks and nf_conntrack_acct are as before"
    def state():
        saved = [lab.run("gateway", tool).stdout for tool in ("iptables-save", "ip6tables-save")]
        return [re.sub("(?m)^#.*\n", "", "".join(saved)), lab.run("gateway", "nft", "list", "tables").stdout,
                lab.run("gateway", "cat", "/proc/sys/net/netfilter/nf_conntrack_acct").stdout]
    lab.run("gateway", "nft", "flush", "ruleset")
    lab.run("gateway", "iptables", "-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP")
    before = state()
    w = Wired(lab)
    w.up(on_deny="redirect", portal=PORTAL + ":8088")
    worker = w.reader()
    request(lab, CLIENT, 100)
    check(state() != before, "the rules are not there")
    worker.close()
    del w.probes[0]
    equal(w.ctl("down").returncode, 0)
    equal(state(), before, "what is left")
    equal(set(w.mark_of("-p", "tcp", "--orig-src", CLIENT)), {0}, "the marks that are left")
    equal(w.ctl("down").returncode, 0, "down again")
    lab.run("gateway", "iptables", "-F", "INPUT")


NATIVE = """table %(family)s %(table)s {
  set s { type ipv4_addr; elements = { 192.0.2.1 } }
  map m { type ipv4_addr : ipv4_addr; elements = { 192.0.2.1 : 192.0.2.2 } }
  counter n { }
  chain other { meta mark set 5 counter; }
  chain theirs {
    type %(type)s hook %(hook)s priority %(priority)s; policy accept;
    ip saddr @s counter accept
    ct state new ip daddr 192.0.2.9 meta mark set ip daddr map { 192.0.2.9 : 7 } counter jump other
  }
  chain lone { ip daddr 192.0.2.0/24 limit rate 5/second accept; }
}
"""


def test_native(lab):
    "up, up again and down leave alone what nft has in the same tables: chains, sets, maps, counters"
    tables = [(f, t) for f in ("ip", "ip6") for t in ("raw", "nat", "filter", "mangle")] + [("inet", "theirs")]
    kinds = {"nat": ("nat", "postrouting", "srcnat"), "raw": ("filter", "prerouting", "raw")}

    def theirs():
        out = []
        for family, table in tables:
            for what in ("set %s %s s", "map %s %s m", "counter %s %s n", "chain %s %s theirs", "chain %s %s other",
                         "chain %s %s lone"):
                out.append(lab.run("gateway", "nft", "-s", "list", *(what % (family, table)).split()).stdout)
        return out + [re.sub(r"\[\d+:\d+\]", "", line) for line in lab.run("gateway", "nft", "-s", "list", "table", "ip",
                                                                           "docker").stdout.splitlines()]

    def ours():
        return [x for x in lab.run("gateway", "nft", "list", "ruleset").stdout.splitlines() if "tiergate" in x.lower()]
    for half in (tables, tables[::2]):  # some tables are ours alone
        lab.run("gateway", "nft", "flush", "ruleset")
        for family, table in half:
            kind, hook, priority = kinds.get(table, ("filter", "forward", "filter"))
            text = NATIVE % {"family": family, "table": table, "type": kind, "hook": hook, "priority": priority}
            if family == "ip6":
                text = text.replace("ipv4_addr", "ipv6_addr").replace(" ip ", " ip6 ").replace("ip6 ip6", "ip6 ip")
                text = re.sub(r"192\.0\.2\.(\d+)", r"2001:db8::\1", text).replace("::0/24", "::/32")
                text = text.replace("    ip saddr", "    ip6 saddr")
            lab.run("gateway", "nft", "-f", "-", input=text)
        lab.run("gateway", "nft", "add table ip docker { chain c { type nat hook postrouting priority 99; masquerade; }; }")
        kept, tables = tables, half
        before = theirs()
        w = Wired(lab)
        for step in ("first", "again", "another"):
            w.up(on_deny="redirect", portal=PORTAL + (":8088" if step != "another" else ":8089"))
            equal(theirs(), before, f"theirs after up, {step}")
            equal(w.ctl("check").returncode, 0, f"check after up, {step}")
        w.up(on_deny="reject")
        equal((theirs(), w.ctl("check").returncode), (before, 0), "after up without redirect")
        if BACKEND == () or "iptables" in BACKEND:
            lab.run("gateway", "nft", "flush", "chain", "ip", "mangle", "TIERGATE-INSIDE", check_exit=False)
            if any("TIERGATE-INSIDE" in x for x in ours()):
                equal(w.ctl("check").returncode, 1, "check of a flushed chain")
                w.up(on_deny="reject")
                equal(w.ctl("check").returncode, 0, "check after up again")
        equal(w.ctl("down").returncode, 0)
        equal(theirs(), before, "theirs after down")
        equal(ours(), [], "ours after down")
        tables = kept
    lab.run("gateway", "nft", "flush", "ruleset")


if __name__ == "__main__":
    main(globals(), context)
