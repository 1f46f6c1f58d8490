#!/usr/bin/env python3
"""The daemon's life: reload, stop, kill, a full queue, a login, and what happens to packets meanwhile."""
import contextlib
import datetime
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, SITES, lab, v6, wait_for  # noqa: E402
from pcapgen import client_hello, http_request  # noqa: E402
from tap import Skip, check, equal, main, note  # noqa: E402
from test_wiring import tcp, throw  # noqa: E402

GUEST, STAFF, NOBODY = "10.77.1.2", "10.77.1.3", "10.77.1.9"
ALLOWED = SITES["allowed.example"]
SOCIAL_TOO = [{"tiers": ["guest"], "sites": ["good", "social"]}]


def keep_alive(lab, name, source=GUEST):
    """A plain HTTP connection that has had one answer and stays open."""
    s = lab.connect(SITES[name], 80, source)
    ask(s, name)
    return s


def ask(s, name):
    """One request and its whole answer."""
    s.sendall(http_request(name))
    data = b""
    while not data.endswith(b"says hello\n"):
        more = s.recv(4096)
        check(more, "the connection ended after", data)
        data += more
    check(b" 200 " in data, data)


def is_cut(s, name):
    """Whether a connection ends: open flows are decided again in portions, not all at once."""
    def ended():
        try:
            s.settimeout(3)
            ask(s, name)
            return False
        except AssertionError:
            return True
        except socket.timeout:
            return False
        except OSError:
            return True
    return wait_for(ended, 5, f"the end of the connection to {name}")


def test_reload_good(lab):
    "a reload changes outcomes and the digest; SIGHUP and tiergatectl reload do the same"
    with lab.gateway():
        before = lab.policy()
        check(lab.curl("https://www.social.example/", GUEST).refused)
        lab.reload(allow=SOCIAL_TOO)
        check(lab.policy() != before, "the digest stays", before)
        check(lab.curl("https://www.social.example/", GUEST).ok)
        lab.configure()
        done = lab.ctl("reload")
        equal(done.returncode, 0, f"tiergatectl reload: {done.stdout}{done.stderr}")
        check(lab.curl("https://www.social.example/", GUEST).refused)
        equal(lab.policy(), before, "digest")


def test_reload_bad(lab):
    "a bad file changes nothing; every error is said with its place"
    with lab.gateway():
        before = lab.policy()
        good = lab.config_file.read_text()
        lab.config_file.write_text(good + 'modus = "enforce";\nqueues = 0;\n')
        done = lab.ctl("reload")
        equal(done.returncode, 1, "exit status")
        text = done.stdout + done.stderr
        check("modus" in text and "queues" in text and "tiergate.conf:" in text, text)
        lab.reload()  # SIGHUP
        equal(lab.policy(), before, "digest")
        check("modus" in lab.log(), lab.log())
        lab.config_file.write_text(good)
        check(lab.curl("https://www.allowed.example/", GUEST).ok)
        check(lab.curl("https://www.denied.example/", GUEST).refused)


def test_reload_aside(lab):
    "a reload that takes long holds up nobody: control and packets; the last one asked for counts"
    many = lab.dir / "many.sites"
    many.write_text("".join(f"n{i}.many.example\n" for i in range(50000)))
    long = [{"name": "good", "hosts": ["allowed.example"]}, {"name": "social", "hosts": ["social.example"]}] + \
        [{"name": f"m{i}", "lists": [str(many)]} for i in range(10)]
    with lab.gateway():
        before = lab.policy()
        lab.configure(sites=long, allow=SOCIAL_TOO)
        lab.forget()
        lab.daemon.send_signal(signal.SIGHUP)
        during = lab.status()
        check(during.get("reloading"), during)
        equal(during["policy"], before, "digest while it loads")
        check(lab.curl("https://www.allowed.example/", GUEST).ok)
        lab.configure()  # what the second reads is in force
        done = lab.ctl("reload")
        equal(done.returncode, 0, f"exit status of the second reload, {done.stderr}")
        after = lab.status()
        check("reloading" not in after, after)
        equal(after["policy"], before, "digest")
        check(lab.curl("https://www.social.example/", GUEST).refused)


