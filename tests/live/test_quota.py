#!/usr/bin/env python3
"""Quotas: who has used up what a line gives is cut, at all addresses, and nobody else; what is used
outlives a reload, a restart and a kill, and begins anew at its time."""
import contextlib
import json
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, SITES, v6, wait_for  # noqa: E402
from pcapgen import http_request  # noqa: E402
from tap import check, equal, main, note  # noqa: E402
from test_identity import GOOD, SOCIAL, V4, V6, Open, identity_lab, others  # noqa: E402

DESK, BOB, GUEST2 = "10.77.1.4", "10.77.1.5", "10.77.1.2"  # ann's other machine, somebody else's
LIMIT = 3000000


def policy(lab, quota, tiers=("staff",)):
    own = [{"network": n, "tier": "guest"} for n in ("10.77.4.0/24", "fd77:4::/64")]
    return dict(inside=["lan0", "lan1"], segments=lab.settings()["segments"] + own,
                allow=[{"tiers": ["guest"], "sites": ["good"]},
                       {"tiers": list(tiers), "sites": ["social"], "quota": quota}])


@contextlib.contextmanager
def gateway(lab, quota, tiers=("staff",)):
    (lab.dir / "users").unlink(missing_ok=True)
    lab.run("gateway", "ip", "neigh", "flush", "dev", "lan1")
    with lab.gateway(**policy(lab, quota, tiers)):
        for user in ("ann", "bob"):
            done = lab.run("gateway", BUILD / "tiergatectl", "passwd", "--config", lab.config_file, "--user",
                           user, "--tier", "staff", input="pw pw pw\n", check_exit=False)
            equal(done.returncode, 0, f"passwd: {done.stdout}{done.stderr}")
        yield


def sign_in(lab, address, user="ann"):
    host = "laptop" if address in (V4, V6) else "client"
    with contextlib.suppress(OSError, AssertionError):
        Open(lab, GOOD, address, host).s.close()  # the kernel has met the host
    done = lab.login(address, user, "pw pw pw")
    equal(done.returncode, 0, f"login: {done.stdout}{done.stderr}")


def reaches(lab, source, name=SOCIAL):
    try:
        Open(lab, name, source, "laptop" if source in (V4, V6) else "client").s.close()
        return True
    except (OSError, AssertionError):
        return False


class Transfer:
    """A long one to where the quota is for."""
    SIZE = 400000000

    def __init__(self, lab, source, host="laptop"):
        self.s = lab.connect(v6(SITES[SOCIAL]) if ":" in source else SITES[SOCIAL], 80, source, host)
        self.s.settimeout(30)
        self.s.sendall(http_request(SOCIAL, path=f"/{self.SIZE}"))
        self.got, self.how, self.after = 0, None, None
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        crossed = None
        try:
            while data := self.s.recv(16384):
                self.got += len(data)
                if not crossed and self.got > LIMIT:
                    crossed = time.monotonic()
                time.sleep(0.001)  # some 15 MB a second
            self.how = "closed"
        except ConnectionResetError:
            self.how = "reset"
            self.after = time.monotonic() - crossed if crossed else None
        except OSError as e:
            self.how = repr(e)

    def cut(self):
        self.thread.join(60)
        check(not self.thread.is_alive(), "it goes on", self.got)
        equal(self.how, "reset", f"after {self.got} bytes")
        check(self.got < self.SIZE, "nothing was cut", self.got)
        return self


def left(lab, user="ann"):
    """What is left of the user's quota, in bytes or minutes, by the sessions and by what may be reached."""
    rows = [json.loads(x) for x in lab.ctl("--json", "sessions", "--user", user).stdout.splitlines()]
    figures = {q["left"] for r in rows for q in r["quotas"]}
    equal(len(figures), 1, rows)
    return figures.pop()


def spend(lab, source=V4, host="laptop"):
    Transfer(lab, source, host).cut()


def test_bytes(lab):
    "an open transfer is cut when the bytes are used up, everywhere where the user is, and nobody else's"
    with gateway(lab, "3 MB/day"), others(lab):
        for address, user in ((V4, "ann"), (DESK, "ann"), (BOB, "bob")):
            sign_in(lab, address, user)
        desk, bob = Open(lab, SOCIAL, DESK, "client"), Open(lab, SOCIAL, BOB, "client")
        stays = Open(lab, GOOD, V4)
        t = Transfer(lab, V4).cut()
        check(t.got >= LIMIT * 0.9, t.got)
        note(f"cut {t.after * 1000:.0f} ms after the limit, {t.got} bytes")
        desk.end(lab, time.monotonic())
        bob.ask()
        stays.ask()
        for address in (V4, V6, DESK):
            check(not reaches(lab, address), address)
        check(reaches(lab, BOB) and reaches(lab, V4, GOOD))
        record = lab.record(**{"event.reason": "quota-spent"})
        equal((record["user.name"], record["event.action"]), ("ann", "deny"))
        why = lab.ctl("why", "--address", DESK, "--to", SOCIAL).stdout
        check("3 MB a day, is used up by user ann until" in why, why)
        equal(lab.status()["quota"]["spent"], 1)


