"""dns_cases: golden cases of DNS: what an answer must have to count, and what it counts for."""
import ipaddress
import struct

from pcapgen import client_hello, dns_name, tcp_packet, udp_packet, vector, ACK, FIN, PSH, SYN

ANN, BOB, RESOLVER, RESOLVER6 = "10.1.0.2", "10.1.0.3", "10.0.0.53", "2001:db8:0:53::53"
A, CNAME, AAAA, SRV, NAPTR, DNAME, HTTPS = 1, 5, 28, 33, 35, 39, 65
AT_QUESTION = b"\xc0\x0c"


def site(n):
    return f"203.0.113.{n}"


def record(owner, kind, data, ttl=300):
    owner = owner if isinstance(owner, bytes) else dns_name(owner)
    return owner + struct.pack("!HHI", kind, 1, ttl) + vector(2, data)


def address(owner, text, ttl=300):
    packed = ipaddress.ip_address(text).packed
    return record(owner, A if len(packed) == 4 else AAAA, packed, ttl)


def alias(owner, target, kind=CNAME, ttl=300):
    return record(owner, kind, dns_name(target), ttl)


def query(name, kind=A, ident=7):
    return struct.pack("!HHHHHH", ident, 0x100, 1, 0, 0, 0) + dns_name(name) + struct.pack("!HH", kind, 1)


def answer(name, records, kind=A, ident=7, flags=0x8180, count=None, additional=()):
    count = len(records) if count is None else count
    return struct.pack("!HHHHHH", ident, flags, 1, count, 0, len(additional)) + dns_name(name) \
        + struct.pack("!HH", kind, 1) + b"".join([*records, *additional])


def ask(c, client, name, records, kind=A, **more):
    c.udp(client, RESOLVER6 if ":" in client else RESOLVER, 53, [query(name, kind)],
          answer(name, records, kind, **more))


def ssh(c, n, client=ANN):
    """A flow without a name of its own: DNS alone can name it."""
    c.tcp(client, n if isinstance(n, str) else site(n), 22, [b"SSH-2.0-golden\r\n"])


def dns_chains(c):
    ask(c, ANN, "one.allowed.example", [alias(AT_QUESTION, "b.cdn.example"),
                                        alias("b.cdn.example", "c.cdn.example", ttl=20),
                                        address("C.cdn.EXAMPLE", site(1))])
    ask(c, ANN, "two.allowed.example", [address("c.cdn.example", site(2)),  # backwards
                                        alias("b.cdn.example", "c.cdn.example"),
                                        alias("two.allowed.example", "b.cdn.example")])
    ask(c, ANN, "a.b.three.allowed.example", [alias("three.allowed.example", "cdn.example", DNAME),
                                              address("a.b.cdn.example", site(3))])
    ask(c, ANN, "FOUR.aLLowed.eXample", [address("four.Allowed.example", "2001:db8:9::4")], AAAA)
    hints = b"\0\1\0" + b"\0\1" + vector(2, b"\2h2") + b"\0\4" + vector(2, bytes([203, 0, 113, 5])) \
        + b"\0\6" + vector(2, ipaddress.ip_address("2001:db8:9::5").packed)
    ask(c, ANN, "five.allowed.example", [record(AT_QUESTION, HTTPS, hints)], HTTPS)
    ask(c, ANN, "six.allowed.example", [address(AT_QUESTION, site(6))], flags=0x8380)  # cut: counts
    ask(c, ANN, "denied.example", [alias(AT_QUESTION, "seven.allowed.example"),  # counts for the asked
                                   address("seven.allowed.example", site(7))])
    options = b"\0" + struct.pack("!HHIH", 41, 4096, 0, 4) + struct.pack("!HH", 12, 0)  # EDNS, padding
    asked = query("eight.allowed.example")
    c.udp(ANN, RESOLVER, 53, [asked[:10] + b"\0\1" + asked[12:] + options],
          answer("eight.allowed.example", [address(AT_QUESTION, site(8))], additional=[options]))
    for n in (1, 2, 3, "2001:db8:9::4", 5, "2001:db8:9::5", 6, 7, 8):
        ssh(c, n, "2001:db8:1::2" if isinstance(n, str) else ANN)