def test_reload_fixed(lab):
    "what a running process can't change is refused by name; observe becomes enforce with all its defaults"
    with lab.gateway(mode="observe"):
        check(lab.curl("https://www.social.example/", GUEST).ok)
        lab.configure(mode="observe", dns_scope="network", log="none", bounds={"hello_timeout": "5s"})
        done = lab.ctl("reload")
        equal(done.returncode, 1, "exit status")
        for key in ("dns_scope", "log", "hello_timeout"):
            check(f"{key}: a running tiergated can't change it" in done.stderr, done.stderr)
        lab.configure()
        lab.wire()
        done = lab.ctl("reload")
        equal(done.returncode, 0, f"exit status, {done.stderr}")
        check(lab.curl("https://www.social.example/", GUEST).refused)


def test_reload_expect(lab):
    "a policy that fails its own expect lines is refused"
    with lab.gateway():
        before = lab.policy()
        lab.configure(allow=SOCIAL_TOO,
                      expect=[{"tier": "guest", "to": "www.social.example", "outcome": "deny"}])
        equal(lab.ctl("reload").returncode, 1)
        equal(lab.policy(), before, "digest")
        check(lab.curl("https://www.social.example/", GUEST).refused)


def test_reload_decides_again(lab):
    "after a reload only flows whose outcome changed notice"
    with lab.gateway(allow=SOCIAL_TOO):
        stays, goes = keep_alive(lab, "www.allowed.example"), keep_alive(lab, "www.social.example")
        asked = datetime.datetime.utcnow().isoformat()
        lab.reload(**lab.settings())
        is_cut(goes, "www.social.example")
        ask(stays, "www.allowed.example")
        record = lab.record(destination__domain="www.social.example", event__action="deny")
        check(record["@timestamp"] > asked, "time stands still on an idle queue:", record, asked)


def test_log_opened_again(lab):
    "SIGUSR1 opens the log again and loads no configuration"
    with lab.gateway():
        check(lab.curl("https://www.denied.example/", GUEST).refused)
        lab.record(destination__domain="www.denied.example")
        lab.records_file.rename(lab.dir / "decisions.jsonl.1")
        lab.configure(allow=SOCIAL_TOO)
        lab.daemon.send_signal(signal.SIGUSR1)
        wait_for(lab.records_file.exists, what="the new log")
        check(lab.curl("https://www.social.example/", GUEST).refused)
        lab.record(destination__domain="www.social.example", event__action="deny")
        equal(lab.records(destination__domain="www.denied.example"), [])
        (lab.dir / "decisions.jsonl.1").unlink()


def test_ports_used_again(lab):
    "ports whose connection was reset are used again, also where a segment came after the reset"
    with lab.gateway():
        for overtaken in (False, True):
            sniffer = lab.sniff("client")
            s = lab.connect("198.51.100.10", 443)
            port = s.getsockname()[1]
            s.sendall(client_hello("www.allowed.example"))
            check(s.recv(100), "no answer")
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
            reset = wait_for(lambda: next((f for f in sniffer.frames() if f[23] == 6 and f[34:36] == struct.pack("!H", port)
                                           and f[47] & 4), None), what="the reset")
            if overtaken:
                seq, ack = struct.unpack("!II", reset[38:46])
                throw(lab, "client", tcp(GUEST, port, "198.51.100.10", 443, 0x10, seq=seq, ack=ack))
                wait_for(lambda: "CLOSE" in lab.run("gateway", "conntrack", "-L", "-p", "tcp", "--orig-port-src",
                                                    port).stdout, what="a closed entry")
            again = lab.socket("client", socket.AF_INET, socket.SOCK_STREAM)
            again.settimeout(10)
            again.bind((GUEST, port))
            again.connect(("198.51.100.10", 443))
            again.sendall(client_hello("www.allowed.example"))
            check(again.recv(100), f"no answer on the same port, overtaken: {overtaken}")
            again.close(), sniffer.close()
        equal(lab.records(event__reason="syn-again"), [])


