"""heads: odd HTTP connections, from a seed. Each carries the name BAD somewhere, or wants GOOD alone."""
import random

GOOD, BAD = "www.allowed.example", "www.denied.example"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BAD_REQUEST = f"GET /b HTTP/1.1\r\nHost: {BAD}\r\n\r\n".encode()
PROXY2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes((10, 1, 0, 2, 203, 0, 113, 10, 0, 1, 0, 80))

BEFORE = [b"\r\n", b"\n", b"\r\n" * 6, b"\r", b"\r\r\n", b" ", b"\t", b"\0", b"\x0b", b"\xef\xbb\xbf", b"x\r\n", b"\r\n ",
          b"PROXY TCP4 10.1.0.2 203.0.113.10 1 80\r\n", b"PROXY UNKNOWN\r\n", b"PROXY TCP4 10.1.0.2 203.0.113.10 1 80\n",
          b"PROXY UNKNOWN http://" + BAD.encode() + b"/ HTTP/1.0\r\n", b"PROXY http://" + BAD.encode() + b"/ HTTP/1.0\r\n\r\n",
          b"PROXY / HTTP/1.1\r\nHost: " + BAD.encode() + b"\r\n\r\n", PROXY2, PREFACE, PREFACE + b"\0\0\0\4\0\0\0\0\0",
          b"GET /\r\n", f"GET http://{BAD}/\r\n".encode(), BAD_REQUEST[:-2]]
METHODS = ["GET", "GET", "GET", "POST", "HEAD", "OPTIONS", "get", "G", "PROXY", "A" * 40, "CONNECT", "PRI", "M-SEARCH", "GET\x00",
           "G(T", "G\u00e9T", "_GET"]
SPACES = [" ", " ", " ", " ", "  ", "\t", " \t", "\x0b", "\x0c", "\r", "\xa0", "\0"]
TARGETS = ["/", "/", "/", "*", "", "http://{b}/", "http://{g}/", "HTTP://{b}", "http://{b}:80/x", "http://{b}?x", "http://{b}#x",
           "http://{g}@{b}/", "http://{b}@{g}/", "http://{g}\\@{b}/", "http:/{b}/", "http:{b}/", "//{b}/", "///{b}/", "{b}",
           "{b}:80", "x://{b}/", "https://{b}/", "ws://{b}/", "http:///{b}/", "http://{b}", "http://[::1]/", "http://{b}./",
           "/http://{b}/", "/?http://{b}/", "/%20HTTP/1.1", "http://{g}%2e{b}/", "http://{b}%00.{g}/", "http://{g}:x@{b}/",
           "http://{g};{b}/", "http://{g},{b}/", "http://{g}:80:80/", "http://:80/", "http://", "http://{g}/ http://{b}/", "/ /",
           "/a\tb", "/\u00e9", "/\0"]
VERSIONS = ["HTTP/1.1"] * 6 + ["HTTP/1.0"] * 3 + ["", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/1.10", "HTTP/01.1", "http/1.1",
                                                 "HTTP/1.1 ", "HTTP/1.1\t", "HTTP /1.1", "HTTP/1.1 x", "HTTP/3.0", "HTTPS/1.1"]
ENDS = ["\r\n"] * 9 + ["\n", "\r", "\r\r\n", "\n\r", "\0\r\n", " \r\n", "\r\n\r", "\x0b\r\n"]
HOST_NAMES = ["Host"] * 6 + ["host", "HOST", "hOsT", " Host", "\tHost", "Host ", "Host\t", "Host\0", "Ho\0st", "X-Host", "Host_", "H\u00f6st",
                             "X-Forwarded-Host", "\rHost", "Host\x0b", "\xa0Host", "Host\r\n ", "HTTP_HOST", ":authority", "Host:", ""]
