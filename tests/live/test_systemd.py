#!/usr/bin/env python3
"""The units in a booted systemd: start, reload good and bad, stop, kill, hang, and come back."""
import concurrent.futures
import contextlib
import json
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, ROOT, client_hello, lab, libconfig, wait_for  # noqa: E402
from machine import Machine  # noqa: E402
from tap import check, equal, main, note  # noqa: E402
from test_daemon import ask, is_cut, keep_alive  # noqa: E402

GUEST = "10.77.1.2"
LOAD = BUILD / "live/hello_load"
DEFAULTS = ("log", "log_file", "users_file", "control_socket", "state_dir", "runtime_dir")


class Service:
    """A lab whose gateway runs a systemd with tiergate installed."""

    def __init__(self, lab, machine):
        self.lab, self.machine = lab, machine
        self.run = machine.run
        self.conf = machine.root / "etc/tiergate/tiergate.conf"

    def configure(self, extra="", **over):
        self.conf.write_text(libconfig(self.lab.settings(**{k: None for k in DEFAULTS}, **over)) + extra)

    def systemctl(self, *argv):
        return self.run("systemctl", *argv)

    def show(self, what):
        return self.systemctl("show", "-P", what, "tiergated").stdout.strip()

    def works(self):
        check(self.lab.curl("https://www.allowed.example/", GUEST).ok, self.machine.journal("tiergated"))
        check(self.lab.curl("https://www.denied.example/", GUEST).refused)


def queues(s):
    """The queues that have a reader, or whose socket somebody keeps."""
    lines = s.run("cat", "/proc/net/netfilter/nfnetlink_queue").stdout.splitlines()
    return [{"port": n[1], "waiting": n[2], "lost": n[5] + n[6], "packets": n[7]}
            for n in ([int(x) for x in line.split()] for line in lines)]


def install(root):
    subprocess.run(["make", "-s", "install", f"B={BUILD}", f"DESTDIR={root}"], cwd=ROOT, check=True,
                   capture_output=True)
    # a short watchdog, so that the test of it is short
    drop = root / "etc/systemd/system/tiergated.service.d"
    drop.mkdir(parents=True)
    (drop / "watchdog.conf").write_text("[Service]\nWatchdogSec=3\n")


@contextlib.contextmanager
def service():
    with lab() as hosts, Machine(hosts.ns("gateway"), install) as machine:
        s = Service(hosts, machine)
        check(machine.run("systemd-sysusers").returncode == 0)
        check(machine.run("systemd-tmpfiles", "--create").returncode == 0)
        s.configure()
        yield s


def test_start(s):
    "start: the rules are there first, then the daemon says that it is ready"
    done = s.systemctl("start", "tiergated")
    equal(done.returncode, 0, f"start: {done.stderr} {s.machine.journal('tiergated')}")
    equal(s.systemctl("is-active", "tiergated", "tiergate-wiring").stdout.split(), ["active", "active"])
    s.works()
    equal(s.run("ps", "-o", "user=", "-p", s.show("MainPID")).stdout.strip(), "tiergate", "user")
    check((s.machine.root / "var/log/tiergate/decisions.jsonl").stat().st_size > 0, "no record")


def test_rights(s):
    "as a service it has CAP_NET_ADMIN alone, and a good security score"
    status = s.run("cat", f"/proc/{s.show('MainPID')}/status").stdout
    caps = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
    for which in ("CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd"):
        equal(int(caps[which], 16) & ~(1 << 12), 0, which)
    check(int(caps["CapEff"], 16) & 1 << 12, "no CAP_NET_ADMIN")
    score = s.run("systemd-analyze", "security", "--no-pager", "tiergated").stdout.splitlines()
    check(score and float(re.search(r"[0-9.]+", score[-1].split(":")[1])[0]) <= 1.5, "exposure:", *score[-1:])
    for task in s.run("ls", f"/proc/{s.show('MainPID')}/task").stdout.split():
        text = s.run("cat", f"/proc/{s.show('MainPID')}/task/{task}/status").stdout
        check("NoNewPrivs:\t1" in text and "Seccomp:\t2" in text, text)


def test_exposure(s):
    "no service that is shipped is more exposed than 1.5, as systemd-analyze reckons without running it"
    units = sorted(p.name for p in (ROOT / "packaging/systemd").glob("*.service"))
    check(len(units) >= 5, units)
    for unit in units:
        path = f"/usr/lib/systemd/system/{unit}"
        done = s.run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", path)
        check(done.returncode == 0 and "exposure level" in done.stdout, unit, *done.stdout.splitlines()[-1:], done.stderr)


