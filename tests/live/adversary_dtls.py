#!/usr/bin/env python3
"""adversary_dtls.py [--seconds N] [--seed S] [--script JSON]: a client that tries to get a denied DTLS hello past the
gateway, to close what it finds. Scripts are random over a grammar: hellos of an allowed and of a denied name, whole and in
fragments, in any order, twice and with other bytes, as first message and as the one after a HelloVerifyRequest (with its
cookie), DTLS 1.0 to 1.3, in records and datagrams that servers drop (other types, versions, epochs, lengths, a TTL that
ends at the gateway, two fragments in one record), behind other bytes, joined by UDP_SEGMENT, across a restart of the daemon.

Two judges: openssl s_server, one for each script, which says the name of each hello that it reads; and a server that keeps
what comes, answers with a HelloVerifyRequest, and has read a denied hello where *any* choice of the datagrams that reached
it, first byte or last one winning, makes one whole. A failing script is made smaller and printed; exit status 1.
"""
import argparse
import contextlib
import hashlib
import json
import random
import socket
import struct
import subprocess
import sys
import time

from adversary_quic import BAD, GOOD, HERE, KEEPER, Keeper, settle
from lab import Lab, wait_for
from pcapgen import vector

REAL = "198.51.100.11"
BATCH, KEPT = 24, HERE / "adversary_dtls.json"
HANDSHAKE = 22
# What may stand before a record: other records, whole, and what servers skip as a record's header.
LEADS = ("00", "16feff", "14fefd0000000000000000000101", "17fefd00010000000000000001aa", "17fefd0000000000000000000100", "00" * 13, "2f" * 13, "43" * 13, "7f" * 26)
VERIFY = b"\x16\xfe\xff" + bytes(8) + vector(2, b"\3" + (23).to_bytes(3, "big") + bytes(5) + (23).to_bytes(3, "big") + b"\xfe\xff"
                                             + vector(1, b"c" * 20))


# -- scripts ------------------------------------------------------------------------------------------
def random_packet(r):
    """One record: which part of which hello, and what is odd about it. id: the message's number."""
    p = {"id": r.choice((0, 0, 0, 1)), "hello": r.choice(("good", "bad")), "part": r.choice((0, 0, 1, 2, 3, 4))}
    for what, values, chance in (("type", (20, 21, 23, 25, 26), .08), ("version", (0xfefd, 0xfefc, 0x0100, 0x0303), .15),
                                 ("epoch", (1, 2, 0xffff), .07), ("number", (0, 1, 1 << 40), .15), ("longer", (1, 40, 2000), .06),
                                 ("shorter", (1, 40), .05), ("shift", (1, 7, 4000), .06), ("length", (-1, 1, 300), .06),
                                 ("message", (2, 11, 22), .05), ("tls13", (1,), .2), ("cookie", (1,), .25), ("twice", (1,), .06)):
        if r.random() < chance:
            p[what] = r.choice(values)
    return p


def random_script(r):
    out = []
    for _ in range(r.randint(1, 6)):
        d = {"packets": [random_packet(r) for _ in range(r.choice((1, 1, 1, 2, 3)))]}
        for what, values, chance in (("lead", LEADS, .15),
                                     ("tail", ("00", "16", "16fefd0000000000000000ffff"), .1), ("ttl", (1,), .08), ("join", (1,), .1),
                                     ("restart", (1,), .01)):
            if r.random() < chance:
                d[what] = r.choice(values)
        out.append(d)
    return out


def name_of(kind, real):
    return f"{kind}.openssl.example" if real else {"good": GOOD, "bad": BAD}[kind]


def hello(name, cookie, tls13):
    """As servers take it."""
    def extension(number, *body):
        return struct.pack("!H", number) + vector(2, *body)
    versions = [extension(43, vector(1, b"\xfe\xfc\xfe\xfd"))] if tls13 else []
    return b"\xfe\xfd" + hashlib.sha256(b"dtls").digest() + b"\0" + vector(1, cookie) + vector(2, b"\xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30") \
        + vector(1, b"\0") + vector(2, extension(0, vector(2, b"\0" + vector(2, name.encode()))), extension(10, vector(2, b"\0\x1d\0\x17")),
                                    extension(11, vector(1, b"\0")), extension(13, vector(2, b"\4\3\x08\4\4\1")), *versions)