def test_reload_load(lab):
    "100 reloads under new connections lose and misjudge none"
    load = BUILD / "live/hello_load"
    if not load.exists():
        raise Skip(f"{load} is not built")
    ports = ["tcp/4443"]
    allow = [{"tiers": ["guest"], "sites": ["good"], "ports": ports},
             {"tiers": ["staff"], "sites": ["social"], "ports": ports}]
    with lab.gateway(allow=allow):
        lab.spawn("outside", load, "serve", "4443")
        wait_for(lambda: lab.say("198.51.100.10", [client_hello("allowed.example")], 4443).how == "answered")

        def dial(name, source):
            return lab.spawn("client", load, "dial", "198.51.100.10", "4443", "300", "16", name, source,
                             stdout=subprocess.PIPE)
        good, bad = dial("www.allowed.example", GUEST), dial("www.denied.example", STAFF)
        policies = set()
        for i in range(100):
            lab.reload(allow=allow, sites=[{"name": "good", "hosts": ["allowed.example", f"{i}.good.example"]},
                                           {"name": "social", "hosts": ["social.example", f"{i}.social.example"]}])
            policies.add(lab.policy())
        equal(len(policies), 100, "policies that were in force")
        good.terminate()
        bad.terminate()
        for p, what in ((good, "allowed"), (bad, "denied")):
            numbers = dict(zip(*[iter(p.communicate(timeout=30)[0].split())] * 2))
            note(f"{what}: {numbers}")
            equal(numbers["failed"], "0", f"{what}: connections without any answer")
            wrong = numbers["refused/s" if what == "allowed" else "done/s"]
            equal(float(wrong), 0, f"{what}: misjudged a second")
        wrong = [r for r in lab.records(destination__port=4443) if r["event.action"] in ("allow", "deny")
                 and (r["event.action"] == "allow") != (r.get("destination.domain", "").endswith("allowed.example"))]
        check(not wrong, wrong[:3])


def test_reload_closed(lab):
    "a reload that denies what was allowed records the connections that are open, not those that are over"
    with lab.gateway():
        for _ in range(20):
            check(lab.curl("https://www.allowed.example/", GUEST).ok)
        s = keep_alive(lab, "www.allowed.example")
        port = s.getsockname()[1]
        lab.reload(allow=[])
        s.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            check(not s.recv(100), "the open one goes on")
        lab.record(event__action="deny", source__port=port)
        lab.status()  # no end waits to be read by then: none can be taken for an earlier connection's
        lab.run("gateway", "conntrack", "-F")
        ends = lambda: lab.records(event__action="end", event__reason="allow-line")  # noqa: E731
        wait_for(lambda: len(ends()) >= 20, 10, "the ends")
        denied = [r["source.port"] for r in lab.records(event__action="deny")]
        equal(denied, [port], "denied")


def test_stop_closed(lab):
    "stopped with when_down = closed: nothing new gets out; open flows and internal ones go on"
    with lab.gateway():
        s = keep_alive(lab, "www.allowed.example")
        equal(lab.stop(wire=False), 0, "exit status of SIGTERM")
        check(not lab.curl("https://www.allowed.example/", GUEST, timeout=2).ok, "it got out")
        ask(s, "www.allowed.example")
        without_daemon(lab)
        lab.start(wire=False)
        check(lab.curl("https://www.allowed.example/", GUEST).ok)
        ask(s, "www.allowed.example")


def without_daemon(lab):
    """What must work while nobody decides: internal hosts, names, the gateway itself."""
    check(lab.curl("https://intranet.example/", NOBODY).ok, "internal traffic")
    check(lab.curl("https://intranet.example/", v6(NOBODY)).ok, "internal traffic, IPv6")
    check(lab.resolve("denied.example", GUEST), "name resolution")
    listener = lab.socket("gateway", socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("10.77.1.1", 0))
    listener.listen()
    lab.connect("10.77.1.1", listener.getsockname()[1]).close()
    equal(lab.run("client", "ping", "-c1", "-W2", "10.77.1.1", check_exit=False).returncode, 0, "ping")
    # the gateway's own traffic to the world
    equal(lab.run("gateway", "curl", "-sS", "-m5", "http://198.51.100.10/", check_exit=False).returncode, 0)


