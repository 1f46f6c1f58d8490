"""quic_cases: golden cases of QUIC: versions, and Initials in every order that clients send them."""
from name_cases import ANN, BAD, GOOD, WEB, ANYHOW, sni
from pcapgen import client_hello, udp_packet, vector
from quicgen import DRAFT29, V1, V2, crypto, initial, other, retry, version_negotiation

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


def quic_split(c):
    for name in (GOOD, BAD):
        m = message(name)
        parts = [crypto(m[at:at + 50], at) for at in range(0, len(m), 50)]
        shuffled = [parts[i] for i in (3, 0, 2, 1, *range(len(parts) - 1, 3, -1))]
        flow(c, [initial((PING + b"\0\0\0").join(shuffled), A, size=1200)])
        packets = [initial(p, A, number=i) for i, p in enumerate(shuffled)]
        flow(c, [b"".join(packets)])  # coalesced
        flow(c, [packets[1], packets[0], packets[1], *packets[2:]])  # one each, and one again
        flow(c, [initial(crypto(m), A) + other(1, A)])  # 0-RTT behind,
        flow(c, [other(1, A), initial(crypto(m), A)])  # and before it
        half = len(m) // 2
        flow(c, [initial(crypto(m[:half]), A, size=1200), ("server", other(2, b"\x5c\x1d")),
                 initial(ACKED + crypto(m[half:], half), C, number=1, key_id=A, size=1200)])
        flow(c, [initial(crypto(m[:half]), A), ("server", retry(B)),
                 initial(crypto(m[:half]), B, token=b"again", number=1),
                 initial(crypto(m[half:], half), B, token=b"again", number=2)])
    m, n = message(GOOD), message(BAD)
    flow(c, [initial(crypto(m[:90]), A), initial(crypto(n[60:], 60), A, number=1)])  # they contradict
    flow(c, [initial(crypto(m[:90]), A)])  # and one that stops
    for name in (GOOD, BAD):  # after a Retry, another hello
        flow(c, [one(GOOD), ("server", retry(B)), one(name, B, token=b"again", number=1), other(2, B)])


def quic_large(c):
    for name, size in ((GOOD, 65535), (BAD, 9000), (GOOD, 65600)):
        m = message(name, size=size)
        flow(c, [initial(crypto(m[at:at + 1100], at), A, number=at // 1100) for at in range(0, len(m), 1100)])


def quic_another(c):
    data = b"\x43" + B + b"\x66" * 60
    for name in (GOOD, "www.other.example", BAD):  # another connection on the ports of an allowed one,
        flow(c, [one(GOOD), other(2, A), data, one(name, B), data])
    m = message(BAD)  # its hello in two datagrams,
    flow(c, [one(GOOD), data, initial(crypto(m[:90]), B, size=1200),
             initial(crypto(m[90:], 90), B, number=1, size=1200), data])
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


CASES = (quic_versions, quic_split, quic_large, quic_another)