def test_wiring_rights(s):
    "the rules' service, which is nobody's root, takes them away and loads them, and keeps its settings for itself"
    run = s.systemctl("show", "-P", "User", "tiergate-wiring").stdout.strip()
    equal(run, "tiergate")
    acct = lambda: s.run("cat", "/proc/sys/net/netfilter/nf_conntrack_acct").stdout.strip()  # noqa: E731
    kept = s.machine.root / "var/lib/tiergate-wiring"
    who = lambda: s.run("stat", "-c", "%U %a", "/var/lib/tiergate-wiring", "/var/lib/tiergate-wiring/settings.conf").stdout.split("\n")  # noqa: E731
    for command in (("tiergatectl", "wiring"), ("systemctl",)):
        down, up = (("down",), ("up",)) if command[1:] else (("stop", "tiergate-wiring"), ("start", "tiergate-wiring"))
        done = s.run(*command, *down)
        equal(done.returncode, 0, done.stderr + s.machine.journal("tiergate-wiring"))
        check("TIERGATE" not in s.run("iptables-save").stdout + s.run("nft", "list", "ruleset").stdout.upper(), "rules stay")
        (kept / "settings.conf").unlink()
        done = s.run(*command, *up)
        equal(done.returncode, 0, done.stderr + s.machine.journal("tiergate-wiring"))
        equal(who()[:2], ["tiergate 700", "tiergate 600"], f"after {command}")
        equal(acct(), "1")
        equal(s.run("tiergatectl", "wiring", "check").returncode, 0)
    check("warning" not in s.machine.journal("tiergate-wiring"), s.machine.journal("tiergate-wiring"))
    s.works()


def test_wiring_trial(s):
    "the rules' service can try what the kernel takes, in a namespace of its own, without root's rights"
    nft = s.machine.root / "usr/local/sbin/nft"
    nft.write_text('#!/bin/sh\n{ echo "$@"; ip -br link; grep CapEff /proc/self/status; } >>/run/tiergate/trial\nexec /usr/sbin/nft "$@"\n')
    nft.chmod(0o755)
    equal(s.systemctl("restart", "tiergate-wiring").returncode, 0, s.machine.journal("tiergate-wiring"))
    nft.unlink()
    said = s.run("cat", "/run/tiergate/trial").stdout
    s.run("rm", "/run/tiergate/trial")
    trial = re.search(r"^-c -f -\n((?:.*\n)*?)CapEff:\t(\w+)", said, re.M)
    check(trial, "no trial", said)
    check(int(trial[2], 16) & 1 << 12, "the trial has no right to load rules", said)
    check("lan0" not in trial[1], "the trial was in the network that is used", said)
    s.works()


def test_sandbox(s):
    "as a service, too, it shuts itself in: the unit's own filter lets it"
    equal(json.loads(s.run("tiergatectl", "status", "--json").stdout).get("sandbox_lacks"), None, s.machine.journal("tiergated"))
    check("is not bounded" not in s.machine.journal("tiergated"), s.machine.journal("tiergated"))


def test_reload_good(s):
    "a good reload is taken, without a restart"
    pid = s.show("MainPID")
    s.configure(allow=[{"tiers": ["guest"], "sites": ["social"]}])
    done = s.systemctl("reload", "tiergated")
    equal(done.returncode, 0, f"reload: {done.stderr} {s.machine.journal('tiergated')}")
    check(s.lab.curl("https://www.social.example/", GUEST).ok)
    check(s.lab.curl("https://www.allowed.example/", GUEST).refused)
    s.configure()
    equal(s.systemctl("reload", "tiergated").returncode, 0)
    s.works()
    equal(s.show("MainPID"), pid, "process")


