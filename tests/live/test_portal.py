#!/usr/bin/env python3
"""The portal: people sign in through it with real browsers' requests, and flows follow at once."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, ROOT, SITES, Lab, libconfig, v6, wait_for  # noqa: E402
from pcapgen import client_hello  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402

GUEST, NOBODY, OTHER = "10.77.1.2", "10.77.1.7", "10.77.1.8"
GATE = "https://gate.example"
PASSWORD = "Correct Horse & 9"


class Browser:
    """curl with a cookie jar, at an address."""

    def __init__(self, lab, source=NOBODY):
        self.lab, self.source = lab, source
        self.jar = lab.dir / f"jar-{source}-{time.monotonic_ns()}"

    def get(self, url, *options, timeout=10):
        if url.startswith("/"):
            url = GATE + url
        headers = self.lab.dir / f"headers-{self.source}"
        headers.write_text("")
        got = self.lab.curl(url, self.source, "-b", self.jar, "-c", self.jar, "-D", headers,
                            *options, timeout=timeout)
        got.headers = dict(re.findall(r"(?m)^([\w-]+): (.*?)\r?$", headers.read_text().lower()))
        return got

    def csrf(self, path="/"):
        return re.search(r'name="csrf" value="([0-9a-f]{32})"', self.get(path).body)[1]

    def sign_in(self, user="ann", password=PASSWORD, *options, csrf=None, **more):
        fields = {"csrf": csrf or self.csrf(), "user": user, "password": password, **more}
        data = [x for k, v in fields.items() for x in ("--data-urlencode", f"{k}={v}")]
        return self.get("/sign-in", *data, *options)

    def sign_out(self):
        return self.get("/sign-out", "--data", f"csrf={self.csrf()}")


class Portal:
    """The portal program of the lab."""

    def __init__(self, lab):
        self.lab, self.process = lab, None
        self.config_file = lab.dir / "portal.conf"
        self.log_path = lab.dir / "portal.log"

    def settings(self, **over):
        base = {"url": GATE, "certificate": str(self.lab.certificate[0]),
                "key": str(self.lab.certificate[1]),
                "clients": ["10.77.1.0/24", "fd77:1::/64"],
                "control_socket": str(self.lab.control), "users_file": str(self.lab.dir / "users"),
                "state_dir": str(self.lab.dir / "portal"), "texts": str(ROOT / "conf/portal"),
                "request_time": "3s", "contact": "the lab's desk"}
        base.update(over)
        return base

    def start(self, **over):
        (self.lab.dir / "portal").mkdir(exist_ok=True)
        self.config_file.write_text(libconfig(self.settings(**over)))
        with self.log_path.open("w") as log:
            self.process = self.lab.spawn("gateway", BUILD / "tiergate-portal", "--config",
                                          self.config_file, stderr=log, stdout=log)
        wait_for(lambda: "signing people in" in self.log() or self.process.poll() is not None, 10,
                 "the portal")
        check(self.process.poll() is None, "the portal ended:", self.log())

    def hangup(self, word):
        before = self.log().count(word)
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log().count(word) > before, 5, word)

    def reload(self, good=True, extra="", **over):
        """SIGHUP with another configuration: settings(**over), then `extra` as it is."""
        self.config_file.write_text(libconfig(self.settings(**over)) + extra)
        self.hangup("are read again" if good else "nothing is changed")

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            equal(self.process.wait(20), 0, "exit status of the portal")
            self.process = None

    def log(self):
        return self.log_path.read_text(errors="replace")


def listen(lab, end):
    """Reads what tiergated tells the service manager, which does not let it wait either."""
    while not end.wait(0.5):
        with contextlib.suppress(OSError):
            lab.told("")


POLICY = {"on_deny": "redirect", "portal": ["10.77.1.1:80", "[fd77:1::1]:80"],
          "allow": [{"tiers": ["guest"], "sites": ["good"]},
                    {"tiers": ["staff"], "sites": ["social"], "owner": "the press office",
                     "note": "for those who write"}]}


@contextlib.contextmanager
def portal_lab(gateway=(), sites=SITES, bare=(), **over):
    if not (BUILD / "tiergate-portal").exists():
        raise Skip("build/tiergate-portal is not built")
    with Lab({**sites, "gate.example": "10.77.1.1"}, bare) as lab:
        for user, tier in (("ann", "staff"), ("bob", "guest")):
            done = lab.ctl("passwd", "--users", lab.dir / "users", "--tier", tier, "--user", user,
                           socket=False, input=PASSWORD + "\n")
            check(done.returncode == 0, done.stdout, done.stderr)
        lab.start(**{**POLICY, **dict(gateway)})
        end = threading.Event()
        threading.Thread(target=listen, args=(lab, end), daemon=True).start()
        lab.portal = Portal(lab)
        lab.portal.start(**{k: str(v) for k, v in over.items()})
        yield lab
        end.set()
        check(lab.portal.process.poll() is None, "the portal died:", lab.portal.log())
        lab.portal.stop()
        check(PASSWORD not in lab.portal.log() + lab.log(), "a password is in a log")


def shared(test):
    def run(lab):
        lab.ctl("logout", "--user", "ann")
        lab.ctl("logout", "--user", "bob")
        test(lab)
    run.__doc__, run.__name__ = test.__doc__, test.__name__
    return run


def signed_in(lab, address=NOBODY):
    rows = [json.loads(x) for x in lab.ctl("--json", "sessions").stdout.splitlines()]
    return [r["user"] for r in rows if address in r["addresses"]]


@shared
def test_denied_to_portal_and_out_again(lab):
    "denied, sent to the portal, signed in, allowed, signed out: the open flow is reset at once"
    b = Browser(lab)
    got = lab.curl("https://www.social.example/", NOBODY)
    check(got.refused, "want a reset, got", got)
    got = b.get("http://www.social.example/some/path?q=1")
    equal((got.status, got.headers["location"]), (302, f"{GATE}/blocked?to=www.social.example"))
    check("some/path" not in got.body, "a path is told on")
    page = b.get("/blocked?to=www.social.example")
    check(page.ok and "www.social.example is not open to you" in page.body, page)
    check('name="to" value="www.social.example"' in page.body, page)
    got = b.sign_in(to="www.social.example")
    equal((got.status, got.headers["location"]), (303, "/?to=www.social.example"))
    equal(signed_in(lab), ["ann"])
    check('href="http://[2001:db8:2::13]/"' in b.get("/?to=2001:db8:2::13").body, "the link to an IPv6 address")
    page = b.get("/?to=www.social.example")
    for piece in ("ann", "staff", NOBODY, "http://www.social.example/", "social"):
        check(piece in page.body, piece, "is not on", page.body)
    got = lab.curl("https://www.social.example/", NOBODY)
    check(got.ok, got)

    context = ssl.create_default_context(cafile=lab.ca)
    raw = lab.connect(SITES["www.social.example"], 443, NOBODY)
    flow = context.wrap_socket(raw, server_hostname="www.social.example")
    flow.sendall(b"GET / HTTP/1.1\r\nHost: www.social.example\r\n\r\n")
    check(flow.recv(10), "no answer")
    got = b.sign_out()
    equal((got.status, got.headers["location"]), (303, "/signed-out"))
    equal(signed_in(lab), [])

    def ended():
        try:
            flow.sendall(b"GET / HTTP/1.1\r\nHost: www.social.example\r\n\r\n")
            return flow.recv(100) == b""
        except (ConnectionError, ssl.SSLError):
            return True
        except socket.timeout:
            return False
    flow.settimeout(1)
    wait_for(ended, 5, "the end of the flow")
    check(lab.curl("https://www.social.example/", NOBODY).refused, "still allowed")


@shared
def test_denied_request(lab):
    "a tier's denied plain request is answered: the portal says why; nothing of it leaves, IPv4 and IPv6"
    for source, at in ((GUEST, "10.77.1.1"), (v6(GUEST), "[fd77:1::1]")):
        b, far = Browser(lab, source), lab.sniff()
        got = b.get("http://www.denied.example/some/path")
        location = f"http://{at}/blocked?to=www.denied.example"
        equal((got.status, got.exit, got.headers["location"]), (302, 0, location))
        equal(b.get("http://www.denied.example/some/path", "-I").status, 302)
        got = b.get("http://www.denied.example/some/path", "--data", "x=1")
        equal((got.status, got.exit), (511, 0))
        check("location" not in got.headers and f'href="{location}"' in got.body, got.body)
        long = "x-long: " + "y" * 6000  # a request in several packets
        check(b.get("http://www.denied.example/some/path", "-H", long).status in (302, 511))
        page = b.get("http://www.denied.example/some/path", "-L")
        equal((page.status, page.exit), (200, 0))
        check("www.denied.example is not open to you" in page.body, page.body)
        check("no rule allows it" in page.body, page.body)
        equal(b.get(f"http://{at}/").headers["location"], GATE + "/")
        check(lab.curl("https://www.denied.example/", source).refused, "HTTPS is not refused")
        check(b.get("http://www.allowed.example/").ok, "what is allowed does not come")
        check(far.contains("www.allowed.example"), "the sniffer is deaf")
        check(not far.contains("some/path"), "the request left")
        far.close()
        r = lab.record(source__ip=source, destination__domain="www.denied.example", network__protocol="http")
        equal((r["event.action"], r["event.reason"]), ("deny", "no-line"))


@shared
def test_denied_request_ends(lab):
    "a client that was answered has its connection off its hands: nothing is repeated for minutes"
    for source in (GUEST, v6(GUEST)):
        to = SITES["www.denied.example"]
        s = lab.connect(v6(to) if ":" in source else to, 80, source)
        port = s.getsockname()[1]
        s.sendall(b"GET / HTTP/1.1\r\nHost: www.denied.example\r\n\r\n")
        s.settimeout(5)
        answer = b"".join(iter(lambda: s.recv(4096), b""))
        check(answer.startswith(b"HTTP/1.1 302 ") and answer.endswith(b"\r\n\r\n"), answer)
        s.close()
        wait_for(lambda: not lab.run("client", "ss", "-Htan", f"sport = :{port}").stdout, 5,
                 "the end of the connection")


@shared
def test_captive_check(lab):
    "a device's connectivity check meets the portal until its person has signed in, then no portal any more"
    b = Browser(lab)
    at = ("--resolve", "captive.apple.com:80:198.51.100.11")
    got = b.get("http://captive.apple.com/hotspot-detect.html", *at)
    equal((got.status, got.headers["location"]), (302, f"{GATE}/blocked?to=captive.apple.com"))
    equal(b.sign_in().status, 303)
    got = b.get("http://captive.apple.com/hotspot-detect.html", *at)
    equal((got.exit, got.status), (56, 0), "refused")
    got = b.get("http://www.denied.example/", "--resolve", "www.denied.example:80:198.51.100.11")
    equal(got.status, 302, "a page is told why")
    equal(b.sign_out().status, 303)


@shared
def test_redirect_over_ip6(lab):
    "nobody's plain HTTP over IPv6 meets the portal"
    b = Browser(lab, v6(NOBODY))
    got = b.get("http://www.social.example/")
    equal((got.status, got.headers["location"]), (302, f"{GATE}/blocked?to=www.social.example"))
    check(b.get("http://www.social.example/", "-L").ok, "the page over IPv6")


@shared
def test_wrong_password(lab):
    "a wrong password and an unknown user get the same page, then have to wait"
    b = Browser(lab, "10.77.1.6")
    answers = [b.sign_in("ann", "wrong"), b.sign_in("nosuch", "wrong"), b.sign_in("ann' or 1", "x")]
    for got in answers:
        equal(got.status, 403)
        check("User name or password is wrong." in got.body and 'role="alert"' in got.body, got.body)
    pages = [re.sub(r"[0-9a-f]{32}", "", a.body) for a in answers]
    check(pages[0] == pages[1] == pages[2], "the pages differ")
    got = b.sign_in()
    equal(got.status, 429)
    check(int(got.headers["retry-after"]) >= 1, got.headers)
    equal(signed_in(lab, "10.77.1.6"), [])
    got = Browser(lab, OTHER).sign_in()
    equal(got.status, 303, "status for another address")
    log = lab.portal.log()
    check("nosuch" not in log and "or 1" not in log, "what was typed is in the log", log)


@shared
def test_forms_are_bound_to_the_browser(lab):
    "a form without its token, or with another browser's, does nothing"
    b, other = Browser(lab), Browser(lab, OTHER)
    for csrf in ("", "0" * 32, other.csrf()):
        b.csrf()
        equal(b.sign_in(csrf=csrf or "x").status, 403)
    equal(signed_in(lab), [])
    equal(b.sign_in().status, 303)
    equal(b.get("/sign-out", "--data", "csrf=" + other.csrf()).status, 403)
    equal(signed_in(lab), ["ann"])
    equal(b.get("/sign-out").status, 405)


@shared
def test_cookies_and_headers(lab):
    "cookies are Secure, HttpOnly, SameSite; the policy allows no script; a sign-in changes the token"
    b = Browser(lab)
    page = b.get("/")
    cookie = page.headers["set-cookie"]
    for word in ("__host-tiergate=", "secure", "httponly", "samesite=lax", "path=/"):
        check(word in cookie, word, "is not in", cookie)
    policy = page.headers["content-security-policy"]
    check("default-src 'none'" in policy and "script" not in policy and "unsafe" not in policy, policy)
    check("<script" not in page.body and "style=" not in page.body, "inline code")
    check(len(page.body) < 30000, len(page.body))
    equal(page.headers["cache-control"], "private, no-store")
    def token_in_jar():
        return re.search(r"__Host-tiergate\s+([0-9a-f]{32})", b.jar.read_text())[1]
    before = token_in_jar()
    signed_in = b.sign_in()
    equal(signed_in.status, 303)
    cookie = signed_in.headers["set-cookie"]
    for word in ("__host-tiergate=", "secure", "httponly", "samesite=lax", "path=/"):
        check(word in cookie, word, "is not in", cookie)
    token = token_in_jar()
    check(token != before, "the token is the same after the sign-in")
    other = Browser(lab, "10.77.1.21")  # who knew the token of before knows nothing
    other.jar.write_text(b.jar.read_text().replace(token, before))
    check("ann" not in other.get("/").body, "the token of before the sign-in signs in")

    def kept():
        with contextlib.suppress(FileNotFoundError):  # a file is written under another name first
            return b"".join(f.read_bytes() for f in (lab.dir / "portal").iterdir())
        return b""
    wait_for(lambda: b"ann" in kept(), 10, "the cookies' file with this sign-in")
    check(token.encode() not in kept() and bytes.fromhex(token) not in kept(), "the token is on disk")


@shared
def test_roaming(lab):
    "a browser that moves is signed in at its new address and out at the old; IPv6 is added"
    b = Browser(lab)
    equal(b.sign_in().status, 303)
    b.source = "10.77.1.9"
    check("You are signed in" in b.get("/").body, "not signed in again")
    equal((signed_in(lab, NOBODY), signed_in(lab, "10.77.1.9")), ([], ["ann"]))
    b.source = v6("10.77.1.9")
    check("You are signed in" in b.get("/").body, "not signed in by IPv6")
    equal((signed_in(lab, "10.77.1.9"), signed_in(lab, b.source)), (["ann"], ["ann"]))
    lab.ctl("logout", "--user", "ann")
    check("You are signed in" not in b.get("/").body, "the cookie undid the operator's logout")


@shared
def test_what_is_no_text(lab):
    "bytes of a URL that are no UTF-8 are not on the page, which says that this is no site"
    body = Browser(lab).get("/why?to=%ff%fea%22%C3").body  # what is no UTF-8 fails here
    check('value="\ufffd\ufffda&#34;\ufffd"' in body, body)


@shared
def test_old_cookie(lab):
    "a browser whose user has lost a tier since does not bring it back"
    def tier(name):
        done = lab.ctl("passwd", "--users", lab.dir / "users", "--user", "ann", "--tier", name, "--keep", socket=False)
        equal(done.returncode, 0, done.stderr)
    old, new = Browser(lab), Browser(lab)
    equal(old.sign_in().status, 303)
    tier("guest")
    try:
        lab.ctl("logout", "--user", "ann")
        equal(new.sign_in().status, 303)
        old.source = "10.77.1.9"
        check("You are signed in" not in old.get("/").body, "the old cookie is good again")
        equal((signed_in(lab), signed_in(lab, "10.77.1.9")), (["ann"], []))
        new.source = "10.77.1.9"
        check("You are signed in" in new.get("/").body, "the new one is not")
    finally:
        tier("staff")


@shared
def test_restart_keeps_cookies(lab):
    "sessions and cookies outlive a restart of the portal"
    b = Browser(lab)
    equal(b.sign_in().status, 303)
    lab.portal.stop()
    lab.portal.start()
    equal(signed_in(lab), ["ann"])
    b.source = "10.77.1.9"
    check("You are signed in" in b.get("/").body, "not signed in again")


@shared
def test_why(lab):
    "the page tells one's own denials with rule, reason and whom to ask; another's it does not"
    lab.curl("https://www.denied.example/", OTHER)
    denied = SITES["www.denied.example"]  # nobody is denied before a name is told
    lab.record(source__ip=OTHER, destination__ip=denied)
    b = Browser(lab, OTHER)
    wait_for(lambda: denied in b.get("/why").body, 5, "the denial")
    page = b.get("/why")
    check("nobody is signed in on this device" in page.body, page.body)
    check("the lab&#39;s desk" in page.body, page.body)
    check(denied not in Browser(lab, "10.77.1.5").get("/why").body, "another's denial")
    lab.resolve("www.social.example", OTHER)  # this client is told the name: it is shown, too
    lab.curl("https://www.social.example/", OTHER)
    wait_for(lambda: "<h2>www.social.example</h2>" in b.get("/why").body, 5, "the name of a first packet's denial")
    page = b.get("/why").body
    part = page[page.index("<h2>www.social.example</h2>"):].split("</li>")[0]
    for piece in (SITES["www.social.example"] + " tcp/443", "the press office", "for those who write", "nobody is signed in"):
        check(piece in part, piece, "is not in", part)
    page = b.get("/why?to=www.social.example").body
    check("the press office" in page and "for those who write" in page, page)
    equal(b.sign_in("bob").status, 303)
    lab.curl("https://www.social.example/", OTHER)
    lab.record(source__ip=OTHER, destination__domain="www.social.example", user__name="bob")
    wait_for(lambda: "no rule allows it" in b.get("/why").body, 5, "bob's denial")
    equal(b.sign_out().status, 303)
    equal(b.sign_in("ann").status, 303)
    check("no rule allows it" not in b.get("/why").body, "ann sees what bob was denied")
    check("is allowed to you now" in b.get("/why?to=www.social.example").body, "why?to=")
    check("neither a host name" in b.get("/why?to=%3Cb%3E").body and
          "<b>" not in b.get("/why?to=%3Cb%3E").body, "markup comes back")


@shared
def test_why_of_all_addresses(lab):
    "the page tells what was denied at each address of one's session, asked from any of them, and no other's"
    b = Browser(lab, "10.77.1.7")
    equal(b.sign_in("bob").status, 303)
    b.source = v6("10.77.1.7")
    check("You are signed in" in b.get("/").body, "not signed in by IPv6")
    denied = v6(SITES["www.denied.example"])
    lab.curl("https://www.denied.example/", v6("10.77.1.7"))
    lab.record(source__ip=v6("10.77.1.7"), destination__ip=denied)
    b.source = "10.77.1.7"
    wait_for(lambda: denied in b.get("/why").body or "www.denied.example" in b.get("/why").body, 5, "the denial over IPv6")
    other = Browser(lab, "10.77.1.5").get("/why").body
    check(denied not in other and "www.denied.example" not in other, "another's denial")
    equal(b.sign_out().status, 303)


@shared
def test_captive_portal_api(lab):
    "RFC 8908: captive, then not, with the seconds that remain"
    b = Browser(lab)
    got = b.get("/api")
    equal(got.headers["content-type"], "application/captive+json")
    equal(json.loads(got.body), {"captive": True, "user-portal-url": GATE, "can-extend-session": True})
    equal(b.sign_in().status, 303)
    state = json.loads(b.get("/api").body)
    check(state["captive"] is False and 40000 < state["seconds-remaining"] <= 43200, state)
    state = json.loads(Browser(lab, "10.77.1.2").get("/api").body)
    check(state["captive"] is False and "seconds-remaining" not in state, state)


@shared
def test_what_is_left(lab):
    "the page says what is left of a quota, less and less; it is nothing when the flow is cut"
    allow = [POLICY["allow"][0], {**POLICY["allow"][1], "quota": "3 MB/day"}]
    lab.reload(**{**POLICY, "allow": allow})
    b = Browser(lab)
    equal(b.sign_in().status, 303)

    def left():
        said = re.search(r"([0-9.]+ k?M?B) of 3 MB left today, anew from ", b.get("/").body)
        check(said, b.get("/").body)
        return said[1]
    equal(left(), "3 MB")
    check("left today" not in Browser(lab, "10.77.1.2").get("/").body, "another's page")
    check(lab.curl("http://www.social.example/1000000", NOBODY).ok)
    wait_for(lambda: left() == "1.9 MB", 10, "less")
    for _ in range(9):
        if not lab.curl("http://www.social.example/700000", NOBODY).ok:
            break
    wait_for(lambda: left() == "0 B", 10, "nothing")
    got = lab.curl("https://www.social.example/", NOBODY)
    check(got.refused, got)
    lab.reload(**POLICY)
    check("left today" not in b.get("/").body, "no quota any more")
    check(lab.curl("https://www.social.example/", NOBODY).ok)


@shared
def test_plain_http(lab):
    "plain HTTP: GET is sent to the portal, anything else is answered 511; its own name goes home"
    b = Browser(lab)
    got = b.get("http://gate.example/anything")
    equal((got.status, got.headers["location"]), (302, GATE + "/"))
    got = b.get("http://gate.example/", "-H", "Host: evil\"><script>.example")
    equal((got.status, got.headers["location"]), (302, GATE + "/"))
    got = b.get("http://www.denied.example/", "--data", "x=1")
    equal(got.status, 511)
    check("location" not in got.headers and GATE in got.body, got)
    equal(b.get("http://www.denied.example/", "-I").status, 302)


@shared
def test_bad_requests(lab):
    "what is too large, malformed or meant for another host is refused, and nothing ends"
    b = Browser(lab)
    csrf = b.csrf()
    big = lab.dir / "big"
    big.write_text("a=" + "x" * 100000)
    got = b.get("/sign-in", "--data-binary", f"@{big}")
    equal(got.status, 413)
    got = b.get("/sign-in", "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{big}")
    equal(got.status, 413)
    big.write_text("a=" + "x" * 4000000)
    got = b.get("/sign-in", "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{big}")
    check(not got.ok and got.status in (0, 100), got)
    check(b.get("/", "-H", "X-Big: " + "y" * 60000).status in (0, 400, 413, 431), "a large header")
    equal(b.get("/sign-in", "--data", "csrf=%zz").status, 403)
    equal(b.get("/sign-in", "--data", f"csrf={csrf}&user=%00&password=x").status, 403)
    equal(b.get("/sign-in", "--data", f"csrf={csrf}&user=ann&user=bob&password=x").status, 400)
    equal(b.get("/sign-in", "-H", "Content-Type: text/plain", "--data", "x").status, 415)
    equal(b.get("/", "-H", "Host: elsewhere.example").status, 421)
    equal(b.get("/nowhere").status, 404)
    equal(b.get("/", "-X", "BREW").status, 405)
    equal(b.get("/?to=" + "a" * 5000).status, 200)
    equal(b.get("/", "-H", "Cookie: __Host-tiergate=zz; __Host-tiergate=1").status, 200)
    equal(b.sign_in().status, 303)


@shared
def test_slow_and_many(lab):
    "a client that is slow, silent or everywhere holds no connection for long and keeps nobody out"
    context = ssl._create_unverified_context()
    silent = [lab.connect("10.77.1.1", 443, OTHER) for _ in range(30)]
    slow = context.wrap_socket(lab.connect("10.77.1.1", 443, "10.77.1.6"))
    slow.settimeout(0.4)
    slow.sendall(b"POST /sign-in HTTP/1.1\r\nHost: gate.example\r\nContent-Length: 4000\r\n"
                 b"Content-Type: application/x-www-form-urlencoded\r\n\r\n")
    check(Browser(lab).get("/").ok, "the page is not served")

    def ended():
        try:
            slow.sendall(b"x")
            return slow.recv(100) == b""
        except (ConnectionError, ssl.SSLError, BrokenPipeError):
            return True
        except socket.timeout:
            return False
    wait_for(ended, 20, "the end of the slow request")
    for s in silent:
        s.settimeout(15)
        with contextlib.suppress(ConnectionError):
            check(not s.recv(100) or not s.recv(100), "still open")  # after an alert of TLS
        s.close()
    check(Browser(lab, OTHER).get("/").ok, "the address is still shut out")


@shared
def test_one_host_many_addresses(lab):
    "a host that fills the portal from 40 addresses of its /64 keeps nobody out, of that /64 or elsewhere"
    hold, addresses = [], [f"fd77:1::a:{i:x}" for i in range(40)]
    for a in addresses:
        lab.run("client", "ip", "-6", "addr", "add", f"{a}/64", "dev", "eth0", "nodad")
    for a in addresses:
        hold += [lab.connect("fd77:1::1", 443, a, timeout=5) for _ in range(16)]
    for _ in range(3):
        equal(Browser(lab, "10.77.1.8").get("/").status, 200)
        equal(Browser(lab, v6("10.77.1.9")).get("/").status, 200)
    for s in hold:
        s.close()


def test_languages(lab):
    "Bulgarian for who asks for it, by the browser's setting or by hand"
    b = Browser(lab)
    page = b.get("/", "-H", "Accept-Language: bg-BG,bg;q=0.9,en;q=0.5")
    check('<html lang="bg">' in page.body and "Парола" in page.body, page.body)
    check('<html lang="en">' in b.get("/", "-H", "Accept-Language: fr").body, "French?")
    equal(b.get("/language?is=bg").status, 303)
    check("Парола" in b.get("/").body, "the choice is forgotten")
    equal(b.get("/language?is=../../etc").status, 303)
    check("Парола" in b.get("/").body, "a bad choice changed it")


@shared
def test_strangers(lab):
    "who is not of the clients' networks is not served"
    got = lab.run("outside", "curl", "-sk", "-m", "3", "--resolve", "gate.example:443:198.51.100.1",
                  GATE + "/", check_exit=False)
    check(got.returncode in (35, 52, 56, 7), got)


@shared
def test_daemon_away(lab):
    "without the daemon the pages say so, 503; the portal goes on when it is back"
    b = Browser(lab)
    csrf = b.csrf()
    lab.stop(wire=False)
    try:
        for got in (b.get("/"), b.get("/why"), b.get("/api"), b.sign_in(csrf=csrf)):
            equal(got.status, 503)
            check("The gateway is not answering" in got.body, got.body)
            check("retry-after" in got.headers, got.headers)
    finally:
        lab.start(wire=False)
    equal(b.sign_in().status, 303)


def portal_line(lab):
    """What status says of the portal, and of its last error (or "")."""
    text = lab.ctl("status").stdout.partition("\nportal ")[2]
    lines = [line.strip() for line in text.split("\n")]
    return lines[0], lines[1] if text.split("\n")[1].startswith(" ") else ""


def scrape(lab, *options, path="/metrics", host="gateway", to="10.77.1.1"):
    """(status, headers, body) of the metrics' port."""
    done = lab.run(host, "curl", "-sS", "-i", "--max-time", "10", "--cacert", lab.ca, "--resolve",
                   f"gate.example:9834:{to}", *options, f"https://gate.example:9834{path}", check_exit=False)
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    return (int(head.split()[1]) if head else 0), head.lower(), body


