#!/usr/bin/env python3
"""UDP that the kernel joins, DTLS behind another hello, and what the adversary of QUIC has found."""
import contextlib
import pathlib
import shutil
import socket
import struct
import subprocess
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parent.parent)]
from lab import SITES, lab, v6, wait_for  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402
import name_cases  # noqa: E402
import quic_cases as qc  # noqa: E402
from pcapgen import udp_packet  # noqa: E402

GUEST, ALLOWED, SHARED = "10.77.1.2", SITES["www.allowed.example"], SITES["good.shared.example"]


def exchange(lab, datagrams, joined=True):
    """Sends them by one system call (UDP_SEGMENT) or one each; what came back, and the denials' names."""
    s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    s.bind((GUEST, 0))
    s.setsockopt(socket.IPPROTO_IP, 11, 1)
    s.connect((ALLOWED, 443))
    got = []
    with contextlib.suppress(OSError):
        if joined:
            s.sendmsg([b"".join(datagrams)], [(socket.IPPROTO_UDP, 103, struct.pack("=H", len(datagrams[0])))])
        else:
            for d in datagrams:
                s.send(d)
        for _ in datagrams:
            got.append(s.recv(65536))
    port = s.getsockname()[1]
    s.close()
    wait_for(lambda: lab.records(source__port=port), what="a record")
    return got, [r.get("destination.domain") for r in lab.records(source__port=port) if r["event.action"] == "deny"]


def two(number, *names):
    return [qc.one(n, bytes([number + i]) * 8) for i, n in enumerate(names)]


def halves(number):
    m = qc.message("www.allowed.example", size=1500)
    return qc.parts_of(m, 700, dcid=bytes([number]) * 8)


def test_segments(lab):
    "of datagrams sent by one UDP_SEGMENT each is one: a denied hello behind an allowed one, a hello in two"
    with lab.gateway():
        got, denied = exchange(lab, two(1, "www.allowed.example", "www.denied.example"))
        check(not any(b"denied" in g or g == two(1, "", "www.denied.example")[1] for g in got))
        equal(denied, ["www.denied.example"])
        sent = halves(3)
        equal(exchange(lab, sent), (sent, []))
        sent = two(4, "www.allowed.example", "allowed.example")
        equal(exchange(lab, sent), (sent, []))


def knock(lab, source, sport, to, port):
    """A datagram in a far server's name, from a network that is not inside: conntrack takes the flow for one that began there."""
    mac = [bytes.fromhex(lab.run(h, "cat", f"/sys/class/net/{d}/address").stdout.strip().replace(":", "")) for h, d in (("gateway", "dmz0"), ("inside", "eth0"))]
    with lab.socket("inside", socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("eth0", 0))
        s.send(b"".join(mac) + (b"\x86\xdd" if ":" in to else b"\x08\0") + udp_packet(source, sport, to, port, b"knock"))


