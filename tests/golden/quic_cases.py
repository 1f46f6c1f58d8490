"""quic_cases: golden cases of QUIC: versions, and Initials in every order that clients send them."""
from name_cases import ANN, BAD, GOOD, WEB, ANYHOW, sni
from pcapgen import client_hello, udp_packet, vector
from quicgen import (DRAFT29, V1, V2, crypto, initial, long_header, other, retry, two_keys,
                     version_negotiation)

A, B, C = b"\xa1" * 8, b"\xb2" * 8, b"\xc3" * 18
ACKED, PING = b"\2\0\0\0\0", b"\1"


def message(name, extensions=(), size=0):
    """The hello without its record, with padding (extension 21) up to `size`."""
    def made(more):
        records = client_hello(name, [*extensions, (57, b"\1\2\x40\x64"), *more])
        return b"".join(records[at + 5:at + 16389] for at in range(0, len(records), 16389))
    bare = len(made([]))
    return made([(21, bytes(size - bare - 4))] if size else [])


def flow(c, datagrams, server=WEB):
    """Datagrams of a client; ("server", bytes) is one of the server."""
    port = c.next_port()
    for d in datagrams:
        if isinstance(d, tuple):
            c.add(udp_packet(server, 443, ANN, port, d[1]), False)
        else:
            c.add(udp_packet(ANN, port, server, 443, d))


def one(name, dcid=A, **more):
    return initial(crypto(message(name)), dcid, size=1200, **more)


def quic_versions(c):
    for version in (V1, V2, DRAFT29):
        for name in (GOOD, BAD):
            flow(c, [one(name, version=version)])
    flow(c, [one(None)])
    flow(c, [initial(crypto(message(None, [sni(GOOD + "\0")])), A, size=1200)])
    flow(c, [one(GOOD, version=0x1a2a3a4a)])  # a version that nobody has
    flow(c, [one(GOOD, key_id=B)])  # keys that the datagram does not tell
    flow(c, [initial(crypto(b"\2" + vector(3, bytes(40))), A, size=1200)])  # no ClientHello
    flow(c, [one(GOOD, version=0x1a2a3a4a)], ANYHOW)
    flow(c, [b"\x43" + A + b"\x55" * 60])  # a short header: mid-stream
    flow(c, [other(2, A)])  # a Handshake packet: mid-stream
    for name in (GOOD, BAD):
        flow(c, [one(GOOD, version=V2), ("server", version_negotiation([V1], A)), one(name, B, version=V1)])


def padded(datagram):
    """Zeros behind the packets, up to the size that a client's Initial has at least."""
    return datagram.ljust(1200, b"\0")


def parts_of(message, *cuts, dcid=A, **more):
    """Its bytes between the cuts, a datagram each."""
    cuts = (0, *cuts, len(message))
    return [initial(crypto(message[a:b], a), dcid, number=i, size=1200, **more)
            for i, (a, b) in enumerate(zip(cuts, cuts[1:]))]


def quic_split(c):
    for name in (GOOD, BAD):
        m = message(name)
        parts = [crypto(m[at:at + 50], at) for at in range(0, len(m), 50)]
        shuffled = [parts[i] for i in (3, 0, 2, 1, *range(len(parts) - 1, 3, -1))]
        flow(c, [initial((PING + b"\0\0\0").join(shuffled), A, size=1200)])
        packets = [initial(p, A, number=i) for i, p in enumerate(shuffled)]
        flow(c, [padded(b"".join(packets))])  # coalesced
        packets = [padded(p) for p in packets]
        flow(c, [packets[1], packets[0], packets[1], *packets[2:]])  # one each, and one again
        flow(c, [padded(initial(crypto(m), A) + other(1, A))])  # 0-RTT behind,
        flow(c, [padded(other(1, A) + initial(crypto(m), A))])  # before it,
        flow(c, [other(1, A), initial(crypto(m), A, size=1200)])  # and in a datagram of its own
        half = len(m) // 2
        flow(c, [initial(crypto(m[:half]), A, size=1200), ("server", other(2, b"\x5c\x1d")),
                 initial(ACKED + crypto(m[half:], half), C, number=1, key_id=A, size=1200)])
        flow(c, [*parts_of(m, half), ("server", retry(B)), *parts_of(m, half, dcid=B, token=b"again")])
    m, n = message(GOOD), message(BAD)
    flow(c, [parts_of(m, 90)[0], initial(crypto(n[60:], 60), A, number=1, size=1200)])  # they contradict
    flow(c, [parts_of(m, 90)[0]])  # and one that stops
    flow(c, [parts_of(m, 90)[0], *parts_of(m, dcid=B)])  # or goes on as another connection
    for name in (GOOD, BAD):  # after a Retry, another hello
        flow(c, [one(GOOD), ("server", retry(B)), one(name, B, token=b"again", number=1), other(2, B)])


def quic_large(c):
    for name, size in ((GOOD, 65535), (BAD, 9000), (GOOD, 65600)):
        flow(c, parts_of(message(name, size=size), *range(1100, size, 1100)))


