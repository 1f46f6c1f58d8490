#!/usr/bin/env python3
"""How far a flow's server has come, as the kernel keeps it on the conntrack entry by itself: pending, answered,
heard, allowed; and that nothing but a server's answer moves it. The daemon's place is taken by queue_probe."""
import contextlib
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import v6, wait_for  # noqa: E402
from tap import check, equal, main  # noqa: E402
from test_wiring import (ALLOWED, ANSWERED, BOTH, CLIENT, HEARD, INSIDE, MASK, PENDING, checksum,  # noqa: E402
                         context, ip, listener, mark, peer, tcp, throw, udp, wired)

SERVER_HELLO = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + bytes(range(32)) + b"\x20" + bytes(70)
RETRY = SERVER_HELLO[:11] + bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c") + SERVER_HELLO[43:]
PORT = 4444


class Talk:
    """A connection through the gateway, both ends of it in our hands."""

    def __init__(self, w, source, host="outside", server=None, port=PORT):
        self.w, self.source = w, source
        self.listener = listener(w.lab, host, server or peer(source), port)
        self.client = w.lab.connect(server or peer(source), port, source)
        self.server, _ = self.listener.accept()
        self.server.settimeout(3)
        for s in (self.client, self.server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = self.client.getsockname()[1]

    def says(self, data):
        self.client.sendall(data)
        equal(self.server.recv(4096), data, "what the server got")

    def answers(self, data):
        self.server.sendall(data)
        equal(self.client.recv(4096), data, "what the client got")

    def is_(self, kind):
        equal(self.w.mark_of("-p", "tcp", "--orig-src", self.source, "--orig-port-src", str(self.port)),
              [mark(kind)], "the flow's mark")

    def entries(self, worker):
        return [(p["flags"], int(p["entry"])) for p in worker.packets(sport=self.port)]

    def close(self):
        for s in (self.client, self.server, self.listener):
            s.close()


@contextlib.contextmanager
def talk(w, source, **more):
    t = Talk(w, source, **more)
    try:
        yield t
    finally:
        t.close()


def test_way_of_a_flow(lab):
    "pending, answered, heard, allowed: the kernel moves it by the server's packets, and each that comes up says it"
    with wired(lab) as w:
        worker = w.reader("data=heard")
        for source in BOTH:
            with talk(w, source) as t:
                t.is_(ANSWERED)
                t.says(b"hello")
                t.is_(HEARD)
                t.answers(SERVER_HELLO)
                t.is_(ALLOWED)
                t.says(b"finished")
                equal(t.entries(worker), [("02", 0), ("18", ANSWERED)], "packets that came up")


def test_second_hello(lab):
    "a HelloRetryRequest takes a heard flow back to answered, and the second hello comes up"
    with wired(lab) as w:
        worker = w.reader("data=heard")
        for source in BOTH:
            with talk(w, source) as t:
                t.says(b"hello")
                t.answers(RETRY)
                t.is_(ANSWERED)
                t.says(b"second")
                t.is_(HEARD)
                t.answers(SERVER_HELLO)
                t.is_(ALLOWED)
                equal(t.entries(worker)[1:], [("18", ANSWERED), ("18", ANSWERED)], "packets that came up")


def test_short_answer(lab):
    "an answer too short to tell counts as a HelloRetryRequest, whatever follows"
    with wired(lab) as w:
        w.reader("data=heard")
        for source in BOTH:
            for cut in (1, 14):
                with talk(w, source) as t:
                    t.says(b"hello")
                    t.answers(RETRY[:cut])
                    t.is_(ANSWERED)
                    t.answers(SERVER_HELLO)
                    t.is_(ANSWERED)


def test_no_answer(lab):
    "what a server says of itself answers no hello: a banner, an empty segment; HTTP's status line does"
    with wired(lab) as w:
        worker = w.reader("data=heard")
        for source in BOTH:
            with talk(w, source) as t:
                t.says(b"hello")
                for line in (b"220 mail.example ESMTP\r\n", b"SSH-2.0-x\r\n", b"H"):
                    t.answers(line)
                    t.is_(HEARD)
                t.says(b"more")
                equal(t.entries(worker)[-1], ("18", HEARD), "the packet that came up")
                t.answers(b"HTTP/1.1 200 OK\r\n")
                t.is_(ALLOWED)
            with talk(w, source, port=587) as t:  # STARTTLS: a client can have its words repeated
                t.says(b"hello")
                t.answers(b"HTTP/1.1 Hello")
                t.is_(HEARD)
                t.answers(SERVER_HELLO)
                t.is_(ALLOWED)


def test_pass(lab):
    "a verdict that passes a packet leaves the entry as it is"
    with wired(lab) as w:
        worker = w.reader("data=pass")
        for source in BOTH:
            with talk(w, source) as t:
                t.says(b"one")
                t.answers(SERVER_HELLO)
                t.says(b"two")
                t.is_(ANSWERED)
                equal(t.entries(worker)[1:], [("18", ANSWERED), ("18", ANSWERED)], "packets that came up")


def test_unanswered(lab):
    "a SYN that nobody answers leaves its flow pending"
    with wired(lab) as w:
        worker = w.reader()
        for source in BOTH:
            out = peer(source, "198.51.100.99")  # nobody there
            throw(lab, "client", tcp(source, 7000, out, 443, 2))
            wait_for(lambda: worker.packets(src=source, sport=7000), what="the SYN")
            wait_for(lambda: w.mark_of("-p", "tcp", "--orig-src", source, "--orig-port-src", "7000") == [mark(PENDING)],
                     what="the mark")


def test_syn_of_allowed(lab):
    "a SYN comes up even on an allowed flow: it may begin another connection on its ports"
    with wired(lab) as w:
        worker = w.reader("data=allowed", "syn=pending")
        for source in BOTH:
            with talk(w, source) as t:
                t.says(b"hello")
                t.is_(ALLOWED)
                for flags in (0x02, 0xc2, 0x0a):  # plain; ECN's; with PSH
                    throw(lab, "client", tcp(source, t.port, peer(source), PORT, flags, seq=flags))
                    wait_for(lambda: (f"{flags:02x}", ALLOWED) in t.entries(worker) or
                             (f"{flags:02x}", PENDING) in t.entries(worker)[1:], what="the SYN")


def test_inside_to_inside(lab):
    "between two inside interfaces the server's packets count the same"
    with wired(lab, inside=["lan0", "dmz0"], internal=["192.0.2.0/24"]) as w:
        worker = w.reader("data=heard")
        for source in BOTH:
            with talk(w, source, host="inside", server=peer(source, INSIDE)) as t:
                t.is_(ANSWERED)
                t.says(b"hello")
                t.answers(RETRY)
                t.is_(ANSWERED)
                t.says(b"hello")
                t.answers(SERVER_HELLO)
                t.is_(ALLOWED)
                equal(worker.packets(sport=PORT), [], "the server's packets that came up")


def test_udp(lab):
    "UDP: heard until the server's first datagram"
    with wired(lab) as w:
        worker = w.reader("data=heard")
        for source in BOTH:
            l = listener(lab, "outside", peer(source), PORT, socket.SOCK_DGRAM)
            s = lab.socket("client", l.family, socket.SOCK_DGRAM)
            s.settimeout(3)
            s.bind((source, 0))
            match = ("-p", "udp", "--orig-src", source, "--orig-port-src", str(s.getsockname()[1]))
            for _ in range(2):
                s.sendto(b"hello", (peer(source), PORT))
                got, client = l.recvfrom(100)
                equal(w.mark_of(*match), [mark(HEARD)], "the flow's mark")
            l.sendto(b"answer", client)
            equal(s.recv(100), b"answer", "what the client got")
            equal(w.mark_of(*match), [mark(ALLOWED)], "the flow's mark")
            s.sendto(b"more", (peer(source), PORT))
            l.recv(100)
            equal([int(p["entry"]) for p in worker.packets(sport=s.getsockname()[1])], [0, HEARD], "entries")
            s.close(), l.close()


def test_datagrams_in_one(lab):
    "UDP: a packet of several datagrams comes up even of an allowed flow, where the second may begin a connection"
    with wired(lab) as w:
        worker = w.reader("data=allowed")
        for source in BOTH:
            l = listener(lab, "outside", peer(source), PORT, socket.SOCK_DGRAM)
            s = lab.socket("client", l.family, socket.SOCK_DGRAM)
            s.bind((source, 0))
            s.connect((peer(source), PORT))
            s.send(b"first")
            s.setsockopt(socket.IPPROTO_UDP, 103, 1200)  # UDP_SEGMENT
            for first, second in ((0x40, 0xc3), (0x40, 0x40)):
                before = len(worker.packets(sport=s.getsockname()[1]))
                s.send(bytes([first]) + bytes(1199) + bytes([second]) + bytes(1199))
                wait_for(lambda: len(worker.packets(sport=s.getsockname()[1])) > before, what="the packet")
            s.setsockopt(socket.IPPROTO_UDP, 103, 0)
            s.send(b"\x40" + bytes(1399))
            got = [len(l.recv(4096)) for _ in range(6)]  # what the kernel passes may overtake what is in the queue
            equal(sorted(got), [5, 1200, 1200, 1200, 1200, 1400], "what the server got")
            check(not worker.packets(sport=s.getsockname()[1], payload=1400), "a single datagram came up")
            s.close(), l.close()


def test_marks_of_others(lab):
    "our bits that a packet comes with, set by others' rules, decide nothing, from inside or from outside"
    with wired(lab) as w:
        worker = w.reader("data=drop")
        far = lab.sniff()
        for kind in range(1, 16):
            rule = ("-t", "raw", "-A", "PREROUTING", "!", "-i", "lo", "-j", "MARK", "--set-xmark",
                    f"{mark(kind) | 0x42:#x}/{MASK | 0xff:#x}")
            for tool in ("iptables", "ip6tables"):
                lab.run("gateway", tool, *rule)
            for source in BOTH:
                port = 6000 + kind
                throw(lab, "client", udp(source, port, peer(source), 5000, b"marked-here"))
                wait_for(lambda: worker.packets(src=source, sport=port), what=f"the packet marked with kind {kind}")
                equal({int(p["mark"], 16) & ~MASK for p in worker.packets(src=source, sport=port)}, {0x42}, "other bits")
                with talk(w, source) as t:
                    t.is_(ANSWERED)
            for tool in ("iptables", "ip6tables"):
                lab.run("gateway", tool, "-t", "raw", "-F")
        check(not far.contains(b"marked-here"), "a packet went out by its mark")


def icmp_error(source, about, size):
    """An ICMP error of size bytes about a packet that came to source."""
    six = ":" in source
    quoted = about + bytes(max(0, size - len(about) - (48 if six else 28)))
    if six:
        return ip(source, peer(source), 58, struct.pack("!BBHI", 1, 4, 0, 0) + quoted)
    body = struct.pack("!BBHI", 3, 3, 0, 0) + quoted
    return ip(source, peer(source), 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def test_errors_are_few(lab):
    "a client's ICMP errors about an open flow: none longer than hosts make them, and few of one host"
    with wired(lab) as w:
        worker = w.reader("data=pending")
        for source, most in ((CLIENT, 576), (v6(CLIENT), 1280)):
            throw(lab, "client", udp(source, 6000, peer(source), 6001, b"open"))
            wait_for(lambda: worker.packets(src=source, sport=6000), what="the packet")
            about = udp(peer(source), 6001, source, 6000, b"noise")
            far, before = lab.sniff(), w.dropped()
            throw(lab, "client", icmp_error(source, about + b"too-long", most + 1), times=5)
            wait_for(lambda: w.dropped() == before + 5, what="five packets dropped")
            throw(lab, "client", icmp_error(source, about + b"longest", most))
            wait_for(lambda: far.contains(b"longest"), what="the longest error outside")
            before = w.dropped()
            throw(lab, "client", icmp_error(source, about + b"many", 200), times=50)
            wait_for(lambda: w.dropped() > before + 30, what="most of them dropped")
            check(not far.contains(b"too-long"), "too long an error went out")
            equal(len(worker.packets(proto=1)) + len(worker.packets(proto=58)), 0, "errors that came up")


if __name__ == "__main__":
    main(globals(), context)
