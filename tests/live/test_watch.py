#!/usr/bin/env python3
"""What other programs do to the kernel's rules, and to the interfaces that inside names, while tiergated
runs: seen at once, said in status and log, counted, and put back."""
import contextlib
import json
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab as Lab, v6, wait_for  # noqa: E402
from tap import check, equal, main  # noqa: E402
from test_daemon import ask, is_cut, keep_alive  # noqa: E402

GUEST, FAR = "10.77.1.2", "198.51.100.11"


def gw(lab, command):
    return lab.run("gateway", *command.split())


def wiring(lab):
    return lab.status()["wiring"]


def in_place(lab):
    wait_for(lambda: wiring(lab) == "in place", 15, f"rules in place: {wiring(lab)}: {lab.log()}")


def closed(lab):
    "Whether the site that no line allows is refused over both IP versions."
    check(lab.curl("https://www.denied.example/", GUEST, resolve=FAR).refused, "denied host, IPv4")
    check(lab.curl("https://www.denied.example/", v6(GUEST), resolve=v6(FAR)).refused, "denied host, IPv6")
    check(lab.curl("https://www.allowed.example/", GUEST).ok, "allowed host")


def handle(lab, family, table, chain, words):
    listing = gw(lab, f"nft -a list chain {family} {table} {chain}").stdout
    line = next(line for line in listing.splitlines() if words in line and "handle" in line)
    return line.rsplit(" ", 1)[1]


DAMAGE = (
    ("the whole ruleset", lambda lab: gw(lab, "nft flush ruleset")),
    ("a built-in chain", lambda lab: gw(lab, "iptables -t mangle -F PREROUTING")),
    ("a chain of ours", lambda lab: gw(lab, "ip6tables -t mangle -F TIERGATE-INSIDE")),
    ("one rule", lambda lab: gw(lab, "iptables -t mangle -D TIERGATE-UNDECIDED 1")),
    ("one jump", lambda lab: gw(lab, "nft delete rule ip filter FORWARD handle " +
                                handle(lab, "ip", "filter", "FORWARD", "TIERGATE"))),
    ("a rule that lets all pass", lambda lab: gw(lab, "iptables -t mangle -I TIERGATE-INSIDE -j ACCEPT")),
    ("a rule in place of another", lambda lab: gw(lab, "iptables -t mangle -R TIERGATE-UNDECIDED 2 -j ACCEPT")),
    ("a rule before ours", lambda lab: gw(lab, "iptables -I FORWARD -j ACCEPT")),
    ("a rule after ours", lambda lab: gw(lab, "ip6tables -t mangle -A PREROUTING -m mark --mark 7 -j ACCEPT")),
    ("a table switched off", lambda lab: gw(lab, "nft add table ip mangle { flags dormant; }")),
)


@contextlib.contextmanager
def gateway(lab, **over):
    "A gateway whose namespace has no other rule, before and after."
    try:
        with lab.gateway(**over):
            in_place(lab)
            yield
            lab.stop()
    finally:
        gw(lab, "nft flush ruleset")


def test_put_back(lab):
    "whatever is taken away or changed is seen, said, and put back at once"
    for what, damage in DAMAGE:
        with gateway(lab):
            damage(lab)
            wait_for(lambda: lab.status()["rules"]["put_back"] == 1, 15, f"{what}: put back: {lab.log()}")
            in_place(lab)
            equal(lab.status()["rules"]["lost"], 1, f"{what}: lost")
            check("rules are not what they were" in lab.log() and "were put back" in lab.log(), what, lab.log())
            equal(lab.ctl("wiring", "check", "--config", lab.config_file, socket=False).returncode, 0, what)
            closed(lab)


def test_report(lab):
    "with when_flushed = report it is said at once, and left"
    with gateway(lab, when_flushed="report"):
        gw(lab, "nft flush ruleset")
        wait_for(lambda: "are not what they were" in lab.log(), 5, "the log")
        done = lab.ctl("--json", "status")
        said = json.loads(done.stdout)
        equal((done.returncode, said["rules"]["lost"], said["rules"]["put_back"]), (1, 1, 0), "status")
        check("no rules of tiergate are in the kernel" in said["wiring"], said["wiring"])
        wait_for(lambda: lab.told("STATUS=no rules of tiergate"), 5, "the service manager's word")
        lab.wire()
        in_place(lab)
        equal(lab.ctl("status").returncode, 0, "status")
        check("those of the configuration again" in lab.log(), lab.log())
        closed(lab)


