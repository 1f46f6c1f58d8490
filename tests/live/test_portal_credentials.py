#!/usr/bin/env python3
"""PAM and vouchers through the portal's pages: who is let in as what, what is used up, and that a module
that takes its time keeps nobody else waiting."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import stat
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import wait_for  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402
from test_portal import NOBODY, OTHER, PASSWORD, Browser, portal_lab, signed_in  # noqa: E402

MATRIX = next(pathlib.Path("/usr/lib").glob("*/pam_wrapper/pam_matrix.so"), None)
SERVICE = """
auth     [success=1 default=ignore] pam_succeed_if.so quiet user notin slow1:slow2
auth     required {exec} quiet /bin/sh {dir}/slow
auth     required {matrix} passdb={dir}/passwords
account  required pam_listfile.so onerr=fail item=user sense=deny file={dir}/locked
account  required {matrix} passdb={dir}/passwords
"""
USERS = ("petra", "paul", "lena", "slow1", "slow2")
SLOW = ("10.77.1.4", "10.77.1.5")


def etc(lab):
    """What the gateway has of its own in /etc: users, a group, the PAM service."""
    own, etc = lab.dir / "pam", pathlib.Path("/etc/netns") / lab.ns("gateway")
    own.mkdir()
    (etc / "pam.d").mkdir(parents=True)
    (own / "passwords").write_text("".join(f"{u}:{PASSWORD}:tiergate\n" for u in USERS))
    (own / "locked").write_text("lena\n")
    (own / "slow").write_text(f'touch {own}/at-$PAM_USER\nread word <{own}/gate-$PAM_USER\n')
    for user in ("slow1", "slow2"):
        os.mkfifo(own / f"gate-{user}")
    (etc / "pam.d/tiergate").write_text(SERVICE.format(dir=own, matrix=MATRIX, exec="pam_exec.so"))
    (etc / "pam.d/other").write_text("auth required pam_deny.so\naccount required pam_deny.so\n")
    (etc / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + "".join(
        f"{u}:x:{64001 + i}:64000::/:/bin/false\n" for i, u in enumerate(USERS)))
    (etc / "group").write_text(pathlib.Path("/etc/group").read_text() +
                               "network:x:64000:\neditors:x:64001:petra,nobody-else\nslow:x:64002:slow1,slow2,lena\n")
    return etc


@contextlib.contextmanager
def credentials_lab():
    if not MATRIX:
        raise Skip("needs libpam-wrapper")
    with portal_lab() as lab:
        made = etc(lab)
        try:
            lab.portal.stop()
            lab.vouchers = lab.dir / "portal/vouchers"
            lab.portal.start(credentials=["users", "pam", "vouchers"], vouchers_file=str(lab.vouchers),
                             pam_tiers=[{"group": "no-such-group", "tier": "press"},
                                        {"group": "editors", "tier": "staff"}, {"group": "slow", "tier": "guest"}])
            yield lab
        finally:
            shutil.rmtree(made, ignore_errors=True)


def restart(lab):
    """The portal killed and started as it was."""
    lab.portal.process.kill()
    lab.portal.process.wait()
    with lab.portal.log_path.open("w") as log:
        lab.portal.process = lab.spawn("gateway", lab.portal.process.args[4], "--config", lab.portal.config_file,
                                       stderr=log, stdout=log)
    wait_for(lambda: "signing people in" in lab.portal.log(), 10, "the portal")


def row(lab, address=NOBODY):
    for line in lab.ctl("--json", "sessions").stdout.splitlines():
        if address in (found := json.loads(line))["addresses"]:
            return found
    return None


def sign_out(lab):
    for line in lab.ctl("--json", "sessions").stdout.splitlines():
        lab.ctl("logout", "--user", json.loads(line)["user"])


def test_pam(lab):
    "a PAM account signs in, its group says the tier, and its flows follow"
    b = Browser(lab)
    check(lab.curl("https://www.social.example/", NOBODY).refused)
    equal(b.sign_in("petra").status, 303)
    page = b.get("/")
    check("petra" in page.body and "staff" in page.body, page.body)
    found = row(lab)
    equal((found["user"], found["tier"], found["source"]), ("petra", "staff", "pam"))
    check(lab.curl("https://www.social.example/", NOBODY).ok)
    equal(b.sign_out().status, 303)
    check(lab.curl("https://www.social.example/", NOBODY).refused)


def test_pam_refused(lab):
    "a wrong password, an unknown user and a name with a path are one answer; a locked account and one of no group are told so"
    b = Browser(lab, "10.77.1.6")
    for user, password in (("petra", "wrong"), ("nosuch", PASSWORD), ("../petra", PASSWORD)):
        got = b.sign_in(user, password)
        equal(got.status, 403)
        check("User name or password is wrong." in got.body, got.body)
    b = Browser(lab, "10.77.1.8")
    got = b.sign_in("lena", "wrong")
    check(got.status == 403 and "User name or password is wrong." in got.body, "it is told that an account is locked")
    for user in ("lena", "paul"):
        got = b.sign_in(user)
        equal(got.status, 403, user)
        check("User name or password is wrong." not in got.body and 'role="alert"' in got.body, got.body)
    equal(signed_in(lab, "10.77.1.6") + signed_in(lab, "10.77.1.8"), [])
    check("nosuch" not in lab.portal.log(), "what was typed is in the log")
    equal(Browser(lab, "10.77.1.9").sign_in("ann").status, 303, "the users file beside PAM")
    sign_out(lab)


class Patient(Browser):
    """A browser that waits as long as it takes."""

    def get(self, url, *options, timeout=120):
        return super().get(url, *options, timeout=timeout)


def test_pam_slow(lab):
    "while every checker waits for a module, pages, the API and sign-outs are served; then the others have their turn"
    own, got = lab.dir / "pam", {}
    signed = Browser(lab)
    equal(signed.sign_in("petra").status, 303)

    def sign_in(user, address):
        got[user] = Patient(lab, address).sign_in(user)
    waiting = [threading.Thread(target=sign_in, args=a) for a in zip(("slow1", "slow2"), SLOW)]
    for t in waiting:
        t.start()
    for user in ("slow1", "slow2"):
        wait_for((own / f"at-{user}").exists, 10, f"the module of {user}")
    b = Browser(lab, OTHER)
    third = threading.Thread(target=sign_in, args=("ann", "10.77.1.9"))
    third.start()
    for _ in range(5):
        check(b.get("/").ok and b.get("/why").ok, "a page is not served")
        equal(json.loads(b.get("/api").body)["captive"], True)
        equal(b.get("http://www.denied.example/").status, 302)
    equal(signed.sign_out().status, 303)
    equal(got, {}, "answers while the modules wait")
    threading.Event().wait(4)  # longer than request_time: who waits for a check is not slow
    equal(got, {}, "answers while the modules wait")
    (own / "gate-slow1").write_text("go\n")
    third.join(60)
    equal(got["ann"].status, 303)
    check("slow2" not in got, "an answer while the module waits")
    (own / "gate-slow2").write_text("go\n")
    for t in waiting:
        t.join(60)
    equal({u: g.status for u, g in got.items()}, {"ann": 303, "slow1": 303, "slow2": 303})
    equal(signed_in(lab, SLOW[1]), ["slow2"])
    sign_out(lab)


def test_pam_stuck(lab):
    "who waits too long behind modules that hang is told to try again, which is counted; and then it works again"
    own = lab.dir / "pam"
    for user in ("slow1", "slow2"):
        (own / f"at-{user}").unlink(missing_ok=True)
    waiting = [threading.Thread(target=lambda u, a: Patient(lab, a).sign_in(u), args=a) for a in zip(("slow1", "slow2"), SLOW)]
    for t in waiting:
        t.start()
    for user in ("slow1", "slow2"):
        wait_for((own / f"at-{user}").exists, 10, f"the module of {user}")
    told = Patient(lab, "10.77.1.9").sign_in("ann")
    equal(told.status, 503)
    check("Try again in a moment" in told.body, told.body)
    check(all(t.is_alive() for t in waiting), "the modules have answered")
    wait_for(lambda: "is PAM slow" in lab.ctl("--json", "status").stdout, 20, "status of it")
    for user in ("slow1", "slow2"):
        (own / f"gate-{user}").write_text("go\n")
    for t in waiting:
        t.join(60)
    equal(Patient(lab, "10.77.1.9").sign_in("ann").status, 303)
    sign_out(lab)


# -- vouchers --------------------------------------------------------------------------------------


def make(lab, count=1, hours="8h", tier="guest"):
    done = lab.ctl("vouchers", "--tier", tier, "--for", hours, "--count", count, "--vouchers", lab.vouchers,
                   socket=False)
    equal(done.returncode, 0, done.stderr)
    return done.stdout.split()


def left(lab):
    return len(lab.vouchers.read_text().splitlines())


def use(browser, code, csrf=None):
    # resolved here: the resolver's answers wait where the daemon hangs
    return browser.get("/sign-in", "--resolve", "gate.example:443:10.77.1.1", "--data",
                       f"csrf={csrf or browser.csrf()}", "--data-urlencode", f"voucher={code}")


def use_in_time(browser, code):
    """As a person does who has mistyped often: when the page says that it may be tried again."""
    for _ in range(8):
        got = use(browser, code)
        if got.status != 429:
            return got
        time.sleep(int(got.headers.get("retry-after", "1")))
    return got


def refused(got):
    equal(got.status, 403)
    check("voucher" in got.body.lower() and 'role="alert"' in got.body, got.body)


def test_vouchers(lab):
    "of 100 printed, one signs in for its hours and is used up; a second use, also by another, is refused"
    codes = make(lab, 100)
    equal((len(set(codes)), left(lab)), (100, 100))
    equal(stat.S_IMODE(lab.vouchers.stat().st_mode), 0o600)
    check(not any(c in lab.vouchers.read_text() for c in codes), "codes are in the file")
    b = Browser(lab)
    equal(use(b, codes[41].lower().replace("-", " ")).status, 303)
    found = row(lab)
    check(found["user"].startswith("voucher-") and found["tier"] == "guest" and found["source"] == "voucher", found)
    remaining = json.loads(b.get("/api").body)["seconds-remaining"]
    check(8 * 3600 - 120 < remaining <= 8 * 3600, remaining)
    check(lab.curl("https://www.allowed.example/", NOBODY).ok)
    equal(left(lab), 99)
    refused(use(Browser(lab, OTHER), codes[41]))
    equal(b.sign_out().status, 303)
    refused(use(b, codes[41]))
    equal((signed_in(lab), signed_in(lab, OTHER)), ([], []))
    for piece in codes:
        check(piece not in lab.portal.log(), "a code is in the log")
    equal(use(Browser(lab, OTHER), codes[42]).status, 303)
    sign_out(lab)


def test_voucher_ends(lab):
    "a voucher's session ends when its time is over, and its browser is not signed in again"
    code, = make(lab, hours="3s")
    b = Browser(lab)
    equal(use(b, code).status, 303)
    equal(len(signed_in(lab)), 1)
    wait_for(lambda: not signed_in(lab), 15, "the end of the session")
    check("You are signed in" not in b.get("/").body, "signed in again")
    check(lab.curl("https://www.allowed.example/", NOBODY).refused)
    refused(use(b, code))


def test_voucher_not_lost(lab):
    "where the session cannot be opened (no such tier, the daemon is away) the voucher stays good"
    before = left(lab)
    code, = make(lab, tier="visitor")
    b = Browser(lab)
    equal(use(b, code).status, 503)
    equal(left(lab), before + 1)
    csrf = b.csrf()
    lab.stop(wire=False)
    for _ in range(2):
        equal(use(b, code, csrf).status, 503)
        equal(left(lab), before + 1)
    settings = lab.settings(on_deny="redirect", portal="10.77.1.1:80")
    settings["tiers"] += [{"name": "visitor"}]
    lab.start(wire=False, **settings)
    equal(use(b, code).status, 303)
    equal((left(lab), row(lab)["tier"]), (before, "visitor"))
    refused(use(Browser(lab, OTHER), code))
    sign_out(lab)


def test_voucher_never_twice(lab):
    "where the daemon hangs, or the portal is killed, between the voucher and its session, it is not good again"
    first, second = make(lab, 2)
    before = left(lab)
    b = Browser(lab)
    csrf, other = b.csrf(), Browser(lab, OTHER)
    equal(other.get("/").status, 200)
    lab.daemon.send_signal(signal.SIGSTOP)
    try:
        equal(use(b, first, csrf).status, 503)
        equal(left(lab), before - 1)
        check("is not known" in lab.portal.log(), lab.portal.log())
        dying = threading.Thread(target=use, args=(b, second, csrf))
        dying.start()
        wait_for(lambda: left(lab) == before - 2, 10, "the second voucher")
        restart(lab)
        dying.join(20)
    finally:
        lab.daemon.send_signal(signal.SIGCONT)
    wait_for(lambda: signed_in(lab), 10, "what the daemon was asked to do")
    refused(use_in_time(other, first))
    refused(use_in_time(other, second))
    equal(left(lab), before - 2)
    sign_out(lab)


if __name__ == "__main__":
    main(globals(), credentials_lab)