def dns_ignored(c):
    name = "www.allowed.example"
    c.udp(ANN, RESOLVER, 53, [], answer(name, [address(AT_QUESTION, site(1))]))  # never asked
    c.udp(ANN, RESOLVER, 53, [query(name)], answer(name, [address(AT_QUESTION, site(2))], ident=8))
    c.udp(ANN, RESOLVER, 53, [query("other.example")], answer(name, [address(AT_QUESTION, site(3))]))
    c.udp(ANN, RESOLVER, 53, [query(name, AAAA)], answer(name, [address(AT_QUESTION, site(4))]))
    ask(c, ANN, name, [address(AT_QUESTION, site(5))], flags=0x8183)  # NXDOMAIN
    ask(c, ANN, name, [address("other.example", site(6))])
    ask(c, ANN, name, [address(b"\xc0\x25", site(7))])  # a name that points at itself
    ask(c, ANN, name, [alias(AT_QUESTION, "x.example"), alias("x.example", name),  # a loop
                       address(AT_QUESTION, site(8))])
    ask(c, ANN, name, [address(AT_QUESTION, site(9)), b"\xc0"], count=9)  # damaged after an address
    port = c.next_port()
    c.add(udp_packet(ANN, port, RESOLVER, 53, query(name)))
    late = answer(name, [address(AT_QUESTION, site(10))])
    c.add(udp_packet(RESOLVER, 53, ANN, port, late), False, after=31 * 10**6)
    c.add(udp_packet(ANN, port, RESOLVER, 53, query(name)))
    c.add(udp_packet(RESOLVER, 53, BOB, port, answer(name, [address(AT_QUESTION, site(11))])), False)  # asked by ANN
    for n in range(1, 12):
        ssh(c, n)
        if n == 11:
            ssh(c, n, BOB)


def dns_tcp(c):
    """A cut answer over UDP; then one connection, two questions at once, and their answers in segments
    that come twice and in the wrong order. One of the answers has three hundred addresses."""
    many = [address(AT_QUESTION, str(ipaddress.ip_address("198.18.0.0") + n)) for n in range(300)]
    ask(c, ANN, "many.allowed.example", [], flags=0x8380)
    queries = vector(2, query("many.allowed.example", ident=1)) + vector(2, query("two.allowed.example", ident=2))
    answers = vector(2, answer("two.allowed.example", [address(AT_QUESTION, site(2))], ident=2)) \
        + vector(2, answer("many.allowed.example", many, ident=1))
    port, seq, ack = c.next_port(), 0xffffffff, 5000
    there, back = (ANN, port, RESOLVER, 53), (RESOLVER, 53, ANN, port)
    c.add(tcp_packet(*there, seq, 0, SYN))
    c.add(tcp_packet(*back, ack, seq + 1, SYN | ACK), False)
    c.add(tcp_packet(*there, seq + 1, ack + 1, PSH | ACK, queries[:50]))
    c.add(tcp_packet(*there, seq + 51, ack + 1, PSH | ACK, queries[50:]))
    pieces = [(at, answers[at:at + 1000]) for at in range(0, len(answers), 1000)]
    for at, piece in (pieces[1], pieces[0], pieces[0], *pieces[3:], pieces[2]):
        c.add(tcp_packet(*back, ack + 1 + at, seq + 1 + len(queries), ACK, piece), False)
    c.add(tcp_packet(*there, seq + 1 + len(queries), ack + 1 + len(answers), FIN | ACK))
    for n in ("198.18.0.0", "198.18.1.43", "198.18.1.44", site(2)):
        ssh(c, n)


def ech_outer(c):
    """An HTTPS answer gives ANN an ECHConfig. Then hellos that name its public name: with its config_id,
    with another (GREASE), and by BOB, who was never told."""
    def ech(config_id):
        return (0xfe0d, b"\0\0\1\0\1" + bytes([config_id]) + vector(2, b"\xaa" * 32) + vector(2, b"\xbb" * 144))
    config = b"\x4d\0\x20" + vector(2, b"\xcc" * 32) + vector(2, b"\0\1\0\1") + b"\0" \
        + vector(1, b"outer.allowed.example") + vector(2)
    data = b"\0\1\0\0\5" + vector(2, vector(2, b"\xfe\x0d" + vector(2, config)))
    ask(c, ANN, "hidden.example", [record(AT_QUESTION, HTTPS, data)], HTTPS)
    ask(c, ANN, "hidden.example", [address(AT_QUESTION, site(1))])
    for client, config_id in ((ANN, 0x4d), (ANN, 0x4e), (BOB, 0x4d)):
        c.tcp(client, site(1), 443, [client_hello("outer.allowed.example", [ech(config_id)])])