def test_kill_closed(lab):
    "killed with when_down = closed: nothing new gets out until it is back"
    with lab.gateway():
        s = keep_alive(lab, "www.allowed.example")
        lab.stop(signal.SIGKILL, wire=False)
        check(not lab.curl("https://www.allowed.example/", GUEST, timeout=2).ok, "it got out")
        without_daemon(lab)
        lab.start(wire=False)
        check(lab.curl("https://www.allowed.example/", GUEST).ok)
        check(lab.curl("https://www.denied.example/", GUEST).refused)
        ask(s, "www.allowed.example")


def test_down_open(lab):
    "when_down = open: traffic passes while the daemon is away, and is decided when it is back"
    with lab.gateway(when_down="open"):
        for how in (signal.SIGTERM, signal.SIGKILL):
            lab.stop(how, wire=False)
            check(lab.curl("https://www.denied.example/", GUEST).ok, how)
            check(lab.curl("https://www.allowed.example/", v6(GUEST)).ok, how)
            without_daemon(lab)
            lab.start(wire=False)
            check(lab.curl("https://www.denied.example/", GUEST).refused, how)


def test_full_closed(lab):
    "a full queue drops what it can't take, and the daemon lives on"
    with lab.gateway(queues=1, queue_length=64):
        lab.daemon.send_signal(signal.SIGSTOP)
        flood(lab)
        dropped = sum(int(line.split()[5]) for line in queues(lab))
        lab.daemon.send_signal(signal.SIGCONT)
        check(dropped > 0, "nothing was dropped: the queue was never full")
        note(f"{dropped} dropped")
        wait_for(lambda: lab.curl("https://www.allowed.example/", GUEST, timeout=3).ok, 20)
        check(lab.curl("https://www.denied.example/", GUEST).refused)


def flood(lab, count=600):
    s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((GUEST, 0))
    for i in range(count):
        s.sendto(b"flood", ("198.51.100.10", 443 if i % 2 else 5000))


def queues(lab):
    return lab.run("gateway", "cat", "/proc/net/netfilter/nfnetlink_queue").stdout.splitlines()


def test_full_open(lab):
    "when_full = open: what a full queue can't take passes"
    with lab.gateway(queues=1, queue_length=64, when_full="open",
                     allow=[{"tiers": ["guest"], "sites": ["*"], "evidence": "any", "ports": ["udp/443"]}]):
        far = lab.sniff()
        lab.daemon.send_signal(signal.SIGSTOP)
        flood(lab)
        passed = len([f for f in far.frames() if f.endswith(b"flood") and f[26:30] == socket.inet_aton(GUEST)])
        lab.daemon.send_signal(signal.SIGCONT)
        note(f"{passed} passed")
        check(passed > 300, f"{passed} of 600 passed")
        wait_for(lambda: lab.curl("https://www.denied.example/", GUEST, timeout=3).refused, 20)


def test_enobufs(lab):
    "more than its socket takes is survived and counted"
    with lab.gateway(queue_length=65536):
        lab.daemon.send_signal(signal.SIGSTOP)
        s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((GUEST, 0))
        for i in range(40000):
            s.sendto(b"x" * 1400, ("198.51.100.10", 443))
        lost = sum(int(line.split()[5]) + int(line.split()[6]) for line in queues(lab))
        lab.daemon.send_signal(signal.SIGCONT)
        note(f"{lost} lost in the kernel")
        wait_for(lambda: lab.curl("https://www.allowed.example/", GUEST, timeout=3).ok, 30)
        check(lab.daemon.poll() is None, lab.log())


