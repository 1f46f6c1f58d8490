#!/usr/bin/env python3
"""honest.py [--connections N] [--seed S]: ordinary clients on a bad network, none of whom may be denied.

curl over HTTP/1.1 and HTTP/2, openssl s_client (also with a second hello), OpenSSL with a hello of two packets as browsers
have it, GnuTLS, and plain HTTP, to nginx; ngtcp2 over HTTP/3, to caddy; wires on both sides (bad_wire.py) lose 1 to 5 % of the packets, delay, reorder and duplicate
them. Prints the 50th and 99th percentile of the time that a connection took, against the same without a gateway; exit status 1 where one fails."""
import argparse
import concurrent.futures
import contextlib
import json
import pathlib
import random
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import Lab, need_root, v6, wait_for  # noqa: E402
from tap import check  # noqa: E402

NAME, SERVER, PATIENCE = "allowed.example", "198.51.100.10", 90
AT_ONCE = 16
H3 = 4433  # caddy takes the port of TCP, too
NGINX = """daemon off; master_process off; pid {dir}/nginx.pid; error_log /dev/null; events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
 ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
 server {{ {listen} ssl_ecdh_curve X25519:prime256v1; location / {{ return 200 "{body}"; }} }}
 server {{ {retry} ssl_ecdh_curve prime256v1; location / {{ return 200 "{body}"; }} }} }}
"""
BODY = "served " * 300  # of more than a packet


def caddy(lab):
    """HTTP/3 beside nginx's TCP."""
    route = {"handle": [{"handler": "static_response", "body": BODY}]}
    server = {"listen": [f"{SERVER}:{H3}", f"[{v6(SERVER)}]:{H3}"], "protocols": ["h3"], "automatic_https": {"disable": True},
              "tls_connection_policies": [{}], "routes": [route]}
    files = [{"certificate": str(lab.certificate[0]), "key": str(lab.certificate[1])}]
    conf = lab.dir / "caddy.json"
    conf.write_text(json.dumps({"admin": {"disabled": True}, "logging": {"logs": {"default": {"level": "ERROR"}}},
                                "apps": {"http": {"servers": {"s": server}}, "tls": {"certificates": {"load_files": files}}}}))
    lab.spawn("outside", "env", f"HOME={lab.dir}", "caddy", "run", "--config", conf)
    wait_for(lambda: f":{H3} " in lab.run("outside", "ss", "-lnu").stdout, what="caddy")


def nginx(lab):
    both = (SERVER, f"[{v6(SERVER)}]")
    listen = " ".join(f"listen {a}:443 ssl http2; listen {a}:80;" for a in both)
    retry = " ".join(f"listen {a}:8443 ssl http2;" for a in both)
    conf = lab.dir / "nginx.conf"
    conf.write_text(NGINX.format(dir=lab.dir, cert=lab.certificate[0], key=lab.certificate[1], listen=listen, retry=retry, body=BODY))
    p = lab.spawn("outside", "nginx", "-c", conf)

    def ready():
        check(p.poll() is None, "nginx does not run")
        with contextlib.suppress(OSError):
            lab.connect(SERVER, 80, source="198.51.100.10", host="outside").close()
            return True
    wait_for(ready, what="nginx")


class BadNetwork:
    """Wires that lose packets, between the gateway and both its neighbours; they end in the inside host."""

    SIDES = {"client": ("10.77.1", "fd77:1", range(2, 10)), "outside": ("198.51.100", "2001:db8:2", (2, *range(10, 14), *range(20, 24)))}

    def __init__(self, lab):
        self.lab, self.wires = lab, []
        for host, (net4, net6, own) in self.SIDES.items():
            near, far = f"{host}0", f"{host}1"
            middle = lab.ns("inside")
            subprocess.run(["ip", "-n", lab.ns(host), "link", "set", "eth0", "netns", middle, "name", near], check=True)
            subprocess.run(["ip", "-n", middle, "link", "add", far, "type", "veth", "peer", "name", "eth0", "netns", lab.ns(host)], check=True)
            lab._batch(host, *(f"addr add {net4}.{n}/24 dev eth0" for n in own), *(f"-6 addr add {net6}::{n}/64 dev eth0 nodad" for n in own),
                       "link set eth0 up", f"route add default via {net4}.1", f"-6 route add default via {net6}::1")
            for device in (near, far):
                lab.run("inside", "ip", "link", "set", device, "up", "promisc", "on")
                lab.run("inside", "sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1")
            lab.run(host, "ethtool", "-K", "eth0", "tso", "off", "gso", "off", check_exit=False)

    def is_(self, *how):
        """Loses, reorders, duplicates (percent) and delays (ms) from now on."""
        for w in self.wires:
            w.kill()
            w.wait()
        self.wires = [self.lab.spawn("inside", sys.executable, pathlib.Path(__file__).with_name("bad_wire.py"), *how, f"{h}0", f"{h}1",
                                     stdout=subprocess.PIPE) for h in self.SIDES]
        for w in self.wires:
            check(w.stdout.readline() == "ready\n", "no wire")


def network(r):
    """One of the bad networks: loss, reorder, duplicate in percent, delay in ms."""
    return r.choice((1, 2, 5)), r.choice((5, 25)), r.choice((1, 3)), r.choice((2, 10, 30))


# -- clients: each takes (lab, server's address, the client's address); true where all came ---------------------------------
def curl(lab, server, source, *options, url=f"https://{NAME}/"):
    return lab.curl(url, source, *options, resolve=server, timeout=PATIENCE).body.strip() == BODY.strip()