def fragment(p, real, cookie):
    body = hello(name_of(p["hello"], real), cookie if p.get("cookie") else b"", p.get("tls13"))
    cut = body.find(name_of(p["hello"], real).encode()) + 2
    a, b = ((0, len(body)), (0, cut), (cut, len(body)), (0, cut + 20), (cut - 20, len(body)))[p["part"]]
    size = max(0, len(body) + p.get("length", 0))
    return bytes([p.get("message", 1)]) + size.to_bytes(3, "big") + struct.pack("!H", p["id"]) \
        + (a + p.get("shift", 0)).to_bytes(3, "big") + (b - a).to_bytes(3, "big") + body[a:b]


def record(p, number, real, cookie):
    body = fragment(p, real, cookie) * (2 if p.get("twice") else 1)
    size = max(0, len(body) + p.get("longer", 0) - p.get("shorter", 0))
    return struct.pack("!BHHHIH", p.get("type", HANDSHAKE), p.get("version", 0xfeff), p.get("epoch", 0),
                       *divmod(p.get("number", number), 1 << 32), size) + body


def datagram(d, number, real, cookie):
    return bytes.fromhex(d.get("lead", "")) + b"".join(record(p, number, real, cookie) for p in d["packets"]) \
        + bytes.fromhex(d.get("tail", ""))


# -- judges -------------------------------------------------------------------------------------------
def fragments(data):
    """What a server may find in a datagram, wherever it begins to read: (message number, type, length, offset, bytes) of its
    plaintext handshake records. OpenSSL goes on behind the header of a record that it discards."""
    for start in range(len(data) - 24):
        kind, _, epoch, _, _, size = struct.unpack("!BHHHIH", data[start:start + 13])
        body = data[start + 13:start + 13 + size]
        while kind == HANDSHAKE and epoch == 0 and 12 <= len(body) and start + 13 + size <= len(data):
            part = int.from_bytes(body[9:12], "big")
            if len(body) < 12 + part:
                break
            yield (int.from_bytes(body[4:6], "big"), body[0], int.from_bytes(body[1:4], "big"),
                   int.from_bytes(body[6:9], "big"), body[12:12 + part])
            body = body[12 + part:]


def reads(datagrams, last):
    """Whether these make a denied hello whole."""
    streams = {}
    for data in datagrams:
        for number, kind, length, at, part in fragments(data):
            s = streams.setdefault((number, length), {}) if kind == 1 and at + len(part) <= length else {}  # RFC 6347 4.2.3
            for i, byte in enumerate(part):
                if last or at + i not in s:
                    s[at + i] = byte
    return any(all(i in s for i in range(length)) and BAD.encode() in bytes(s[i] for i in range(length))
               for (_, length), s in streams.items())


class Verifier(Keeper):
    """The server that keeps what comes and answers with a HelloVerifyRequest."""

    def answer(self):
        return VERIFY