def test_left(lab):
    "what is left is told, goes down as it is used, and is nothing when the flow is cut"
    with gateway(lab, "3 MB/day"):
        for address, user in ((V4, "ann"), (DESK, "ann"), (BOB, "bob")):
            sign_in(lab, address, user)
        equal((left(lab), left(lab, "bob")), (LIMIT, LIMIT))
        flow = Open(lab, SOCIAL, V4)
        flow.ask("/1000000")
        wait_for(lambda: left(lab) <= LIMIT - 1000000, 10, "the figure")
        check(left(lab) > 1000000, left(lab))
        equal(left(lab, "bob"), LIMIT)
        said = lab.ctl("reach", "--address", DESK).stdout
        check("MB of 3 MB left for user ann until " in said, said)
        table = lab.ctl("sessions").stdout
        check("LEFT OF QUOTAS" in table and "social 3 MB of 3 MB until " in table, table)
        lab.stop(wire=False)
        lab.start(wire=False)
        check(left(lab) <= LIMIT - 1000000, "after a restart", left(lab))
        spend(lab, DESK, "client")
        flow.end(lab, time.monotonic())
        equal((left(lab), left(lab, "bob")), (0, LIMIT))
        check("0 B of 3 MB left for user ann" in lab.ctl("reach", "--address", V4).stdout)


MINUTE = 60
NOON = int(time.time()) // 86400 * 86400 + 12 * 3600


def test_minutes(lab):
    "minutes in which something moves count, others don't; the first that is more is cut"
    clock = lab.dir / "clock"
    clock.write_text(f"={NOON}")
    with gateway(lab, "2 min/day"):
        lab.stop(wire=False)
        lab.start(wire=False, prefix=("env", f"WALL_CLOCK={clock}", f"LD_PRELOAD={BUILD}/live/wall_clock.so"))
        sign_in(lab, V4)
        sign_in(lab, DESK)
        equal(left(lab), 2)
        flow, other = Open(lab, SOCIAL, V4), Open(lab, SOCIAL, DESK, "client")
        flow.ask("/100000")
        wait_for(lambda: left(lab) == 1, 10, "the first minute")
        other.ask("/100000")  # the same minute is not counted twice
        clock.write_text(f"={NOON + 30 * MINUTE}")  # nothing moves for half an hour
        flow.ask("/100000")
        wait_for(lambda: left(lab) == 0, 10, "the second minute")
        flow.ask("/100000")  # which is whole
        other.ask("/100000")
        check(reaches(lab, V4))
        clock.write_text(f"={NOON + 31 * MINUTE}")
        for f in (flow, other):  # what moves in a third is cut
            with contextlib.suppress(OSError):
                f.ask("/100000")
                f.end(lab, time.monotonic())
        lab.record(**{"event.reason": "quota-spent"})
        check(not reaches(lab, V4) and not reaches(lab, DESK))
        equal(left(lab), 0)
        clock.write_text(f"={NOON + 12 * 60 * MINUTE}")
        wait_for(lambda: reaches(lab, V4), 10, "the next day")
        check(left(lab) >= 1, left(lab))


def test_together(lab):
    "two addresses of one user use up one quota; a small transfer each does not"
    with gateway(lab, "3 MB/day"):
        for address, user in ((V4, "ann"), (DESK, "ann"), (BOB, "bob")):
            sign_in(lab, address, user)
        flows = [Open(lab, SOCIAL, V4), Open(lab, SOCIAL, DESK, "client"), Open(lab, SOCIAL, BOB, "client")]
        for f in flows:
            f.ask("/1000000")
        for f in flows:
            f.ask()
        flows[1].ask("/1200000")
        for f in flows[:2]:
            f.end(lab, time.monotonic())
        flows[2].ask("/1000000")
        flows[2].ask()


def test_ended(lab):
    "what short connections carry counts, though none is open when the kernel is asked"
    with gateway(lab, "3 MB/day"):
        sign_in(lab, V4)
        for _ in range(8):
            if not reaches(lab, V4):
                break
            with contextlib.suppress(OSError, AssertionError):
                f = Open(lab, SOCIAL, V4)
                f.ask("/500000")
                f.s.close()
            lab.run("gateway", "conntrack", "-D", "-s", V4, check_exit=False)
        wait_for(lambda: not reaches(lab, V4), 10, "the end")
        lab.record(**{"event.reason": "quota-spent"})


