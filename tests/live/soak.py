#!/usr/bin/env python3
"""soak.py [--minutes M] [--seed N] [--rate R] [--out FOLDER]: a gateway under honest and hostile load while its
administrator does all that one does: reloads, list updates, log rotation, sign-ins and -outs, lockdowns; in the first
fifth of the time also restarts, by SIGTERM and by SIGKILL. In the end: nothing denied has got out, nothing allowed
was refused, memory and file descriptors do not grow, and every counter adds up: what the kernel queued is what was
received, none waits, and each decision is a line of the log or a counted loss.

Rings and tables are touched as they fill, for some minutes: less than ten minutes show growth that ends. Memory,
descriptors and threads are drawn to FOLDER/soak.svg and kept in FOLDER/soak.json. Meant for `make soak`.
"""
import argparse
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, SITES, Lab, client_hello, wait_for  # noqa: E402
from tap import check, equal, note  # noqa: E402
from test_wiring import ip, tcp, throw, udp  # noqa: E402

SERVER, PORT, DENIED = "198.51.100.10", 4443, b"denied.example"
GUEST, STAFF, HOSTILE = "10.77.1.2", "10.77.1.3", "10.77.1.7"
PEOPLE = {"10.77.1.4": "ann", "10.77.1.5": "bob", "10.77.1.6": "cid"}
LINES = [{"tiers": ["guest"], "sites": ["good"], "ports": [f"tcp/{PORT}", "tcp/443"]},
         {"tiers": ["staff"], "sites": ["social", "listed"], "ports": [f"tcp/{PORT}", "tcp/443"]}]
SAMPLE = 5  # seconds between two looks at the process


class Load:
    """New connections with real hellos, from now until stop(): what should be answered, what should be refused."""

    def __init__(self, lab, rate):
        self.lab, self.rate, self.parts = lab, rate, []
        self.begin()

    def begin(self):
        self.since = time.monotonic()
        self.running = {what: self.lab.spawn("client", BUILD / "live/hello_load", "dial", SERVER, PORT, 86400, 8,
                                             f"www.{what}.example", source, self.rate, stdout=subprocess.PIPE)
                        for what, source in (("allowed", GUEST), ("denied", STAFF))}

    def end(self):
        """Ends this part of the load: {what: {done, refused, failed}} in connections."""
        took, out = time.monotonic() - self.since, {}
        for what, p in self.running.items():
            p.terminate()
            figures = dict(zip(*[iter(p.communicate(timeout=30)[0].split())] * 2))
            out[what] = {"done": float(figures["done/s"]) * took, "refused": float(figures["refused/s"]) * took,
                         "failed": int(figures["failed"])}
        return out


class Outside:
    """Reads each frame that leaves the gateway; keeps those alone that hold a denied name."""

    def __init__(self, lab):
        self.sniffer, self.leaked, self.frames, self.over = lab.sniff(), [], 0, threading.Event()
        self.sniffer.socket.setblocking(True)
        self.sniffer.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while not self.over.is_set():
            try:
                frame = self.sniffer.socket.recv(70000)
            except TimeoutError:
                continue
            self.frames += 1
            if DENIED in frame:
                self.leaked.append(frame)

    def close(self):
        self.over.set()
        self.thread.join()
        self.sniffer.close()


def hostile(lab, seed, over):
    """Packets of a client without a tier, and of nobody's: pieces of a denied hello wherever they may go."""
    r = random.Random(seed)
    hello = client_hello("www.denied.example")
    while not over.wait(0.05):
        port, at = r.randrange(1024, 65535), r.randrange(len(hello))
        piece = r.choice((hello, hello[:at], hello[at:], r.randbytes(r.randrange(1, 1200))))
        source = r.choice((HOSTILE, HOSTILE, GUEST, "203.0.113.9"))
        packet = r.choice((
            lambda: tcp(source, port, SERVER, PORT, r.choice((2, 2, 16, 24, 17, 4, 0, 63, 194)), piece, r.getrandbits(32), r.getrandbits(32)),
            lambda: udp(source, port, SERVER, r.choice((443, 53, PORT, 5353)), piece),
            lambda: ip(source, SERVER, r.choice((1, 6, 17, 47, 132)), piece)))()
        throw(lab, "client", packet[:r.choice((len(packet), r.randrange(20, len(packet) + 1)))], times=r.choice((1, 1, 1, 20)))


