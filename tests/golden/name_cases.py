"""name_cases: golden cases of TLS, DTLS, HTTP and of what becomes of a flow whose name is not plain."""
import hashlib
import struct

from pcapgen import (client_hello, http_request, tcp_packet, udp_packet, vector, checksum, ACK, URG,
                     FIN, PSH, SYN)

ANN, BOB, RESOLVER, WEB, ANYHOW = "10.1.0.2", "10.1.0.3", "10.0.0.53", "203.0.113.10", "198.51.100.7"
GOOD, BAD = "www.allowed.example", "www.denied.example"
CCS = b"\x14\3\3\0\1\1"


# -- hellos that client_hello does not make -------------------------------------------------------------
def extension(kind, body):
    return struct.pack("!H", kind) + vector(2, body)


def entry(name, kind=0):
    return bytes([kind]) + vector(2, name if isinstance(name, bytes) else name.encode())


def sni(*names):
    return (0, vector(2, *(entry(n) for n in names)))


def old_hello(version, name=None, tail=True):
    """A ClientHello as it was before TLS 1.3; without extensions where tail is not set."""
    body = struct.pack("!H", version) + hashlib.sha256(b"old").digest() + b"\0" \
        + vector(2, b"\0\x2f\0\x35") + vector(1, b"\0")
    if tail:
        body += vector(2, extension(*sni(name)) if name else b"", extension(10, vector(2, b"\0\x17")))
    return b"\x16\3\1" + vector(2, b"\1" + vector(3, body))


def large_hello(name, size, record=16384):
    """A hello whose handshake message has `size` bytes, in records of at most `record`."""
    bare = len(client_hello(name)) - 5
    records = client_hello(name, [(21, bytes(size - bare - 4))], record)
    assert len(records) == size + 5 * -(-size // record)
    return records


class Talk:
    """A TCP connection, packet by packet; offsets count from the first byte of each side."""
    def __init__(self, c, port, client=ANN, server=WEB, syn=True):
        self.c, self.sport = c, c.next_port()
        self.there, self.back = (client, self.sport, server, port), (server, port, client, self.sport)
        self.seq, self.ack, self.sent, self.heard = 1000 * self.sport, 7000 * self.sport, 0, 0
        if syn:
            c.add(tcp_packet(*self.there, self.seq, 0, SYN))
            c.add(tcp_packet(*self.back, self.ack, self.seq + 1, SYN | ACK), False)
            c.add(tcp_packet(*self.there, self.seq + 1, self.ack + 1, ACK))

    def at(self, offset, payload):
        self.c.add(tcp_packet(*self.there, self.seq + 1 + offset, self.ack + 1 + self.heard, PSH | ACK, payload))
        self.sent = max(self.sent, offset + len(payload))
        return self

    def say(self, payload):
        return self.at(self.sent, payload)

    def hear(self, payload):
        self.c.add(tcp_packet(*self.back, self.ack + 1 + self.heard, self.seq + 1 + self.sent, PSH | ACK, payload),
                   False)
        self.heard += len(payload)
        return self


def tls_names(c):
    names = (None, sni(""), (0, vector(2)), sni(GOOD, BAD), sni(GOOD, GOOD), (0, b"\0\x63" + entry(GOOD)), (0, b""),
             sni("203.0.113.10"), sni("2001:db8::1"), sni("xn--bcher-kva.allowed.example"), sni("b\u00fccher.allowed.example"),
             sni(GOOD.upper()), sni(GOOD + "."), sni(GOOD + ".."), sni(GOOD + "\0.denied.example"),
             sni("a." * 119 + "allowed.example"), sni("a." * 118 + "ab.allowed.example"), sni("a" * 63 + ".allowed.example"),
             sni("a" * 64 + ".allowed.example"), sni("allowed.example:443"), sni("allowed.123"), sni("_x-.allowed.example"),
             (0, vector(2, entry(GOOD, 1))), (0, vector(2, entry(b"\1\2", 1) + entry(GOOD))))
    for n in names:
        c.tcp(ANN, WEB, 443, [client_hello(None, [n] if n else [])], CCS)
    c.tcp(ANN, WEB, 443, [client_hello(GOOD, [sni(GOOD)])], CCS)  # the extension twice
    for n in (None, sni("")), (sni(GOOD + "\0"), None):  # where the address alone is enough
        c.tcp(ANN, ANYHOW, 443, [client_hello(None, [x for x in n if x])], CCS)


def tls_records(c):
    for name in (GOOD, BAD):
        data = client_hello(name, record=7)
        Talk(c, 443).at(60, data[60:]).at(0, data[:30]).at(30, data[30:60])
        Talk(c, 443).at(0, data[:50]).at(20, data[20:90]).at(0, data[:90]).at(80, data[80:])  # same bytes
    data, other = client_hello(GOOD), client_hello(BAD)
    Talk(c, 443).at(0, data[:90]).at(60, other[60:120])  # other bytes for the same place
    Talk(c, 443).at(90, data[90:]).at(60, other[60:120]).at(0, data[:90])
    Talk(c, 443).say(b"\x16\3\1\0\0" + data)  # an empty record
    Talk(c, 443).say(data[:5] + b"\x0e" + data[6:])  # another handshake message
    Talk(c, 443).say(data[:9] + b"\3\7" + data[11:80] + b"\xff" * 400)
    Talk(c, 443).say(b"\x15\3\1\0\2\2\x28")  # an alert: no hello


def tls_large(c):
    for name, size, record, order in ((GOOD, 65536, 16384, 1), (BAD, 65536, 16384, -1), (GOOD, 65536, 100, 1),
                                      (BAD, 65536, 1000, 1), (GOOD, 65537, 16384, 1), (GOOD, 65537, 100, 1),
                                      (GOOD, 65536, 60, 1)):
        talk, data = Talk(c, 443), large_hello(name, size, record)
        for at in list(range(0, len(data), 1400))[::order]:
            talk.at(at, data[at:at + 1400])


def tls_versions(c):
    for name in (GOOD, BAD):
        for version in (0x301, 0x302, 0x303):
            c.tcp(ANN, WEB, 443, [old_hello(version, name)], CCS)
        c.tcp(ANN, WEB, 443, [client_hello(name)], CCS)
    c.tcp(ANN, WEB, 443, [old_hello(0x300, tail=False)], CCS)
    c.tcp(ANN, WEB, 443, [old_hello(0x301)], CCS)
    c.tcp(ANN, WEB, 443, [b"\x80\x1c\1\3\1\0\3\0\0\0\x10\0\0\x2f" + bytes(16)], CCS)  # SSL 2


RETRY = b"\x16\3\3" + vector(2, b"\2" + vector(3, b"\3\3" + bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c") + b"\0\x13\1\0" + vector(
        2, extension(43, b"\3\4"), extension(51, b"\0\x17"))))


