"""raw_tcp: a client whose packets are made by hand, many connections at once on one socket.

A packet's fields are a dict, as a script of adversary.py has them; what is not named is as an honest stack makes it:
flags ack ts win urg at (numbers; ack, ts and at relative to what is right), ttl, sum, ipsum (true: a wrong checksum),
tcpopt, ipopt (hex, in the place of options), ext ([next header, hex]: IPv6 extension headers), doff (words),
frag (bytes of a fragment's payload), super (payload a segment: one super-packet, cut by the kernel).
"""
import ipaddress
import socket
import struct

from pcapgen import ACK, PSH, RST, SYN, checksum

ETH_P_ALL, SOL_PACKET, PACKET_VNET_HDR = 3, 263, 15
PLAIN = bytes(10)  # a virtio_net_hdr that asks for nothing


def packed(address):
    return ipaddress.ip_address(address).packed


def ip_head(src, dst, length, fields, ident=0, fragment=0x4000):
    options = bytes.fromhex(fields.get("ipopt", ""))
    options += bytes(-len(options) % 4)
    head = struct.pack("!BBHHHBBH", 0x40 | 5 + len(options) // 4, 0, 20 + len(options) + length, ident, fragment,
                       fields.get("ttl", 64), 6, 0) + packed(src) + packed(dst) + options
    total = checksum(head) ^ (0x1111 if fields.get("ipsum") else 0)
    return head[:10] + struct.pack("!H", total) + head[12:]


def ip6_head(src, dst, length, fields):
    first, extension = fields.get("ext", (6, ""))
    extension = bytes.fromhex(extension)
    return struct.pack("!IHBB", 6 << 28, len(extension) + length, first, fields.get("ttl", 64)) + packed(src) + packed(dst) + extension


def summed(src, dst, segment, wrong):
    length = struct.pack("!IHBB", len(segment), 0, 0, 6) if ":" in src else struct.pack("!BBH", 0, 6, len(segment))
    total = (checksum(packed(src) + packed(dst) + length + segment) or 0xffff) ^ (0x5555 if wrong else 0)
    return segment[:16] + struct.pack("!H", total) + segment[18:]