class Client:
    def __init__(self, lab, keeper):
        self.lab, self.keeper, self.next, self.allowed = lab, keeper, 0, 0

    def play(self, scripts, real=False):
        """The scripts side by side, a flow each. Those whose denied hello was read."""
        with contextlib.ExitStack() as stack:
            runs = [self._open(stack, real) for _ in scripts]
            for step in range(max(len(s) for s in scripts)):
                if any(step < len(s) and s[step].get("restart") for s in scripts) and self.lab.daemon:
                    self.lab.stop()
                    self.lab.start()
                for run, script in zip(runs, scripts):
                    self._send(run, script, step, real)
                time.sleep(.03)
            time.sleep(.3)
            return [i for i, run in enumerate(runs) if (self._said(run) if real else self._read(run))]

    def _open(self, stack, real):
        s = stack.enter_context(self.lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM))
        s.bind(("10.77.1.2", 0))
        s.setblocking(False)
        run = {"socket": s, "cookie": b""}
        if real:
            self.next = (self.next + 1) % 20000
            port, cert, key = 20000 + self.next, *self.lab.certificate
            run["said"] = self.lab.dir / f"said-{port}"
            out = stack.enter_context(open(run["said"], "w"))
            server = self.lab.spawn("outside", "stdbuf", "-oL", "openssl", "s_server", "-dtls", "-accept", f"{REAL}:{port}", "-cert", cert, "-key", key,
                                    "-servername", "bad.openssl.example", "-cert2", cert, "-key2", key,
                                    stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)
            stack.callback(self._end, server, run["said"])
            wait_for(lambda: "ACCEPT" in run["said"].read_text(), 10, "s_server")
            s.connect((REAL, port))
        else:
            s.connect((KEEPER, 443))
        return run

    def _end(self, server, said):
        server.kill()
        server.wait()
        self.lab.children.remove(server)
        self.allowed += '"good.openssl.example"' in said.read_text(errors="replace")
        said.unlink()

    def _send(self, run, script, step, real):
        s = run["socket"]
        with contextlib.suppress(OSError):
            while got := s.recv(70000):
                if got[:1] == b"\x16" and got[13:14] == b"\3":
                    run["cookie"] = got[28:28 + got[27]]
        if step >= len(script) or (step and script[step - 1].get("join")):
            return
        d, after = script[step], script[step + 1] if step + 1 < len(script) else None
        data, more = datagram(d, step, real, run["cookie"]), b""
        if d.get("join") and after:
            more = datagram(after, step + 1, real, run["cookie"])
        with contextlib.suppress(OSError):  # refused
            s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, d.get("ttl", 64))
            if more and len(more) <= len(data):
                s.sendmsg([data + more], [(socket.IPPROTO_UDP, 103, struct.pack("=H", len(data)))])
            else:
                s.send(data)
                s.send(more) if more else None

    def _read(self, run):
        got = self.keeper.got.pop(run["socket"].getsockname()[1], [])
        r = random.Random(1)
        choices = [got] + [[d for d in got if r.random() < .6] for _ in range(12)] + [[d] for d in got]
        self.allowed += any(GOOD.encode() in d for d in got)
        return any(reads(c, last) for c in choices for last in (False, True))

    def _said(self, run):
        return '"bad.openssl.example"' in run["said"].read_text(errors="replace")


def control(client, real):
    """The judge must notice, or it proves nothing: without the gateway's rules the denied hello is read."""
    hello = {"packets": [{"id": 0, "hello": "bad", "part": 0}]}
    again = {"packets": [{"id": 1, "hello": "bad", "part": 0, "cookie": 1}]}
    assert client.play([[hello, again]], real), "the judge sees nothing"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seconds", type=float, default=20)
    ap.add_argument("--seed", type=int, default=None)
    ap.add_argument("--script", help="play this one alone")
    o = ap.parse_args()
    seed = o.seed if o.seed is not None else random.randrange(1 << 30)
    r, played, failed = random.Random(seed), 0, 0
    sites = {GOOD: KEEPER, BAD: KEEPER, "good.openssl.example": REAL, "bad.openssl.example": REAL}
    with Lab(sites=sites, bare=[KEEPER, REAL]) as lab:
        keeper = Verifier(lab)
        keeper.start()
        client = Client(lab, keeper)
        for real in (False, True):
            control(client, real)
        lab.start(sites=[{"name": "good", "hosts": [GOOD, "good.openssl.example"]}],
                  allow=[{"tiers": ["guest"], "sites": ["good"]}])
        client.allowed = 0
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else []
        scripts = [json.loads(o.script)] if o.script else kept
        for real in (False, True):
            failed += settle(client, scripts, real) if scripts else 0
        end = time.monotonic() + o.seconds
        while not o.script and time.monotonic() < end:
            scripts = [random_script(r) for _ in range(BATCH)]
            failed += settle(client, scripts, played // BATCH % 4 == 3)
            played += BATCH
    print(f"adversary_dtls: seed {seed}, {len(kept)} kept and {played} random scripts, {client.allowed} whose allowed hello was read, "
          f"{failed} leaks")
    return 1 if failed or not client.allowed else 0


if __name__ == "__main__":
    sys.exit(main())