def hello_retry(c):
    share = struct.pack("!HHHHH", 51, 38, 36, 0x1d, 32)
    first = client_hello(GOOD).replace(share, share[:6] + b"\x11\xec" + share[8:])  # a group not all servers have
    usual, denied, ok = client_hello(GOOD), client_hello(BAD), b"\x17\3\3\0\2ok"
    cookie = client_hello(GOOD, [(44, vector(2, b"c"))])
    for again in (cookie, denied, client_hello(None), client_hello(None, [sni(GOOD + "\0")])):
        Talk(c, 443).say(first).hear(RETRY + CCS).say(CCS + again).say(ok)
        Talk(c, 443).say(usual).hear(RETRY + CCS).say(again).say(ok)  # whatever shares the first had
    Talk(c, 443).say(first).hear(CCS).say(CCS + ok).say(ok)
    Talk(c, 443).say(usual).hear(CCS).say(CCS + ok)
    # in parts, the tail first, with the first hello once more: no part of it passes
    Talk(c, 443).say(usual).hear(RETRY).say(CCS).say(denied[:70]).say(denied[70:])
    at = len(usual)
    Talk(c, 443).say(usual).hear(RETRY).at(at + 70, denied[70:]).at(0, usual).at(at, denied[:70])
    Talk(c, 443).say(usual).hear(RETRY).say(b"\x15\3\3\0\2\1\x5a" + denied)  # after an alert


SERVER_HELLO = b"\x16\3\3" + vector(2, b"\2" + vector(3, b"\3\3" + bytes(32) + b"\0\x13\1\0"))


def heard(c):
    """A decoy that its server may never have got, and what comes in its place."""
    good, bad = client_hello(GOOD), client_hello(BAD)
    Talk(c, 443).say(good).at(0, bad).at(0, good)
    Talk(c, 443).say(good).at(0, good).at(40, good[40:]).hear(SERVER_HELLO).say(CCS)  # the same, in other parts
    Talk(c, 443).say(good).at(len(good) - 2, good[-2:] + bad)  # and more behind it
    Talk(c, 443).say(good).hear(RETRY[:10]).hear(RETRY[10:]).say(CCS).say(bad)  # the client's window is small
    Talk(c, 443).say(good).hear(SERVER_HELLO).say(CCS).at(0, bad)  # settled: it is the kernel's
    Talk(c, 25).say(b"EHLO me\r\nSTARTTLS\r\n" + good).hear(b"220 a\r\n").at(19, bad)  # said before
    Talk(c, 80).say(http_request(GOOD)).at(0, http_request(BAD))