def test_reload_outside(s):
    "what the check can read and the sandboxed daemon can't fails the reload too, says what to do, and changes nothing"
    more = s.machine.root / "srv/more.sites"
    more.write_text("www.social.example\n")
    before = s.run("tiergatectl", "status", "--json").stdout
    s.configure(sites=[{"name": "good", "lists": ["/srv/more.sites"]}], allow=[{"tiers": ["guest"], "sites": ["good"]}])
    equal(s.run("tiergated", "check").returncode, 0)
    done = s.systemctl("reload", "tiergated")
    check(done.returncode != 0, "the reload says it is good", s.machine.journal("tiergated"))
    check("restart lets it in" in s.machine.journal("tiergated"), s.machine.journal("tiergated"))
    now = s.run("tiergatectl", "status", "--json").stdout
    equal(json.loads(now)["policy"], json.loads(before)["policy"])
    check("/srv/more.sites" in json.loads(now)["reload_refused"], now)
    s.works()
    equal(s.systemctl("restart", "tiergated").returncode, 0)
    check(s.lab.curl("https://www.social.example/", GUEST).ok, "what a restart takes")
    s.configure()
    equal(s.systemctl("reload", "tiergated").returncode, 0, s.machine.journal("tiergated"))
    s.works()


def test_reload_bad(s):
    "a bad reload fails, says why in the journal, and changes nothing"
    s.configure('modus = "enforce";\n', allow=[])
    check(s.systemctl("reload", "tiergated").returncode != 0, "the reload says it is good")
    check("modus" in s.machine.journal("tiergated"))
    equal(s.systemctl("is-active", "tiergated").stdout.strip(), "active")
    s.works()
    s.configure()


def test_reload_many(s):
    "reloads all at once, by systemd, signal and control socket, good and refused, leave a service that is ready"
    pid = s.show("MainPID")
    check(pid not in ("", "0"), "it does not run")  # a signal to 0 would be to this program, too
    unit, signal, socket = (("systemctl", "reload", "tiergated"), ("kill", "-HUP", pid), ("tiergatectl", "reload"))
    for turn in range(5):
        s.configure('modus = "enforce";\n' if turn == 2 else "")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            done = [pool.submit(s.run, *argv) for argv in (unit, signal, socket, signal, unit, socket, signal, unit)]
        refused = [f.result().returncode != 0 for f in done]
        equal(refused[0] and refused[4] and refused[7], turn == 2, s.machine.journal("tiergated"))
        # RELOADING without READY would leave it there, and the next reload waiting
        wait_for(lambda: s.show("SubState") == "running", 20, "ready again")
    s.configure()
    equal(s.systemctl("reload", "tiergated").returncode, 0, s.machine.journal("tiergated"))
    equal((s.show("MainPID"), s.show("SubState")), (pid, "running"))
    s.works()


def test_as_shipped(s):
    "init writes over a configuration that is as it was installed, and over no other; doctor bears with such a portal.conf"
    mine = s.machine.root / "etc/tiergate/first.conf"
    init = lambda: s.run("tiergatectl", "init", "--inside", "lan0", "--resolvers", "10.77.3.2", "--out", "/etc/tiergate/first.conf")  # noqa: E731
    mine.write_bytes((ROOT / "conf/tiergate.conf").read_bytes())
    done = init()
    check(done.returncode == 0 and 'inside = [ "lan0" ]' in mine.read_text(), done)
    done = init()
    check(done.returncode == 1 and "is not as it was installed" in done.stderr, done)
    mine.write_bytes((ROOT / "conf/tiergate.conf").read_bytes() + b"# mine")
    equal(init().returncode, 1)
    mine.unlink()
    portal = lambda: [line.split() for line in s.run("tiergatectl", "doctor").stdout.splitlines() if " portal " in line]  # noqa: E731
    equal([line[0] for line in portal()], ["look"], portal())
    conf = s.machine.root / "etc/tiergate/portal.conf"
    conf.write_text(conf.read_text() + "# mine\n")
    check("BAD" in {line[0] for line in portal()}, portal())
    conf.write_bytes((ROOT / "conf/portal.conf").read_bytes())


def test_reload_stream(s):
    "who sends a signal every moment holds up nobody's reload"
    stream = s.machine.spawn("sh", "-c", f"while kill -HUP {s.show('MainPID')}; do sleep 0.005; done")
    try:
        for argv in (("systemctl", "reload", "tiergated"), ("tiergatectl", "reload"), ("systemctl", "reload", "tiergated")):
            equal(s.run(*argv).returncode, 0, s.machine.journal("tiergated"))
            equal(stream.poll(), None, "the signals ended first")
    finally:
        stream.kill()
        stream.wait()
    wait_for(lambda: s.show("SubState") == "running" and "reloading" not in s.run("tiergatectl", "status", "--json").stdout, 20, "the end")
    s.works()


