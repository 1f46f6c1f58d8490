#!/usr/bin/env python3
"""adversary_quic.py [--seconds N] [--seed S] [--script JSON]: a client that tries to get a denied QUIC hello
past the gateway, to close what it finds. Scripts are random over a grammar: hellos of an allowed and of a
denied name, whole and in parts, in any order, twice, under the same keys and others, in datagrams that
servers drop (small, fixed or reserved bits, tokens, short IDs, numbers, CONNECTION_CLOSE), with tails,
coalesced, joined by UDP_SEGMENT, among data.

Two judges: caddy (quic-go), which logs the name of each hello that it reads; and a server that keeps what
comes, answers anything, and has read a denied hello where *any* choice of the datagrams that reached it,
first byte or last one winning, makes one whole. A failing script is made smaller and printed; exit status 1.
"""
import argparse
import hashlib
import json
import pathlib
import random
import shutil
import socket
import struct
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "golden")]
import quicgen as q  # noqa: E402
from lab import Lab  # noqa: E402
from pcapgen import vector  # noqa: E402

KEEPER, CADDY = "198.51.100.12", "198.51.100.11"
GOOD, BAD = "good.shared.example", "bad.shared.example"
SITES = {GOOD: KEEPER, BAD: KEEPER, "good.caddy.example": CADDY, "bad.caddy.example": CADDY}
BATCH, KEPT = 24, HERE / "adversary_quic.json"


def name_of(kind, caddy):
    return f"{kind}.caddy.example" if caddy else f"{kind}.shared.example"


def message(kind, caddy, pad):
    """A ClientHello as QUIC servers take it: no session ID, h3, transport parameters."""
    def extension(number, *body):
        return struct.pack("!H", number) + vector(2, *body)
    noise = hashlib.sha512(kind.encode()).digest()
    body = b"\3\3" + noise[:32] + b"\0" + vector(2, b"\x13\1") + vector(1, b"\0") + vector(
        2, extension(0, vector(2, b"\0" + vector(2, name_of(kind, caddy).encode()))),
        extension(10, vector(2, b"\0\x1d")), extension(13, vector(2, b"\4\3\x08\4")),
        extension(16, vector(2, vector(1, b"h3"))), extension(43, vector(1, b"\3\4")),
        extension(51, vector(2, b"\0\x1d", vector(2, noise[32:]))), extension(57, b"\x0f\2\x5c\x1d"),
        extension(21, bytes(pad)))
    return b"\1" + vector(3, body)


# -- scripts ------------------------------------------------------------------------------------------
def random_packet(r):
    """One Initial: of which connection, what of which hello, and what is odd about it."""
    p = {"id": r.choice((0, 0, 0, 1, 2)), "hello": r.choice(("good", "bad")), "part": r.choice((0, 0, 1, 2, 3, 4))}
    for what, values, chance in (("flip", (0x40, 4, 8), .15), ("token", ("made up",), .1), ("small", (1,), .12),
                                 ("number", (0, 1, 255, 0x1000000), .2), ("close", (1,), .05), ("ack", (1,), .1),
                                 ("to", (0, 1, 2, 3), .15), ("short", (1,), .05), ("version", (q.V2,), .1),
                                 ("shift", (1, 7, 400), .08)):
        if r.random() < chance:
            p[what] = r.choice(values)
    return p


def random_script(r):
    out = []
    for _ in range(r.randint(1, 6)):
        d = {"packets": [random_packet(r) for _ in range(r.choice((1, 1, 1, 1, 2, 3)))]}
        if r.random() < .12:
            d["tail"] = r.choice(("c813", "c300000001", "43", "00", "e1000000010801"))
        if r.random() < .1:
            d["data"] = 1  # a short header
        if r.random() < .15:
            d["join"] = 1  # sent with the next one by one UDP_SEGMENT
        out.append(d)
    return out