def syn_again(c):
    def syn(talk, number):
        talk.seq += number
        c.add(tcp_packet(*talk.there, talk.seq, 0, SYN))
    good, bad = client_hello(GOOD), client_hello(BAD)
    for number in (1000, -1000, 1 << 24, -(1 << 30)):
        talk = Talk(c, 443)
        syn(talk, number)
        talk.at(-number, bad)
    talk = Talk(c, 443).say(good).hear(SERVER_HELLO)  # settled, and still the same connection
    syn(talk, 100000)
    talk.say(bad)
    talk = Talk(c, 443)  # the same SYN again is no other
    syn(talk, 0)
    talk.say(good)
    talk = Talk(c, 443, syn=False)  # nobody answered the first
    syn(talk, 0)
    syn(talk, 750000)
    c.add(tcp_packet(*talk.back, talk.ack, talk.seq + 1, SYN | ACK), False)
    talk.say(good)
    talk = Talk(c, 443, syn=False)  # nor this one, and payload comes
    syn(talk, 0)
    talk.say(good)


def hello_early(c):
    """What is said before the server answers, with the first hello and after it."""
    usual, denied = client_hello(GOOD), client_hello(BAD)
    Talk(c, 443).say(usual + CCS + denied)
    # early data: in the first hello's packet and after it, up to a second hello or for good
    early = client_hello(GOOD, [(42, b"")]) + CCS + b"\x17\3\3\0\x40" + bytes(64) + b"\x17\3\3\0\x40"
    for again in (usual, denied, b"\x17\3\3\0\x40" + bytes(64)):
        Talk(c, 443).say(early).say(bytes(64)).hear(RETRY).say(again)


# -- DTLS ---------------------------------------------------------------------------------------------
def dtls_hello(name, cookie=b"", version=0xfefd, tls13=False):
    parts = [extension(*sni(name)) if name else b"", extension(10, vector(2, b"\0\x1d"))]
    if tls13:
        parts.append(extension(43, vector(1, b"\xfe\xfc")))
    return struct.pack("!H", version) + hashlib.sha256(b"dtls").digest() + b"\0" + vector(1, cookie) \
        + vector(2, b"\xc0\x2b") + vector(1, b"\0") + vector(2, *parts)


def dtls_record(body, first=0, size=None, message=0, number=0):
    size = len(body) if size is None else size
    part = body[first:first + size]
    head = b"\1" + len(body).to_bytes(3, "big") + struct.pack("!H", message) + first.to_bytes(3, "big") \
        + len(part).to_bytes(3, "big")
    return b"\x16\xfe\xff" + struct.pack("!HIH", 0, 0, number) + vector(2, head + part)


def dtls(c):
    for name in (GOOD, BAD, None, GOOD + "\0"):
        c.udp(ANN, WEB, 443, [dtls_record(dtls_hello(name))])
    for name in (GOOD, BAD):
        body = dtls_hello(name, tls13=True)
        c.udp(ANN, WEB, 443, [dtls_record(body)])
        pieces = [dtls_record(body, at, 30, number=at) for at in range(0, len(body), 30)]
        c.udp(ANN, WEB, 443, [pieces[2], pieces[0], pieces[0], *pieces[3:], pieces[1]])
        c.udp(ANN, WEB, 443, [b"".join(pieces)])
    body, other = dtls_hello(GOOD), dtls_hello(BAD)
    c.udp(ANN, WEB, 443, [dtls_record(body, 0, 60), dtls_record(other, 40, 60), dtls_record(body, 60)])
    verify = b"\x16\xfe\xff" + bytes(8) + vector(2, b"\3" + (23).to_bytes(3, "big") + bytes(5)
                                               + (23).to_bytes(3, "big") + b"\xfe\xff" + vector(1, b"c" * 20))
    for name in (GOOD, BAD):  # HelloVerifyRequest, and the second hello
        port = c.next_port()
        c.add(udp_packet(ANN, port, WEB, 443, dtls_record(body)))
        c.add(udp_packet(WEB, 443, ANN, port, verify), False)
        c.add(udp_packet(ANN, port, WEB, 443, dtls_record(dtls_hello(name, b"c" * 20), message=1, number=1)))


