#!/usr/bin/env python3
"""Decisions on live packets: real clients and servers, the real queue between them."""
import contextlib
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import ROOT, SITES, lab, v6, wait_for  # noqa: E402
import pcapgen  # noqa: E402
import quic_cases  # noqa: E402
from pcapgen import client_hello, http_request  # noqa: E402
from tap import check, equal, main, note  # noqa: E402

GUEST, STAFF, NOBODY = "10.77.1.2", "10.77.1.3", "10.77.1.9"
GUEST6, STAFF6 = v6(GUEST), v6(STAFF)


def started(lab):
    """The gateway that all tests here share, started by the first."""
    if not lab.daemon:
        lab.start()
    check(lab.daemon.poll() is None, "tiergated died:", lab.log())


def shared(test):
    def run(lab):
        started(lab)
        test(lab)
    run.__doc__, run.__name__ = test.__doc__, test.__name__
    return run


def queued(lab):
    """How many packets of clients the kernel has queued so far."""
    text = lab.run("gateway", "cat", "/proc/net/netfilter/nfnetlink_queue").stdout
    return sum(int(line.split()[7]) for line in text.splitlines())


def refused(fetch):
    check(fetch.refused, "want a reset, got", fetch)
    note(f"refused after {fetch.ms:.1f} ms")


@shared
def test_https_allowed(lab):
    "HTTPS to an allowed name works, IPv4 and IPv6, and has a record"
    for source in (GUEST, GUEST6):
        got = lab.curl("https://www.allowed.example/", source)
        check(got.ok and "www.allowed.example" in got.body, got)
        r = lab.record(source__ip=source, destination__domain="www.allowed.example")
        equal((r["event.action"], r["event.reason"], r["tiergate.tier"]), ("allow", "allow-line", "guest"))
        # the resolver was asked over IPv4 alone: what it told holds for the whole network
        equal((r["network.protocol"], r["tiergate.evidence"]), ("tls", "sni+dns"))
        equal(r["source.mac"].lower().replace("-", ":").count(":"), 5)
        check(r["rule.name"].startswith("tiergate.conf:"), r)


@shared
def test_https_denied(lab):
    "HTTPS to a denied name is reset at once, and the server never sees the hello"
    for source in (GUEST, GUEST6):
        far = lab.sniff()
        refused(lab.curl("https://www.denied.example/", source))
        r = lab.record(source__ip=source, destination__domain="www.denied.example")
        equal((r["event.action"], r["event.reason"]), ("deny", "no-line"))
        check(not far.contains("www.denied.example"), "the hello left the gateway")
        check(len(far.frames()), "the handshake was never seen: the sniffer is blind")


@shared
def test_server_reset(lab):
    "the server of a denied connection is told too"
    far = lab.sniff()
    said = lab.hello("www.denied.example")
    equal(said.how, "reset")
    note(f"reset after {said.ms:.1f} ms")

    def from_client():
        return any(len(f) > 47 and f[26:30] == socket.inet_aton(GUEST) and f[23] == 6 and f[47] & 4
                   for f in far.frames())
    wait_for(from_client, 3, "a reset in the client's name at the server")
    wait_for(lambda: GUEST not in lab.run("outside", "ss", "-Htn", "state", "established").stdout, 3,
             "the end of the server's connection")


@shared
def test_tiers(lab):
    "a tier gets its own lines and those of the tiers that it includes"
    check(lab.curl("https://www.social.example/", STAFF).ok)
    check(lab.curl("https://www.allowed.example/", STAFF).ok)
    refused(lab.curl("https://www.social.example/", GUEST))
    r = lab.record(source__ip=GUEST, destination__domain="www.social.example")
    equal((r["event.reason"], r["tiergate.tier"]), ("no-line", "guest"))


@shared
def test_no_tier(lab):
    "who is nobody reaches internal hosts only"
    got = lab.curl("https://intranet.example/", NOBODY)
    check(got.ok, got)
    refused(lab.curl("https://www.allowed.example/", NOBODY))
    equal(lab.record(source__ip=NOBODY, event__action="deny")["event.reason"], "no-tier")
    check(not lab.records(destination__domain="intranet.example"), "internal traffic came up")