class Datagram:
    """Its bytes, and the CRYPTO bytes that a server finds in it: (keys, whether by their own ID, offset, bytes)."""

    def __init__(self, spec, salt, number, caddy):
        self.bytes, self.crypto, self.join = b"", [], spec.get("join")
        for p in spec["packets"]:
            self._packet(p, salt, number, caddy)
        if spec.get("data"):
            self.bytes, self.crypto = b"\x43" + bytes(40) + self.bytes, []
        small = any(p.get("small") for p in spec["packets"])
        tail = bytes.fromhex(spec.get("tail", ""))
        self.bytes = (self.bytes if small else self.bytes.ljust(1200 - len(tail), b"\0")) + tail

    def _packet(self, p, salt, number, caddy):
        key = struct.pack("!IH", salt, p["id"]) + b"id"
        key = key[:5] if p.get("short") else key
        to = struct.pack("!IH", salt, p["to"]) + b"id" if "to" in p else key
        m = message(p["hello"], caddy, 120)
        cut = m.find(name_of(p["hello"], caddy).encode()) + 2
        ranges = ((0, len(m)), (0, cut), (cut, len(m)), (0, cut + 30), (cut - 30, len(m)))
        a, b = ranges[p["part"]]
        at = a + p.get("shift", 0)
        frames = (b"\2\0\0\0\0" if p.get("ack") else b"") + (b"\x1c\0\0\0" if p.get("close") else b"") \
            + q.crypto(m[a:b], at)
        version = p.get("version", q.V1)
        self.bytes += q.initial(frames, to, version, p.get("number", number), p.get("token", "").encode(),
                                key, flip=p.get("flip", 0))
        self.crypto.append(((key, version), to == key, at, m[a:b]))


def reads(datagrams, last):
    """Whether these make a denied hello whole, for any connection: keys come from the ID of its first Initial."""
    streams = {}
    begun = {key for d in datagrams for key, own, _, _ in d.crypto if own}
    for d in datagrams:
        for key, _, at, data in d.crypto:
            s = streams.setdefault(key, {}) if key in begun else {}
            for i, byte in enumerate(data):
                if last or at + i not in s:
                    s[at + i] = byte
    for s in streams.values():
        whole = next((i for i in range(len(s)) if i not in s), len(s))
        text = bytes(s[i] for i in range(whole))
        size = 4 + int.from_bytes(text[1:4], "big")
        if 4 < size <= whole and BAD.encode() in text[:size]:
            return True
    return False