# -- plaintext before TLS ------------------------------------------------------------------------------
def starttls(c):
    oid = b"\x80\x16" + b"1.3.6.1.4.1.1466.20037"
    ldap = b"\x30" + vector(1, b"\2\1\1\x77" + vector(1, oid))
    for name in (GOOD, BAD):
        hello = client_hello(name)
        Talk(c, 25).hear(b"220 mail\r\n").say(b"EHLO me\r\n").hear(b"250 STARTTLS\r\n").say(b"STARTTLS\r\n") \
            .hear(b"220 go\r\n").say(hello)
        Talk(c, 587).hear(b"220 mail\r\n").say(b"EHLO me\r\n").hear(b"250 STARTTLS\r\n").say(b"starttls\r\n") \
            .hear(b"220 go\r\n").say(hello)
        Talk(c, 143).hear(b"* OK\r\n").say(b"a CAPABILITY\r\n").hear(b"a OK\r\n").say(b"b STARTTLS\r\n") \
            .hear(b"b OK\r\n").say(hello)
        Talk(c, 110).hear(b"+OK\r\n").say(b"CAPA\r\n").hear(b"+OK\r\n.\r\n").say(b"STLS\r\n").hear(b"+OK\r\n").say(hello)
        Talk(c, 389).say(ldap).hear(b"\x30\x0c\2\1\1\x78\7\n\1\0\4\0\4\0").say(hello)
        Talk(c, 5432).say(struct.pack("!II", 8, 80877103)).hear(b"S").say(hello)
        # a hole in the plaintext: what lies beyond it waits
        Talk(c, 25).hear(b"220 mail\r\n").at(9, b"STARTTLS\r\n").at(0, b"EHLO me\r\n").hear(b"220 go\r\n").say(hello)
        Talk(c, 25).hear(b"220 mail\r\n").at(9, b"STARTTLS\r\n").at(19, hello).at(0, b"EHLO me\r\n")
        # as clients are met: AUTH before AUTH, a bind before StartTLS, literals in ID, what XMPP and MySQL have
        bind, bound = b"\x30\x0c\2\1\1\x60\7\2\1\3\4\0\x80\0", b"\x30\x0c\2\1\1\x61\7\n\1\0\4\0\4\0"
        Talk(c, 389).say(bind).hear(bound).say(ldap).hear(b"\x30\x0c\2\1\1\x78\7\n\1\0\4\0\4\0").say(hello)
        Talk(c, 143).hear(b"* OK\r\n").say(b'2 ID ("name" {6+}\r\nclient "version" {3}\r\n').hear(b"+\r\n") \
            .say(b"1.0)\r\n").hear(b"2 OK\r\n").say(b"3 STARTTLS\r\n").hear(b"3 OK\r\n").say(hello)
        Talk(c, 21).hear(b"220 ftp\r\n").say(b"AUTH SSL\r\n").hear(b"504 no\r\n").say(b"AUTH TLS\r\n").hear(b"234 go\r\n") \
            .say(hello)
        Talk(c, 110).hear(b"+OK\r\n").say(b"AUTH\r\n").hear(b"-ERR\r\n").say(b"STLS\r\n").hear(b"+OK\r\n").say(hello)
        stream = b"<?xml version='1.0'?><stream:stream to='allowed.example' version='1.0'>"
        Talk(c, 5222).say(stream).hear(b"<stream:features/>").say(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>") \
            .hear(b"<proceed/>").say(hello)
        Talk(c, 3306).hear(b"\x4a\0\0\0\n8.0").say(b"\x20\0\0\1\5\xae\xff\x81" + bytes(28)).say(hello)
        Talk(c, 4190).hear(b"OK\r\n").say(b"STARTTLS\r\n").hear(b"OK\r\n").say(hello)
    Talk(c, 25).hear(b"220 mail\r\n").at(9, b"STARTTLS\r\n")
    Talk(c, 25).hear(b"220 mail\r\n").say(b"EHLO me\r\n").hear(b"250 ok\r\n").say(b"MAIL FROM:<ann@site>\r\n")
    Talk(c, 110).hear(b"+OK\r\n").say(b"USER ann\r\n")
    # no prelude: a directory is read in clear, a host named in clear, a request of HTTP, too many bytes
    Talk(c, 389).say(b"\x30\x0c\2\1\2\x63\7\4\0\n\1\2\n\0")
    Talk(c, 21).hear(b"220 ftp\r\n").say(f"HOST {BAD}\r\n".encode())
    Talk(c, 25).hear(b"220 mail\r\n").say(f"NOOP http://{BAD}/ HTTP/1.0\r\n".encode())
    Talk(c, 25).hear(b"220 mail\r\n").say(b"EHLO " + b"x" * 4089 + b"\r\n").hear(b"250 ok\r\n").say(b"STARTTLS\r\n")
    Talk(c, 5432).say(struct.pack("!II", 16, 196608) + b"user\0ann")


def connect_socks(c):
    connect = f"CONNECT {GOOD}:443 HTTP/1.1\r\nHost: {GOOD}:443\r\n\r\n".encode()
    socks5 = b"\5\1\0"
    socks4 = b"\4\1\1\xbb\xcb\0\x71\x0a\0"
    for server, port in (("10.0.0.80", 3128), (WEB, 80), (ANYHOW, 80)):
        for first in (connect, socks5, socks4):
            Talk(c, port, server=server).say(first).hear(b"\5\0").say(client_hello(GOOD))


# -- HTTP ---------------------------------------------------------------------------------------------
def frame(kind, payload, flags=0, stream=0):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def h2c(name, stream=1):
    fields = b"\x82\x86\x84" + b"\x41" + vector(1, name.encode())
    return frame(1, fields, 5, stream)


def http_forms(c):
    requests = [
        http_request(GOOD), http_request(BAD), http_request(GOOD.upper() + "."), http_request(GOOD + ":80"),
        f"GET / HTTP/1.0\r\nHost: {GOOD}\r\n\r\n".encode(), b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
        f"GET http://{GOOD}/x HTTP/1.1\r\nHost: {BAD}\r\n\r\n".encode(),
        f"GET http://{BAD}/x HTTP/1.1\r\nHost: {GOOD}\r\n\r\n".encode(),
        f"GET http://{GOOD}@{BAD}/x HTTP/1.1\r\nHost: {GOOD}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nhOST:\t {GOOD} \t\r\n\r\n".encode(),
        f"\r\nGET / HTTP/1.1\nHost: {GOOD}\n\n".encode(),
        f"GET / HTTP/1.1\r\nX: y\r\n z\r\nHost: {GOOD}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: {GOOD}\r\n .denied.example\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: {GOOD}\r\nHost: {BAD}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: {GOOD}\r\nHost: {GOOD}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost : {GOOD}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\n Host: {GOOD}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nX: a\rHost: {BAD}\r\nHost: {GOOD}\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: {GOOD}\0\r\n\r\n".encode(),
        b"GET / HTTP/1.1\r\nHost: \r\n\r\n", b"GET / HTTP/1.1\r\nHost: 203.0.113.10\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: {GOOD}:x\r\n\r\n".encode(), f"GET / HTTP/1.1\r\nHost: {GOOD}, {BAD}\r\n\r\n".encode(),
        PREFACE + frame(4, b"") + h2c(GOOD), PREFACE + frame(4, b"") + h2c(BAD),
        PREFACE + frame(4, b"") + frame(8, b"\0\1\0\0") + h2c(GOOD.upper()),
        f"GET / HTTP/1.1\r\nHost: {GOOD}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: AAMAAABk\r\n\r\n".encode(),
        # what some server yet takes for a request, and reads another host in it
        f"PROXY http://{BAD}/x HTTP/1.0\r\n\r\n".encode() + http_request(GOOD),
        f"PROXY UNKNOWN http://{BAD}/x HTTP/1.0\r\n".encode() + http_request(GOOD),
        b"PROXY TCP4 10.1.0.2 203.0.113.10 01 80\r\n" + http_request(GOOD),
        b"PROXY TCP4 10.1.0.2 203.0.113.10 1 80\r\n" + http_request(GOOD),
        b"PROXY TCP4 10.1.0.2 203.0.113.10 1 80\r\n" + http_request(BAD),
        PROXY2 + http_request(GOOD), PROXY2 + http_request(BAD),
        PROXY2.replace(b"\x21\x11", b"\x21\x41") + http_request(GOOD),
        b"\r\n" * 6 + http_request(BAD), b"\r" + http_request(GOOD), b" " + http_request(GOOD),
        f"GET http://{GOOD}/\r\n".encode(), f"GET\thttp://{BAD}/ HTTP/1.0\r\n\r\n".encode(),
        b"A" * 40 + f" http://{BAD}/ HTTP/1.0\r\n\r\n".encode()]
    for r in requests:
        c.tcp(ANN, WEB, 80, [r], b"HTTP/1.1 204 No Content\r\n\r\n")


PROXY2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes((10, 1, 0, 2, 203, 0, 113, 10, 0, 1, 0, 80))


def websocket(first, data, key=b"\x37\xfa\x21\x3d"):
    return bytes([first, 0x80 | len(data)]) + key + bytes(b ^ key[i % 4] for i, b in enumerate(data))


def http_every_request(c):
    post = f"POST / HTTP/1.1\r\nHost: {GOOD}\r\nContent-Length: 9\r\n\r\n".encode() + b"Host: bad"
    chunked = f"POST / HTTP/1.1\r\nHost: {GOOD}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() \
        + b"5\r\nHost:\r\n0\r\n\r\n"
    answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    for second in (http_request(GOOD), http_request(BAD), http_request("other.allowed.example"), b"\0\1\2\3\r\n\r\n"):
        Talk(c, 80).say(http_request(GOOD)).hear(answer).say(second).hear(answer).say(http_request(GOOD))
    Talk(c, 80).say(post).hear(answer).say(http_request(GOOD)).hear(answer).say(http_request(BAD))
    Talk(c, 80).say(chunked).hear(answer).say(http_request(GOOD)).hear(answer).say(http_request(BAD))
    Talk(c, 80).say(http_request(GOOD) + http_request(GOOD)).hear(answer)
    Talk(c, 80).say(PREFACE + frame(4, b"") + h2c(GOOD)).hear(frame(4, b"")).say(h2c(BAD, 3))
    # lines that a client puts behind a body, which then waits for its answer
    Talk(c, 80).say(post[:-9]).say(post[-9:] + b"\r\n").hear(answer).say(http_request(GOOD)).hear(answer)
    Talk(c, 80).say(post + b"\r\n").hear(answer).say(b"\n" * 5 + http_request(BAD))
    Talk(c, 80).say(post[:-9]).say(post[-9:] + b"\r\n")  # and no more
    zipped = chunked.replace(b"chunked", b"gzip, chunked")
    Talk(c, 80).say(zipped).hear(answer).say(http_request(GOOD)).hear(answer).say(http_request(BAD))
    Talk(c, 80).say(post.replace(b"9\r", b"9\r\nTransfer-Encoding: chunked\r")).hear(answer)
    expect = post.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    Talk(c, 80).say(expect[:-9]).hear(b"HTTP/1.1 100 Continue\r\n\r\n").say(expect[-9:]).hear(answer).say(http_request(BAD))
    for line in (b"PROXY TCP4 10.1.0.2 203.0.113.10 1 80\r\n", PROXY2):
        Talk(c, 80).say(line + http_request(GOOD)).hear(answer).say(http_request(BAD))
    upgrade = f"GET / HTTP/1.1\r\nHost: {GOOD}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode()
    for first in (0x81, 0xc1, 0x41, 0x42):  # RFC 7692: a compressed message in parts
        Talk(c, 80).say(upgrade).hear(b"HTTP/1.1 101 Go\r\n\r\n").say(websocket(first, b"\xaa\x56")).say(websocket(0x80, b"\0"))
    Talk(c, 80).say(upgrade).hear(answer).say(http_request(BAD))  # it was refused
    c.at("2026-03-02 10:00:05")
    Talk(c, 80).say(http_request(GOOD)).hear(answer)


def http_upload_loss(c):
    """A segment with a chunk's size is lost, and what follows is more than is kept, or waits too long:
    it is dropped, and its sender gives it again."""
    head = f"POST / HTTP/1.1\r\nHost: {GOOD}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    body = (b"2000\r\n" + b"x" * 8192 + b"\r\n") * 16 + b"0\r\n\r\n"
    segments = [(len(head) + i, body[i:i + 1400]) for i in range(0, len(body), 1400)]
    lost = 5 * 8200 // 1400
    for behind, wait in ((30, 0), (30, 5), (len(segments) - lost, 0)):
        talk = Talk(c, 80).say(head)
        for offset, payload in segments[:lost] + segments[lost + 1:lost + behind]:
            talk.at(offset, payload)
        for _ in range(wait):
            c.now += 10**6
            Talk(c, 80, client=BOB).say(http_request(GOOD))  # time goes on for all
        for offset, payload in segments[lost:]:
            talk.at(offset, payload)
        talk.hear(b"HTTP/1.1 204 No Content\r\n\r\n").say(http_request(BAD))


# -- what becomes of a flow ----------------------------------------------------------------------------
def held(c):
    """Hellos that stop; beside them what goes on. Time passes at the end."""
    Talk(c, 443).say(client_hello(GOOD)[:60])
    Talk(c, 443).at(30, client_hello(GOOD)[30:])  # its beginning is missing
    Talk(c, 443, server=ANYHOW).say(client_hello(GOOD)[:60])
    Talk(c, 80).say(http_request(GOOD)[:-2])
    Talk(c, 443)  # a preconnect: never timed out
    c.udp(ANN, WEB, 443, [dtls_record(dtls_hello(GOOD), 0, 50)])
    Talk(c, 443, client=BOB).say(client_hello(GOOD)[:60]).say(client_hello(GOOD)[60:])
    c.at("2026-03-02 10:00:05")
    Talk(c, 443, client=BOB).say(client_hello(GOOD))
    late = Talk(c, 443)
    c.at("2026-03-02 10:00:07")
    late.say(client_hello(GOOD)[:60])  # as if its SYN had been lost once
    c.at("2026-03-02 10:00:38")
    Talk(c, 443, client=BOB).say(client_hello(GOOD))


def held_stuck(c):
    """Senders that say no more until what they said is acknowledged."""
    good, bad = client_hello(GOOD), client_hello(BAD)
    first = [Talk(c, 443).say(h[:60]) for h in (good, bad, good, good)]
    hole = Talk(c, 443).at(30, good[30:])
    c.at("2026-03-02 10:00:01")
    first[0].say(good[60:])
    first[1].say(bad[60:])
    first[2].at(0, good[:70]).say(good[70:])  # with the first bytes once more
    first[3].at(0, bad[:60])  # and with others
    hole.at(0, good[:30])
    Talk(c, 443).say(good[:60]).at(0, good[:60]).at(60, good[60:])  # repeated at once: the second was lost
    Talk(c, 443).say(good[:60])  # and one that stops
    c.at("2026-03-02 10:00:05")
    Talk(c, 443, client=BOB).say(good)


def table_full(c):
    """Of more unfinished hellos than there is room for; a whole one needs none."""
    for n in range(66):
        Talk(c, 443, client=f"10.1.1.{n}").say(client_hello(GOOD)[:60])
    Talk(c, 443, client=BOB).say(client_hello(GOOD))


def broken_hello(c):
    """To an address that is allowed, where a name may be denied (443) and where none is (8443)."""
    data, other, nul = client_hello(GOOD), client_hello(BAD), client_hello(None, [sni(BAD + "\0")])
    for port in (443, 8443):
        Talk(c, port, server=ANYHOW).say(data)
        Talk(c, port, server=ANYHOW).say(b"SSH-2.0-golden\r\n")
        Talk(c, port, server=ANYHOW).say(data[:5] + b"\x0e" + data[6:])
        Talk(c, port, server=ANYHOW).say(nul)
        Talk(c, port, server=ANYHOW).say(large_hello(BAD, 65600)[:1000])
        Talk(c, port, server=ANYHOW).at(0, data[:90]).at(60, other[60:])
        Talk(c, port, server=ANYHOW).say(other)
        Talk(c, port, server=ANYHOW).say(data[:90])
    for port in (25, 110):  # what is no prelude, before a hello for a name that is denied on one of the ports
        Talk(c, port, server=ANYHOW).hear(b"220\r\n").say(b"VRFY x\r\n").hear(b"250\r\n").say(b"STARTTLS\r\n").hear(b"220\r\n").say(other)
        Talk(c, port, server=ANYHOW).hear(b"220\r\n").say(data)
    for before in (CCS, b"\x15\3\1\0\2\1\0"):  # some server reads on
        Talk(c, 443, server=ANYHOW).say(before + other)
    Talk(c, 443, server=ANYHOW).say(b"\x16\2\0" + other[3:])
    for words in (b"CONNECT / HTTP/1.1\r\nHost: ", b"\rGET / HTTP/1.1\r\nHost: ", b"GET /\tHTTP/1.1\r\nHost: "):
        Talk(c, 443, server=ANYHOW).say(words + BAD.encode() + b"\r\n\r\n")
    c.udp(ANN, ANYHOW, 443, [b"\xc0\x1a\x2a\x3a\x4a\x08" + bytes(1200)])  # QUIC of an unknown version


def mismatch(c):
    """Three tiers: mismatch is logged, denied, and denied under name+address; with and without DNS."""
    clients = (ANN, "10.2.0.2", "10.3.0.2")
    for client in clients:
        c.tcp(client, WEB, 443, [client_hello(GOOD)])
        c.tcp(client, WEB, 80, [http_request(GOOD)])
    c.dns(BOB, RESOLVER, GOOD, [WEB])  # the network resolved it, another client did
    for client in clients:
        c.tcp(client, WEB, 443, [client_hello(GOOD)])
        c.tcp(client, WEB, 80, [http_request(GOOD)])
        c.tcp(client, "203.0.113.11", 443, [client_hello(GOOD)])
    c.at("2026-03-02 11:04:00")  # five minutes of TTL and an hour of grace are not over
    c.tcp(clients[2], WEB, 443, [client_hello(GOOD)])
    c.at("2026-03-02 14:30:00")
    c.tcp(clients[2], WEB, 443, [client_hello(GOOD)])


def early_answer(c):
    c.dns(ANN, RESOLVER, BAD, ["203.0.113.20"])
    Talk(c, 443, server="203.0.113.20").say(client_hello(GOOD))  # its SYN is denied
    c.dns(ANN, RESOLVER, GOOD, ["203.0.113.20"])
    Talk(c, 443, server="203.0.113.20").say(client_hello(GOOD))  # now a name could be allowed
    Talk(c, 443, server="203.0.113.21").say(client_hello(GOOD))  # never resolved: the hello decides
    c.dns(ANN, RESOLVER, BAD, [ANYHOW])
    Talk(c, 443, server=ANYHOW).say(b"no hello")  # the address alone is allowed: at the SYN
    Talk(c, 8443, server="203.0.113.21")  # no line has the port: at the SYN


def mid_stream(c):
    data = b"\x17\3\3\0\2ok"
    Talk(c, 443, syn=False).say(data)
    Talk(c, 443, server=ANYHOW, syn=False).say(data)
    Talk(c, 443, syn=False).say(client_hello(GOOD))  # a hello is there all the same
    Talk(c, 443, syn=False).say(client_hello(BAD))
    c.dns(ANN, RESOLVER, GOOD, [WEB])
    Talk(c, 443, syn=False).say(data)  # DNS is not enough for this line,
    Talk(c, 22, syn=False).say(data)  # for this it is
    Talk(c, 443, server=ANYHOW, syn=False).hear(b"x").say(data)


# -- packets that are not whole -------------------------------------------------------------------------
def pieces(packet, size=64, ident=7):
    """The fragments of an IPv4 packet."""
    head, body = packet[:20], packet[20:]
    out = []
    for at in range(0, len(body), size):
        more = 0x2000 if at + size < len(body) else 0
        part = body[at:at + size]
        h = head[:2] + struct.pack("!HHH", 20 + len(part), ident, more | at // 8) + head[8:10] + b"\0\0" + head[12:]
        out.append(h[:10] + struct.pack("!H", checksum(h)) + h[12:] + part)
    return out


def fragment(c):
    def datagram(port, name):
        return udp_packet(ANN, port, WEB, 443, dtls_record(dtls_hello(name)))
    for name, order in ((GOOD, 1), (BAD, 1), (GOOD, -1)):  # whole, whole, backwards
        for p in pieces(datagram(c.next_port(), name), ident=c.port)[::order]:
            c.add(p)
    for p in pieces(datagram(c.next_port(), GOOD), ident=1)[:-1]:  # the last never comes
        c.add(p)
    first = pieces(datagram(c.next_port(), GOOD), ident=2)
    over = pieces(udp_packet(ANN, c.port, WEB, 443, b"\xff" * 200), 72, ident=2)
    for p in (first[0], over[1], *first[1:]):  # they overlap
        c.add(p)
    c.at("2026-03-02 10:02:00")
    Talk(c, 443, client=BOB).say(client_hello(GOOD))


def packet_malformed(c):
    def tcp(flags, change=lambda p: p):
        port = c.next_port()
        c.add(change(tcp_packet(f"10.1.0.{port % 100}", port, WEB, 443, 1, 0, flags, b"")))
    tcp(SYN | FIN)
    tcp(0)
    tcp(SYN, lambda p: p[:32] + b"\x40" + p[33:])  # a TCP header of 16 bytes
    tcp(SYN, lambda p: p[:32] + b"\xf0" + p[33:])  # and of 60, past the end
    tcp(SYN, lambda p: p[:2] + struct.pack("!H", 30) + p[4:])  # an IP length within the TCP header
    c.add(udp_packet(ANN, c.next_port(), WEB, 443, b"x")[:24] + b"\0\x63" + b"\0\0x")  # a UDP length past it
    Talk(c, 443).say(client_hello(GOOD))
    for first in (b"", client_hello(GOOD)):  # an urgent byte, in the hello and in what follows it
        talk = Talk(c, 443).say(first)
        c.add(tcp_packet(*talk.there, talk.seq + 1 + talk.sent, talk.ack + 1, ACK | URG, client_hello(GOOD)))


CASES = (tls_names, tls_records, tls_large, tls_versions, hello_retry, hello_early, heard, syn_again, dtls, starttls, connect_socks, http_forms,
         http_every_request, http_upload_loss, held, held_stuck, table_full, broken_hello, mismatch, early_answer, mid_stream, fragment, packet_malformed)