@shared
def test_http_host(lab):
    "plain HTTP goes by its Host"
    check(lab.curl("http://www.allowed.example/", GUEST).ok)
    equal(lab.record(network__protocol="http", event__action="allow")["tiergate.evidence"], "host+dns")
    refused(lab.curl("http://www.denied.example/", GUEST))
    # a Host that is denied on the address of one that is allowed
    said = lab.say(SITES["allowed.example"], [http_request("www.denied.example")], 80)
    equal(said.how, "reset")


@shared
def test_shared_address(lab):
    "two names on one address are told apart"
    check(lab.curl("https://good.shared.example/", GUEST).ok)
    refused(lab.curl("https://bad.shared.example/", GUEST))
    check(lab.curl("https://good.shared.example/", GUEST).ok)


@shared
def test_first_packet(lab):
    "a port that no line allows is refused at the SYN, without a handshake"
    far = lab.sniff()
    got = lab.curl("http://www.allowed.example:8080/", GUEST)
    refused(got)
    check(not [f for f in far.frames() if f[12:14] == b"\x08\0" and f[23] == 6
               and struct.unpack("!H", f[36:38])[0] == 8080], "the SYN left the gateway")
    equal(lab.record(destination__port=8080)["event.action"], "deny")


@shared
def test_udp(lab):
    "UDP that no line allows gets an ICMP error, IPv4 and IPv6"
    for source, to in ((GUEST, "198.51.100.10"), (GUEST6, "2001:db8:2::10")):
        equal(lab.udp(to, 5000, b"anything", source), "refused")
        lab.record(source__ip=source, destination__port=5000, event__action="deny")


def quic_hello():
    frames = pcapgen.read(ROOT / "tests/golden/chromium-quic/in.pcap")
    return [f[42:] for _, f in frames if f[26:30] == socket.inet_aton("10.77.1.2")][:2]


@shared
def test_quic(lab):
    "QUIC goes by the name in Chromium's two Initials"
    lab.reload(sites=[{"name": "good", "hosts": ["allowed.example", "feas.test"]}],
               allow=[{"tiers": ["staff"], "sites": ["good"]}])
    for source, want in ((STAFF, "answered"), (GUEST, "refused")):
        s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((source, 0))
        s.settimeout(3)
        s.connect(("198.51.100.10", 443))
        try:
            for part in quic_hello():
                s.send(part)
            got = "answered" if s.recv(4096) else "?"
        except socket.timeout:
            got = "silent"
        except OSError:
            got = "refused"
        equal(got, want, f"QUIC from {source}")
        r = lab.record(source__ip=source, network__transport="udp", destination__port=443)
        equal((r["destination.domain"], r["network.protocol"]), ("www.feas.test", "quic"))
    lab.reload(**lab.settings())


@shared
def test_quic_again(lab):
    "a second QUIC connection on an allowed flow's ports is judged too, and not a byte of it passes"
    lab.reload(allow=[{"tiers": ["guest"], "sites": ["good"], "ports": ["udp/5000"]}])
    for source, to in ((GUEST, "198.51.100.10"), (GUEST6, "2001:db8:2::10")):
        first, data, other = (quic_cases.one("www.allowed.example"), b"\x43" + bytes(60),
                              quic_cases.one("www.denied.example", b"other-id"))
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        with contextlib.closing(lab.sniff()) as far, lab.socket("client", family, socket.SOCK_DGRAM) as s:
            s.bind((source, 0))
            s.connect((to, 5000))
            for packet in (first, data, first, data):  # the echo server gives each back
                s.settimeout(3)
                s.send(packet)
                equal(s.recv(4096), packet)
            s.send(other)
            lab.record(source__ip=source, destination__domain="www.denied.example", event__reason="no-line")
            s.settimeout(0.3)

            def refused():
                try:
                    s.send(data)
                    return not s.recv(4096)
                except OSError:
                    return True
            wait_for(refused, 5, "the end of the flow")  # a record may be read before its verdict is given
            check(far.contains(first[-40:]), "the first Initial is not there")
            check(not far.contains(other[-40:]), "the second Initial passed")
    lab.reload(**lab.settings())