def test_login(lab):
    "a login gives a tier, a logout takes it, open connections included"
    with lab.gateway():
        users = lab.dir / "users"
        users.unlink(missing_ok=True)
        made = lab.run("gateway", BUILD / "tiergatectl", "passwd", "--config", lab.config_file, "--user",
                       "ann", "--tier", "staff", input="correct horse\n", check_exit=False)
        equal(made.returncode, 0, f"passwd: {made.stdout}{made.stderr}")
        check("correct horse" not in users.read_text())
        check(lab.curl("https://www.social.example/", NOBODY).refused)
        equal(lab.login(NOBODY, "ann", "wrong").returncode, 1, "a wrong password")
        check(lab.curl("https://www.social.example/", NOBODY).refused)
        done = lab.login(NOBODY, "ann", "correct horse", "--for", "1h")
        equal(done.returncode, 0, f"login: {done.stdout}{done.stderr}")
        check(lab.curl("https://www.social.example/", NOBODY).ok)
        equal(lab.record(source__ip=NOBODY, event__action="allow")["user.name"], "ann")
        s = keep_alive(lab, "www.social.example", NOBODY)
        other = keep_alive(lab, "www.allowed.example", GUEST)
        check("ann" in lab.ctl("sessions").stdout)
        equal(lab.ctl("logout", "--user", "ann").returncode, 0)
        is_cut(s, "www.social.example")
        ask(other, "www.allowed.example")
        check(lab.curl("https://www.social.example/", NOBODY).refused)


def test_sessions_outlive(lab):
    "sessions and names seen outlive a restart and a kill"
    with lab.gateway():
        lab.run("gateway", BUILD / "tiergatectl", "passwd", "--config", lab.config_file, "--user", "bob",
                "--tier", "staff", input="pw pw pw\n", check_exit=False)
        equal(lab.login(NOBODY, "bob", "pw pw pw").returncode, 0)
        lab.stop(wire=False)
        lab.start(wire=False)
        check(lab.curl("https://www.social.example/", NOBODY).ok, lab.ctl("sessions").stdout)


def test_missing_capability(lab):
    "without the right: one clear sentence, exit 3"
    lab.configure()
    lab.records_file.unlink(missing_ok=True)
    try:
        lab.wire()
        for d in (lab.dir, lab.dir / "state", lab.dir / "run"):
            d.chmod(0o777)
        lab.log_path = lab.dir / "daemon.log"
        lab.log_path.unlink(missing_ok=True)
        p = lab.launch("setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set", "-all")
        equal(p.wait(20), 3, f"exit status ({lab.log()})")
        check(re.search("the capability CAP_NET_|CAP_NET_RAW is missing", lab.log()), lab.log())
        check(len(lab.log().strip().splitlines()) <= 3, lab.log())
    finally:
        lab.stop()
        lab.dir.chmod(0o755)


def test_queue_in_use(lab):
    "a queue in use: one clear sentence, exit 3, and the first goes on"
    with lab.gateway():
        done = lab.run("gateway", BUILD / "tiergated", "run", "--config", lab.config_file,
                       check_exit=False, timeout=20)
        equal(done.returncode, 3, f"exit status ({done.stderr})")
        check("queue" in done.stderr and "in use" in done.stderr, done.stderr)
        check(lab.curl("https://www.allowed.example/", GUEST).ok)
        check(lab.ctl("status").returncode == 0, "the first one's control socket is gone")


def test_bad_configuration(lab):
    "a bad configuration: every error, exit 1"
    lab.configure()
    lab.config_file.write_text(lab.config_file.read_text() + 'modus = 1;\nqueues = "many";\n')
    for verb in ("run", "check"):
        done = lab.run("gateway", BUILD / "tiergated", verb, "--config", lab.config_file, check_exit=False,
                       timeout=20)
        equal(done.returncode, 1, f"{verb}: exit status ({done.stderr})")
        check("modus" in done.stderr + done.stdout and "queues" in done.stderr + done.stdout, done.stderr)


def test_list_with_a_fault(lab):
    "a start with a list that has a fault uses the last good one and says so; a reload is refused"
    lists = lab.dir / "social.sites"
    over = {"sites": [{"name": "good", "hosts": ["allowed.example"]},
                      {"name": "social", "lists": [str(lists)]}]}
    lists.write_text("social.example\n")
    with lab.gateway(**over):
        check(lab.curl("https://www.social.example/", STAFF).ok)
        before = lab.policy()
        lists.write_text("<!DOCTYPE html>\n<h1>404</h1>\n")
        equal(lab.ctl("reload").returncode, 1, "exit status of a reload")
        equal(lab.policy(), before, "digest")
        for fault in ("https://social.example/\n", "", None):
            lab.stop()
            if fault is None:
                lists.unlink()
            else:
                lists.write_text(fault)
            lab.start()  # and wires: no list keeps the rules away either
            check("the last good one, of 1 entries" in lab.log(), lab.log())
            equal(lab.status()["lists_with_faults"], 1, "status")
            equal(lab.policy(), before, "digest")
            check(lab.curl("https://www.social.example/", STAFF).ok)
            lists.write_text("social.example\n")
            lab.reload()
            check("lists_with_faults" not in lab.status(), lab.status())