def service(owner, priority, target, *params, kind=HTTPS, ttl=300):
    data = struct.pack("!H", priority) + (dns_name(target) if target else b"\0")
    return record(owner, kind, data + b"".join(struct.pack("!H", k) + vector(2, v) for k, v in params), ttl)


def dns_services(c):
    """Where an HTTPS record leads, a client connects under the name that it asked for: to what the answer adds
    (1, 2, 3), to what it asks next (4 to 8), over records of its own (SVCB) and several answers."""
    def hello(n, name, client=ANN):
        c.tcp(client, site(n), 443, [client_hello(name)])
    def hello6(n, name):
        c.tcp("2001:db8:1::2", f"2001:db8:9::{n}", 443, [client_hello(name)])
    def ask_https(name, records, additional=(), client=ANN, kind=HTTPS):
        ask(c, client, name, records, kind, additional=additional)
    ask_https("one.allowed.example", [service(AT_QUESTION, 1, "svc.cdn.example")],
              [address("svc.cdn.example", site(1)), address("other.cdn.example", site(101))])
    ask_https("two.allowed.example", [service(AT_QUESTION, 0, "pool.cdn.example")],  # alias, service, CNAME
              [service("pool.cdn.example", 1, "node.cdn.example", (4, bytes([203, 0, 113, 3]))),
               alias("node.cdn.example", "n7.cdn.example"), address("n7.cdn.example", site(2))])
    for n, name in ((1, "one"), (101, "one"), (2, "two"), (3, "two"), (1, "two")):
        hello(n, f"{name}.allowed.example")
    ask_https("four.allowed.example", [service(AT_QUESTION, 1, "svc4.cdn.example")])
    hello(4, "four.allowed.example")  # not yet
    ask(c, ANN, "svc4.cdn.example", [alias(AT_QUESTION, "edge.example"), address("edge.example", site(4))])
    hello(4, "four.allowed.example")
    hello(4, "svc4.cdn.example")  # it is that, and not on the list
    ask_https("five.allowed.example", [service(AT_QUESTION, 0, "a5.cdn.example")])  # one hop an answer
    ask_https("a5.cdn.example", [service(AT_QUESTION, 0, "b5.cdn.example")])
    ask(c, ANN, "b5.cdn.example", [address(AT_QUESTION, site(5))])
    hello(5, "five.allowed.example")
    ask_https("_8443._https.six.allowed.example", [service(AT_QUESTION, 1, "svc6.cdn.example", kind=64)], kind=64)
    ask(c, ANN, "svc6.cdn.example", [address(AT_QUESTION, site(6))])
    hello(6, "six.allowed.example")
    ask_https("seven.allowed.example", [service(AT_QUESTION, 0, "eight.allowed.example")])  # a loop
    ask_https("eight.allowed.example", [service(AT_QUESTION, 0, "seven.allowed.example")])
    ask(c, ANN, "eight.allowed.example", [address(AT_QUESTION, site(7))])
    hello(7, "seven.allowed.example")
    ask(c, BOB, "svc9.cdn.example", [address(AT_QUESTION, site(9))])  # BOB was told nothing of nine
    ask_https("nine.allowed.example", [service(AT_QUESTION, 1, "svc9.cdn.example")])
    hello(9, "nine.allowed.example", BOB)
    ask(c, ANN, "ten.allowed.example", [address("ten.allowed.example", site(10))],
        additional=[address("ten.allowed.example", site(110))])  # an A answer's additions do not count
    ask(c, ANN, "FOUR.aLLowed.eXample", [address("four.Allowed.example", "2001:db8:9::4")], AAAA)
    ask_https("one.allowed.example", [service(AT_QUESTION, 1, "", (6, ipaddress.ip_address("2001:db8:9::5").packed))])
    hello6(4, "four.allowed.example")
    hello6(5, "one.allowed.example")
    hello6(4, "one.allowed.example")
    hello(10, "ten.allowed.example")
    hello(110, "ten.allowed.example")