def fragments(src, dst, segment, fields, ident):
    """The packets of a segment: one, or its fragments (IPv4: RFC 791; IPv6: RFC 8200 4.5)."""
    size, six = fields.get("frag", 0) // 8 * 8, ":" in src
    if not size:
        yield (ip6_head if six else ip_head)(src, dst, len(segment), fields) + segment
        return
    for at in range(0, len(segment), size):
        piece, more = segment[at:at + size], at + size < len(segment)
        if six:
            extension = struct.pack("!BBHI", 6, 0, at | more, ident).hex()
            yield ip6_head(src, dst, len(piece), {**fields, "ext": (44, extension)}) + piece
        else:
            yield ip_head(src, dst, len(piece), fields, ident & 0xffff, at // 8 | 0x2000 * more) + piece


def parse(packet):
    """(server, client's port, flags, seq, payload's length, timestamp) of a TCP packet that came back, or None."""
    if packet[0] >> 4 == 4:
        at, protocol, end = (packet[0] & 15) * 4, packet[9], struct.unpack("!H", packet[2:4])[0]
    else:
        at, protocol, end = 40, packet[6], 40 + struct.unpack("!H", packet[4:6])[0]
    if protocol != 6 or len(packet) < at + 20:
        return None
    port, seq = struct.unpack("!2xHI", packet[at:at + 8])
    head = (packet[at + 12] >> 4) * 4
    options, stamp = packet[at + 20:at + head], 0
    while options and options[0]:
        if options[0] == 8:
            stamp = struct.unpack("!I", options[2:6])[0]
        options = options[1:] if options[0] == 1 else options[max(2, options[1]) if len(options) > 1 else 1:]
    return port, packet[at + 13], seq, max(0, end - at - head), stamp


class Wire:
    """The client's interface."""

    def __init__(self, lab):
        self.socket = lab.socket("client", socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self.socket.bind(("eth0", 0))
        self.socket.setblocking(False)
        self.mac, self.gateway = (bytes.fromhex(lab.run(h, "cat", f"/sys/class/net/{d}/address").stdout.strip().replace(":", ""))
                                  for h, d in (("client", "eth0"), ("gateway", "lan0")))
        for tool in ("iptables", "ip6tables"):  # the client's kernel knows nothing of these connections
            lab.run("client", tool, "-A", "OUTPUT", "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP")
        for host, device in (("gateway", "lan0"), ("outside", "eth0")):  # wrong checksums are looked at
            lab.run(host, "ethtool", "-K", device, "rx", "off", check_exit=False)

    def put(self, packet, offload=PLAIN):
        kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0"
        self.socket.send(offload + self.gateway + self.mac + kind + packet)

    def take(self):
        """What came back so far."""
        try:
            while True:
                frame = self.socket.recv(70000)[10:]
                if frame[:6] == self.mac and frame[12:14] in (b"\x08\0", b"\x86\xdd") and (seen := parse(frame[14:])):
                    yield seen
        except BlockingIOError:
            return

    def close(self):
        self.socket.close()


class Connection:
    """A TCP connection of the client's, as far as a script takes it."""

    def __init__(self, wire, source, server, port, number, start):
        self.wire, self.source, self.server, self.port, self.number = wire, source, server, port, number
        self.base = start + 1  # the number of the first byte
        self.got = self.stamp = None  # what the server's next byte has for a number
        self.clock, self.acked, self.idents = 1_000_000_000, 0, number << 8
        self.data = self.reset = False

    def hear(self, flags, seq, length, stamp):
        if flags & RST:
            self.reset = True
            return
        if flags & SYN:
            self.got = self.acked = seq + 1 & 0xffffffff
        elif self.got is not None and length and (seq + length - self.got) % 2**32 < 2**31:
            self.got, self.data = seq + length & 0xffffffff, True
        self.stamp = stamp or self.stamp

    def segment(self, payload, fields):
        flags = fields.get("flags", PSH | ACK if payload else ACK)
        self.clock += 1
        options = b"\1\1\x08\x0a" + struct.pack("!II", self.clock + fields.get("ts", 0) & 0xffffffff, self.stamp or 0)
        if flags & SYN:
            options = struct.pack("!BBH", 2, 4, fields.get("mss", 1460)) + b"\1\1\4\2" + options
        if "tcpopt" in fields:
            options = bytes.fromhex(fields["tcpopt"])
            options += bytes(-len(options) % 4)
        ack = (self.acked + fields.get("ack", 0)) & 0xffffffff if flags & ACK or "ack" in fields else 0
        return struct.pack("!HHIIBBHHH", self.number, self.port, (self.base + fields.get("at", 0)) & 0xffffffff, ack,
                           fields.get("doff", 5 + len(options) // 4) << 4, flags, fields.get("win", 64240), 0,
                           fields.get("urg", 0)) + options + payload

    def send(self, payload=b"", **fields):
        segment = self.segment(payload, fields)
        if 0 < (size := fields.get("super", 0)) < len(payload):
            return self.send_super(segment, len(segment) - len(payload), size, fields)
        self.idents += 1
        segment = summed(self.source, self.server, segment, fields.get("sum"))
        for packet in fragments(self.source, self.server, segment, fields, self.idents):
            self.wire.put(packet)

    def send_super(self, segment, head, size, fields):
        """One packet of several segments; the kernel cuts it (virtio: TCPV4 1, TCPV6 4)."""
        six = ":" in self.source
        ip = (ip6_head if six else ip_head)(self.source, self.server, len(segment), {"ttl": fields.get("ttl", 64)})
        length = struct.pack("!IHBB", len(segment), 0, 0, 6) if six else struct.pack("!BBH", 0, 6, len(segment))
        pseudo = ~checksum(packed(self.source) + packed(self.server) + length) & 0xffff
        segment = segment[:16] + struct.pack("!H", pseudo) + segment[18:]
        start = 14 + len(ip)
        self.wire.put(ip + segment, struct.pack("<BBHHHH", 1, 4 if six else 1, start + head, size, start, 16))