@shared
def test_metrics(lab):
    "metrics at a port of their own: off until asked for, by HTTPS, to who has the token, and to nobody else"
    equal(scrape(lab)[0], 0, "it listens unasked")
    token, other = "0123456789abcdef" * 4, "fedcba9876543210" * 4
    file = lab.dir / "metrics.token"
    file.write_text(token + "\n")
    file.chmod(0o600)
    lab.portal.stop()
    on = {"metrics": "[::]:9834", "metrics_token": str(file), "metrics_clients": ["10.77.1.1", "10.77.1.3"]}
    lab.portal.start(**on)
    good = ("-H", f"Authorization: Bearer {token}")
    status, head, body = scrape(lab, *good)
    equal((status, "content-type: text/plain; version=0.0.4" in head), (200, True), head)
    check("\ntiergate_rules_in_place 1\n" in body and "\ntiergate_portal_up 1\n" in body, body[:2000])
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=body, text=True, capture_output=True)
        equal((done.returncode, done.stdout + done.stderr), (0, ""))
    for what, options, path in (("none", (), "/metrics"), ("another", ("-H", f"Authorization: Bearer {other}"), "/metrics"),
                                ("a longer one", ("-H", f"Authorization: Bearer {token}0"), "/metrics"),
                                ("by a password", ("-u", f"x:{token}"), "/metrics"),
                                ("in the URL", (), f"/metrics?token={token}"), ("none, elsewhere", (), "/"),
                                ("none, with a body", ("-d", "x" * 5000), "/metrics")):
        status, head, body = scrape(lab, *options, path=path)
        equal((status, 'www-authenticate: bearer' in head), (401, True), what)
        check("tiergate_" not in body, what, body)
    equal(scrape(lab, *good, path="/")[0], 404)
    equal(scrape(lab, *good, "-X", "DELETE")[0], 405)
    equal(scrape(lab, *good, "-I")[0], 200)
    equal(scrape(lab, *good, "--interface", "10.77.1.3", host="client")[0], 200, "of a client that may")
    equal(scrape(lab, *good, "--interface", "10.77.1.2", host="client")[0], 0, "of a client that may not")
    done = lab.run("gateway", "curl", "-sS", "--max-time", "5", *good, "http://10.77.1.1:9834/metrics", check_exit=False)
    check("tiergate_" not in done.stdout, "without TLS", done.stdout)
    equal(Browser(lab).get("/metrics").status, 404, "on the pages' port")
    file.write_text(other)
    equal(scrape(lab, *good)[0], 200, "until a reload")
    lab.portal.reload(**on)
    equal((scrape(lab, *good)[0], scrape(lab, "-H", f"Authorization: Bearer {other}")[0]), (401, 200))
    file.write_text("short")
    lab.portal.reload(good=False, **on)
    equal(scrape(lab, "-H", f"Authorization: Bearer {other}")[0], 200, "after a refused reload")
    lab.stop(wire=False)
    equal(scrape(lab, "-H", f"Authorization: Bearer {other}")[0], 503, "without the daemon")
    lab.start(wire=False)
    check(token not in lab.portal.log() and other not in lab.portal.log(), "a token is in the log")
    file.chmod(0o644)
    file.write_text(token)
    lab.portal.reload(good=False, **on)
    check("open to others" in lab.portal.log(), lab.portal.log())
    lab.portal.stop()
    lab.portal.start()