def test_began_outside(lab):
    "of a flow that seems to have begun outside each datagram is looked at: an allowed hello opens nothing for a denied one"
    with lab.gateway():
        for n, guest in enumerate((GUEST, v6(GUEST))):
            server = v6(ALLOWED) if ":" in guest else ALLOWED
            s = lab.socket("client", socket.AF_INET6 if ":" in guest else socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(2)
            s.bind((guest, 7000 + n))
            s.connect((server, 443))
            knock(lab, server, 443, guest, 7000 + n)
            equal(s.recv(100), b"knock", "what opened the flow")
            for good in (qc.one("www.allowed.example", b"\x21" * 8), b"\x43" + bytes(60), qc.one("allowed.example", b"\x22" * 8)):
                s.send(good)
                equal(s.recv(65536), good, "the echo's answer")
            far, bad = lab.sniff(), qc.one("www.denied.example", b"\x23" * 8)
            s.send(bad)
            equal(lab.record(source__port=7000 + n, event__action="deny")["destination.domain"], "www.denied.example", "what was denied")
            check(not far.contains(bad), "a denied hello left the gateway")
            far.close(), s.close()


def test_segments_of_an_allowed_flow(lab):
    "behind data a denied hello comes up all the same"
    with lab.gateway():
        s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(2)
        s.bind((GUEST, 0))
        s.connect((ALLOWED, 443))
        s.send(qc.one("www.allowed.example", b"\x11" * 8))
        s.recv(65536)
        far = lab.sniff()
        bad = qc.one("www.denied.example", b"\x12" * 8)
        s.sendmsg([bytes([0x43]) + bytes(1199) + bad], [(socket.IPPROTO_UDP, 103, struct.pack("=H", 1200))])
        port = s.getsockname()[1]
        wait_for(lambda: any(r["event.action"] == "deny" for r in lab.records(source__port=port)), what="the denial")
        check(not far.contains(bad[:200]))
        far.close()
        s.close()


def test_gro_forwarding(lab):
    "the same where the gateway's own kernel joins what came one by one"
    if not shutil.which("ethtool"):
        raise Skip("needs ethtool")
    lab.run("gateway", "ethtool", "-K", "lan0", "gro", "on", "rx-udp-gro-forwarding", "on")
    lab.run("gateway", "sh", "-c", "echo 3000000 >/sys/class/net/lan0/gro_flush_timeout;"
                                   "echo 3 >/sys/class/net/lan0/napi_defer_hard_irqs")
    try:
        with lab.gateway():
            sent = halves(5)
            equal(exchange(lab, sent, joined=False), (sent, []))
            sent = two(6, "www.allowed.example", "www.denied.example")
            got, denied = exchange(lab, sent, joined=False)
            check(sent[1] not in got)
            equal(denied, ["www.denied.example"])
    finally:
        lab.run("gateway", "sh", "-c", "echo 0 >/sys/class/net/lan0/gro_flush_timeout;"
                                       "echo 0 >/sys/class/net/lan0/napi_defer_hard_irqs")
        lab.run("gateway", "ethtool", "-K", "lan0", "rx-udp-gro-forwarding", "off")


def ports_at_server(far):
    """Source ports of the QUIC datagrams that came to a server, IPv4 and IPv6, first halves' first byte kept out."""
    udp = [f[14 + (20 if f[12:14] == b"\x08\0" else 40):] for f in far.frames()
           if (f[12:14] == b"\x08\0" and f[23] == 17) or (f[12:14] == b"\x86\xdd" and f[20] == 17)]
    return [struct.unpack("!H", u[:2])[0] for u in udp if struct.unpack("!H", u[2:4])[0] == 443]


def race(lab, datagrams, client, server):
    """Sends them at once; how many came back, the ports that the server saw, the denials' names."""
    far = lab.sniff()
    six = ":" in client
    s = lab.socket("client", socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    s.bind((client, 0))
    s.connect((server, 443))
    for d in datagrams:
        with contextlib.suppress(OSError):
            s.send(d)
    port, back = s.getsockname()[1], 0
    with contextlib.suppress(OSError):
        while back < len(datagrams):
            back += s.recv(65536) in datagrams
    wait_for(lambda: lab.records(source__port=port), what="a record")
    seen = ports_at_server(far)
    far.close()
    s.close()
    return back, seen, port, [r.get("destination.domain") for r in lab.records(source__port=port)
                              if r["event.action"] == "deny"]


def test_one_port(lab):
    "datagrams of a new flow that are in the queue together leave by one port, where NAT has a new one for each entry"
    rule = ["-t", "nat", "-A", "POSTROUTING", "-o", "wan0", "-j", "MASQUERADE", "--random"]
    for tool in ("iptables", "ip6tables"):
        lab.run("gateway", tool, *rule)
    try:
        with lab.gateway():
            for i in range(4):
                client, server = (GUEST, ALLOWED) if i % 2 else (v6(GUEST), v6(ALLOWED))
                sent = halves(40 + i) if i < 2 else [qc.one("www.allowed.example", bytes([40 + i]) * 8, number=n)
                                                     for n in range(3)]
                back, seen, port, denied = race(lab, sent, client, server)
                equal((back, len(seen), len(set(seen)), denied), (len(sent), len(sent), 1, []), seen)
                check(seen[0] != port, "NAT left the port alone")
            check(sum(q["sent_along"] for q in lab.status()["queues"]) > 0, lab.status()["queues"])
            back, seen, port, denied = race(lab, two(50, "www.allowed.example", "www.denied.example"), GUEST, ALLOWED)
            equal((len(seen), denied), (1, ["www.denied.example"]))
    finally:
        for tool in ("iptables", "ip6tables"):
            lab.run("gateway", tool, "-t", "nat", "-D", *rule[3:])


def dtls_server(lab):
    return lab.spawn("outside", "openssl", "s_server", "-dtls1_2", "-accept", f"{SHARED}:4433", "-cert", lab.certificate[0],
                     "-key", lab.certificate[1], "-listen", stdin=subprocess.PIPE)


def dtls_client(lab, name, port):
    return lab.run("client", "timeout", "5", "openssl", "s_client", "-dtls1_2", "-bind", f"{GUEST}:{port}", "-connect",
                   f"{SHARED}:4433", "-servername", name, "-CAfile", lab.ca, "-brief", input="hello\n", check_exit=False)


def test_dtls_stays_live(lab):
    "neither another datagram nor an allowed QUIC hello opens the way for a denied DTLS hello; a real one passes"
    server = dtls_server(lab)
    allow = [{"tiers": ["guest"], "sites": ["good"], "ports": ["udp/4433"]}]
    with lab.gateway(allow=allow):
        done = wait_for(lambda: [d for d in [dtls_client(lab, "good.shared.example", 30100)]
                                 if "ESTABLISHED" in d.stderr + d.stdout], what="the DTLS connection")
        check("ESTABLISHED" in done[0].stderr + done[0].stdout, done)
        hello = name_cases.dtls_record(name_cases.dtls_hello("good.shared.example"))
        for i, first in enumerate(([hello, b"\x14\xfe\xfd" + bytes(8) + b"\0\1\1"],
                                   [hello, qc.one("good.shared.example")], [qc.one("good.shared.example")])):
            port = 30200 + i
            s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((GUEST, port))
            for d in first:
                s.sendto(d, (SHARED, 4433))
            wait_for(lambda: lab.records(source__port=port), what="the hello's record")
            s.close()
            far = lab.sniff()
            dtls_client(lab, "bad.shared.example", port)
            check(not far.contains("bad.shared.example"), "a denied name went out behind", first)
            far.close()
    server.kill()


def short_run(adversary):
    done = subprocess.run([sys.executable, pathlib.Path(__file__).with_name(adversary), "--seconds", "5"],
                          capture_output=True, text=True, timeout=300)
    check(done.returncode == 0, done.stdout, done.stderr[-2000:])


def test_adversary(_):
    "a short run of the adversary, with the scripts that it found once"
    short_run("adversary_quic.py")


def test_adversary_dtls(_):
    "and of the one that speaks DTLS"
    short_run("adversary_dtls.py")


if __name__ == "__main__":
    main(globals(), lab)