def test_probe(s):
    "the probe's service, which has no right at all, tries each tier; restarted or killed it comes back; its links go with it"
    s.configure(inside=["lan0", "tgprobe"])
    equal(s.systemctl("reload", "tiergated").returncode, 0, s.machine.journal("tiergated"))
    drop = s.machine.root / "etc/systemd/system/tiergate-probe.service.d"
    drop.mkdir(parents=True)
    (drop / "soon.conf").write_text("[Service]\nRestartSec=1s\n")
    s.systemctl("daemon-reload")
    rows = lambda: {(r["allowed"], r["denied"]) for r in  # noqa: E731
                    json.loads(s.run("tiergatectl", "status", "--json").stdout).get("probe", [])}
    main = lambda: s.systemctl("show", "-P", "MainPID", "tiergate-probe").stdout.strip()  # noqa: E731
    for how in ("start", "restart", "restart"):
        done = s.systemctl(how, "tiergate-probe")
        equal(done.returncode, 0, f"{done.stderr} {s.machine.journal('tiergate-probe')}")
    wait_for(rows, 30, "a word of the probe")
    equal(rows(), {("ok", "ok")}, s.machine.journal("tiergate-probe"))
    pid = main()
    status = s.run("cat", f"/proc/{pid}/status").stdout
    equal(set(re.findall(r"Cap\w+:\t(\w+)", status)), {"0" * 16})
    equal(s.run("ps", "-o", "user=", "-p", pid).stdout.strip(), "tiergate")
    check(s.run("readlink", f"/proc/{pid}/ns/net").stdout != s.run("readlink", "/proc/1/ns/net").stdout, "it is in the gateway's network")
    s.run("kill", "-KILL", pid)
    wait_for(lambda: main() not in ("", "0", pid), 60, "the probe after it was killed")
    wait_for(lambda: "tgprobe-out" in s.run("ip", "link").stdout, 20, "its links")
    # ended after its listeners were handed over and before it took them: they are in nobody's way
    (drop / "once.conf").write_text("[Service]\nExecStartPre=+/bin/sh -c 'test -e /run/once || { touch /run/once; kill -9 $$$$; }'\n")
    s.systemctl("daemon-reload")
    s.systemctl("restart", "tiergate-probe")
    check(s.run("cat", "/run/once").returncode == 0, "it was not ended")
    wait_for(lambda: s.systemctl("is-active", "tiergate-probe").stdout.strip() == "active", 40, s.machine.journal("tiergate-probe"))
    (drop / "once.conf").unlink()
    s.systemctl("daemon-reload")
    s.systemctl("stop", "tiergate-probe")
    wait_for(lambda: "tgprobe" not in s.run("ip", "link").stdout, 20, "its links to go")
    done = s.run("tiergatectl", "probe", "--rig")
    check(done.returncode == 3 and "--rig is for tiergate-probe.service" in done.stderr, done)
    s.configure()
    equal(s.systemctl("reload", "tiergated").returncode, 0)


def test_metrics(s):
    "the metrics socket answers curl by HTTP, with what is counted now, and says 503 while the daemon is away"
    ask_for = lambda: s.run("curl", "-sS", "-i", "--unix-socket", "/run/tiergate-metrics.sock", "http://localhost/metrics")  # noqa: E731
    equal(s.systemctl("start", "tiergate-metrics.socket").returncode, 0)
    done = ask_for()
    check(done.stdout.startswith("HTTP/1.1 200 OK"), done.stdout, done.stderr, s.machine.journal("tiergate-metrics@*"))
    check("\ntiergate_rules_in_place 1\n" in done.stdout, done.stdout[:3000])
    s.systemctl("stop", "tiergated")
    check(ask_for().stdout.startswith("HTTP/1.1 503"), "no answer while the daemon is away")
    equal(s.systemctl("start", "tiergated").returncode, 0)
    equal(s.run("stat", "-c", "%G %a", "/run/tiergate-metrics.sock").stdout.strip(), "tiergate 660")