class Administrator:
    """Acts, one at a time, each checked at once by what a client sees."""

    def __init__(self, lab, seed):
        self.lab, self.r, self.done, self.turn, self.signed = lab, random.Random(seed), {}, 0, set()
        self.list = lab.dir / "listed.sites"
        self.list.write_text("listed.example\n")
        self.rotated = []

    def settings(self):
        # small tables: each is full, and turns over, long before memory is looked at
        return {"allow": LINES, "bounds": {"flows": 4096, "names": 1024, "sessions": 64}, "sites": [
            {"name": "good", "hosts": ["allowed.example", f"turn{self.turn}.example"]},
            {"name": "social", "hosts": ["social.example"]}, {"name": "listed", "lists": [str(self.list)]}]}

    def act(self, restarts):
        acts = [self.reload, self.listed, self.rotate, self.sign_in, self.sign_in, self.sign_out, self.lock, self.refused]
        what = self.r.choice(acts + ([self.restart, self.kill] if restarts else []))
        what()
        self.done[what.__name__] = self.done.get(what.__name__, 0) + 1

    def answered(self, name, source, yes):
        got = self.lab.hello(name, to=SERVER, source=source, port=PORT, timeout=10)
        check((got.how == "answered") == yes, f"{name} from {source}: {got}, after {self.done}")

    def reload(self):
        self.turn += 1
        self.lab.reload(**self.settings())

    def refused(self):
        before = self.lab.policy()
        self.lab.config_file.write_text(self.lab.config_file.read_text() + 'modus = "x";\n')
        equal(self.lab.ctl("reload").returncode, 1, "a reload of what is wrong")
        equal(self.lab.policy(), before, "the policy in force")
        self.lab.configure(**self.settings())

    def listed(self):
        there = self.r.random() < 0.5
        self.list.write_text("listed.example\n" + ("extra.example\n" if there else ""))
        self.reload()
        self.answered("extra.example", STAFF, there)

    def rotate(self):
        to = self.lab.dir / f"decisions.{len(self.rotated)}"
        self.lab.records_file.rename(to)
        self.rotated.append(to)
        self.lab.daemon.send_signal(signal.SIGUSR1)
        wait_for(self.lab.records_file.exists, 30, "the new log")

    def sign_in(self):
        address, user = self.r.choice(list(PEOPLE.items()))
        done = self.lab.login(address, user, "pw pw pw", "--for", "1h")
        equal(done.returncode, 0, f"{user}'s sign-in: {done.stdout}{done.stderr}")
        self.signed.add(address)
        self.answered("www.social.example", address, True)

    def sign_out(self):
        address, user = self.r.choice(list(PEOPLE.items()))
        self.lab.ctl("logout", "--user", user)
        self.signed.discard(address)
        self.answered("www.social.example", address, False)

    def lock(self):
        self.sign_in()
        address = self.r.choice(sorted(self.signed))
        done = self.lab.ctl("--json", "lockdown", "--user", PEOPLE[address], "--only", "good", "--for", "1h")
        equal(done.returncode, 0, done.stderr)
        self.answered("www.social.example", address, False)
        equal(self.lab.ctl("lockdown", "end", json.loads(done.stdout)["lockdown"]).returncode, 0)
        self.answered("www.social.example", address, True)

    def restart(self, how=signal.SIGTERM):
        self.lab.stop(how, wire=False)
        self.lab.start(wire=False)

    def kill(self):
        self.restart(signal.SIGKILL)
        self.signed.clear()  # what was not yet kept is gone
        for user in PEOPLE.values():
            self.lab.ctl("logout", "--user", user)