COLONS = [":", ": ", ": ", ": ", ":\t", ": \t ", " :", ":\r\n ", ":\n\t", "::", "=", ":\0", ":\x0b", ":\xa0", " "]
HOST_VALUES = ["{b}", "{b}", "{g}", "{g}", "{g}:80", "{b}:80", "{g}:", "{g}:x", "{g}:80:{b}", "{g}:80@{b}", "{g}@{b}", "{b}@{g}", "{g},{b}",
               "{g}, {b}", "{g} {b}", "{g};{b}", "{g}/{b}", "{g}#{b}", "{g}?{b}", "{g}\\{b}", "{g}\0{b}", "{g}\0", "{g}.", "{g}..", ".{g}",
               "{g}\r\n {b}", "{g}\n\t{b}", "{g}\r{b}", "{g}\r\n :{b}", "http://{g}", "http://{b}/", "[::1]", "[{b}]", "[::1]:{b}", "[::1]{b}",
               "203.0.113.10", "", " ", "*", "%77ww.denied.example", "www.denied%2eexample", "www.den\u0131ed.example", "\"{b}\"", "{G}",
               "{g}\t", "\t{g} ", "{g}\xa0", "{g}\x0b", "{g}\x0b{b}", "0x7f.1", "{g}:00080", "{g}:99999", "{g}:-1", "{g}: 80", "{b}\0{g}"]
OTHERS = ["X: y", "X : y", "X:y", "X", ": y", "X: y\r\n z", "X: y\r\n\tHost: {b}", "X: y\r\n Host: {b}", "X: y\rHost: {b}", "X: y\nHost: {b}",
          "X: y\0\r\nHost: {b}", "X_Y: z", "Connection: close", "Connection: keep-alive", "Connection: Host", "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
          "Upgrade: websocket\r\nConnection: Upgrade", "Expect: 100-continue", "Expect: x", "X: " + "y" * 3000, "X: \u00e9", "Forwarded: host={b}",
          "X: y\r\n\r", "X: y\n\nHost: {b}", "TE: trailers", "Cookie: a\0b", "X: y\r\n\x0bHost: {b}", "X: y\x85Host: {b}", "(X): y", "X-\x7f: y"]
LENGTHS = ["Content-Length: {n}"] * 4 + [
    "Content-Length: 0", "Content-Length: +{n}", "Content-Length: {n}, {n}", "Content-Length: {n}\r\nContent-Length: {n}",
    "Content-Length: 0\r\nContent-Length: {n}", "Content-Length: {n}\r\nContent-Length: 0", "Content-Length: 0x0", "Content-Length: -1",
    "Content-Length: {n} ", "Content-Length:\r\n {n}", "Content-Length : {n}", "Content_Length: {n}", "Content-Length: 00{n}",
    "Content-Length: {n};", "Content-Length: {n}x", "Content-Length: ", "Content-Length: 1e1", "Content-Length: {n}\x0b", "Content-Length: {n},"]