@shared
def test_cut_hello(lab):
    "a hello in segments is held whole: allowed all goes, denied not a byte does"
    lab.reload(held="until-whole")
    for source in (GUEST, GUEST6):
        for cuts in ((1,), (5,), (60, 120), tuple(range(10, 100, 10))):  # at most the first window's ten
            # a sender that is kept from running for longer than its retransmission timer is stuck
            wait_for(lambda: lab.hello("www.allowed.example", cuts, source=source).how == "answered", 20,  # noqa: B023
                     f"allowed, cut at {cuts}")
            far = lab.sniff()
            said = lab.hello("www.denied.example", cuts, source=source)
            equal(said.how, "reset", f"denied, cut at {cuts}")
            whole = client_hello("www.denied.example")
            check(not far.contains(whole[:12]) and not far.contains("denied"), "a part of it left")
            data = [f for f in far.frames() if (p := pcapgen.payload_of(f)) and p[1] != 443 and p[4]]
            check(not data, "payload left the gateway:", data)
    lab.reload(**lab.settings())


@shared
def test_stuck_sender(lab):
    "a sender that waits for an acknowledgement gets it: allowed goes on, of a denied hello the name stays here"
    def nagle(name):
        whole = client_hello(name)
        cut = whole.index(name.encode()) - 20
        s = lab.connect("198.51.100.10", 443)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        s.sendall(whole[:cut])
        s.sendall(whole[cut:])  # kept back by the sender until the first is acknowledged
        port = s.getsockname()[1]
        try:
            return bool(s.recv(100)), port
        except ConnectionResetError:
            return False, port
    answered, port = nagle("www.allowed.example")
    check(answered, "allowed, no answer")
    equal(lab.record(event__action="allow", source__port=port).get("tiergate.held"), "until-stuck", "the record")
    far = lab.sniff()
    answered, port = nagle("www.denied.example")
    check(not answered, "denied, yet answered")
    equal(lab.record(event__action="deny", source__port=port)["destination.domain"], "www.denied.example", "name")
    check(far.contains(client_hello("www.denied.example")[:12]), "it was not let go")
    check(not far.contains("denied"), "the name left")


@shared
def test_unfinished_hello(lab):
    "a hello whose end never comes is denied when its time is over"
    lab.reload(held="until-whole")
    far = lab.sniff()
    start = time.monotonic()
    said = lab.say(SITES["allowed.example"], [client_hello("www.allowed.example")[:70]], timeout=15)
    note(f"{said} {time.monotonic() - start:.1f} s")
    equal(said.how, "reset")
    equal(lab.record(event__reason="hello-unfinished")["event.action"], "deny")
    check(not far.contains(client_hello("www.allowed.example")[:20]), "a part of it left")
    lab.reload(**lab.settings())


@shared
def test_idle_handshake(lab):
    "a connection without a word is not ended"
    s = lab.connect(SITES["allowed.example"], 443)
    time.sleep(4)
    s.sendall(client_hello("www.allowed.example"))
    check(s.recv(100), "no answer after a pause")
    s.close()


@shared
def test_large(lab):
    "a large download and upload of an allowed flow stay in the kernel"
    before = queued(lab)
    got = lab.curl("http://www.allowed.example/8000000", GUEST, timeout=20)
    check(got.ok and len(got.body) >= 8000000, got)
    big = lab.dir / "big"
    big.write_bytes(b"x" * 3000000)
    got = lab.curl("https://www.allowed.example/", GUEST, "--data-binary", f"@{big}", timeout=20)
    equal(got.exit in (0, 56), True, f"upload {got}")
    used = queued(lab) - before
    note(f"{used} packets came up")
    check(used < 40, f"{used} packets came up for two allowed flows")


@shared
def test_end_record(lab):
    "a flow's end has a record with its bytes and packets"
    # whichever end closes first, and with a reset or not: the entry is over a second later
    closing = [f"net.netfilter.nf_conntrack_tcp_timeout_{state}"
               for state in ("fin_wait", "close_wait", "last_ack", "time_wait", "close")]
    before = [lab.run("gateway", "sysctl", "-n", name).stdout.strip() for name in closing]
    lab.run("gateway", "sysctl", "-qw", *(f"{name}=1" for name in closing))
    check(lab.curl("https://www.allowed.example/", GUEST, "--local-port", "45678").ok)
    lab.record(source__port=45678, event__action="allow")

    def ended():  # listing makes the kernel look at what has expired
        lab.conntrack()
        return lab.records(source__port=45678, event__action="end")
    try:
        r = wait_for(ended, 20, "the end record")[0]
    except AssertionError:
        note(lab.conntrack("-p", "tcp", "--orig-port-src", "45678") + str(lab.status()))
        raise
    finally:
        lab.run("gateway", "sysctl", "-qw", *(f"{name}={was}" for name, was in zip(closing, before)))
    check(r.get("network.bytes", 0) > 1000 and r.get("network.packets", 0) > 8, r)