@shared
def test_told_to_the_daemon(lab):
    "status says where the portal is, who signed in and who failed; its last error; that it was stopped, or killed"
    before = lab.status()["portal"]
    b = Browser(lab)
    equal(b.sign_in(password="wrong").status, 403)
    equal(b.sign_in().status, 303)
    wait_for(lambda: lab.status()["portal"]["signed_in"] == before["signed_in"] + 1, 20, "its next word")
    now = lab.status()["portal"]
    equal(now["failed"], before["failed"] + 1)
    equal(now["url"], GATE)
    check(f"{GATE} since " in portal_line(lab)[0] and " failed" in portal_line(lab)[0], portal_line(lab))
    lab.portal.reload(good=False, extra="modus = 7;\n")
    wait_for(lambda: "the last reload was refused" in lab.status()["portal"].get("error", ""), 20, "its error")
    check("modus" in portal_line(lab)[1], portal_line(lab))
    lab.portal.reload()
    lab.portal.stop()
    equal(portal_line(lab)[0], "not running: it was stopped")
    equal([s for s in lab.ctl("metrics").stdout.splitlines() if s.startswith("tiergate_portal_up")],
          ["tiergate_portal_up 0"])
    lab.portal.start()
    check(portal_line(lab)[0].startswith(GATE), portal_line(lab))


