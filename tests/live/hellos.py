"""hellos: odd ClientHellos of TLS 1.2 in records, from a seed. Each names GOOD or BAD, or both."""
import random
import struct

from heads import BAD, GOOD
from pcapgen import vector

CCS, ALERT = b"\x14\3\3\0\1\1", b"\x15\3\1\0\2\1\0"
NAMES = ["{g}", "{g}", "{b}", "{b}", "{g}\0", "{g}\0{b}", "{b}\0{g}", "{b}\0", "{g}.", "{b}.", ".{b}", "{b}..", "{G}", "{B}", "", "{g}:443", "{b}:443",
         "203.0.113.10", "{g} ", " {g}", " {b}", "{b} ", "{g},{b}", "www.den\u0131ed.example", "{g}\r\n{b}", "x.{g}", "*.denied.example",
         "x" * 250 + ".allowed.example", "{g}/{b}"]
SUITES = b"\xc0\x2b\xc0\x2f\xc0\x2c\xc0\x30\xcc\xa9\xcc\xa8\xc0\x09\xc0\x0a\x00\xff"
REST = [(10, vector(2, b"\0\x17\0\x1d\0\x18")), (11, vector(1, b"\0")), (13, vector(2, b"\4\3\5\3\6\3\4\1\5\1\6\1\2\3\2\1")), (23, b"")]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.odd = self.r.choice((0.02, 0.05, 0.12))

    def rarely(self, times=1.0):
        return self.r.random() < self.odd * times

    def length(self, n):
        return n + self.r.choice((-1, 1, 2, -2, 7, 256)) if self.rarely(0.5) else n

    def counted(self, size, *parts):
        body = b"".join(parts)
        return max(0, self.length(len(body))).to_bytes(size + 8, "big")[-size:] + body

    def name(self):
        text = self.r.choice(NAMES) if self.rarely(6) else self.r.choice(("{g}", "{g}", "{b}"))
        for key, value in (("{g}", GOOD), ("{b}", BAD), ("{G}", GOOD.upper()), ("{B}", BAD.upper())):
            text = text.replace(key, value)
        return text.encode()

    def server_name(self):
        entries = [bytes([self.r.choice((1, 2, 255)) if self.rarely(2) else 0]) + self.counted(2, self.name())
                   for _ in range(self.r.choice((1, 1, 1, 1, 2, 3)) if self.rarely(5) else 1)]
        tail = self.r.choice((b"\0", b"\0\0", b"\0\0\1x")) if self.rarely() else b""
        return 0, self.counted(2, *entries) + tail

    def extensions(self):
        out = [self.server_name() for _ in range(2 if self.rarely(2) else 1)] + list(REST)
        if self.rarely(3):
            out.append((self.r.choice((0x0a0a, 0x1a1a, 21, 35, 0xfe0d, 0xffce, 17513)), bytes(self.r.choice((0, 1, 40)))))
        if self.rarely(3):
            out.append((43, vector(1, self.r.choice((b"\3\3", b"\x0a\x0a\3\3", b"\3\3\3\1")))))
        self.r.shuffle(out)
        return b"".join(struct.pack("!H", kind) + self.counted(2, body) for kind, body in out)

    def message(self):
        body = self.r.choice((b"\3\3", b"\3\3", b"\3\1", b"\3\4")) if self.rarely() else b"\3\3"
        body += bytes(self.r.getrandbits(8) for _ in range(32)) + self.counted(1, bytes(32 if self.rarely(2) else 0))
        body += self.counted(2, SUITES) + self.counted(1, b"\0" if not self.rarely() else b"\0\1")
        body += self.counted(2, self.extensions())
        if self.rarely():
            body += self.r.choice((b"\0", b"\0\0", bytes(20)))
        return b"\1" + self.counted(3, body)

    def record(self, body, kind=22):
        version = self.r.choice((b"\3\0", b"\3\3", b"\3\4", b"\3\x7f", b"\2\0", b"\4\1")) if self.rarely() else b"\3\1"
        return bytes([kind]) + version + self.counted(2, body)

    def records(self, message):
        size = self.r.choice((1, 2, 3, 4, 5, 7, 64, 100, 200)) if self.rarely(4) else len(message)
        out = b""
        for at in range(0, len(message), size):
            out += self.record(message[at:at + size])
            if self.rarely(0.5):
                out += self.r.choice((CCS, ALERT, b"\x16\3\1\0\0", b"\x17\3\3\0\0", b"\x15\3\1\0\0"))
        return out

    def stream(self):
        before = b""
        if self.rarely(3):
            before = self.r.choice((CCS, ALERT, b"\x16\3\1\0\0", b"\x16\3\1\0\4\0\0\0\0", b"\x17\3\3\0\1x", b"\x15\3\1\0\2\2\0", b"\r\n",
                                    b"PROXY TCP4 10.1.0.2 203.0.113.10 1 443\r\n", b"\x80\x2e\1\0\2"))
        first = self.message()
        if self.rarely(2):  # two messages in a record, or one behind another
            return before + self.records(first + self.message())
        out = before + self.records(first)
        return out + self.records(self.message()) if self.rarely(2) else out


def stream(seed):
    return Maker(seed).stream()