def quic_another(c):
    data = b"\x43" + B + b"\x66" * 60
    for name in (GOOD, "www.other.example", BAD):  # another connection on the ports of an allowed one,
        flow(c, [one(GOOD), other(2, A), data, one(name, B), data])
    for flip in (0, 0x40):  # with the fixed bit or without: RFC 9287
        flow(c, [one(GOOD, flip=flip), data, one(BAD, B, flip=flip)])
    flow(c, [one(GOOD), data, *parts_of(message(BAD), 90, dcid=B), data])  # its hello in two datagrams,
    flow(c, [one(GOOD), data, one(GOOD, version=0x1a2a3a4a)])  # in a version that nobody has;
    flow(c, [one(GOOD), one(GOOD, B), initial(ACKED, C, number=1, key_id=A, size=1200), data])  # both go on
    for name in (GOOD, BAD):  # a HelloRetryRequest's second hello
        m = message(GOOD)
        flow(c, [one(GOOD), initial(crypto(message(name), len(m)), C, number=1, key_id=A, size=1200), data])
    m, n, sealed = message(GOOD), message(BAD), initial(b"", B, key_id=C)
    flow(c, [one(GOOD), sealed + one(BAD, B)])  # behind one that no key opens,
    flow(c, [one(GOOD), one(GOOD, B), initial(crypto(n, len(m)), C, number=1, key_id=A, size=1200)])  # of the older,
    flow(c, [initial(crypto(m + n), A, size=1200)])  # behind the first in one datagram,
    flow(c, [initial(crypto(n, len(m)), A, size=1200), initial(crypto(m), A, number=1, size=1200)])  # or before it,
    for name in (GOOD, BAD):  # or in its place, under the same keys
        flow(c, [one(GOOD), data, one(name, number=1)])
    flow(c, [data, other(1, A, size=1200), data], ANYHOW)  # early data of a connection met mid-stream
    flow(c, [data, one(BAD)], ANYHOW)  # allowed by its address: a name says nothing more
    flow(c, [b"\xc5" + bytes(range(250)) * 5] * 2, ANYHOW)  # and what only looks like an Initial


def quic_decoy(c):
    """An allowed hello that its server need not take, and a denied one in its place."""
    m, n = message(GOOD), message(BAD)
    cut = n.find(b"denied") + 3
    for decoy in (padded(initial(crypto(m), A))[:1199],  # too small for a server, RFC 9000 14.1
                  one(GOOD, flip=0x40), one(GOOD, token=b"made up"), one(GOOD),
                  initial(ACKED + crypto(m), A, size=1200), initial(crypto(m) + b"\x1c\0\0\0", A, size=1200)):
        flow(c, [decoy, *parts_of(n, cut)])
        flow(c, [decoy, *reversed(parts_of(n, cut))])
    flow(c, [one(GOOD), *parts_of(m, 30, cut), one(GOOD, number=9)])  # the same again, cut otherwise
    flow(c, [*parts_of(m, 90), parts_of(n, 90)[1]])  # other bytes in one part's place
    flow(c, [one(GOOD, A[:7])])  # an ID that is too short, RFC 9000 7.2,
    flow(c, [one(GOOD, A[:7], token=b"of a Retry")])  # but for one that the server gave
    flow(c, [one(GOOD, flip=4)])  # a reserved bit
    # a number that the server, but not a careless reader, takes for another
    flow(c, [one(GOOD), initial(PING, B, number=0x01000000, size=1200), one(BAD, B, number=0x01000001)])
    size = 1162 - len(crypto(bytes(1)))
    inside = crypto(message(GOOD, size=640)) + bytes(size - 640)
    flow(c, [one(GOOD), two_keys(inside, B, A, 480)])  # two keys open it: as which does its server read it?


def quic_tail(c):
    """What stands behind a good Initial in its datagram never makes it bad (RFC 9000 12.2)."""
    for name in (GOOD, BAD):
        first = initial(crypto(message(name)), A, size=1198)
        for tail in (b"\xc8\x13", b"\xc3\0\0", long_header(V1, 1, A) + b"\x7f\xff", b"\x43\1",
                     initial(b"", A, key_id=B), one(GOOD, version=0x1a2a3a4a)):
            flow(c, [first + tail])
        flow(c, [b"\xe1\x6f\x7d\xc0\xfd" + long_header(V1, 0, A)[5:] + first])  # advice for the path before it
    flow(c, [first + one(GOOD, B)])  # but two connections in one: a server reads one of them
    flow(c, [one(GOOD) + one(BAD, B)])
    for more in (dict(dcid=B[:7]), dict(dcid=B, flip=4)):  # however odd the other is
        flow(c, [initial(crypto(message(GOOD)), A) + one(BAD, **more)])


def quic_joined(c):
    """Datagrams that the kernel has joined into one packet (GSO, GRO): each is one."""
    for name in (GOOD, BAD):
        flow(c, [one(GOOD) + one(name, B)])
        flow(c, [one(GOOD), other(2, C, size=1177) + one(name, B)])
        flow(c, [b"".join(parts_of(message(name, size=1700), 800))])
    flow(c, [one(GOOD) + one(GOOD, B) + one(GOOD, C) + b"\x43 and a smaller one"])


CASES = (quic_versions, quic_split, quic_large, quic_another, quic_decoy, quic_tail, quic_joined)