@shared
def test_reload(lab):
    "SIGHUP takes a new certificate; one without its key changes nothing; TLS 1.2 with forward secrecy only"
    def client(*options):
        return lab.run("client", "openssl", "s_client", "-connect", "10.77.1.1:443", *options, input="",
                       check_exit=False).stdout

    def serial():
        done = client()
        cert = done[done.index("-----BEGIN"):done.index("-----END CERT") + 25]
        return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=cert, text=True,
                              capture_output=True).stdout
    cert, key = lab.certificate
    kept, first = (cert.read_bytes(), key.read_bytes()), serial()
    try:
        make = ("openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
                "-subj /CN=other -keyout other.key -out other.pem")
        subprocess.run(make.split(), cwd=lab.dir, check=True, capture_output=True)
        cert.write_bytes((lab.dir / "other.pem").read_bytes())
        lab.portal.hangup("nothing is changed")
        equal(serial(), first, "certificate after a bad reload")
        key.write_bytes((lab.dir / "other.key").read_bytes())
        lab.portal.hangup("are read again")
        check(serial() != first, "the certificate is still the old one")
        for word in ("the certificate is not for gate.example", "the certificate ends on "):
            wait_for(lambda w=word: w in lab.portal.log(), what="the warning: " + word)
        check("Cipher is ECDHE-RSA" in client("-tls1_2"), client("-tls1_2"))
        check("Cipher is (NONE)" in client("-tls1_2", "-cipher", "kRSA"), "a key exchange by RSA alone")
    finally:
        cert.write_bytes(kept[0])
        key.write_bytes(kept[1])
        lab.portal.hangup("are read again")


