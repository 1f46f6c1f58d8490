#!/usr/bin/env python3
"""soak_login.py [LOGINS]: 10,000 logins of 1,000 users at 1,000 addresses through the portal's pages, among
them wrong passwords, sign-outs, people at another's address, and clients that are slow on purpose. In the end
the daemon's sessions are what they must be, and both programs end well (under a sanitizer: without a leak).
Prints memory before and after, and logins a second. Meant for `make soak-login`."""
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import random
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import SITES, Lab  # noqa: E402
from tap import check, equal, main, note  # noqa: E402
from test_portal import Portal  # noqa: E402

USERS, THREADS, SLOW = 1000, 8, 60
LOGINS = 10000
NAME, GATE = "gate.example", "10.77.1.1"
TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
CSRF = re.compile(r'name="csrf" value="([0-9a-f]{32})"')


def address(i):
    return f"10.78.{i // 200}.{i % 200 + 1}"


def password(user):
    return f"pass word {user} & more"


# -- the clients, in a process of their own on the client's host -----------------------------------


class Browser:
    """One connection of one address, with its cookie."""

    def __init__(self, context, at):
        self.cookie = None
        self.c = http.client.HTTPSConnection(GATE, context=context, source_address=(at, 0), timeout=60)

    def ask(self, method, path, fields=None):
        headers = {"Host": NAME, **(TYPE if fields else {}), **({"Cookie": self.cookie} if self.cookie else {})}
        self.c.request(method, path, urllib.parse.urlencode(fields) if fields else None, headers)
        got = self.c.getresponse()
        self.cookie = (got.getheader("Set-Cookie") or self.cookie or "").split(";")[0]
        return got, got.read().decode()

    def csrf(self):
        got, body = self.ask("GET", "/")
        equal(got.status, 200, "the page's status")
        return CSRF.search(body)[1]

    def sign_in(self, user, secret):
        return self.ask("POST", "/sign-in", {"csrf": self.csrf(), "user": user, "password": secret})[0].status


def visit(context, r, count, there, wrong, at, user):
    """One login of a user at an address, with what people do before and after."""
    b = Browser(context, at)
    if at not in wrong and r.random() < 0.5:  # the third failure of an address would have to wait
        wrong.add(at)
        equal(b.sign_in(user, "no such password"), 403, "a wrong password")
        count["wrong"] += 1
    equal(b.sign_in(user, password(user)), 303, f"the sign-in of {user} at {at}")
    count["logins"] += 1
    there[at] = user
    if r.random() < 0.3:
        check(f">{user}<" in b.ask("GET", "/")[1], "the page names somebody else")
        equal(json.loads(b.ask("GET", "/api")[1])["captive"], False)
    if r.random() < 0.3:
        equal(b.ask("POST", "/sign-out", {"csrf": b.csrf()})[0].status, 303, "the sign-out")
        count["outs"] += 1
        there[at] = None
    b.c.close()


def work(context, number, logins, out):
    """A thread has addresses and users of its own, so that what is to come of it is known."""
    r, count, there, wrong = random.Random(number), dict.fromkeys(("logins", "wrong", "outs"), 0), {}, set()
    own = range(number, USERS, THREADS)
    for n in range(logins):
        i, turn = n % len(own), n // len(own)
        visit(context, r, count, there, wrong, address(own[(i + 7 * turn) % len(own)]), f"user{own[i]}")
    out[number] = (count, there)


def dawdle(context, at, end, seen):
    """Opens a connection, says almost nothing for as long as it may, and again."""
    while not end.is_set():
        s = socket.socket()
        s.bind((at, 0))
        s.settimeout(1)
        try:
            s.connect((GATE, 443))
            if hash(at) % 2:
                s = context.wrap_socket(s, server_hostname=NAME)
                s.sendall(f"POST /sign-in HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 4000\r\n".encode())
            while not end.wait(0.3):
                s.sendall(b"X" if hash(at) % 2 else b"")
                s.setblocking(False)
                try:
                    if s.recv(100) == b"":
                        break
                except (BlockingIOError, ssl.SSLWantReadError):
                    pass
                s.setblocking(True)
        except OSError:
            pass
        finally:
            s.close()
        seen[at] = seen.get(at, 0) + 1


def guess(context, at, end, answers):
    """Tries passwords of nobody, without a pause."""
    n = 0
    while not end.is_set():
        b, n = Browser(context, at), n + 1
        status = b.sign_in(f"nobody{n}", "guess")
        b.c.close()
        check(status in (403, 429), status)
        answers[status] += 1


