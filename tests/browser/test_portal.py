#!/usr/bin/env python3
"""A real browser, behind the gateway, at the portal. Screenshots are left in build/browser/."""
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "live")]
from lab import BUILD, SITES, v6, wait_for  # noqa: E402
from tap import Skip  # noqa: E402
from test_portal import GATE, PASSWORD, portal_lab  # noqa: E402

HOME = BUILD / "browser"
SITE, SERVER = "www.social.example", "198.51.100.20"
STREAM = """
import http.server, time
class Stream(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for i in range(100000):
            self.wfile.write(b"data: %d\\n\\n" % i)
            time.sleep(0.05)
http.server.ThreadingHTTPServer(("127.0.0.1", 9000), Stream).serve_forever()
"""


def need():
    for tool in ("chromium", "node", "certutil", "caddy"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool} (scripts/install-deps browser)")
    for package in ("playwright-core", "axe-core"):
        if not (HOME / "node_modules" / package).exists():
            raise Skip(f"needs {package} of npm (scripts/install-deps browser)")


def trust(home, ca):
    """The lab's certificate in the place where the browser looks for roots."""
    db = home / ".pki/nssdb"
    db.mkdir(parents=True)
    for argv in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "lab", "-i", str(ca)]):
        subprocess.run(["certutil", "-d", f"sql:{db}", *argv], check=True, capture_output=True)


def serve(lab):
    """The site: Debian's caddy, over TCP and HTTP/3, with a page whose answer never ends."""
    cert, key = lab.certificate
    at = f"bind {SERVER} {v6(SERVER)}"
    (lab.dir / "Caddyfile").write_text(
        "{\n admin off\n auto_https off\n servers {\n  protocols h1 h2 h3\n }\n}\n"
        f"https://{SITE} {{\n {at}\n tls {cert} {key}\n"
        " handle /stream {\n  reverse_proxy 127.0.0.1:9000 {\n   flush_interval -1\n  }\n }\n"
        " handle {\n  header Content-Type text/html\n  respond \"<title>site</title>hello\"\n }\n}\n"
        f"http://{SITE} {{\n {at}\n redir https://{SITE}{{uri}}\n}}\n")
    lab.spawn("outside", sys.executable, "-c", STREAM)
    lab.spawn("outside", "env", f"HOME={lab.dir}", f"XDG_DATA_HOME={lab.dir}", "caddy", "run",
              "--config", lab.dir / "Caddyfile", "--adapter", "caddyfile")
    wait_for(lambda: lab.run("outside", "curl", "-sk", "-m", "1", "--resolve", f"{SITE}:443:{SERVER}",
                             f"https://{SITE}/", check_exit=False).returncode == 0, 20, "the site")


def run():
    need()
    sites = {**SITES, SITE: SERVER}
    with portal_lab({"segments": []}, sites, [SERVER], logo=HERE / "logo.svg") as lab:
        serve(lab)
        home = lab.dir / "home"
        trust(home, lab.ca)
        ctl = f"ip netns exec {lab.ns('gateway')} {BUILD}/tiergatectl --socket {lab.control}"
        env = {**os.environ, "HOME": str(home), "NODE_PATH": str(HOME / "node_modules"), "BASE": GATE,
               "SITE": SITE, "SHOTS": str(HOME), "PASSWORD": PASSWORD,
               "LOGOUT": f"{ctl} logout --user ann || :; {ctl} logout --user bob || :",
               "LOGIN": f"printf '%s\\n' '{PASSWORD}' | {ctl} login --config {lab.config_file} --user ann"}
        argv = ["ip", "netns", "exec", lab.ns("client"), "node", str(HERE / "portal.js")]
        return subprocess.run(argv, env=env).returncode


if __name__ == "__main__":
    try:
        sys.exit(run())
    except Skip as reason:
        print(f"1..0 # SKIP {reason}")
