"""pcapgen: writes the captures of the golden cases, reads captures, and cuts them anew.

    c = Capture(at="2026-03-02 10:00:00")
    c.dns("10.1.0.2", "10.0.0.53", "www.example", ["203.0.113.1"])
    c.tcp("10.1.0.2", "203.0.113.1", 443, [client_hello("www.example")])
    c.write("in.pcap")

Frames are Ethernet with right checksums; everything is the same from run to run.
"""
import calendar
import hashlib
import ipaddress
import random
import struct
import time

SYN, FIN, RST, PSH, ACK, URG = 2, 1, 4, 8, 16, 32
SECOND_FLIGHT = b"\x14\3\3\0\1\1" + b"\x17\3\3\0\2ok"  # change_cipher_spec, and what is encrypted
MAC_CLIENT, MAC_GATEWAY = bytes.fromhex("020000000001"), bytes.fromhex("0200000000fe")


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip_packet(src, dst, protocol, payload):
    """An IPv4 or IPv6 packet; the payload's checksum (TCP at 16, UDP at 6) is filled in."""
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    at = {6: 16, 17: 6}[protocol]
    if a.version == 4:
        pseudo = a.packed + b.packed + struct.pack("!BBH", 0, protocol, len(payload))
    else:
        pseudo = a.packed + b.packed + struct.pack("!IHBB", len(payload), 0, 0, protocol)
    total = checksum(pseudo + payload) or 0xffff
    payload = payload[:at] + struct.pack("!H", total) + payload[at + 2:]
    if a.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + a.packed + b.packed + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0) \
        + a.packed + b.packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp_packet(src, sport, dst, dport, seq, ack, flags, payload=b""):
    head = struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, 5 << 4, flags, 64240, 0, 0)
    return ip_packet(src, dst, 6, head + payload)


def udp_packet(src, sport, dst, dport, payload):
    return ip_packet(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload)


# -- what clients say -------------------------------------------------------------------------------
def vector(size, *parts):
    """A TLS vector: its length in `size` bytes, then its parts."""
    body = b"".join(parts)
    return len(body).to_bytes(size, "big") + body


def client_hello(name=None, extensions=(), record=16384):
    """A TLS 1.3 ClientHello for a name, in records of at most `record` bytes (RFC 8446)."""
    def extension(kind, body):
        return struct.pack("!H", kind) + vector(2, body)
    noise = hashlib.sha512((name or "").encode()).digest()
    parts = []
    if name is not None:
        parts.append(extension(0, vector(2, b"\0" + vector(2, name.encode()))))
    parts += [extension(10, vector(2, b"\0\x1d")), extension(13, vector(2, b"\4\3\x08\4")),
              extension(16, vector(2, vector(1, b"h2"), vector(1, b"http/1.1"))),
              extension(43, vector(1, b"\3\4")),
              extension(51, vector(2, b"\0\x1d", vector(2, noise[:32]))),
              *(extension(k, b) for k, b in extensions)]
    body = b"\3\3" + noise[32:] + vector(1, noise[:32]) + vector(2, b"\x13\1\x13\2\x13\3") \
        + vector(1, b"\0") + vector(2, *parts)
    message = b"\1" + vector(3, body)
    return b"".join(b"\x16\3\1" + vector(2, message[i:i + record])
                    for i in range(0, len(message), record))


def http_request(host, path="/"):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: golden\r\n\r\n".encode()


def dns_name(name):
    return b"".join(vector(1, p.encode()) for p in name.split(".")) + b"\0"


def dns_answer(name, addresses, ttl=300, ident=7, cname=None):
    """Query and answer for a name, with a CNAME before the addresses where one is given."""
    kind = 28 if addresses and ":" in addresses[0] else 1
    question = dns_name(name) + struct.pack("!HH", kind, 1)
    records = []
    if cname:
        records.append(b"\xc0\x0c" + struct.pack("!HHI", 5, 1, ttl) + vector(2, dns_name(cname)))
    owner = dns_name(cname) if cname else b"\xc0\x0c"
    records += [owner + struct.pack("!HHI", kind, 1, ttl)
                + vector(2, ipaddress.ip_address(a).packed) for a in addresses]
    query = struct.pack("!HHHHHH", ident, 0x100, 1, 0, 0, 0) + question
    answer = struct.pack("!HHHHHH", ident, 0x8180, 1, len(records), 0, 0) + question
    return query, answer + b"".join(records)