def clients(ca, logins):
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False  # the certificate is checked; it is asked for by its address
    end, seen, out = threading.Event(), {}, {}
    answers = {403: 0, 429: 0}
    slow = [threading.Thread(target=guess, args=(context, "10.79.1.1", end, answers))]
    slow += [threading.Thread(target=dawdle, args=(context, f"10.79.0.{i + 1}", end, seen)) for i in range(SLOW)]
    fast = [threading.Thread(target=work, args=(context, i, logins // THREADS, out)) for i in range(THREADS)]
    began = time.monotonic()
    for t in slow + fast:
        t.start()
    for t in fast:
        t.join()
    took = time.monotonic() - began
    end.set()
    for t in slow:
        t.join()
    check(len(out) == THREADS, "a client failed")
    sums = {k: sum(c[k] for c, _ in out.values()) for k in ("logins", "wrong", "outs")}
    print(json.dumps({**sums, "seconds": took, "slow": sum(seen.values()), "guesses": sum(answers.values()),
                      "there": {a: u for _, there in out.values() for a, u in there.items()}}))


# -- the gateway -----------------------------------------------------------------------------------


def users_file(path):
    """Cheap hashes: the portal's work is to be seen, not crypt's."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype, crypt.argtypes = ctypes.c_char_p, (ctypes.c_char_p, ctypes.c_char_p)
    with path.open("w") as f:
        for i in range(USERS):
            made = crypt(password(f"user{i}").encode(), b"$5$rounds=1000$soak%d$" % i).decode()
            f.write(f"user{i}:{'staff' if i % 2 else 'guest'}:{made}\n")
    path.chmod(0o640)


def memory(process):
    """Resident MB of a program that ip netns exec has become."""
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


def run(lab, logins):
    done = lab.run("client", sys.executable, __file__, "--clients", lab.ca, logins, check_exit=False, timeout=3600)
    check(done.returncode == 0, done.stdout[-2000:], done.stderr[-4000:], lab.portal.log()[-2000:], lab.log())
    return json.loads(done.stdout.splitlines()[-1])


def is_what_it_must_be(lab, there):
    rows = [json.loads(x) for x in lab.ctl("--json", "sessions").stdout.splitlines()]
    equal({a: r["user"] for r in rows for a in r["addresses"]}, {a: u for a, u in there.items() if u}, "who is where")
    for r in rows:
        equal(r["tier"], "staff" if int(r["user"][4:]) % 2 else "guest", r["user"])


def test_soak(lab):
    "logins, wrong passwords, sign-outs and slow clients: everybody is where they must be"
    def now():
        return {"tiergated": memory(lab.daemon), "tiergate-portal": memory(lab.portal.process)}
    start = now()
    first = run(lab, LOGINS // 10)
    is_what_it_must_be(lab, first["there"])
    warm = now()
    all_ = run(lab, LOGINS - first["logins"])
    is_what_it_must_be(lab, {**first["there"], **all_["there"]})
    end = now()
    sums = {k: first[k] + all_[k] for k in ("logins", "wrong", "outs", "slow", "guesses")}
    note("{logins} logins of {users} users, {wrong} wrong passwords, {guesses} guesses, {outs} sign-outs, {slow} slow "
         "connections; {speed:.0f} logins/s".format(**sums, users=USERS, speed=all_["logins"] / all_["seconds"]))
    for program in start:
        note(f"{program}: {start[program]:.1f} MB at the start, {warm[program]:.1f} MB after {first['logins']} logins, "
             f"{end[program]:.1f} MB after all")


def test_end(lab):
    "both programs end well"
    equal(lab.portal.process.poll(), None, "the portal is up")
    lab.portal.stop()
    equal(lab.stop(), 0, "exit status of the daemon")
    for log in (lab.portal.log(), lab.log()):
        check("Sanitizer" not in log, log[-4000:])


@contextlib.contextmanager
def soak_lab():
    os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=16")
    with Lab({**SITES, NAME: GATE}) as lab:
        lab.run("client", "ip", "route", "add", "local", "10.78.0.0/15", "dev", "lo")
        lab.run("gateway", "ip", "route", "add", "10.78.0.0/15", "via", "10.77.1.2")
        users_file(lab.dir / "users")
        lab.start()
        lab.portal = Portal(lab)
        lab.portal.start(clients=["10.77.1.0/24", "10.78.0.0/15"])
        yield lab


if __name__ == "__main__":
    if sys.argv[1:2] == ["--clients"]:
        clients(sys.argv[2], int(sys.argv[3]))
    else:
        LOGINS = int(sys.argv.pop(1)) if len(sys.argv) > 1 else LOGINS
        main(globals(), soak_lab)