class Kept:
    """A connection to the portal that stays open between requests."""

    def __init__(self, lab, source=NOBODY):
        self.tls = ssl.create_default_context(cafile=lab.ca).wrap_socket(
            lab.connect("10.77.1.1", 443, source), server_hostname="gate.example")

    def send(self, text):
        self.tls.sendall(text.replace("\n", "\r\n").encode())

    def answer(self):
        """Status and body of one answer; None where the connection has ended."""
        data = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while b"\r\n\r\n" not in data and (more := self.tls.recv(65536)):
                data += more
            head, _, body = data.partition(b"\r\n\r\n")
            if not body and not head:
                return None
            length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
            while len(body) < length and (more := self.tls.recv(65536)):
                body += more
            return int(head.split()[1]), body.decode()
        return None

    def get(self, path="/"):
        self.send(f"GET {path} HTTP/1.1\nHost: gate.example\n\n")
        return self.answer()


GET = "GET / HTTP/1.1\nHost: gate.example\n"
FORM = "POST /sign-in HTTP/1.1\nHost: gate.example\nContent-Type: application/x-www-form-urlencoded\n"


@shared
def test_request_edges(lab):
    "requests at and beyond every bound are answered or cut off, and the next one is served"
    for text, want in (
            (GET + "a: b\n" * 100 + "\n", {200}),
            (GET + "a: b\n" * 20000 + "\n", {400, 413, 431, None}),
            (GET + "a: " + "b" * 20000 + "\n\n", {200}),
            (GET + "a: " + "b" * 200000 + "\n\n", {400, 413, 431, None}),
            (GET.replace("/ ", "/?to=" + "a" * 20000 + " ") + "\n", {200}),
            (GET.replace("/ ", "/?to=" + "a" * 200000 + " ") + "\n", {400, 413, 414, 431, None}),
            (GET.replace("/ ", "/?" + "a=1&" * 20000 + " ") + "\n", {200, 400, 413, 414, 431, None}),
            (GET + "Cookie: " + "a=b; " * 3000 + "\n\n", {200, 400, 413, 431, None}),
            ("GET / HTTP/1.0\n\n", {421}),
            ("GET / HTTP/1.1\n\n", {400, 421}),
            ("\x00\x01\x02\n\n", {400, None}),
            (FORM + "Content-Length: 99999999999999999999999\n\n", {400, 413, None}),
            (FORM + "Content-Length: -1\n\n", {400, 413, None}),
            (FORM + "Content-Length: 5\nTransfer-Encoding: chunked\n\n5\nuser=\n0\n\n", {400, 403, None}),
            (FORM + "Transfer-Encoding: chunked\n\nfffffffffffffffff\n", {400, 413, None}),
            (FORM + "Content-Length: 8192\n\n" + "a" * 8192, {403}),
            (FORM + "Content-Length: 8193\n\n" + "a" * 8193, {413})):
        k = Kept(lab, OTHER)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            k.send(text)
        got = k.answer()
        check((got and got[0]) in want, got and got[0], "for", text[:60], "... of", len(text), "want", want)
        k.tls.close()
        check(Browser(lab).get("/").ok, "another client is not served after", text[:60])
    k = Kept(lab, OTHER)  # it waits for a body's sake, and has none: no answer fits, and the connection is closed
    k.send(FORM + "Expect: 100-continue\n\n" + FORM + "Expect: 100-continue\na=b")
    with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
        while more := k.tls.recv(65536):
            check(more == b"HTTP/1.1 100 Continue\r\n\r\n", more)
    k = Kept(lab, OTHER)
    k.send(FORM + "Expect: 100-continue\n\n")
    equal(k.tls.recv(65536), b"HTTP/1.1 100 Continue\r\n\r\n")
    equal(k.answer()[0], 403)
    k = Kept(lab, OTHER)
    k.send((GET + "\n") * 20)
    for _ in range(20):
        equal(k.answer()[0], 200, "a request that did not wait for the answer before")


