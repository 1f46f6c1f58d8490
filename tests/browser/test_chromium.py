#!/usr/bin/env python3
"""A real browser behind the gateway: Chromium over TCP and over QUIC, allowed and denied."""
import contextlib
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "live"))
from lab import BUILD, SITES, Lab, v6, wait_for  # noqa: E402
from tap import Skip, check, equal, main, note  # noqa: E402

ALLOWED, DENIED = "www.allowed.example", "www.denied.example"
SERVER = "198.51.100.20"


class Browser:
    def __init__(self, lab):
        self.lab, self.home = lab, lab.dir / "home"
        database = f"sql:{self.home}/.pki/nssdb"
        (self.home / ".pki/nssdb").mkdir(parents=True)
        for argv in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "lab", "-i", str(lab.ca)]):
            subprocess.run(["certutil", "-d", database, *argv], check=True)

    def open(self, url, *options):
        """The page's text as the browser has it; ERR_... where it does not come."""
        done = self.lab.run(
            "client", "env", f"HOME={self.home}", "timeout", "60", "chromium", "--headless=new", "--no-sandbox",
            "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run",
            f"--user-data-dir={self.home}/profile", "--dump-dom", *options, url, check_exit=False, timeout=90)
        found = re.findall(r"proto=[A-Z0-9/.]+|Page load failed: net::ERR_[A-Z_]+", done.stdout + done.stderr)
        check(found, "no page:", done.stdout[-500:], done.stderr[-500:])
        return found[0].split(":")[-1]


@contextlib.contextmanager
def browser():
    for tool in ("chromium", "caddy", "certutil"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool} (scripts/install-deps browser)")
    if not (BUILD / "tiergated").exists():
        raise Skip("build/tiergated is not built")
    with Lab({**SITES, ALLOWED: SERVER, DENIED: SERVER}, bare=[SERVER]) as lab:
        cert, key = lab.certificate
        (lab.dir / "Caddyfile").write_text(
            "{\n admin off\n auto_https off\n servers {\n  protocols h1 h2 h3\n }\n}\n"
            f"https://{ALLOWED} https://{DENIED} {{\n bind {SERVER} {v6(SERVER)}\n tls {cert} {key}\n"
            " header Content-Type text/html\n"
            " respond \"<html><body>proto={http.request.proto}</body></html>\"\n}\n")
        lab.spawn("outside", "env", f"HOME={lab.dir}", f"XDG_DATA_HOME={lab.dir}", "caddy", "run",
                  "--config", lab.dir / "Caddyfile", "--adapter", "caddyfile")
        wait_for(lambda: lab.curl(f"https://{ALLOWED}/").ok, 20, "the server")
        # whatever a browser calls home for is denied by having no line
        lab.start(segments=[{"network": "10.77.1.0/24", "tier": "guest"}, {"network": "fd77:1::/64", "tier": "guest"}])
        lab.browser = Browser(lab)
        yield lab
        lab.stop()


def record(lab, transport, name):
    return lab.record(network__transport=transport, destination__domain=name, destination__port=443)


def test_tcp_allowed(lab):
    "over TCP an allowed page comes"
    equal(lab.browser.open(f"https://{ALLOWED}/", "--disable-quic"), "proto=HTTP/2.0")
    r = record(lab, "tcp", ALLOWED)
    equal((r["event.action"], r["network.protocol"]), ("allow", "tls"))


def test_tcp_denied(lab):
    "over TCP a denied page is reset"
    equal(lab.browser.open(f"https://{DENIED}/", "--disable-quic"), "ERR_CONNECTION_RESET")
    equal(record(lab, "tcp", DENIED)["event.action"], "deny")


def quic(name):
    return "--enable-quic", f"--origin-to-force-quic-on={name}:443"


def test_quic_allowed(lab):
    "over QUIC an allowed page comes: HTTP/3"
    equal(lab.browser.open(f"https://{ALLOWED}/", *quic(ALLOWED)), "proto=HTTP/3.0")
    r = record(lab, "udp", ALLOWED)
    equal((r["event.action"], r["network.protocol"]), ("allow", "quic"))


def test_quic_denied(lab):
    "over QUIC a denied page does not come"
    got = lab.browser.open(f"https://{DENIED}/", *quic(DENIED))
    note(got)
    check(got.startswith("ERR_"), got)
    equal(record(lab, "udp", DENIED)["event.action"], "deny")


if __name__ == "__main__":
    main(globals(), browser)