def test_outlives(lab):
    "a reload, a restart and a kill give nobody anew what is used; a larger amount does, as of the rest"
    with gateway(lab, "3 MB/day"):
        sign_in(lab, V4)
        kept = lab.dir / "state/sessions.state"
        wait_for(lambda: kept.exists() and b"ann" in kept.read_bytes(), 10, "the session on disk")
        spend(lab)
        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            lab.stop(how, wire=False)  # the first in the very moment of the cut
            lab.start(wire=False)
            check(not reaches(lab, V4), f"after {how.name}")
            lab.reload()
            check(not reaches(lab, V4), "after a reload")
        lab.reload(**policy(lab, "900 MB/day"))
        wait_for(lambda: reaches(lab, V4), 10, "more of it")
        f = Open(lab, SOCIAL, V4)
        f.ask("/1000000")
        lab.stop(wire=False)
        lab.start(wire=False)
        f.ask("/1000000")  # goes on, and counts on
        lab.reload(**policy(lab, "4 MB/day"))
        f.end(lab, time.monotonic())
        check(not reaches(lab, V4))


def test_kill_at_the_cut(lab):
    "a kill in the very moment of a cut does not give the quota anew: it is on disk before a flow ends by it"
    with gateway(lab, "3 MB/day"):
        for i in range(4):
            kept = lab.dir / "state/sessions.state"
            lab.stop(wire=False)
            (lab.dir / "state/quotas.state").unlink(missing_ok=True)
            lab.start(wire=False)
            sign_in(lab, V4)
            wait_for(lambda: kept.exists() and b"ann" in kept.read_bytes(), 10, "the session on disk")
            spend(lab)
            lab.stop(signal.SIGKILL, wire=False)
            lab.start(wire=False)
            check(not reaches(lab, V4), "it was given anew", i)


def test_segment(lab):
    "who is there without signing in counts by host; together, all are cut"
    with gateway(lab, "3 MB/day", tiers=("guest",)):
        check(reaches(lab, V4) and reaches(lab, GUEST2))
        spend(lab)
        check(not reaches(lab, V4), "the host")
        check(not reaches(lab, V6), "the host's other address")
        check(reaches(lab, GUEST2), "another host")
    with gateway(lab, "3 MB/day together", tiers=("guest",)):
        f = Open(lab, SOCIAL, GUEST2, "client")
        spend(lab)
        f.end(lab, time.monotonic())
        check(not reaches(lab, GUEST2))


def test_anew(lab):
    "a day later it begins anew by itself"
    clock = lab.dir / "clock"
    clock.write_text("0")
    with gateway(lab, "3 MB/day"):
        lab.stop(wire=False)
        lab.start(wire=False, prefix=("env", f"WALL_CLOCK={clock}", f"LD_PRELOAD={BUILD}/live/wall_clock.so"))
        sign_in(lab, V4)
        spend(lab)
        check(not reaches(lab, V4))
        clock.write_text("86400")
        wait_for(lambda: reaches(lab, V4), 10, "the next day")
        wait_for(lambda: left(lab), 10, "the next day's account")  # workers see a denial end before it is begun
        clock.write_text("0")
        time.sleep(1.5)
        check(reaches(lab, V4), "a clock that goes back takes nothing away, and gives nothing")


def test_lost(lab):
    "what was used and can't be read is said, over restarts too, until all has begun anew: status, doctor, metric"
    clock = lab.dir / "clock"
    clock.write_text(f"={NOON}")
    prefix = ("env", f"WALL_CLOCK={clock}", f"LD_PRELOAD={BUILD}/live/wall_clock.so")
    with gateway(lab, "3 MB/day"):
        lab.stop(wire=False)
        lab.start(wire=False, prefix=prefix)
        equal(lab.ctl("status").returncode, 0)
        check("tiergate_quotas_lost 0\n" in lab.ctl("metrics").stdout)
        sign_in(lab, V4)
        spend(lab)
        lab.stop(wire=False)
        kept = lab.dir / "state/quotas.state"
        kept.write_bytes(kept.read_bytes()[:-5])
        lab.start(wire=False, prefix=prefix)
        for _ in range(2):
            status = lab.ctl("status")
            equal(status.returncode, 1)
            check("NOT OK: what was used of quotas was lost" in status.stdout, status.stdout)
            check("BAD   quotas" in lab.ctl("doctor", "--config", lab.config_file).stdout)
            check("tiergate_quotas_lost 1\n" in lab.ctl("metrics").stdout)
            check(reaches(lab, V4), "it begins anew")
            lab.stop(wire=False)  # writes a good file
            lab.start(wire=False, prefix=prefix)
        clock.write_text(f"={NOON + 12 * 60 * MINUTE}")
        wait_for(lambda: lab.ctl("status").returncode == 0, 10, "the next day")
        check("quotas_lost" not in lab.status(), lab.status())


if __name__ == "__main__":
    main(globals(), identity_lab)