@shared
def test_slow_kinds(lab):
    "while one address is slow or silent in every way it may, others are served, by TLS and by plain HTTP"
    hello = client_hello("gate.example")
    head = b"GET / HTTP/1.1\r\nHost: gate.example\r\n" + b"a: b\r\n" * 500
    idle = Kept(lab, OTHER)
    equal(idle.get()[0], 200)  # and then nothing: kept alive, but not for good
    unread = Kept(lab, OTHER)
    with contextlib.suppress(ConnectionError, ssl.SSLError, socket.timeout):
        unread.tls.settimeout(1)
        unread.send((GET + "\n") * 2000)  # and reads none of the answers
    slow = [(lab.connect("10.77.1.1", 443, OTHER), hello), (lab.connect("10.77.1.1", 80, OTHER), head)]
    slow += [(lab.connect("10.77.1.1", port, OTHER), b"") for port in (443, 80) for _ in range(20)]
    open_, sent = dict(slow[:2]), 0

    def all_ended():
        nonlocal sent
        for s, what in list(open_.items()):
            s.settimeout(0.2)
            try:
                s.sendall(what[sent:sent + 1])
                if s.recv(100):
                    continue
            except socket.timeout:
                continue
            except ConnectionError:
                pass
            del open_[s]
        sent += 1
        check(Browser(lab).get("/").ok, "a page is not served")
        equal(lab.curl("http://gate.example/", NOBODY).status, 302, "plain HTTP")
        return not open_
    wait_for(all_ended, 30, "the end of those that send a byte at a time")
    for s in [s for s, _ in slow[2:]] + [idle.tls, unread.tls]:
        s.settimeout(20)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while s.recv(65536):
                pass
        s.close()
    check(Browser(lab, OTHER).get("/").ok, "the address is shut out for good")