class Watch:
    """Looks at the daemon every few seconds."""

    def __init__(self, lab):
        self.lab, self.rows, self.since = lab, [], time.monotonic()

    def look(self):
        proc = pathlib.Path(f"/proc/{self.lab.daemon.pid}")
        text = (proc / "status").read_text()
        self.rows.append({"t": time.monotonic() - self.since, "pid": self.lab.daemon.pid,
                          "rss": int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024,
                          "threads": int(re.search(r"Threads:\s+(\d+)", text)[1]),
                          "fds": len(list((proc / "fd").iterdir()))})


def slope(rows, key):
    """(growth over the rows by least squares, what the rows scatter around that line)."""
    t, y = [r["t"] for r in rows], [r[key] for r in rows]
    mt, my = sum(t) / len(t), sum(y) / len(y)
    square = sum((a - mt) ** 2 for a in t) or 1
    k = sum((a - mt) * (b - my) for a, b in zip(t, y)) / square
    rest = (sum((b - my - k * (a - mt)) ** 2 for a, b in zip(t, y)) / len(t)) ** 0.5
    return k * (t[-1] - t[0]), rest


def metric(text, name):
    """A metric's sum over its labels."""
    return sum(int(float(v)) for v in re.findall(rf"^tiergate_{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def kernel_queues(lab):
    """(packets that the kernel put into our queues, those that wait) of /proc's file: number, peer, waiting, mode,
    range, dropped, user dropped, the last packet's number."""
    rows = [line.split() for line in lab.run("gateway", "cat", "/proc/net/netfilter/nfnetlink_queue").stdout.splitlines()]
    return sum(int(r[7]) for r in rows), sum(int(r[2]) for r in rows)


def counters(lab):
    """(counters of the daemon, decisions by reason) as it tells them."""
    text, reasons = lab.ctl("metrics").stdout, {}
    for reason, n in re.findall(r'^tiergate_decisions_total{.*reason="([^"]*)"} (\d+)$', text, re.M):
        reasons[reason] = reasons.get(reason, 0) + int(n)
    return {k: metric(text, v) for k, v in {
        "received": "queue_received_total", "full": "queue_full_total", "overruns": "queue_overruns_total",
        "verdict errors": "queue_verdict_errors_total", "written": "log_written_total",
        "lost": "log_lost_ring_total", "unwritten": "log_lost_write_total"}.items()}, reasons


def read(logs):
    """(lines of the files, decisions in them by reason); a record of repeats is none."""
    lines, reasons = 0, {}
    for record in (json.loads(line) for path in logs for line in path.open()):
        lines += 1
        if record["event.action"] in ("allow", "deny") and "tiergate.repeats" not in record:
            reasons[record["event.reason"]] = reasons.get(record["event.reason"], 0) + 1
    return lines, reasons


def settled(lab, logs):
    """Counters and files at a moment when nothing is on its way from one to the other."""
    def now():
        before, (lines, told) = counters(lab), read(logs)
        return (*before, lines, told) if before == counters(lab) and kernel_queues(lab)[1] == 0 else None
    return wait_for(now, 60, "a moment without a record on its way")


def adds_up(lab, logs):
    """Nothing waits; what was queued was received; what was decided was written or is a counted loss."""
    counted, decided, lines, told = settled(lab, logs)
    queued, _ = kernel_queues(lab)
    lost = counted["lost"] + counted["unwritten"]
    note(f"queued {queued}, {counted}, {lines} lines, decisions {decided}")
    equal(counted["received"], queued, "packets received, of those queued")
    equal(counted["verdict errors"], 0, "verdicts that the kernel did not take")
    equal(counted["written"], lines, "lines written, and in the files")
    for reason in {*decided, *told} - {"table-full", "no-record"}:  # these are counted alone
        missing = decided.get(reason, 0) - told.get(reason, 0)
        check(0 <= missing <= lost, f"{reason}: {decided.get(reason)} decisions, {told.get(reason)} records, {lost} lost")


def drawn(rows, path):
    """The three curves as one SVG."""
    width, height, out = 900, 150, []
    for i, (key, unit) in enumerate((("rss", "MB resident"), ("fds", "descriptors"), ("threads", "threads"))):
        most, end = max(r[key] for r in rows) * 1.1, rows[-1]["t"] or 1
        points = " ".join(f"{50 + r['t'] / end * width:.1f},{(i + 1) * (height + 30) - r[key] / most * height:.1f}" for r in rows)
        out.append(f'<text x="50" y="{i * (height + 30) + 24}">{unit}, at most {max(r[key] for r in rows):.1f}</text>'
                   f'<polyline fill="none" stroke="#06c" points="{points}"/>')
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 100}" height="{3 * (height + 30) + 30}" '
                    f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>{"".join(out)}</svg>\n')


def phase(lab, admin, watch, load, seconds, restarts):
    """Acts for a time; what the load saw in it."""
    end, pause = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        check(lab.daemon.poll() is None, "tiergated died:", lab.log())
        if pause <= time.monotonic():
            watch.look()
            pause = time.monotonic() + SAMPLE
        admin.act(restarts)
        time.sleep(admin.r.random() * 2)
    seen = load.end()
    note(f"{'with' if restarts else 'without'} restarts: {seen}")
    equal(round(seen["denied"]["done"]), 0, "connections to what is denied")
    return seen


def soak(lab, options, out):
    admin = Administrator(lab, options.seed)
    lab.configure(**admin.settings())
    for user in PEOPLE.values():
        made = lab.run("gateway", BUILD / "tiergatectl", "passwd", "--config", lab.config_file, "--user", user, "--tier", "staff",
                       input="pw pw pw\n", check_exit=False)
        equal(made.returncode, 0, made.stderr)
    lab.start()
    lab.spawn("outside", BUILD / "live/hello_load", "serve", PORT)
    wait_for(lambda: lab.hello("www.allowed.example", to=SERVER, port=PORT).how == "answered", what="the first answer")
    outside, over, watch = Outside(lab), threading.Event(), Watch(lab)
    enemy = threading.Thread(target=hostile, args=(lab, options.seed, over), daemon=True)
    enemy.start()
    seconds = options.minutes * 60
    first = phase(lab, admin, watch, Load(lab, options.rate), seconds / 5, True)
    check(first["allowed"]["done"] > 0.5 * sum(first["allowed"].values()), "over restarts most connections are made", first)
    lab.stop(wire=False)  # a last process, from its first packet to its last
    lab.records_file.rename(lab.dir / "decisions.before")
    admin.rotated.clear()
    lab.start(wire=False)
    watch.look()
    second = phase(lab, admin, watch, Load(lab, options.rate), seconds * 4 / 5, False)
    over.set()
    enemy.join()
    watch.look()
    equal(round(second["allowed"]["refused"]), 0, "allowed connections that were refused")
    equal(second["allowed"]["failed"], 0, "allowed connections without an answer")
    time.sleep(2)  # a sniffer's frames on their way
    outside.close()
    equal(outside.leaked, [], "frames outside with a denied name")
    mine = [r for r in watch.rows if r["pid"] == lab.daemon.pid]
    (out / "soak.json").write_text(json.dumps({"acts": admin.done, "first": first, "second": second, "rows": watch.rows}))
    drawn(watch.rows, out / "soak.svg")
    note(f"acts: {admin.done}; {outside.frames} frames outside")
    adds_up(lab, [*admin.rotated, lab.records_file])
    late = mine[len(mine) // 2:]
    for key, most in (("rss", 2), ("fds", 2), ("threads", 1)):
        grown, rest = slope(late, key)
        note(f"{key}: {late[0][key]:.1f} -> {late[-1][key]:.1f}, by the line {grown:+.2f}, scatter {rest:.2f}")
        check(grown <= max(most, 3 * rest), f"{key} grew by {grown:.2f}")
    equal(lab.stop(), 0, "the daemon's exit status")
    check("Sanitizer" not in lab.log(), lab.log())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=200, help="new connections a second, of each kind")
    parser.add_argument("--out", type=pathlib.Path, default=BUILD / "soak")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=16")
    with Lab({**SITES, "listed.example": SERVER, "extra.example": SERVER}) as lab:
        soak(lab, options, options.out)
    print(f"soak: {options.minutes:g} minutes, seed {options.seed}: clean; see {options.out}/soak.svg")


if __name__ == "__main__":
    main()
