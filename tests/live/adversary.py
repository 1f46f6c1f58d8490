#!/usr/bin/env python3
"""adversary.py [--seconds N] [--seed S] [--scripts FILE...]: a client that tries to get past the gateway, as SymTCP (NDSS 2020) and
Geneva (CCS 2019) search servers' and observers' stacks for differences: random scripts over a grammar, against real
Linux kernels and OpenSSL as servers, on a lab of our own, so that what they find is closed.

A script is JSON: {"kind": KINDS, "six": bool, "world": WORLDS, "steps": [[what, {fields}]...]}. Steps: open, seg (bytes
a..b of the hello "of" good or evil, at their place plus "at"), wait, hear, ack, again (a connection on the same ports), evict, restart,
logout, resolve (the denied name); fields as in raw_tcp.py. The judge is what the application read: never a denied name where its reader begins
to believe, and the flow's mark: allowed only where the application read the allowed hello. A script that
gets through is shrunk and printed; exit status 1 then."""
import argparse
import heapq
import itertools
import json
import os
import pathlib
import random
import re
import select
import socket
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from lab import Lab, need_root, v6, wait_for  # noqa: E402
from raw_tcp import Connection, Wire  # noqa: E402
from pcapgen import ACK, FIN, PSH, RST, SYN, URG, vector  # noqa: E402
from tap import check  # noqa: E402

GOOD, EVIL = b"good.shared.example", b"evil.shared.example"  # of one length: each byte can stand in the other's place
SERVER = "198.51.100.12"
ALLOWED, MASK = 4, 0xf
PORTS = {"tls12": 443, "tls13": 443, "retry": 8443, "mail": 25, "http": 80}
KINDS = tuple(PORTS)
LAWS = {"tiers": [{"name": "guest", "evidence": "name+address", "mismatch": "deny"}, {"name": "staff", "includes": ["guest"]}],
        "segments": [{"network": "10.77.1.2/32", "tier": "guest"}, {"network": "fd77:1::2/128", "tier": "guest"}],
        "sites": [{"name": "good", "hosts": [GOOD.decode()]}],
        "allow": [{"tiers": ["guest"], "sites": ["good"], "ports": [f"tcp/{p}" for p in sorted(set(PORTS.values()))]}],
        "resolvers": ["10.77.3.53"], "mismatch": "deny"}
WORLDS = {"plain": {"queue_length": 65536, "bounds": {"held": 8192, "held_per_client": 4096}},
          "every": {"queue_length": 65536, "bounds": {"held": 8192, "held_per_client": 4096}, "http": "every-request"},
          "small": {"bounds": {"flows": 1024, "streams": 64, "held": 64, "held_per_client": 8}},
          "redirect": {"on_deny": "redirect", "portal": "10.77.1.1:8081"},
          "liberal": {"queue_length": 65536, "bounds": {"held": 8192, "held_per_client": 4096}}}  # and conntrack lets any number pass


# -- what is said -------------------------------------------------------------------------------------------------
def hello(name, kind):
    def extension(number, body):
        return struct.pack("!H", number) + vector(2, body)
    parts = [extension(0, vector(2, b"\0" + vector(2, name))), extension(10, vector(2, b"\0\x1d\0\x17")), extension(11, vector(1, b"\0")),
             extension(13, vector(2, b"\4\3\x08\4\5\3"))]
    if kind != "tls12":
        parts += [extension(43, vector(1, b"\3\4")), extension(51, vector(2, b"\0\x1d", vector(2, bytes(range(9, 41)))))]
    body = b"\3\3" + name.center(32, b"#") + vector(1, b"") + vector(2, b"\x13\1\xc0\x2b\xc0\x2f") + vector(1, b"\0") + vector(2, *parts)
    return b"\x16\3\1" + vector(2, b"\1" + vector(3, body))


def speech(name, kind):
    """All that a client says before its name is known, and the name."""
    if kind == "http":
        return b"GET / HTTP/1.1\r\nHost: " + name + b"\r\nAccept: */*\r\n\r\n"
    return (b"EHLO x\r\nSTARTTLS\r\n" if kind == "mail" else b"") + hello(name, kind)