def test_capabilities(lab):
    "once it runs it has CAP_NET_ADMIN and no other right"
    with lab.gateway():
        status = pathlib.Path(f"/proc/{daemon_pid(lab)}/status").read_text()
        caps = {k: int(v, 16) for k, v in (line.split(":\t") for line in status.splitlines()
                                           if line.startswith("Cap"))}
        for which in ("CapPrm", "CapEff"):
            check(not caps[which] & 1 << 13, f"{which} has CAP_NET_RAW: {caps[which]:x}")
            check(caps[which] & 1 << 12, f"{which} has no CAP_NET_ADMIN: {caps[which]:x}")


def daemon_pid(lab):
    return lab.daemon.pid  # ip netns exec becomes the command


def test_listens_nowhere(lab):
    "no TCP or UDP socket listens"
    with lab.gateway():
        out = lab.run("gateway", "ss", "-Htulnp").stdout
        check("tiergated" not in out, out)


def test_unwired(lab):
    "wiring down leaves nothing behind, up twice is up once"
    def everything():
        text = "".join(lab.run("gateway", tool).stdout for tool in ("iptables-save", "ip6tables-save"))
        text += lab.run("gateway", "nft", "list", "ruleset", check_exit=False).stdout
        return [x for x in text.splitlines() if "tiergate" in x.lower() or "NFQUEUE" in x or "queue" in x]
    lab.configure()
    lab.wire()
    check(everything(), "no rule came")
    once = len(everything())
    lab.wire()
    equal(len(everything()), once, "rules after a second up")
    equal(lab.ctl("wiring", "check", "--config", lab.config_file, socket=False).returncode, 0, "check")
    lab.wire(False)
    equal(everything(), [], "rules left")
    equal(lab.ctl("wiring", "check", "--config", lab.config_file, socket=False).returncode, 1, "check")
    check(lab.curl("https://www.denied.example/", GUEST).ok, "the network is not as it was")


def test_why_and_watch(lab):
    "why explains, watch follows"
    with lab.gateway():
        watch = lab.spawn("gateway", BUILD / "tiergatectl", "--socket", lab.control, "watch",
                          stdout=subprocess.PIPE)
        time.sleep(0.3)
        lab.curl("https://www.denied.example/", GUEST)
        line = watch.stdout.readline()
        check("denied.example" in line and "no-line" in line, line)
        watch.terminate()
        done = lab.ctl("why", "--tier", "guest", "--to", "www.social.example")
        check(done.returncode in (0, 1) and "tiergate.conf:" in done.stdout and "staff" in done.stdout,
              done.stdout, done.stderr)
        done = lab.ctl("why", "--address", STAFF, "--to", "www.social.example")
        check("allow" in done.stdout and "tiergate.conf:" in done.stdout, done.stdout)


def test_why_with_an_edit(lab):
    "why names the edit where the file in /etc is what the daemon loaded, and only there"
    with lab.gateway():
        folder = pathlib.Path(lab.config_file).parent
        for change, there in (("", True), ("; echo 'mode = \"observe\";' >>tiergate.conf", False)):
            script = ("mount -t tmpfs none /etc && mkdir /etc/tiergate && cd /etc/tiergate && cp -r \"$1\"/*.conf . && "
                      f"cp \"$2\" tiergate.conf{change}; shift 2; exec \"$@\"")
            done = lab.run("gateway", "unshare", "-m", "sh", "-c", script, "sh", folder, lab.config_file,
                           BUILD / "tiergatectl", "--socket", lab.control, "why", "--address", GUEST, "--to",
                           "www.social.example", check_exit=False)
            equal(done.returncode, 1)
            equal("edit:     the smallest that would allow it\n            tiergate.conf:" in done.stdout, there,
                  done.stdout + done.stderr)


if __name__ == "__main__":
    main(globals(), lab)
