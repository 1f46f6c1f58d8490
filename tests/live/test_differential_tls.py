#!/usr/bin/env python3
"""Differential tests of ClientHellos: what the gateway lets through is given to real servers, on loopback. In TLS 1.2
the certificate that a server picks by the name comes in clear: none may be another than the gateway saw the name of.

    test_differential_tls.py [SEED [SECONDS]]    other seeds, for so long; prints what it finds
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "golden")]
import hellos  # noqa: E402
import test_differential as http  # noqa: E402
from heads import BAD, GOOD  # noqa: E402
from tap import Skip, check, main, note  # noqa: E402

COUNT = 1200
NGINX = """daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit; user root;
events { worker_connections 2048; }
http { access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  ssl_protocols TLSv1.2 TLSv1.3;
  server { listen 127.0.0.1:%(port)d ssl default_server backlog=2048; ssl_certificate none.pem; ssl_certificate_key none.pem; }
  server { listen 127.0.0.1:%(port)d ssl; server_name good; server_name """ + GOOD + """; ssl_certificate good.pem; ssl_certificate_key good.pem; }
  server { listen 127.0.0.1:%(port)d ssl; server_name """ + BAD + """; ssl_certificate bad.pem; ssl_certificate_key bad.pem; } }
"""
HAPROXY = """global
    log /dev/null local0
    maxconn 4000
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend f
    bind 127.0.0.1:%(port)d ssl crt none.pem crt good.pem crt bad.pem
    http-request return status 200
"""
CADDY = """{
    admin off
    auto_https off
    storage file_system %(dir)s/caddy
}
https://""" + GOOD + """:%(port)d {
    bind 127.0.0.1
    tls %(dir)s/good.pem %(dir)s/good.pem
}
https://""" + BAD + """:%(port)d {
    bind 127.0.0.1
    tls %(dir)s/bad.pem %(dir)s/bad.pem
}
"""


def certificates(d):
    for file, name in (("none", "none.example"), ("good", GOOD), ("bad", BAD)):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9", "-subj",
                        f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", d / f"{file}.key", "-out", d / f"{file}.crt"],
                       check=True, capture_output=True)
        (d / f"{file}.pem").write_bytes((d / f"{file}.crt").read_bytes() + (d / f"{file}.key").read_bytes())


def kinds(d):
    def nginx(port):
        (d / "tls.conf").write_text(NGINX % {"port": port})
        return ["-p", d, "-c", d / "tls.conf", "-e", "/dev/null"]

    def haproxy(port):
        (d / "tls.cfg").write_text(HAPROXY % {"port": port})
        return ["-q", "-f", d / "tls.cfg"]

    def caddy(port):
        (d / "Caddytls").write_text(CADDY % {"port": port, "dir": d})
        return ["run", "--adapter", "caddyfile", "--config", d / "Caddytls"]

    def openssl(port):
        return ["s_server", "-accept", f"127.0.0.1:{port}", "-cert", d / "good.pem", "-servername", BAD, "-cert2", d / "bad.pem", "-key2",
                d / "bad.pem", "-quiet"]

    def gnutls(port):
        return ["-p", str(port), "--quiet", "--priority", "NORMAL:+VERS-TLS1.2", *(a for f in ("good", "bad") for a in (
            "--x509certfile", d / f"{f}.crt", "--x509keyfile", d / f"{f}.key"))]
    yield "nginx (OpenSSL)", "nginx", nginx
    yield "haproxy", "haproxy", haproxy
    yield "caddy (Go)", "caddy", caddy
    yield "openssl s_server", "openssl", openssl
    yield "gnutls-serv", "gnutls-serv", gnutls


def picked(answer):
    """Whose certificate a server shows."""
    return BAD if BAD.encode() in answer else GOOD if GOOD.encode() in answer else None


@contextlib.contextmanager
def servers():
    with tempfile.TemporaryDirectory() as folder:
        d = pathlib.Path(folder)
        certificates(d)
        s = http.Servers(folder, kinds)
        try:
            s.start()
            if len(s.ports) < 2:
                raise Skip("no servers to compare: scripts/install-deps test")
            yield s
        finally:
            s.stop()


def differences(s, policy, streams):
    went = http.passed(s.dir, "first", policy, streams, 443)
    index = [i for i, data in enumerate(went) if data]
    wrong, answered = [], set()
    for name, i, answer in s.ask([went[i] for i in index], True):
        if picked(answer):
            answered.add(i)
        if picked(answer) == BAD:
            wrong.append((f"{name} takes {BAD}", went[index[i]]))
    return wrong, len(index), len(answered)


def test_servers_pick(s):
    """each server picks its certificate by the name"""
    tls12 = [hellos.Maker(0), hellos.Maker(0)]
    for maker, name in zip(tls12, (GOOD, BAD)):
        maker.odd = 0
        maker.name = lambda name=name: name.encode()
    for name, i, answer in s.ask([m.stream() for m in tls12], True):
        check(picked(answer) == (GOOD, BAD)[i], f"{name} shows {picked(answer)} for {(GOOD, BAD)[i]}: {answer[:40]!r}")


def compare(s, policy):
    wrong, went, answered = differences(s, policy, [hellos.stream(seed) for seed in range(COUNT)])
    note(f"{COUNT} connections, {went} passed, {answered} of them were answered with a certificate")
    for why, data in wrong[:20]:
        note(f"{why}: {data!r}")
    check(not wrong, f"{len(wrong)} times a server took another name")
    check(answered > COUNT // 8, "the generator's hellos are too odd to be answered")


def test_hellos(s):
    """no server takes another name than the one that was allowed"""
    compare(s, http.NAMED)


def test_hellos_but_one(s):
    """all is allowed but one name: no server takes that one, whatever passed for no hello"""
    compare(s, http.BUT_ONE)


def search(first, seconds):
    found, count, end = 0, 0, time.monotonic() + seconds
    with servers() as s:
        while time.monotonic() < end:
            for policy in (http.NAMED, http.BUT_ONE):
                wrong, _, _ = differences(s, policy, [hellos.stream(first + count + i) for i in range(1000)])
                for why, data in wrong:
                    print(f"{why}: {data!r}", flush=True)
                found += len(wrong)
            count += 1000
    print(f"{count} hellos from seed {first}: {found} differences", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        sys.exit(search(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 60))
    main(globals(), servers)