def opens(stream, kind):
    """The name in what a server read at first, where it is whole; None where it is not or makes no sense."""
    like = speech(GOOD, kind)
    at = like.rindex(GOOD)  # not the hello's random
    start = b"GET / HTTP/1.1\r\nHost: " if kind == "http" else like[:11] if kind != "mail" else like[:27]
    if len(stream) < len(like) or not stream.startswith(start):
        return None
    return stream[at:at + len(GOOD)]


def leaks(stream, script):
    """Whether an application that read this serves a denied name."""
    kind, first = script["kind"], opens(stream, script["kind"])
    if first == GOOD and kind != "retry" and not (kind == "http" and script["world"] == "every"):
        return False  # an allowed connection: nobody looks into it
    if first is not None and first != GOOD:
        return True
    like = speech(GOOD, kind)
    rest = stream[len(like):] if first == GOOD else stream
    unnamed = EVIL.center(32, b"#").rstrip(b"#")  # in the random, which may pass before the name where a sender is stuck
    return EVIL in rest.replace(unnamed, b"")


# -- the grammar --------------------------------------------------------------------------------------------------
def option6(kind, value=b"abcd"):
    """A destination options header with one option, then TCP (RFC 8200 4.6)."""
    body = bytes([kind, len(value)]) + value
    pad = -(len(body) + 2) % 8
    body += bytes([1, pad - 2]) + bytes(pad - 2) if pad >= 2 else bytes(pad)
    return bytes([6, (len(body) + 2) // 8 - 1]).hex() + body.hex()


DECOYS = {  # what makes a stack drop a packet: RFC 9293 3.10.7, 7323 5, 2385, 5961, 791, 8200, 4302
    "ttl": {"ttl": 1}, "ttl2": {"ttl": 2}, "ttl0": {"ttl": 0}, "old stamp": {"ts": -500_000_000}, "stamp by one": {"ts": -3}, "md5": {"tcpopt": "1312" + "78" * 16 + "0101"},
    "ao": {"tcpopt": "1d100101" + "55" * 12}, "no stamp": {"tcpopt": ""}, "bad option": {"tcpopt": "0800ffff"}, "option over": {"tcpopt": "08280000"},
    "future ack": {"ack": 100_000}, "next ack": {"ack": 1}, "old ack": {"ack": -5_000_000}, "older ack": {"ack": -70_000}, "half ack": {"ack": 1 << 31},
    "no ack": {"flags": PSH}, "no flags": {"flags": 0}, "fin": {"flags": FIN | PSH | ACK}, "fin alone": {"flags": FIN}, "old fin": {"flags": FIN | PSH | ACK, "ts": -500_000_000},
    "syn": {"flags": SYN}, "syn ack": {"flags": SYN | ACK}, "syn fin": {"flags": SYN | FIN}, "xmas": {"flags": 63}, "rst": {"flags": RST}, "rst ack": {"flags": RST | ACK},
    "rst old": {"flags": RST | ACK, "ts": -500_000_000}, "urgent": {"flags": PSH | ACK | URG, "urg": 1}, "urgent far": {"flags": PSH | ACK | URG, "urg": 300}, "urgent pointer": {"urg": 20},
    "far": {"at": 3_000_000}, "over": {"at": 64_239}, "before": {"at": -1}, "long before": {"at": -100_000}, "other half": {"at": (1 << 31) + 5},
    "sum": {"sum": True}, "ipsum": {"ipsum": True}, "doff": {"doff": 4}, "doff long": {"doff": 15}, "window 0": {"win": 0}, "cwr": {"flags": PSH | ACK | 0xc0},
    "options": {"ipopt": "07020000"}, "source route": {"ipopt": "830704c633640b00"}, "router alert": {"ipopt": "94040000"}, "odd option": {"ipopt": "9e040000"}, "stamp option": {"ipopt": "44080500" + "00" * 4},
    "fragments": {"frag": 24}, "super": {"super": 64},
}
DECOYS6 = {**{k: v for k, v in DECOYS.items() if "ipopt" not in v and k != "ipsum"},
           "discard": {"ext": [60, option6(0x5e)]}, "discard and tell": {"ext": [60, option6(0x9e)]}, "skip": {"ext": [60, option6(0x1e)]}, "hop by hop": {"ext": [0, option6(0x5e)]},
           "routing 0": {"ext": [43, "0602000100000000" + "00" * 16]}, "routing 4": {"ext": [43, "0602040100000000" + "00" * 16]}, "routing 9": {"ext": [43, "0600090100000000"]},
           "ah": {"ext": [51, "06040000" + "00" * 20]}, "ah short": {"ext": [51, "0601000000000000" + "00" * 4]}, "atomic": {"ext": [44, "0600000000000001"]}, "mobility": {"ext": [135, "0600000000000000"]}, "shim": {"ext": [140, "0600000000000000"]},
           "two options": {"ext": [60, "3c00010400000000" + option6(0x9e)]}}


class Grammar:
    """Random scripts: one from each seed."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def some(self, *of):
        return self.r.choice(of)

    def header(self):
        """Any header: the sequences that symbolic execution would find are some of these."""
        flags = self.some(PSH | ACK, PSH | ACK, ACK, self.r.randrange(256))
        out = {"flags": flags, "at": self.some(0, 0, 0, -1, 1, -100, 300, 64_000, 70_000, 1 << 24, 1 << 26, 1 << 31, -(1 << 20)),
               "ack": self.some(0, 0, 0, 1, -1, -100, 5000, 70_000, -70_000, 1 << 30, 1 << 31), "ts": self.some(0, 0, 0, 1, -1, -5, -1000, 1 << 31, 1 << 20),
               "ttl": self.some(64, 64, 64, 1, 2, 255), "win": self.some(64240, 0, 1, 500), "urg": self.some(0, 0, 0, 1, 100, 65535)}
        if self.r.random() < .2:
            out["tcpopt"] = self.some("", "0101", "1312" + "78" * 16, "0104", "0208", "0303ff00", "050a" + "00" * 8, "22020101", "fe0401020000", "00" * 4, "ff" * 4)
        if self.r.random() < .1:
            out["doff"] = self.some(0, 4, 5, 6, 8, 15)
        return out

    def decoy(self, six, size):
        kind = self.some("table", "table", "random")
        fields = dict(self.some(*(DECOYS6 if six else DECOYS).values())) if kind == "table" else self.header()
        a, b = (0, size) if self.r.random() < .7 else sorted(self.r.sample(range(size + 1), 2))
        return ["seg", {"of": "good", "a": a, "b": b, **fields}]

    def cuts(self, of, size, most=4, **fields):
        ends = [0, *sorted(self.r.sample(range(1, size), self.r.randrange(most))), size]
        return [["seg", {"of": of, "a": a, "b": b, **fields}] for a, b in zip(ends, ends[1:])]

    def between(self):
        return self.some([["wait", {"for": self.some(.005, .045, .045, .09)}]], [["hear", {}]], [], [["ack", {"win": self.some(0, 1, 20, 500, 64240)}]])

    def turn(self, size):
        """One of the things that happen to a connection besides its data."""
        what = self.some("syn", "syn", "rst", "rst", "fin", "ack", "urg", "again", "wait", "evict", "far")
        near = self.some(0, 1, -1, 50, size, 1000, -1000, 64_240, 1 << 20, 1 << 24, 1 << 26, -(1 << 24))
        if what == "syn":
            data = {"of": self.some("good", "evil"), "a": 0, "b": self.some(size, 20)} if self.r.random() < .4 else {}
            return ["seg", {"flags": SYN, "at": near - 1, **data}]
        if what in ("rst", "fin"):
            flags = self.some(RST, RST | ACK) if what == "rst" else self.some(FIN | ACK, FIN)
            return ["seg", {"flags": flags, "at": near, "ttl": self.some(64, 64, 1)}]
        if what == "urg":
            return ["seg", {"of": "good", "a": 0, "b": size, "flags": PSH | ACK | URG, "urg": self.r.randrange(300)}]
        if what == "far":
            return ["seg", {"of": "good", "a": 0, "b": size, "at": near}]
        return {"ack": ["ack", {"win": self.some(0, 1, 64240)}], "again": ["again", {"by": self.some(1, 100_000, 10_000_000, -10_000_000)}],
                "wait": ["wait", {"for": 2.1 if self.r.random() < .1 else .045}], "evict": ["evict", {}]}[what]

    def steps(self, kind, six, size):
        start = [["open", self.some({}, {}, {"win": self.some(1, 100, 1000)}, {"mss": self.some(88, 536)})]]
        if self.r.random() < .12:  # data in the SYN (RFC 7413)
            start[0][1].update(self.some({"of": "good", "a": 0, "b": size}, {"of": "evil", "a": 0, "b": self.r.randrange(1, size)}, {"of": "evil", "a": 0, "b": size}))
        way = self.some("decoy", "decoy", "mixed", "mixed", "after", "reuse")
        evil = self.cuts("evil", size, **self.some({}, {}, {}, {"frag": self.some(8, 24, 64)}, {"super": self.some(32, 100)}))
        if way == "decoy":
            body = [self.decoy(six, size) for _ in range(self.some(1, 1, 2, 3))] + self.between() + evil
        elif way == "after":
            body = self.cuts("good", size) + self.between() + self.cuts("evil", size, at=self.some(size, size, size - 1, size + 1))
        elif way == "reuse":
            body = [["seg", {"of": "good", "a": 0, "b": size}], ["hear", {}], self.turn(size), ["seg", {"flags": RST, "at": size + self.some(0, 10, 1010)}],
                    ["again", {"by": 10_000_000}], *evil]
        else:
            body = evil + [self.decoy(six, size) if self.r.random() < .3 else ["seg", {"of": "good", "a": 0, "b": self.some(size, self.r.randrange(1, size))}]
                           for _ in range(self.r.randrange(4))] + self.between()
            self.r.shuffle(body)
        for _ in range(self.some(0, 0, 1, 2)):
            body.insert(self.r.randrange(len(body) + 1), self.turn(size))
        if self.r.random() < .15:  # again what was said, perhaps in other words
            body += self.between() + self.cuts(self.some("evil", "good"), size) + evil
        return start + body

    def script(self, world):
        kind, six = self.some(*KINDS) if world not in ("every", "redirect") else "http", self.r.random() < .35
        steps = self.steps(kind, six, len(speech(GOOD, kind)))
        if self.r.random() < .004:
            steps.insert(self.r.randrange(1, len(steps)), [self.some("restart", "logout", "resolve"), {}])
        return {"kind": kind, "six": six, "world": world, "steps": steps}


# -- playing ------------------------------------------------------------------------------------------------------
class Play:
    """One script on one connection; run() yields how long it waits."""

    def __init__(self, stage, script, number, start):
        self.stage, self.script = stage, script
        host = "10.77.1.5" if any(s[0] == "logout" for s in script["steps"]) else "10.77.1.2"
        six = script["six"]
        self.c = Connection(stage.wire, v6(host) if six else host, v6(SERVER) if six else SERVER, PORTS[script["kind"]], number, start)
        self.words = {"good": speech(GOOD, script["kind"]), "evil": speech(EVIL, script["kind"])}

    def say(self, fields):
        data = self.words[fields["of"]][fields["a"]:fields["b"]] if "of" in fields else b""
        at = fields.get("at", 0) + fields.get("a", 0)
        self.c.send(data, **{k: v for k, v in fields.items() if k not in ("of", "a", "b")} | {"at": at})

    def until(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            yield .005

    def open(self, fields):
        self.say({"flags": SYN, **fields, "at": -1})
        yield from self.until(lambda: self.c.got is not None or self.c.reset, .6)
        if self.c.got is not None:
            self.c.send(win=fields.get("win", 64240))
            if self.script["kind"] == "mail":
                yield from self.until(lambda: self.c.data, .6)

    def run(self):
        for what, fields in self.script["steps"]:
            if what == "open":
                yield from self.open(fields)
            elif what == "seg":
                self.say(fields)
            elif what == "wait":
                yield fields["for"]
            elif what == "hear":
                self.c.data = False
                yield from self.until(lambda: self.c.data or self.c.reset, .25)
            elif what == "ack":
                self.c.acked = self.c.got or 0
                self.c.send(win=fields["win"])
                yield .002
            elif what == "again":
                yield .02
                self.c.base, self.c.got, self.c.reset = self.c.base + fields["by"] & 0xffffffff, None, False
                yield from self.open({})
            else:
                getattr(self.stage, what)(self.c)
            yield 0


class Stage:
    """A lab with a gateway, and the applications behind it."""

    def __init__(self, lab):
        self.lab, self.read = lab, lab.dir / "read"
        lab.run("outside", "sysctl", "-qw", "net.ipv4.tcp_fastopen=0x603", check_exit=False)  # a SYN's data is taken without a cookie
        server = lab.spawn("outside", sys.executable, HERE / "recorders.py", self.read, *lab.certificate, SERVER, v6(SERVER), stdout=subprocess.PIPE)
        check(server.stdout.readline() == "ready\n", "the applications did not start")
        self.wire, self.number, self.played, self.begun = Wire(lab), 20000, 0, 0

    # steps that concern more than a connection
    def restart(self, _):
        self.lab.stop(wire=False)
        self.lab.start(wire=False)

    def resolve(self, c):
        self.lab.resolve(EVIL.decode(), source=c.source) if ":" not in c.source else None

    def evict(self, c):
        for n in range(200):
            Connection(self.wire, c.source, c.server, c.port, 1024 + n, n << 16).send(flags=SYN, at=-1)

    def call(self, command, **members):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.lab.control))
            s.sendall(json.dumps({"id": 1, "v": 1, "command": command, **members}).encode() + b"\n")
            return s.recv(65536)

    def logout(self, c):
        self.call("logout", address=c.source)

    def signs_in(self):
        for address in ("10.77.1.5", v6("10.77.1.5")):
            self.call("login", address=address, user="ann", tier="staff")

    def play(self, scripts):
        """Plays scripts side by side; what each connection's applications read, and its mark."""
        if any(s[0] == "logout" for script in scripts for s in script["steps"]):
            self.signs_in()
        plays, todo, order = {}, [], itertools.count()
        for i, script in enumerate(scripts):
            p = Play(self, script, self.number, random.Random(self.number).randrange(1 << 32))
            plays[self.number] = p
            self.number = 20000 if self.number >= 60000 else self.number + 1
            heapq.heappush(todo, (time.monotonic() + i * .001, next(order), p.c.number, p.run()))
        while todo:
            at, _, number, run = heapq.heappop(todo)
            select.select([self.wire.socket], [], [], max(0, at - time.monotonic()))
            for to, *seen in self.wire.take():
                if to in plays:
                    plays[to].c.hear(*seen)
            if time.monotonic() < at:
                heapq.heappush(todo, (at, next(order), number, run))
                continue
            pause = next(run, None)
            if pause is not None:
                heapq.heappush(todo, (time.monotonic() + pause, next(order), number, run))
        self.settle()
        self.played += len(scripts)
        return self.judge(plays)

    def settle(self):
        """Until nothing more is read: what is held is held 2 s at most."""
        size, same = -1, 0
        while same < 3:
            time.sleep(.1)
            now = self.read.stat().st_size
            size, same = now, same + 1 if now == size else 0

    def judge(self, plays):
        streams = {}
        for line in self.read.read_text().splitlines():
            connection, port, data = line.split()
            if int(port) in plays:
                streams.setdefault(int(port), {}).setdefault(connection, bytearray()).extend(bytes.fromhex(data))
        marks = {}
        for family in ("ipv4", "ipv6"):
            for line in self.lab.conntrack("-f", family, "-p", "tcp").splitlines():
                if m := re.search(r"sport=(\d+) .*mark=(\d+)", line):
                    marks[int(m[1])] = int(m[2]) >> 24 & MASK
        found = []
        for number, p in plays.items():
            read = [bytes(s) for s in streams.get(number, {}).values()]
            begun = any(opens(s, p.script["kind"]) == GOOD for s in read)
            if any(leaks(s, p.script) for s in read):
                found.append((p.script, "a denied name was read"))
            elif marks.get(number) == ALLOWED and not begun:
                found.append((p.script, "marked allowed, and no application read the allowed hello"))
            self.begun += begun
        if self.number > 50000:
            self.number = 20000
            self.lab.run("gateway", "conntrack", "-F", check_exit=False)
            self.read.write_text("")
        return found

    # -- less of a script that gets through ----------------------------------------------------------------------
    def holds(self, script):
        """Whether a script gets through, alone, in one of three tries."""
        return any(self.play([script]) for _ in range(3))

    def shrink(self, script, seconds=60):
        end, again = time.monotonic() + seconds, True
        while again and time.monotonic() < end:
            again = False
            for less in smaller(script):
                if time.monotonic() > end:
                    break
                if self.holds(less):
                    script, again = less, True
                    break
        return script


def smaller(script):
    """Each script that lacks one step or one field of this."""
    steps = script["steps"]
    for i in range(len(steps)):
        yield {**script, "steps": steps[:i] + steps[i + 1:]}
    for i, (what, fields) in enumerate(steps):
        for key in set(fields) - {"of", "a", "b", "for", "by", "flags"}:
            yield {**script, "steps": steps[:i] + [[what, {k: v for k, v in fields.items() if k != key}]] + steps[i + 1:]}


def stage(lab, world):
    lab.run("gateway", "sysctl", "-qw", f"net.netfilter.nf_conntrack_tcp_be_liberal={int(world == 'liberal')}")
    return lab.gateway(**{**LAWS, **WORLDS[world]})


def learn(lab):
    for kind in (1, 28):
        wait_for(lambda: lab.resolve(GOOD.decode(), kind=kind), what="the resolver's answer")


def sites():
    return {GOOD.decode(): SERVER, EVIL.decode(): SERVER}


def search(s, seed, seconds, size=100):
    """Random scripts until the time is over; what gets through, shrunk."""
    end, found = time.monotonic() + seconds, []
    for turn in itertools.count():
        world = list(WORLDS)[turn % len(WORLDS)]
        with stage(s.lab, world):
            learn(s.lab)
            part = min(end, time.monotonic() + max(20, seconds / 20))
            while time.monotonic() < part:
                scripts = [Grammar(seed + n).script(world) for n in range(size)]
                seed += size
                for script, why in s.play(scripts):
                    alone = s.holds(script)
                    script = s.shrink(script) if alone else script
                    found.append(script)
                    print(json.dumps({"why": why, "alone": alone, **script}), flush=True)
            check(s.lab.daemon.poll() is None, "tiergated died:", s.lab.log())
        if time.monotonic() >= end:
            return found, seed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--scripts", nargs="*", help="play these, in the place of random ones")
    options = parser.parse_args()
    need_root()
    with Lab(sites(), bare=[SERVER]) as lab:
        s = Stage(lab)
        if options.scripts:
            found = [f for path in options.scripts for f in replay(s, json.loads(pathlib.Path(path).read_text()))]
            for script, why in found:
                print(json.dumps({"why": why, **script}))
        else:
            found, end = search(s, options.seed, options.seconds)
            print(f"seeds {options.seed} to {end - 1}: {s.played} scripts, {s.begun} allowed hellos read, {len(found)} got through")
    sys.exit(1 if found else 0)


def replay(s, scripts):
    """Plays kept scripts, each in its world."""
    found = []
    for world in WORLDS:
        mine = [x for x in scripts if x["world"] == world]
        if mine:
            with stage(s.lab, world):
                learn(s.lab)
                found += s.play(mine)
    return found


if __name__ == "__main__":
    main()