def test_owners(s):
    "whatever unit is restarted, the daemon's folders stay its own, and it saves its state there"
    folders = ("/var/lib/tiergate", "/run/tiergate", "/var/log/tiergate")
    owners = lambda: s.run("stat", "-c", "%U %a", *folders).stdout.splitlines()  # noqa: E731
    wanted = ["tiergate 700", "tiergate 750", "tiergate 750"]
    for unit in ("tiergate-wiring", "tiergated", "tiergate-wiring"):
        equal(s.systemctl("restart", unit).returncode, 0, s.machine.journal(unit))
        equal(owners(), wanted, f"after a restart of {unit}")
        equal(s.systemctl("is-active", "tiergated").stdout.strip(), "active")
    equal(s.systemctl("restart", "tiergated").returncode, 0)  # which saves at its end
    check("could not be saved" not in s.machine.journal("tiergated"), s.machine.journal("tiergated"))
    s.works()


def test_flush(s):
    "rules that another program flushes are put back by the service itself; those that the wiring unit took away are not"
    status = lambda: s.run("tiergatectl", "status")  # noqa: E731
    equal(status().returncode, 0, status().stdout)
    s.run("nft", "flush", "ruleset")
    wait_for(lambda: "were put back" in s.machine.journal("tiergated"), 15, s.machine.journal("tiergated"))
    equal(status().returncode, 0, status().stdout)
    s.works()
    equal(s.systemctl("stop", "tiergate-wiring").returncode, 0)
    equal(status().returncode, 1, status().stdout)
    check("taken away by `tiergatectl wiring down`" in s.show("StatusText") or "wiring down" in status().stdout)
    time.sleep(1.5)  # longer than from look to look
    equal(s.run("tiergatectl", "wiring", "check").returncode, 1, "put back against the operator")
    equal(s.systemctl("start", "tiergate-wiring").returncode, 0)
    equal(status().returncode, 0, status().stdout)
    s.works()


def test_restart_policy(s):
    "after a restart with another policy, an open flow that it denies ends, and the others go on"
    s.configure(allow=[{"tiers": ["guest"], "sites": ["good", "social"]}])
    equal(s.systemctl("reload", "tiergated").returncode, 0)
    stays, goes = keep_alive(s.lab, "www.allowed.example"), keep_alive(s.lab, "www.social.example")
    s.configure()
    equal(s.systemctl("restart", "tiergated").returncode, 0)
    is_cut(goes, "www.social.example")
    ask(stays, "www.allowed.example")


@contextlib.contextmanager
def load(s, seconds, parallel):
    """New connections, one after the other on each of so many sockets; gives what became of them."""
    server = s.lab.spawn("outside", LOAD, "serve", "4443")
    wait_for(lambda: ":4443" in s.lab.run("outside", "ss", "-ltn").stdout, what="the server")
    dialer = s.lab.spawn("client", LOAD, "dial", "198.51.100.10", "4443", seconds, parallel, "www.allowed.example",
                         GUEST, stdout=subprocess.PIPE)
    figures = {}
    yield figures
    out = dialer.communicate(timeout=60)[0].split()
    figures.update({k: float(v) for k, v in zip(out[::2], out[1::2])})
    server.kill()
    server.wait()


def test_restart_loses_nothing(s):
    "restarted and reloaded under load, the gateway refuses nobody, and every packet finds its queue with room"
    s.configure(allow=[{"tiers": ["guest"], "sites": ["good"], "ports": ["tcp/443", "tcp/4443"]}])
    equal(s.systemctl("reload", "tiergated").returncode, 0)
    before = queues(s)
    with load(s, 6, 8) as seen:
        for _ in range(3):
            pid = s.show("MainPID")
            equal(s.systemctl("restart", "tiergated").returncode, 0, s.machine.journal("tiergated"))
            check(s.show("MainPID") != pid, "no restart")
            equal(s.systemctl("reload", "tiergated").returncode, 0, s.machine.journal("tiergated"))
    check(seen["done/s"] > 100, f"no load: {seen}")
    equal((seen["refused/s"], seen["failed"]), (0, 0), f"{seen}")
    after = queues(s)
    equal([q["port"] for q in after], [q["port"] for q in before], "sockets of the queues")
    check(sum(q["packets"] - p["packets"] for p, q in zip(before, after)) > 600, f"{before} {after}")
    equal([q["lost"] for q in after], [0] * len(after), "packets that found no room")
    s.configure()
    equal(s.systemctl("reload", "tiergated").returncode, 0)