def s_client(lab, server, source, port=443):
    at = f"[{server}]:{port}" if ":" in server else f"{server}:{port}"
    bind = f"[{source}]" if ":" in source else source
    done = lab.run("client", "timeout", PATIENCE, "openssl", "s_client", "-quiet", "-connect", at, "-bind", bind + ":0", "-servername", NAME,
                   "-groups", "X25519:P-256", "-CAfile", lab.ca, input=f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n", check_exit=False, timeout=PATIENCE + 30)
    return BODY.strip() in done.stdout


def large(lab, server, source):
    """A hello of two packets, sent as one write."""
    context = ssl.create_default_context(cafile=lab.ca)
    context.set_alpn_protocols(["http/1.1", *(f"x{i:03}" + "-" * 60 for i in range(30))])
    with lab.connect(server, 443, source, timeout=PATIENCE) as s, context.wrap_socket(s, server_hostname=NAME) as tls:
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        got = b"".join(iter(lambda: tls.recv(65536), b""))
    return BODY.encode() in got


def gnutls(lab, server, source):
    """Over IPv4 alone: gnutls-cli has no option for its own address, and of IPv6 it would take another."""
    server = SERVER
    p = lab.spawn("client", "timeout", PATIENCE, "gnutls-cli", "--x509cafile", lab.ca, "--sni-hostname", NAME, "--verify-hostname", NAME, "-p", "443",
                  server, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdin.write(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n")
    p.stdin.flush()  # and stays open: at its end gnutls-cli waits for 3 s at most
    got = p.stdout.read()
    p.wait()
    return BODY.strip() in got


def http3(lab, server, source):
    """By its name, which it asks the resolver for (more than twice, where packets are lost)."""
    with tempfile.TemporaryDirectory() as to:
        lab.run("client", "env", "RES_OPTIONS=attempts:5 timeout:2", "timeout", PATIENCE, "gtlsclient", "--handshake-timeout=60s", "-q", "--exit-on-all-streams-close", f"--download={to}", NAME, H3, f"https://{NAME}:{H3}/page",
                check_exit=False, timeout=PATIENCE + 30)
        page = pathlib.Path(to) / "page"
        return page.exists() and page.read_text().strip() == BODY.strip()


CLIENTS = {"curl h1": lambda *a: curl(*a, "--http1.1"), "curl h2": lambda *a: curl(*a, "--http2"), "tls 1.2": lambda *a: curl(*a, "--tls-max", "1.2"),
           "curl http": lambda *a: curl(*a, url=f"http://{NAME}/"), "s_client": s_client,
           "second hello": lambda *a: s_client(*a, port=8443), "large hello": large,
           "gnutls": gnutls, "http3": http3}


def one(lab, kind, six):
    server, source = (v6(SERVER), v6("10.77.1.2")) if six else (SERVER, "10.77.1.2")
    start = time.monotonic()
    try:
        good = CLIENTS[kind](lab, server, source)
    except (OSError, subprocess.TimeoutExpired) as e:
        good = f"{type(e).__name__}: {e}"
    return kind, six, good, time.monotonic() - start


def visit(lab, count, seed):
    """count connections over networks of a seed: (kind, six, true or what failed, seconds)."""
    r, out = random.Random(seed), []
    for at in range(0, count, 100):
        lab.network.is_(*network(r))
        kinds = [(list(CLIENTS)[i % len(CLIENTS)], r.random() < .3) for i in range(at, min(count, at + 100))]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            out += pool.map(lambda k: one(lab, *k), kinds)
    return out


def in_turn(lab, count, seed):
    """The same without a gateway and with one, 900 at a time in turn: both lists, and what went wrong with it."""
    without, done, wrong = [], [], []
    for at in range(0, count, 900):
        part = min(900, count - at)
        without += visit(lab, part, seed + at)
        with lab.gateway(**settings()):
            here = visit(lab, part, seed + at)
            wrong += failures(lab, here)
        done += here
    return without, done, wrong


def percentile(done, share):
    times = sorted(d[3] for d in done)
    return times[min(len(times) - 1, int(len(times) * share))]


def settings():
    return {"allow": [{"tiers": ["guest"], "sites": ["good"], "ports": ["tcp/80", "tcp/443", "tcp/8443", f"udp/{H3}"]}]}


@contextlib.contextmanager
def context():
    need_root()
    with Lab({NAME: SERVER}, bare=[SERVER]) as lab:
        lab.network = BadNetwork(lab)
        lab.network.is_(0, 0, 0, 0)
        nginx(lab)
        caddy(lab)
        yield lab


def failures(lab, done):
    """What went wrong: connections that did not end well, and denials, which no record may tell."""
    denied = lab.records(event__action="deny")
    return [d for d in done if d[2] is not True] + denied


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with context() as lab:
        without, done, wrong = in_turn(lab, options.connections, options.seed)
        for w in wrong:
            print(json.dumps(w))
        for share in (.5, .99):
            a, b = percentile(without, share), percentile(done, share)
            print(f"p{share * 100:.0f}: {a * 1000:.0f} ms without a gateway, {b * 1000:.0f} ms with it, ratio {b / a:.2f}")
        print(f"seed {options.seed}: {len(done)} connections, {len(wrong)} wrong; {sum(d[2] is not True for d in without)} of as many without a gateway")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