# -- captures ---------------------------------------------------------------------------------------
class Capture:
    def __init__(self, at="2026-03-02 10:00:00", frames=()):
        self.now = calendar.timegm(time.strptime(at, "%Y-%m-%d %H:%M:%S")) * 10**6
        self.frames = list(frames)  # (microseconds, bytes)
        self.port = 40000

    def at(self, text):
        self.now = Capture(text).now

    def add(self, packet, from_client=True, after=1000):
        self.now += after
        macs = MAC_GATEWAY + MAC_CLIENT if from_client else MAC_CLIENT + MAC_GATEWAY
        self.frames.append((self.now, macs + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0") + packet))

    def next_port(self):
        self.port += 1
        return self.port

    def tcp(self, client, server, port, says=(), answer=b"", close=True):
        """A connection: handshake, the client's payloads, an answer (and after a TLS hello the client's
        second flight), and the end."""
        sport = self.next_port()
        seq, ack = 1000 * sport, 7000 * sport
        there, back = (client, sport, server, port), (server, port, client, sport)
        self.add(tcp_packet(*there, seq, 0, SYN))
        self.add(tcp_packet(*back, ack, seq + 1, SYN | ACK), False)
        seq, ack = seq + 1, ack + 1
        self.add(tcp_packet(*there, seq, ack, ACK))
        for payload in says:
            self.add(tcp_packet(*there, seq, ack, PSH | ACK, payload))
            seq += len(payload)
        if answer:
            self.add(tcp_packet(*back, ack, seq, PSH | ACK, answer), False)
            ack += len(answer)
            if says and says[0][:2] == b"\x16\3":
                self.add(tcp_packet(*there, seq, ack, PSH | ACK, SECOND_FLIGHT))
                seq += len(SECOND_FLIGHT)
        if close:
            self.add(tcp_packet(*there, seq, ack, FIN | ACK))
            self.add(tcp_packet(*back, ack, seq + 1, FIN | ACK), False)
            self.add(tcp_packet(*there, seq + 1, ack + 1, ACK))

    def udp(self, client, server, port, says=(), answer=b""):
        sport = self.next_port()
        for payload in says:
            self.add(udp_packet(client, sport, server, port, payload))
        if answer:
            self.add(udp_packet(server, port, client, sport, answer), False)

    def dns(self, client, resolver, name, addresses, **more):
        query, answer = dns_answer(name, addresses, **more)
        self.udp(client, resolver, 53, [query], answer)

    def write(self, path):
        with open(path, "wb") as f:
            f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
            for at, frame in self.frames:
                f.write(struct.pack("<IIII", at // 10**6, at % 10**6, len(frame), len(frame)) + frame)


def pcap(frames, link=1, snaplen=262144):
    """A pcap file of frames (microseconds, bytes), each cut to a snapshot length."""
    return struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, snaplen, link) + b"".join(
        struct.pack("<IIII", at // 10**6, at % 10**6, min(len(f), snaplen), len(f)) + f[:snaplen]
        for at, f in frames)


def pcapng(links, frames, snaplen=262144):
    """A pcapng file of interfaces with these link types, and frames (interface, microseconds, bytes)."""
    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        size = struct.pack("<I", 12 + len(body))
        return struct.pack("<I", kind) + size + body + size
    out = block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1))
    out += b"".join(block(1, struct.pack("<HHI", link, 0, snaplen)) for link in links)
    for i, at, f in frames:
        kept = f[:snaplen]
        out += block(6, struct.pack("<IIIII", i, at >> 32, at & 0xffffffff, len(kept), len(f)) + kept)
    return out


def read(path):
    """The frames of an Ethernet pcap file: [(microseconds, bytes)]."""
    with open(path, "rb") as f:
        data = f.read()
    magic, link = struct.unpack_from("<I", data)[0], struct.unpack_from("<I", data, 20)[0]
    if magic not in (0xa1b2c3d4, 0xa1b23c4d) or link != 1:
        raise ValueError(f"{path}: not a little-endian Ethernet pcap")
    unit = 1 if magic == 0xa1b2c3d4 else 1000
    frames, at = [], 24
    while at < len(data):
        seconds, part, length, _ = struct.unpack_from("<IIII", data, at)
        frames.append((seconds * 10**6 + part // unit, data[at + 16:at + 16 + length]))
        at += 16 + length
    return frames


def payload_of(frame):
    """(source, sport, destination, dport, payload) of a TCP frame with a plain IP header, or None."""
    ether = struct.unpack_from("!H", frame, 12)[0]
    if ether == 0x800 and frame[23] == 6:
        ip, addresses, size = 14 + (frame[14] & 15) * 4, (26, 4), struct.unpack_from("!H", frame, 16)[0]
        end = 14 + size
    elif ether == 0x86dd and frame[20] == 6:
        ip, addresses, end = 54, (22, 16), 54 + struct.unpack_from("!H", frame, 18)[0]
    else:
        return None
    start, width = addresses
    source, destination = (str(ipaddress.ip_address(frame[p:p + width]))
                           for p in (start, start + width))
    sport, dport = struct.unpack_from("!HH", frame, ip)
    return source, sport, destination, dport, frame[ip + (frame[ip + 12] >> 4) * 4:end]


def datagram_of(frame):
    """The same of a UDP frame that is no fragment."""
    v6 = frame[12:14] == b"\x86\xdd"
    if frame[12:14] not in (b"\x08\0", b"\x86\xdd") or frame[20 if v6 else 23] != 17:
        return None
    if not v6 and struct.unpack_from("!H", frame, 20)[0] & 0x3fff:
        return None
    ip, start, width = (54, 22, 16) if v6 else (14 + (frame[14] & 15) * 4, 26, 4)
    source, destination = (str(ipaddress.ip_address(frame[p:p + width])) for p in (start, start + width))
    sport, dport = struct.unpack_from("!HH", frame, ip)
    return source, sport, destination, dport, frame[ip + 8:]


def recut(frames, pieces, backwards=False):
    """The same capture with every TCP payload cut: pieces(payload) gives the cuts' offsets. Backwards:
    the last part of each payload comes first."""
    out = []
    for at, frame in frames:
        tcp = payload_of(frame)
        if not tcp or len(tcp[4]) < 2:
            out.append((at, frame))
            continue
        source, sport, destination, dport, payload = tcp
        head = frame.index(payload) if payload else len(frame)
        ip = 54 if frame[12:14] == b"\x86\xdd" else 14 + (frame[14] & 15) * 4
        seq, ack = struct.unpack_from("!II", frame, ip + 4)
        flags = frame[ip + 13]
        cuts = [0, *sorted(set(c for c in pieces(payload) if 0 < c < len(payload))), len(payload)]
        for a, b in list(zip(cuts, cuts[1:]))[::-1 if backwards else 1]:
            last = b == len(payload)
            mine = flags if last else flags & ~(FIN | PSH)
            out.append((at, frame[:14] + tcp_packet(source, sport, destination, dport, seq + a, ack,
                                                    mine, payload[a:b])))
        assert head
    return out


def cut_in_turn(first):
    """Each payload in two: the first at offset `first`, each next one byte later (modulo its length)."""
    at = iter(range(first, 1 << 30))
    return lambda payload: [next(at) % len(payload)]


def cut_everywhere(payload):
    return range(1, len(payload))


def cut_random(seed, most=6):
    dice = random.Random(seed)
    return lambda payload: [dice.randrange(1, len(payload)) for _ in range(dice.randint(1, most))]