def hold(s):
    """A connection whose hello is half sent, and held, for longer than a busy machine takes for what follows."""
    s.configure(held="until-whole", bounds={"hello_timeout": "60s"})
    equal(s.systemctl("restart", "tiergated").returncode, 0)
    hello = client_hello("www.allowed.example")
    c = s.lab.connect("198.51.100.10", 443, timeout=20)
    c.sendall(hello[:100])
    wait_for(lambda: sum(q["waiting"] for q in queues(s)) == 1, what="a held packet")
    return c, hello[100:]


def is_served(s, c, rest):
    c.sendall(rest)
    check(c.recv(100), "no answer")
    c.close()
    wait_for(lambda: sum(q["waiting"] for q in queues(s)) == 0, what="an empty queue")
    s.configure()
    equal(s.systemctl("restart", "tiergated").returncode, 0)


@contextlib.contextmanager
def slow_to_repeat(s):
    """A client who has to repeat sends nothing new before what it repeats is acknowledged, and the other
    half of a hello would never come: so it repeats later than a restart takes, if by a slow machine."""
    route = s.lab.run("client", "ip", "-4", "route", "show", "default").stdout.split()
    s.lab.run("client", "ip", "route", "change", *route, "rto_min", "6s")
    yield
    s.lab.run("client", "ip", "route", "change", *route)


def test_restart_while_held(s):
    "what a daemon held when it ended leaves its queue, comes again and is served by the next one"
    with slow_to_repeat(s):
        c, rest = hold(s)
        equal(s.systemctl("restart", "tiergated").returncode, 0)
        is_served(s, c, rest)


def test_reload_while_held(s):
    "a reload drops nothing that waits in a queue"
    with slow_to_repeat(s):
        c, rest = hold(s)
        for _ in range(2):
            equal(s.run("tiergatectl", "wiring", "up").returncode, 0)
            equal(sum(q["waiting"] for q in queues(s)), 1, "held packets")
        is_served(s, c, rest)


def test_kill(s):
    "killed, it comes back by itself"
    pid = s.show("MainPID")
    s.run("kill", "-KILL", pid)
    check(s.lab.curl("https://www.allowed.example/", GUEST).ok, "what came meanwhile is lost")
    wait_for(lambda: s.show("MainPID") not in (pid, "0") and s.show("ActiveState") == "active", 20,
             "the restart")
    s.works()


def test_hang(s):
    "hanging, it is ended by the watchdog and comes back"
    pid = s.show("MainPID")
    s.run("kill", "-STOP", pid)
    wait_for(lambda: s.show("MainPID") not in (pid, "0") and s.show("ActiveState") == "active", 40,
             "the watchdog")
    s.works()


def test_stop(s):
    "stopped, nothing new gets out, and internal traffic goes on; started again, it works"
    equal(s.systemctl("stop", "tiergated").returncode, 0)
    equal(s.show("Result"), "success")
    equal(queues(s), [], "queues whose socket somebody keeps")
    check(not s.lab.curl("https://www.allowed.example/", GUEST, timeout=2).ok, "it got out")
    check(s.lab.curl("https://intranet.example/", GUEST).ok, "internal traffic")
    equal(s.systemctl("start", "tiergated").returncode, 0)
    s.works()


def without_last_good(s):
    """Until the file is removed a start with a bad configuration is refused."""
    off = s.machine.root / "etc/default/tiergated"
    off.parent.mkdir(parents=True, exist_ok=True)
    off.write_text("TIERGATED_OPTIONS=\n")
    return off


def test_bad_start(s):
    "with a bad configuration and no last good policy wanted it does not start, does not try for ever, and says why"
    off = without_last_good(s)
    s.systemctl("stop", "tiergated")
    s.configure("modus = 1;\n")
    check(s.systemctl("start", "tiergated").returncode != 0)
    time.sleep(1)
    equal(s.show("ActiveState"), "failed")
    equal(queues(s), [], "queues whose socket somebody keeps")
    check("modus" in s.machine.journal("tiergated"))
    s.configure()
    off.unlink()
    equal(s.systemctl("start", "tiergated").returncode, 0)
    s.works()