@shared
def test_reload_configuration(lab):
    "SIGHUP takes all of portal.conf; open connections, half requests and sessions go on"
    texts, logo = lab.dir / "texts", lab.dir / "logo.svg"
    texts.mkdir()
    logo.write_text((ROOT / "tests/browser/logo.svg").read_text())
    (texts / "en.text").write_text((ROOT / "conf/portal/en.text").read_text().replace("sign-in = Sign in", "sign-in = Come in"))
    b = Browser(lab)
    equal(b.sign_in().status, 303)
    try:
        lab.portal.reload(request_time="20s")
        kept, half = Kept(lab, OTHER), Kept(lab, OTHER)
        check("Network access" in kept.get()[1], "the title before")
        half.send("POST /sign-in HTTP/1.1\nHost: gate.example\nContent-Length: 9\n"
                  "Content-Type: application/x-www-form-urlencoded\n\nuser")
        lab.portal.reload(request_time="20s", title="Another lab", contact="another desk", texts=str(texts),
                          logo=str(logo), credentials=["users", "vouchers"], vouchers_file=str(lab.dir / "portal/vouchers"),
                          connections_per_client=3, request_bytes=1024)
        status, page = kept.get()
        equal(status, 200, "on the connection of before")
        for piece in ("Another lab", "another desk", "Come in", 'name="voucher"', "/logo"):
            check(piece in page, piece, "is not on", page)
        half.send("=ann&")
        equal(half.answer()[0], 403, "the half request")
        equal(signed_in(lab), ["ann"])
        check("You are signed in" in b.get("/").body, "the cookie is forgotten")
        equal(kept.get("/logo")[0], 200)
        equal(b.get("/sign-in", "--data-binary", "a=" + "x" * 2000).status, 413)
        new = [Kept(lab, "10.77.1.9") for _ in range(3)]
        check(all(k.get() for k in new), "within the new bound")
        try:
            fourth = Kept(lab, "10.77.1.9").get()
        except (ConnectionError, ssl.SSLError):
            fourth = None
        equal(fourth, None, "a connection over the new bound")
        check(new[0].get(), "one of those within it")
        lab.portal.reload(good=False, extra="nonsense = 1;\nlogo = \"nowhere\";\n", connections_per_client=1)
        line = lab.portal.config_file.read_text().splitlines().index("nonsense = 1;") + 1
        for said in (f'portal.conf:{line}: unknown key "nonsense"', f"portal.conf:{line + 1}: logo", "connections_per_client = 1"):
            check(said in lab.portal.log(), said, "is not in", lab.portal.log())
        check("Another lab" in kept.get()[1] and new[0].get(), "an error changed something")
        lab.portal.reload(http="[::]:8081")
        check("http has changed; a restart will take it" in lab.portal.log(), lab.portal.log())
        check("Network access" in kept.get()[1], "back")
        for _ in range(12):  # more than may be on their way out at once
            lab.portal.reload(connections_per_client=5)
            lab.portal.reload(connections_per_client=6)
        check(kept.get() and Browser(lab, OTHER).get("/").ok, "after many")
        lab.portal.hangup("are read again")
    finally:
        lab.portal.reload()
    equal(signed_in(lab), ["ann"])