def test_settings(lab):
    "conntrack set by another program is said while the daemon runs, whatever the rules are"
    with gateway(lab):
        for name, good, bad in (("acct", 1, 0), ("tcp_be_liberal", 0, 1)):
            gw(lab, f"sysctl -qw net.netfilter.nf_conntrack_{name}={bad}")
            done = wait_for(lambda: (d := lab.ctl("status")).returncode and d, 5, f"{name}: status")
            check(f"nf_conntrack_{name} is o" in done.stdout, done.stdout)
            check(f"nf_conntrack_{name} is o" in lab.log(), lab.log())
            wait_for(lambda: lab.told(f"STATUS=nf_conntrack_{name} is o"), 5, "the service manager's word")
            gw(lab, f"sysctl -qw net.netfilter.nf_conntrack_{name}={good}")
            wait_for(lambda: lab.ctl("status").returncode == 0, 5, f"{name}: status is good again")
        equal(lab.status()["rules"]["put_back"], 0, "no rule was touched")
        closed(lab)


def test_down(lab):
    "what `wiring down` took away stays away, also when the daemon is started again"
    with gateway(lab):
        lab.wire(False)
        check("taken away by `tiergatectl wiring down`" in wiring(lab), wiring(lab))
        time.sleep(1.5)  # longer than from look to look
        check(lab.curl("https://www.denied.example/", GUEST, resolve=FAR).ok, "put back against the operator")
        equal(lab.status()["rules"], {**lab.status()["rules"], "lost": 0, "put_back": 0}, "counted")
        lab.wire()
        in_place(lab)
        closed(lab)


def test_own_changes(lab):
    "our own commands, and what others do to their own rules, are no loss"
    with gateway(lab):
        gw(lab, "iptables -t nat -A POSTROUTING -o wan0 -j MASQUERADE")
        gw(lab, "iptables -A FORWARD -s 192.0.2.1 -j DROP")
        gw(lab, "nft add table inet theirs { set s { type ipv4_addr; } ; chain c { type filter hook forward priority 5; }; }")
        for n in range(20):
            gw(lab, f"nft add element inet theirs s {{ 192.0.2.{n} }}")
        for queue_length in (1024, 2048):  # other rules: the knob needs none, inside does
            lab.configure(inside=["lan0", "dmz0"] if queue_length == 1024 else ["lan0"])
            lab.wire()
            lab.reload()
            in_place(lab)
        lab.wire()
        closed(lab)
        rules = lab.status()["rules"]
        equal((rules["lost"], rules["put_back"]), (0, 0), lab.log())


def test_before_the_daemon(lab):
    "rules that another program has damaged before the daemon began are put back by it"
    lab.configure()
    with contextlib.ExitStack() as undo:
        undo.callback(gw, lab, "nft flush ruleset")
        undo.callback(lab.stop)
        for damage in ("iptables -I FORWARD -j ACCEPT", "ip6tables -t mangle -F TIERGATE-INSIDE"):
            lab.wire()
            gw(lab, damage)
            lab.start(wire=False)
            in_place(lab)
            closed(lab)
            equal(lab.status()["rules"]["put_back"], 1, damage)
            lab.stop()


def test_fight(lab):
    "two programs that fight over the rules: pauses that grow, and a word in the log"
    with gateway(lab):
        for n in range(1, 4):
            gw(lab, "nft flush ruleset")
            wait_for(lambda: lab.status()["rules"]["put_back"] == n, 20, f"put back, {n}: {lab.log()}")  # noqa: B023
        check("put back 3 times now" in lab.log() and "the next time after 0.5 s" in lab.log(), lab.log())
        check("another program takes them away" in lab.log(), lab.log())
        in_place(lab)
        closed(lab)