def test_last_good_boot(s):
    "a boot with an error in the configuration, or without one: the last good policy governs, and it is said until it is mended"
    for bad in ("modus = 1;\n", None):
        s.systemctl("stop", "tiergated", "tiergate-wiring")
        s.configure(bad or "")
        if bad is None:
            s.conf.unlink()
        check(s.systemctl("start", "tiergate-wiring").returncode != 0, "a bad configuration is good")
        equal(s.systemctl("start", "tiergated").returncode, 0, s.machine.journal("tiergated"))
        s.works()
        now = s.run("tiergatectl", "status", "--json").stdout
        check("last good policy" in json.loads(now)["last_good"], now)
        check("last good policy" in s.show("StatusText"), s.show("StatusText"))
        s.configure()
        equal(s.systemctl("reload", "tiergated").returncode, 0, s.machine.journal("tiergated"))
        check("last_good" not in s.run("tiergatectl", "status", "--json").stdout)
        s.works()
        equal(s.systemctl("start", "tiergate-wiring").returncode, 0)


def test_bad_boot(s):
    "a boot with an error and no last good policy wanted: the last good settings' rules, nothing gets out, internal traffic goes on"
    off = without_last_good(s)
    s.systemctl("stop", "tiergated", "tiergate-wiring")
    check(s.lab.curl("https://www.denied.example/", GUEST).ok, "the rules are still there")
    s.configure("modus = 1;\n")
    check(s.systemctl("start", "tiergate-wiring").returncode != 0, "a bad configuration is good")
    check(s.systemctl("start", "tiergated").returncode != 0)
    equal(s.systemctl("is-failed", "tiergate-wiring").stdout.strip(), "failed")
    check(not s.lab.curl("https://www.denied.example/", GUEST).ok, "open")
    check(not s.lab.curl("https://www.allowed.example/", GUEST).ok, "open")
    check(s.lab.resolve("www.allowed.example", GUEST), "no names")
    journal = s.run("journalctl", "-u", "tiergate-wiring", "--no-pager").stdout
    check("modus" in journal and "last good configuration" in journal, journal[-2000:])
    kept = s.machine.root / "var/lib/tiergate-wiring"
    equal((kept.stat().st_mode & 0o777, (kept / "settings.conf").stat().st_mode & 0o777), (0o700, 0o600))
    s.configure()
    off.unlink()
    equal(s.systemctl("start", "tiergate-wiring", "tiergated").returncode, 0)
    s.works()


def test_other_firewalls(s):
    "beside nftables.service and ufw.service the daemon, which is no root, puts back what they take, also at its start"
    system = s.machine.root / "etc/systemd/system"
    if (system / "ufw.service").is_symlink():
        (system / "ufw.service").unlink()  # machine.py lets no service of this machine run
        s.systemctl("daemon-reload")
    (s.machine.root / "etc/nftables.conf").write_text(
        "flush ruleset\ntable inet filter { chain forward { type filter hook forward priority filter; }; }\n")
    s.run("ufw", "route", "allow", "in", "on", "lan0")
    after = s.systemctl("show", "-P", "After", "tiergate-wiring").stdout.split()
    equal({"nftables.service", "ufw.service", "firewalld.service"} - set(after), set(), after)

    def well(what):
        status = lambda: json.loads(s.run("tiergatectl", "status", "--json").stdout)["wiring"]  # noqa: E731
        wait_for(lambda: status() == "in place", 20, f"rules in place after {what}: {status()} {s.machine.journal('tiergated')}")
        s.works()

    def do(*argv):
        done = s.run(*argv)
        equal(done.returncode, 0, f"{argv} {done.stdout} {done.stderr}")
    for argv in ("systemctl start nftables", "ufw --force enable", "systemctl restart ufw", "systemctl reload nftables",
                 "systemctl restart nftables", "systemctl restart ufw", "ufw reload"):
        do(*argv.split())
        well(argv)
    s.systemctl("stop", "tiergated")
    do("systemctl", "reload", "nftables")
    check("TIERGATE" not in s.run("iptables-save").stdout, "nftables.service left our rules")
    do("systemctl", "start", "tiergated")
    well("a reload of nftables without the daemon")
    do("ufw", "--force", "disable")
    do("systemctl", "stop", "ufw", "nftables")
    well("the stop of both")


def test_wiring_stop(s):
    "without the wiring unit no rule is left"
    s.systemctl("stop", "tiergated")
    equal(s.systemctl("stop", "tiergate-wiring").returncode, 0)
    left = s.run("iptables-save").stdout + s.run("ip6tables-save").stdout + s.run("nft", "list", "ruleset").stdout
    equal([x for x in left.splitlines() if "tiergate" in x.lower() or "queue" in x.lower()], [], "rules left")
    check(s.lab.curl("https://www.denied.example/", GUEST).ok)


if __name__ == "__main__":
    main(globals(), service)