@shared
def test_spoofed_resolver(lab):
    "a client cannot answer in the resolver's name"
    s = lab.socket("client", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    _, answer = pcapgen.dns_answer("www.allowed.example", ["198.51.100.11"])
    near = lab.sniff("client")
    for to in (STAFF, "10.77.3.2", "198.51.100.10"):
        s.sendto(pcapgen.udp_packet("10.77.3.53", 53, to, 9999, answer), (to, 0))
    time.sleep(0.3)
    check(len([f for f in near.frames() if b"\x03www\x07allowed" in f]) <= 3, "it came back")
    # .11 is denied.example's: the forged answer must not have named it
    lab.reload(allow=[{"tiers": ["staff"], "sites": ["good"], "evidence": "dns", "ports": ["tcp/8080"]}])
    equal(lab.say("198.51.100.11", [b"x"], 8080, STAFF).how, "reset")
    lab.reload(**lab.settings())


@shared
def test_dns_evidence(lab):
    "where the policy takes it, a DNS answer names a flow: for the host that asked, at whichever address"
    lab.reload(allow=[{"tiers": ["guest"], "sites": ["good"], "evidence": "dns",
                       "ports": ["tcp/8080", "udp/5000"]}])
    lab.resolve("allowed.example", GUEST)
    equal(lab.udp("198.51.100.10", 5000, b"ping", GUEST), b"ping")
    equal(lab.say("198.51.100.10", [b"\1no protocol that carries a name\r\n"], 8080, GUEST).how, "answered")
    equal(lab.udp("198.51.100.10", 5000, b"ping", STAFF), b"ping")
    equal(lab.udp("198.51.100.13", 5000, b"ping", GUEST), "refused")
    lab.reload(**lab.settings())


@shared
def test_from_outside(lab):
    "a connection from outside (a port forward) passes, both ways; a stray ACK does not"
    listener = lab.socket("client", socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((GUEST, 9000))
    listener.listen()
    s = lab.connect(GUEST, 9000, "198.51.100.10", host="outside")
    c, _ = listener.accept()
    c.sendall(b"from inside")
    equal(s.recv(100), b"from inside")
    s.close()
    raw = lab.socket("outside", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    near = lab.sniff("client")
    raw.sendto(pcapgen.tcp_packet("198.51.100.10", 4444, GUEST, 9000, 1, 1, pcapgen.ACK, b"stray-ack"),
               (GUEST, 0))
    time.sleep(0.3)
    check(not near.contains("stray-ack"), "the stray segment came in")


@shared
def test_icmp(lab):
    "errors about an allowed flow come back; a ping to the world has no line"
    check(lab.run("client", "ping", "-c1", "-W2", "10.77.3.2", check_exit=False).returncode == 0,
          "internal ping")
    check(lab.run("client", "ping", "-I", GUEST, "-c1", "-W1", "198.51.100.10",
                  check_exit=False).returncode != 0, "ping went out")
    lab.run("gateway", "ip", "link", "set", "wan0", "mtu", "1400")
    try:
        check(lab.curl("http://www.allowed.example/500000", GUEST).ok, "no path MTU discovery")
        lab.run("outside", "ip", "route", "flush", "cache")
    finally:
        lab.run("gateway", "ip", "link", "set", "wan0", "mtu", "1500")


@shared
def test_refusals(lab):
    "a refusal is heard every time, however many the same client has had (the lab takes off the kernel's limit)"
    for to, source in ((SITES["denied.example"], GUEST), (v6(SITES["denied.example"]), GUEST6)):
        for turn in range(12):
            equal((turn, lab.udp(to, 5000, b"ping", source, timeout=10)), (turn, "refused"))


@shared
def test_repeats(lab):
    "a denied client that tries on and on fills no log"
    for _ in range(30):
        lab.udp("198.51.100.13", 5000, b"again", GUEST, timeout=0.05)
    time.sleep(0.5)
    s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((GUEST, 33333))
    for _ in range(200):
        s.sendto(b"again", ("198.51.100.13", 5001))
    time.sleep(1)
    mine = lab.records(source__port=33333)
    check(1 <= len(mine) <= 5, f"{len(mine)} records of one denied flow")


def test_on_deny_drop(lab):
    "on_deny = drop: a denied client hears nothing"
    lab.stop()
    with lab.gateway(on_deny="drop"):
        check(lab.curl("https://www.allowed.example/", GUEST).ok)
        equal(lab.curl("https://www.denied.example/", GUEST, timeout=2).exit, 28)
        equal(lab.udp("198.51.100.10", 5000, b"x", GUEST), None)
        equal(lab.record(destination__domain="www.denied.example")["event.action"], "deny")


def test_on_deny_redirect(lab):
    "on_deny = redirect: port 80 meets the portal, the rest is refused"
    with lab.gateway(on_deny="redirect", portal="10.77.3.2:80",
                     segments=[{"network": f"{GUEST}/32", "tier": "guest"}]):
        got = lab.curl("http://www.denied.example/", NOBODY)
        check(got.ok, got)
        equal(lab.record(source__ip=NOBODY)["event.action"], "deny")
        refused(lab.curl("https://www.denied.example/", NOBODY))
        check(lab.curl("http://www.allowed.example/", GUEST).ok)


def test_observe(lab):
    "observe mode denies nothing and says what it would"
    with lab.gateway(mode="observe"):
        check(lab.curl("https://www.denied.example/", GUEST).ok)
        r = lab.record(destination__domain="www.denied.example")
        equal((r["event.action"], r["tiergate.would"], r["tiergate.mode"]), ("allow", "no-line", "observe"))
        equal(lab.udp("198.51.100.10", 5000, b"x", NOBODY), b"x")
        equal(lab.record(source__ip=NOBODY)["tiergate.would"], "no-tier")
        check(lab.curl("https://www.allowed.example/", GUEST).ok)
        check("tiergate.would" not in lab.record(destination__domain="www.allowed.example"))


def test_observed_line(lab):
    "a deny line in observe mode denies nothing, and says what it would; enforced, it denies"
    line = {"tiers": ["*"], "sites": ["good"], "ports": ["tcp/443"]}
    with lab.gateway(deny=[dict(line, mode="observe")]):
        check(lab.curl("https://www.allowed.example/", GUEST).ok)
        r = lab.record(destination__domain="www.allowed.example")
        equal((r["event.action"], r["tiergate.would"], r["tiergate.mode"]), ("allow", "deny-line", "observe"))
        check(lab.curl("http://www.allowed.example/", GUEST).ok)
        r = lab.record(destination__domain="www.allowed.example", destination__port=80)
        equal((r["event.action"], r.get("tiergate.would")), ("allow", None))
        refused(lab.curl("https://www.denied.example/", GUEST))
    with lab.gateway(deny=[line]):
        refused(lab.curl("https://www.allowed.example/", GUEST))


def test_hello_retry(lab):
    "a server may ask for a second hello: it passes, one with another name does not"
    allow = [{"tiers": ["guest"], "sites": ["good"], "ports": ["tcp/4443", "tcp/4444"]}]
    with lab.gateway(allow=allow):
        certificate, key = lab.certificate
        for port, group in ((4443, "P-256"), (4444, "P-384")):  # curl has a share of P-256 alone
            lab.spawn("outside", "openssl", "s_server", "-accept", str(port), "-cert", certificate, "-key", key,
                      "-groups", group, "-www")
        for port in (4443, 4444):
            def fetch():
                return lab.curl(f"https://www.allowed.example:{port}/", GUEST, "--curves", "P-256:P-384")
            wait_for(lambda: fetch().ok)
            before, far = queued(lab), lab.sniff()
            check(fetch().ok, "no answer")
            sent = [p[4] for f in far.frames() if (p := pcapgen.payload_of(f)) and p[3] == port]
            hellos = [p for p in sent if b"www.allowed.example" in p]
            equal(len(hellos), 1 if port == 4443 else 2, f"hellos to a server that takes {group}")
            # SYN, hello, the client's next packet with data, and what it sends before that has its verdict
            note(f"{queued(lab) - before} packets came up")
        far = lab.sniff()
        lab.say(SITES["allowed.example"], [client_hello("www.allowed.example"), client_hello("www.denied.example")],
                4443, pause=0.3)
        equal(lab.record(event__reason="hello-changed")["destination.domain"], "www.allowed.example")
        check(far.contains("www.allowed.example") and not far.contains("www.denied.example"), "it left the gateway")


if __name__ == "__main__":
    main(globals(), lab)