class Keeper(threading.Thread):
    """The server that keeps what comes, by the client's port, and answers so that the flow is answered."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.got, self.socket = {}, lab.socket("outside", socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((KEEPER, 443))

    def run(self):
        while True:
            data, client = self.socket.recvfrom(70000)
            self.got.setdefault(client[1], []).append(data)
            self.socket.sendto(self.answer(), client)

    def answer(self):
        return b"\x40 an answer"


class Client:
    def __init__(self, lab, keeper, caddy_log):
        self.lab, self.keeper, self.log, self.salt = lab, keeper, caddy_log, random.randrange(1 << 31)

    def play(self, scripts, caddy=False):
        """The scripts side by side, a flow each. Those whose denied hello was read."""
        runs = []
        for script in scripts:
            self.salt += 1
            s = self.lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("10.77.1.2", 0))
            s.connect((CADDY if caddy else KEEPER, 443))
            runs.append((s, [Datagram(d, self.salt, i, caddy) for i, d in enumerate(script)]))
        before = self.denied_at_caddy() if caddy else 0
        for step in range(max(len(d) for _, d in runs)):
            for s, datagrams in runs:
                self._send(s, datagrams, step)
            time.sleep(.02)
        time.sleep(.3)
        leaks = [i for i, (s, datagrams) in enumerate(runs) if not caddy and self._read(s, datagrams)]
        for s, _ in runs:
            self.keeper.got.pop(s.getsockname()[1], None)
            s.close()
        if caddy and self.denied_at_caddy() > before:
            return [0] if len(scripts) == 1 else [i for i, s in enumerate(scripts) if self.play([s], True)]
        return leaks

    def _send(self, s, datagrams, step):
        if step >= len(datagrams) or (step and datagrams[step - 1].join):
            return
        d = datagrams[step]
        try:
            if d.join and step + 1 < len(datagrams) and len(datagrams[step + 1].bytes) <= len(d.bytes):
                s.sendmsg([d.bytes + datagrams[step + 1].bytes],
                          [(socket.IPPROTO_UDP, 103, struct.pack("=H", len(d.bytes)))])
            else:
                s.send(d.bytes)
                if d.join and step + 1 < len(datagrams):
                    s.send(datagrams[step + 1].bytes)
        except OSError:
            pass  # refused

    def _read(self, s, datagrams):
        got = self.keeper.got.get(s.getsockname()[1], [])
        there = [d for d in datagrams if d.bytes in got]
        r = random.Random(1)
        choices = [there] + [[d for d in there if r.random() < .6] for _ in range(12)] + [[d] for d in there]
        return any(reads(c, last) for c in choices for last in (False, True))

    def denied_at_caddy(self):
        return self.log.read_text().count('"ServerName":"bad.caddy.example"') if self.log.exists() else 0


def start_caddy(lab):
    """Caddy with HTTP/3, or None where it is not installed."""
    log = lab.dir / "caddy.log"
    if not shutil.which("caddy"):
        return log, None
    conf = {"logging": {"logs": {"default": {"level": "DEBUG", "writer": {"output": "file", "filename": str(log)}}}},
            "admin": {"disabled": True},
            "apps": {"http": {"servers": {"s": {
                "listen": [f"{CADDY}:443"], "protocols": ["h1", "h2", "h3"], "automatic_https": {"disable": True},
                "tls_connection_policies": [{}], "routes": [{"handle": [{"handler": "static_response"}]}]}}},
                "tls": {"certificates": {"load_files": [{"certificate": str(lab.certificate[0]),
                                                         "key": str(lab.certificate[1])}]}}}}
    (lab.dir / "caddy.json").write_text(json.dumps(conf))
    p = lab.spawn("outside", "env", f"HOME={lab.dir}", "caddy", "run", "--config", lab.dir / "caddy.json")
    time.sleep(2)
    return log, p if p.poll() is None else None


def shrink(client, script, caddy):
    """The least script that still fails: without a datagram, a packet, an oddity."""
    def smaller(s):
        for i in range(len(s)):
            yield s[:i] + s[i + 1:]
            for k in set(s[i]) - {"packets"}:
                yield [*s[:i], {x: v for x, v in s[i].items() if x != k}, *s[i + 1:]]
            for j, p in enumerate(s[i]["packets"]):
                if len(s[i]["packets"]) > 1:
                    yield [*s[:i], {**s[i], "packets": s[i]["packets"][:j] + s[i]["packets"][j + 1:]}, *s[i + 1:]]
                for k in set(p) - {"id", "hello", "part"}:
                    less = {x: v for x, v in p.items() if x != k}
                    yield [*s[:i], {**s[i], "packets": [*s[i]["packets"][:j], less, *s[i]["packets"][j + 1:]]}, *s[i + 1:]]
    while True:
        found = next((s for s in smaller(script) if s and client.play([s], caddy)), None)
        if not found:
            return script
        script = found


def settle(client, scripts, caddy):
    leaks = client.play(scripts, caddy)
    for i in leaks:
        print("a denied hello was read", "by a real server:" if caddy else ":",
              json.dumps(shrink(client, scripts[i], caddy)), flush=True)
    return len(leaks)


def control(client, caddy):
    """The judge must notice, or it proves nothing: without the gateway's rules the denied hello is read."""
    assert client.play([[{"packets": [{"id": 0, "hello": "bad", "part": 0}]}]], caddy), "the judge sees nothing"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seconds", type=float, default=20)
    ap.add_argument("--seed", type=int, default=None)
    ap.add_argument("--script", help="play this one alone")
    o = ap.parse_args()
    seed = o.seed if o.seed is not None else random.randrange(1 << 30)
    r, played, failed = random.Random(seed), 0, 0
    with Lab(sites=SITES, bare=[KEEPER, CADDY]) as lab:
        keeper = Keeper(lab)
        keeper.start()
        log, caddy = start_caddy(lab)
        client = Client(lab, keeper, log)
        for real in (False, True)[:1 + bool(caddy)]:
            control(client, real)
        lab.start(sites=[{"name": "good", "hosts": [GOOD, "good.caddy.example"]}],
                  allow=[{"tiers": ["guest"], "sites": ["good"]}])
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else []
        scripts = [json.loads(o.script)] if o.script else kept
        for real in (False, True)[:1 + bool(caddy)]:
            failed += settle(client, scripts, real) if scripts else 0
        end = time.monotonic() + o.seconds
        while not o.script and time.monotonic() < end:
            scripts = [random_script(r) for _ in range(BATCH)]
            real = bool(caddy) and played // BATCH % 3 == 2
            failed += settle(client, scripts, real)
            played += BATCH
    print(f"adversary_quic: seed {seed}, {len(kept)} kept and {played} random scripts, "
          f"{'with' if caddy else 'without'} caddy, {failed} leaks")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