def test_interfaces(lab):
    "an interface that is not there, or is a bridge's port, is said until packets can arrive by it"
    with lab.gateway(inside=["lan0", "late7"]):
        done = lab.ctl("status")
        equal(done.returncode, 1, done.stdout)
        check('no interface is called "late7" now' in done.stdout, done.stdout)
        gw(lab, "ip link add late7 type bridge")
        in_place(lab)
        equal(lab.ctl("status").returncode, 0, "status")
        gw(lab, "ip link set late7 name late8")
        wait_for(lambda: "late7" in wiring(lab), 5, "a renamed interface")
        gw(lab, "ip link set late8 name late7")
        in_place(lab)
        gw(lab, "ip link add br7 type bridge")
        gw(lab, "ip link set lan0 master br7")
        wait_for(lambda: 'a port of the bridge "br7"' in wiring(lab), 5, "an enslaved interface")
        check('a port of the bridge "br7"' in lab.log(), lab.log())
        gw(lab, "ip link set lan0 nomaster")
        in_place(lab)
        gw(lab, "ip link del br7")
        gw(lab, "ip link del late7")


def test_counts(lab):
    "what the rules drop by themselves is counted in status, also over a loss of the rules"
    with gateway(lab):
        lab.run("client", "ip", "addr", "add", "10.99.0.5/32", "dev", "lo")
        with contextlib.ExitStack() as undo:
            undo.callback(lab.run, "client", "ip", "addr", "del", "10.99.0.5/32", "dev", "lo")
            lab.run("client", "ping", "-c", "2", "-i", "0.2", "-W", "1", "-I", "10.99.0.5", FAR, check_exit=False)
            equal(lab.status()["rules"]["reverse_path"], 2, "drops by the reverse path")
            gw(lab, "nft flush ruleset")
            wait_for(lambda: lab.status()["rules"]["put_back"] == 1, 15, "put back")
            lab.run("client", "ping", "-c", "1", "-W", "1", "-I", "10.99.0.5", FAR, check_exit=False)
            equal(lab.status()["rules"]["reverse_path"], 3, "drops by the reverse path")


def crowd_out(lab, source):
    "Flows of a host's own, more than the table has room for: what it remembers of the others is gone."
    s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    evicted = lambda: sum(q["evicted"] for q in lab.status()["queues"])  # noqa: E731
    before = evicted()
    for n in range(4):
        for port in range(2000 + n * 1100, 3100 + n * 1100):
            with contextlib.suppress(OSError):  # what is denied is answered
                s.sendto(b"x", (FAR, port))
            if port % 50 == 0:
                time.sleep(0.02)
        if evicted() - before > 1100:
            break
    s.close()
    check(evicted() > before, "no flow was evicted")


def test_forgotten_flows(lab):
    "what ends reaches flows that no worker remembers, of those whom it concerns alone"
    users = lab.dir / "users"
    users.write_text("")
    users.chmod(0o600)
    with gateway(lab, bounds={"flows": 1024}, queues=1, segments=[]):
        for user, address in (("ann", "10.77.1.5"), ("bob", "10.77.1.6")):
            lab.run("client", "ping", "-c1", "-I", address, "10.77.1.1")  # one host, as the neighbour table says
            lab.ctl("passwd", "--config", lab.config_file, "--user", user, "--tier", "guest",
                    input="correct horse 1\n" * 2, socket=False)
            done = lab.login(address, user, "correct horse 1")
            equal(done.returncode, 0, done.stderr)
        ann, bob = (keep_alive(lab, "www.allowed.example", source) for source in ("10.77.1.5", "10.77.1.6"))
        time.sleep(2.5)  # the sweep of these sign-ins, which both flows outlive, is over
        crowd_out(lab, "10.77.1.5")
        crowd_out(lab, "10.77.1.6")
        equal(lab.ctl("logout", "--user", "ann").returncode, 0)
        wait_for(lambda: lab.status()["swept"]["flows"] >= 1, 10, "the sweep")
        is_cut(ann, "www.allowed.example")
        ask(bob, "www.allowed.example")
        lab.reload(bounds={"flows": 1024}, queues=1, segments=[], allow=[])
        is_cut(bob, "www.allowed.example")
        equal(lab.status()["swept"]["left"], 0)


if __name__ == "__main__":
    main(globals(), Lab)