def dns_names(c):
    """Every name that a client was told for an address counts, in whichever order; a deny line for one denies."""
    for client, names in ((ANN, ("git.allowed.example", "cdn.other.example")),
                          (BOB, ("cdn.other.example", "git.allowed.example")),
                          ("10.1.0.4", ("git.allowed.example", "www.social.example")),
                          ("10.1.0.5", ("www.social.example", "git.allowed.example")),
                          ("10.1.0.6", ("cdn.other.example", "cdn.elsewhere.example")),
                          ("10.1.0.7", ("git.allowed.example", *(f"n{n}.other.example" for n in range(200))))):
        for name in names:
            ask(c, client, name, [address(AT_QUESTION, site(10))])
        ssh(c, 10, client)


def dns_alone(c):
    """A CNAME alone, a service's SRV or NAPTR: a client goes on by itself, and connects for the name it began with."""
    ask(c, ANN, "git.allowed.example", [alias(AT_QUESTION, "edge.cdn.example")])
    ssh(c, 1)  # not yet
    ask(c, ANN, "edge.cdn.example", [alias(AT_QUESTION, "node.cdn.example")])
    ask(c, ANN, "node.cdn.example", [address(AT_QUESTION, site(1))])
    ssh(c, 1)
    ask(c, BOB, "node.cdn.example", [address(AT_QUESTION, site(1))])  # BOB did not begin with it
    ssh(c, 1, BOB)
    target = struct.pack("!HHH", 10, 5, 5222) + dns_name("xmpp.host.example")
    ask(c, ANN, "_xmpp-client._tcp.chat.allowed.example", [record(AT_QUESTION, SRV, target)], SRV,
        additional=[address("xmpp.host.example", site(2))])
    ssh(c, 2)
    ask(c, ANN, "xmpp.host.example", [address(AT_QUESTION, site(3))])
    ssh(c, 3)
    naptr = struct.pack("!HH", 1, 1) + b"\1S\7SIP+D2T\0" + dns_name("_sip._tcp.voice.example")
    ask(c, ANN, "phone.allowed.example", [record(AT_QUESTION, NAPTR, naptr)], NAPTR)
    ask(c, ANN, "_sip._tcp.voice.example",
        [record(AT_QUESTION, SRV, struct.pack("!HHH", 0, 0, 5060) + dns_name("pbx.voice.example"))], SRV)
    ask(c, ANN, "pbx.voice.example", [address(AT_QUESTION, site(4))])
    ssh(c, 4)
    ask(c, ANN, "none.allowed.example", [alias(AT_QUESTION, "x.cdn.example"),  # it gave an address itself
                                         address("x.cdn.example", site(5))])
    ask(c, ANN, "x.cdn.example", [address(AT_QUESTION, site(6))])
    ssh(c, 5)
    ssh(c, 6)


def dns_nat64(c):
    """An address of NAT64 means the IPv4 address: under the well-known prefix, and under one of this network's own
    once ipv4only.arpa has told it; for names, and for the networks of the policy."""
    six = "2001:db8:1::2"

    def hello(server, name="www.allowed.example"):
        c.tcp(six, server, 443, [client_hello(name)])
    ask(c, six, "www.allowed.example", [address(AT_QUESTION, site(10))])
    hello("64:ff9b::cb00:710a")
    hello("64:ff9b::cb00:710b")  # another address
    hello("2001:db8:64::cb00:710a")  # not known yet
    ask(c, six, "ipv4only.arpa", [address(AT_QUESTION, "2001:db8:64::c000:aa")], AAAA)
    hello("2001:db8:64::cb00:710a")
    c.tcp(six, "2001:db8:64::c633:6401", 22, [b"SSH-2.0-golden\r\n"])  # in a network that is allowed
    c.tcp(six, "64:ff9b::c633:6402", 22, [b"SSH-2.0-golden\r\n"])  # in one that is denied
    c.tcp(six, "64:ff9b::a00:50", 22, [b"SSH-2.0-golden\r\n"])  # somebody else's 10.0.0.80


CASES = (dns_names, dns_alone, dns_nat64, dns_services, dns_chains, dns_ignored, dns_tcp, ech_outer)