def field(process, name):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"^{name}:\s*(\d+)", status, re.M)[1])


def test_sandbox(lab):
    "a reload that wants what the portal shut itself out of is refused, and says so; a certificate is renewed behind a link"
    process, (cert, key) = lab.portal.process, lab.certificate
    equal((field(process, "Seccomp"), field(process, "NoNewPrivs")), (2, 1))
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        away = pathlib.Path(folder)
        for name in ("logo.svg", "users", "portal.crt"):
            (away / name).write_text("<svg/>")
        for over, said in (({"logo": str(away / "logo.svg")}, "logo.svg"), ({"users_file": str(away / "users")}, "users"),
                           ({"certificate": str(away / "portal.crt")}, "portal.crt"), ({"texts": str(away)}, str(away)),
                           ({"credentials": ["vouchers"], "vouchers_file": str(lab.dir / "vouchers")}, "may write nothing"),
                           ({"credentials": ["users", "pam"]}, 'began without "pam"')):
            before = len(lab.portal.log())
            lab.portal.reload(good=False, **over)
            new = lab.portal.log()[before:]
            check(said in new and "systemctl restart tiergate-portal" in new, said, "is not in", new)
        equal(Browser(lab).sign_in().status, 303)
        lab.portal.stop()
        live, archive = lab.dir / "le-live", away / "archive"  # as certbot has it
        live.mkdir()
        archive.mkdir()
        for number in (1, 2):
            (archive / f"cert{number}.pem").write_bytes(cert.read_bytes())
            (archive / f"key{number}.pem").write_bytes(key.read_bytes())
            (archive / f"key{number}.pem").chmod(0o640)
        try:
            paths = {}
            for name in ("certificate", "key"):
                (live / name).symlink_to(archive / f"{name[:4]}1.pem")
                paths[name] = str(live / name)
            lab.portal.start(**paths)
            (archive / "cert1.pem").unlink()
            (archive / "key1.pem").unlink()
            for name in ("certificate", "key"):
                (live / "new").symlink_to(archive / f"{name[:4]}2.pem")
                (live / "new").rename(live / name)
            lab.portal.reload(**paths)
            check(Browser(lab).get("/").ok, lab.portal.log())
        finally:
            lab.portal.stop()
            lab.portal.start()


if __name__ == "__main__":
    main(globals(), portal_lab)