CODINGS = ["Transfer-Encoding: chunked"] * 4 + [
    "Transfer-Encoding: Chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: identity",
    "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: chunked\x0b", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding:\r\n chunked", "Transfer-Encoding : chunked", "Transfer_Encoding: chunked", "X: y\r\n Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked,", "Transfer-Encoding: chunked\r\nContent-Length: 0", "Content-Length: {n}\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: cow\r\nContent-Length: {n}", "Transfer-Encoding: gzip", "Transfer-Encoding: ", "Transfer-Encoding: chunk", "Transfer-Encoding: chunked\0"]
SIZES = ["{s}"] * 6 + ["0{s}", "00000000000000000{s}", "{s} ", " {s}", "{s};x", "{s};x=\"\\r\\n\"", "{s};\r", "0x{s}", "+{s}", "-{s}", "{S}", "{s};x\n",
                       "{s}\t", "{s}\0", "{s}g", "ffffffffffffffff{s}", "10000000000000000", "{s}\r", "{s},0", "{s};\n0", "", "{s}_0", "{s} 0"]
CHUNK_ENDS = ["\r\n"] * 9 + ["\n", "\r", "", "\r\r\n", "x\r\n", "\n\n"]
TRAILERS = ["\r\n"] * 5 + ["X: y\r\n\r\n", "Host: {b}\r\n\r\n", "\n", "\r", "X\r\n\r\n", "", "X: y\n\n", "GET /b HTTP/1.1\r\nHost: {b}\r\n\r\n"]


class Maker:
    """Of one connection: most choices are plain, few are odd, so that servers and gateway get far."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.odd = self.r.choice((0.005, 0.03, 0.1))

    def pick(self, choices, plain=None, odd=1.0):
        if plain is not None and self.r.random() > self.odd * odd:
            return plain
        return self.r.choice(choices)

    def fill(self, text, n=0):
        for key, value in (("{g}", GOOD), ("{b}", BAD), ("{G}", GOOD.upper()), ("{n}", str(n))):
            text = text.replace(key, value)
        return text.encode("latin-1", "replace") if all(ord(c) < 256 for c in text) else text.encode()

    def chunk(self, data):
        size = self.pick(SIZES, "{s}").replace("{s}", f"{len(data):x}").replace("{S}", f"{len(data):X}")
        return self.fill(size + self.pick(CHUNK_ENDS, "\r\n")) + data + self.fill(self.pick(CHUNK_ENDS, "\r\n"))

    def body(self):
        """(fields, bytes) of a request's body."""
        inner = self.r.choice((b"x=y", BAD_REQUEST, b"0\r\n\r\n" + BAD_REQUEST, b"\r\n" + BAD_REQUEST))
        if self.r.random() < 0.5:
            return self.fill(self.pick(LENGTHS, LENGTHS[0], 4), len(inner)), inner + self.r.choice((b"", b"", b"\r\n", b"\n"))
        coding = self.fill(self.pick(CODINGS, CODINGS[0], 4), len(inner))
        last = self.fill(self.pick(SIZES, "{s}").replace("{s}", "0").replace("{S}", "0") + self.pick(CHUNK_ENDS, "\r\n"))
        return coding, self.chunk(inner) * self.r.choice((1, 1, 2)) + last + self.fill(self.pick(TRAILERS, "\r\n", 2))

    def head(self, host):
        """One request. Of the places where one can be odd, one or two are so on purpose."""
        on_purpose = self.r.sample(("target", "version", "host", "other", "end", "body", "method", "none", "none"), 2)
        more = {place: 12 if place in on_purpose else 0.5 for place in ("target", "version", "host", "other", "end", "body", "method")}
        method = self.pick(METHODS, "GET", more["method"])
        line = self.fill(method + self.pick(SPACES, " ") + self.pick(TARGETS, "/", more["target"]) + self.pick(SPACES, " ") +
                         self.pick(VERSIONS, "HTTP/1.1", more["version"]) + self.pick(ENDS, "\r\n"))
        fields = []
        for i in range(self.r.choice((1, 1, 1, 1, 2, 3)) if more["host"] > 1 else 1):
            plain = "Host: " + host if i == 0 else None
            if self.r.random() < 0.6 and plain:
                fields.append(self.fill(plain))
            else:
                fields.append(self.fill(self.pick(HOST_NAMES, "Host", more["host"]) + self.pick(COLONS, ": ", more["host"] / 2) +
                                        self.pick(HOST_VALUES, host, more["host"])))
        fields += [self.fill(self.pick(OTHERS, "X: y", more["other"])) for _ in range(self.r.choice((0, 1, 2)))]
        body = b""
        if self.r.random() < (0.8 if more["body"] > 1 else 0.1):
            field, body = self.body()
            fields.append(field)
            line = line.replace(b"GET", b"POST", 1)
        self.r.shuffle(fields)
        ends = [self.fill(self.pick(ENDS, "\r\n", more["end"] / 4)) for _ in range(len(fields) + 1)]
        return line + b"".join(f + e for f, e in zip(fields, ends)) + ends[-1] + body

    def connection(self):
        out = self.pick(BEFORE, b"", 2)
        for i in range(self.r.choice((1, 1, 2, 3))):
            out += self.head("{g}" if i == 0 or self.r.random() < 0.7 else "{b}") + self.pick(BEFORE, b"", 1)
        return out


def connection(seed):
    return Maker(seed).connection()
