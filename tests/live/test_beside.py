#!/usr/bin/env python3
"""tiergate beside other firewalls, the real programs: whatever they do at a start, reload, restart and stop,
what is denied stays denied, what is allowed goes on, our rules are first and whole, and theirs are theirs."""
import contextlib
import difflib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import groups  # noqa: E402
from box import Box  # noqa: E402
from lab import ROOT, Skip, lab as Lab, v6, wait_for  # noqa: E402
from tap import check, equal, main  # noqa: E402
from test_daemon import ask, is_cut, keep_alive  # noqa: E402

GUEST, ALLOWED, FAR = "10.77.1.2", "www.allowed.example", "198.51.100.11"


def units(name):
    """{"ExecStart": command, ...} of a program's own service."""
    text = pathlib.Path(f"/lib/systemd/system/{name}.service").read_text()
    return dict(line.split("=", 1) for line in text.splitlines() if line.startswith("Exec"))


def manual(item):
    """The lines that tiergate(7) shows for a program: what an administrator would copy."""
    page = (ROOT / "packaging/man/tiergate.7").read_text()
    part = page.split("\n.It " + item + "\n", 1)[1].split("\n.It ", 1)[0]
    return [line for block in re.findall(r"\.Bd .*\n((?:.*\n)*?)\.Ed", part) for line in block.splitlines()]


# --- what is looked at ----------------------------------------------------------------------------

def their_tables(listing):
    """{(family, table): lines} of nft's listing, without iptables' tables (iptables-save tells those) and ours."""
    out, name = {}, None
    for line in listing.splitlines():
        if m := re.match(r"table (\w+) (\S+) {", line):
            name = m.groups()
        iptables = name and name[0] in ("ip", "ip6") and name[1] in ("raw", "mangle", "nat", "filter", "security")
        if name and not iptables and name[1] != "tiergate" and not line.startswith("#"):
            out.setdefault(name, []).append(line)
    return out


def their_chains(save):
    """{table: lines} of iptables-save without ours; a table in which nothing stands is none."""
    out = {}
    for line in save.splitlines():
        if line.startswith("*"):
            lines = out[line] = []
        elif line[:1] in ":-" and "TIERGATE" not in line:
            lines.append(re.sub(r" \[\d+:\d+\]", "", line))
    return {t: lines for t, lines in out.items()
            if any(not re.fullmatch(r":[A-Z]+ ACCEPT", line) for line in lines)}


def theirs(box):
    """All rules that are not ours, as the tools list them."""
    return {"nft": their_tables(box.run("nft -s list ruleset")), "IPv4": their_chains(box.run("iptables-save")),
            "IPv6": their_chains(box.run("ip6tables-save"))}


def same_rules(program, want, after):
    got = theirs(program.box)
    if not program.ordered:
        got, want = ({k: {t: sorted(lines) for t, lines in tables.items()} for k, tables in x.items()} for x in (got, want))
    lines = [difflib.unified_diff(want[k].get(t, []), got[k].get(t, []), f"{k} {t}, alone", f"{k} {t}, beside us", n=1, lineterm="")
             for k in got for t in {**want[k], **got[k]}]
    check(got == want, f"their rules after {after}:", *("\n".join(x) for x in lines))


def settled(lab):
    """Waits until our rules are in place twice, a while apart: another program does its work in steps."""
    last = []

    def steady():
        rules = lab.status()["rules"]
        last.append((lab.status()["wiring"], rules["lost"], rules["put_back"]))
        time.sleep(0.2)
        return len(last) > 4 and len(set(last[-5:])) == 1 and last[-1][0] == "in place"
    wait_for(steady, 60, f"rules in place: {lab.status()['wiring']}: {lab.log()}")


def stands(lab, connection, after):
    settled(lab)
    done = lab.ctl("wiring", "check", "--config", lab.config_file, socket=False)
    check(done.returncode == 0, after, done.stdout, done.stderr)
    for source, far in ((GUEST, FAR), (v6(GUEST), v6(FAR))):
        got = lab.curl("https://www.denied.example/", source, resolve=far)
        check(got.refused, after, "denied host", got, lab.log())
        got = lab.curl(f"https://{ALLOWED}/", source)
        check(got.ok, after, "allowed host", got, lab.log())
    try:
        ask(connection, ALLOWED)
    except OSError as e:
        raise AssertionError(f"after {after} an open connection does not go on: {e}") from e


# --- a program, twice: alone, and beside us -----------------------------------------------------------

class Program:
    """steps: [(name, function)], begun with none of its rules."""
    needs = ()
    over = {}
    ordered = True

    def __init__(self, box):
        self.box = box

    def prepare(self):
        pass

    def tidy(self):
        """What is outside the box."""

    def alone(self):
        """What its rules are after each step without us."""
        listed = {}
        for name, step in self.steps():
            step()
            listed[name] = theirs(self.box)
        self.box.run("nft flush ruleset")
        return listed


def beside(lab, kind):
    for tool in kind.needs:
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    with contextlib.ExitStack() as undo:
        undo.callback(lab.run, "gateway", "nft", "flush", "ruleset")
        program = kind(Box(lab))
        undo.callback(program.tidy)
        undo.enter_context(program.box)
        program.prepare()
        expected = program.alone()
        undo.enter_context(lab.gateway(**kind.over))
        connection = keep_alive(lab, ALLOWED)
        undo.callback(connection.close)
        for name, step in program.steps():
            step()
            stands(lab, connection, f"{kind.__name__}: {name}")
            same_rules(program, expected[name], f"{kind.__name__}: {name}")
        last_but_one(lab, program, expected)


def last_but_one(lab, program, expected):
    """`wiring down` while the program runs leaves its rules as they were, and up again, too."""
    name, step = program.steps()[0]
    step()
    settled(lab)
    lab.wire(False)
    same_rules(program, expected[name], "wiring down")
    check("TIERGATE" not in program.box.run("iptables-save; ip6tables-save; nft list ruleset"), "ours after wiring down")
    lab.wire()
    same_rules(program, expected[name], "wiring up")
    name, step = program.steps()[-1]
    step()
    settled(lab)


# --- the programs -------------------------------------------------------------------------------------

class Nftables(Program):
    """nftables.service: its own commands, and a file as Debian ships it, with a rule more."""
    FILE = """#!/usr/sbin/nft -f
flush ruleset
table inet filter {
	set trusted { type ipv4_addr; elements = { 192.0.2.1 }; }
	chain input { type filter hook input priority filter; ip saddr @trusted accept; }
	chain forward { type filter hook forward priority filter; ct state established accept; }
	chain output { type filter hook output priority filter; }
}
"""

    def prepare(self):
        self.box.write("/etc/nftables.conf", self.FILE)

    def steps(self):
        unit = units("nftables")
        start, reload, stop = (lambda c=unit[k]: self.box.run(c) for k in ("ExecStart", "ExecReload", "ExecStop"))

        def restart():
            stop()
            start()
        return [("start", start), ("reload", reload), ("restart", restart), ("stop", stop)]


class Ufw(Program):
    """ufw: routed traffic is dropped by default, and let go from lan0 by a rule."""
    needs = ("ufw",)

    def prepare(self):
        self.box.run(" && ".join(manual("ufw")) + " && ufw allow 22/tcp")

    def steps(self):
        return [("enable", lambda: self.box.run("ufw --force enable")),
                ("reload", lambda: self.box.run("ufw reload")),
                ("a rule", lambda: self.box.run("ufw route deny in on lan0 to 192.0.2.0/24")),
                ("no rule", lambda: self.box.run("ufw route delete deny in on lan0 to 192.0.2.0/24")),
                ("restart", lambda: self.box.run("/lib/ufw/ufw-init stop; /lib/ufw/ufw-init start")),
                ("disable", lambda: self.box.run("ufw disable")),
                ("enable again", lambda: self.box.run("ufw --force enable")),
                ("flush all", lambda: self.box.run("/lib/ufw/ufw-init flush-all; ufw --force disable"))]


class Firewalld(Program):
    """firewalld with one of its two backends, told as the manual says."""
    needs = ("firewalld", "firewall-cmd", "dbus-daemon")
    backend = "iptables"
    ordered = False  # some go to numbered places: where ours came meanwhile, these are others

    def prepare(self):
        conf = self.box.run("cat /etc/firewalld/firewalld.conf")
        self.box.write("/etc/firewalld/firewalld.conf",
                       re.sub(r"(?m)^FirewallBackend=.*", f"FirewallBackend={self.backend}", conf))
        self.box.run("firewall-offline-cmd --zone=external --add-interface=dmz0; dbus-daemon --system --fork")
        self.start()
        self.box.run(" && ".join(manual("firewalld")))
        self.stop()

    def start(self):
        self.process = self.box.spawn(*units("firewalld")["ExecStart"].split())
        wait_for(lambda: self.box.run("firewall-cmd --state", check_exit=False).strip() == "running", 30, "firewalld")

    def stop(self):
        self.box.run("kill $(pgrep -x firewalld)")
        self.process.wait(30)

    def restart(self):
        self.stop()
        self.start()

    def steps(self):
        return [("start", self.start),
                ("reload", lambda: self.box.run("firewall-cmd --reload")),
                ("complete reload", lambda: self.box.run("firewall-cmd --complete-reload")),
                ("a service", lambda: self.box.run("firewall-cmd --add-service=http")),
                ("no service", lambda: self.box.run("firewall-cmd --remove-service=http")),
                ("restart", self.restart),
                ("stop", self.stop)]


class FirewalldNft(Firewalld):
    backend = "nftables"
    ordered = True


class Fail2ban(Program):
    """fail2ban with one jail of each kind of action; its rules come with a first ban."""
    needs = ("fail2ban-server", "fail2ban-client")
    JAIL = """[DEFAULT]
backend = polling
bantime = 600
[sshd]
enabled = false
[lab]
enabled = true
filter = sshd
port = ssh
logpath = /var/log/lab.log
banaction = iptables-multiport
[lab-nft]
enabled = true
filter = sshd
port = ssh
logpath = /var/log/lab.log
banaction = nftables-multiport
"""

    def prepare(self):
        self.box.write("/etc/fail2ban/jail.local", self.JAIL)
        self.box.write("/var/log/lab.log", "")

    def start(self):
        self.process = self.box.spawn(*units("fail2ban")["ExecStart"].split())
        wait_for(lambda: "pong" in self.box.run("fail2ban-client ping", check_exit=False), 30, "fail2ban")

    def stop(self):
        self.box.run(units("fail2ban")["ExecStop"])
        self.process.wait(30)

    def restart(self):
        """Which bans again, what was banned before."""
        self.stop()
        self.start()
        self.banned(True)

    def ban(self, ban=True):
        for jail in ("lab", "lab-nft"):
            self.box.run(f"fail2ban-client set {jail} {'ban' if ban else 'unban'}ip 192.0.2.7")
        self.banned(ban)

    def banned(self, is_banned):
        """Waits for it: a ban is put into the kernel by a thread of its own."""
        for command in ("iptables-save", "nft list tables | grep -q f2b && nft list table inet f2b-table"):
            wait_for(lambda: ("192.0.2.7" in self.box.run(command, check_exit=False)) == is_banned,  # noqa: B023
                     30, f"banned: {is_banned}: {command}")

    def unban_all(self):
        self.box.run("fail2ban-client unban --all")
        self.banned(False)

    def steps(self):
        return [("start and a ban", lambda: (self.start(), self.ban())),
                ("reload", lambda: (self.box.run(units("fail2ban")["ExecReload"]), self.banned(True))),
                ("unban", lambda: self.ban(False)),
                ("ban again", self.ban),
                ("restart", self.restart),
                ("unban all", self.unban_all),
                ("stop", self.stop)]


class Docker(Program):
    """dockerd of Debian, with a container that publishes a port."""
    needs = ("/usr/sbin/dockerd", "/usr/bin/docker", "busybox")
    group = f"tgb{os.getpid()}"

    def docker(self, *argv):
        return self.box.run(f"/usr/bin/docker {' '.join(argv)}").strip()

    def prepare(self):
        self.box.run("mkdir -p /run/image/bin && cp $(which busybox) /run/image/bin/busybox")
        groups.remove_left()

    def start(self):
        self.process = self.box.spawn("dockerd", "--data-root", "/run/docker-data", "--exec-root", "/run/docker-exec",
                                      "--pidfile", "/run/docker.pid", "--cgroup-parent", f"/{self.group}")

        def answers():
            if self.process.poll() is not None:
                raise Skip(f"dockerd does not start here: {(self.box.lab.dir / 'dockerd.log').read_text()[-200:]!r}")
            return "Containers:" in self.box.run("/usr/bin/docker info", check_exit=False)
        wait_for(answers, 60, "dockerd")
        if not self.docker("images", "-q", "lab"):
            self.box.run("tar -C /run/image -c . | /usr/bin/docker import - lab")

    def container(self):
        self.docker("run", "--detach", "--name", "web", "--publish", "8080:80", "lab",
                    "/bin/busybox", "httpd", "-f", "-p", "80")

    def stop(self):
        self.box.run("kill $(cat /run/docker.pid)")
        self.process.wait(60)

    def restart(self):
        self.stop()
        self.start()

    def network(self):
        self.docker("network", "create", "--subnet", "172.30.0.0/24", "--opt", "com.docker.network.bridge.name=dk1", "more")

    def steps(self):
        return [("start", self.start),
                ("a container", self.container),
                ("a network", self.network),
                ("reload", lambda: self.box.run("kill -HUP $(cat /run/docker.pid)")),
                ("no container", lambda: self.docker("rm", "--force", "web")),
                ("restart", self.restart),
                ("no network", lambda: self.docker("network", "rm", "more")),
                ("stop, which leaves its rules", self.stop)]

    def tidy(self):
        check(groups.remove(self.group), "control groups stay:", groups.folders(self.group))


@contextlib.contextmanager
def running(lab, kind, **over):
    """A gateway, and a program in a box beside it."""
    for tool in kind.needs:
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    with contextlib.ExitStack() as undo:
        undo.callback(lab.run, "gateway", "nft", "flush", "ruleset")
        undo.enter_context(lab.gateway(**over))
        program = kind(Box(lab))
        undo.callback(program.tidy)
        undo.enter_context(program.box)
        program.prepare()
        yield program


def test_opened_meanwhile(lab):
    "what was opened while another program had taken our rules away is decided when they are back"
    with running(lab, Nftables) as program:
        start = program.steps()[0][1]
        lab.daemon.send_signal(signal.SIGSTOP)
        start()
        connections = {}
        for name, site in (("denied", "www.denied.example"), ("allowed", ALLOWED)):
            connections[name] = keep_alive(lab, site)  # nothing is in the way: it is answered
        lab.daemon.send_signal(signal.SIGCONT)
        settled(lab)
        is_cut(connections["denied"], "www.denied.example")
        for c in connections.values():
            c.close()
        check(lab.curl(f"https://{ALLOWED}/", GUEST).ok, "allowed host")


def test_nftables_alone(lab):
    "a file of nftables.service that empties its own table alone, as the manual has it, takes nothing of ours"
    with running(lab, Nftables) as program:
        text = Nftables.FILE.replace("flush ruleset\n", "\n".join(manual("nftables.service")) + "\n")
        check("delete table" in text and "flush" not in text, text)
        program.box.write("/etc/nftables.conf", text)
        for name, step in program.steps()[:2]:
            step()
            settled(lab)
            equal(lab.status()["rules"]["lost"], 0, name)
            check("chain forward" in program.box.run("nft list table inet filter"), "their table", name)


def test_nftables(lab):
    "nftables.service: start, reload, restart and stop, each of which empties the whole ruleset"
    beside(lab, Nftables)


def test_ufw(lab):
    "ufw: enable, reload, a rule more and less, restart, disable, flush-all"
    beside(lab, Ufw)


def test_firewalld_iptables(lab):
    "firewalld with its iptables backend, which empties every table: start, reload, complete reload, restart, stop"
    beside(lab, Firewalld)


def test_firewalld_nftables(lab):
    "firewalld with its nftables backend: the same"
    beside(lab, FirewalldNft)


def test_fail2ban(lab):
    "fail2ban with iptables and nftables actions: start, ban, reload, unban, restart, stop"
    beside(lab, Fail2ban)


def test_docker(lab):
    "Docker: start, a container, a network, reload, restart, stop"
    beside(lab, Docker)


def test_containers(lab):
    "containers are clients where inside names their bridge; a port that one publishes is the gateway's own service"
    tiers = {"inside": ["lan0", "docker0"], "segments": [{"network": "10.77.1.2/32", "tier": "guest"},
                                                         {"network": "172.17.0.0/16", "tier": "guest"}]}
    with running(lab, Docker, **tiers) as program:
        program.start()
        lab.run("gateway", "iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "172.17.0.0/16", "-o", "dmz0", "-j", "MASQUERADE")
        program.container()
        settled(lab)
        pid = program.docker("inspect", "--format", "{{.State.Pid}}", "web")
        address = program.docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "web")

        def fetch(name, to):
            argv = program.box.argv("nsenter", "-t", pid, "-n", "curl", "-sS", "-m", "5", "--cacert", lab.ca, "-o", "/dev/null",
                                    "-w", "%{http_code}", "--resolve", f"{name}:443:{to}", f"https://{name}/")
            return subprocess.run(argv, capture_output=True, text=True)
        got = fetch(ALLOWED, lab.sites[ALLOWED])
        check(got.stdout == "200", "allowed host", got, lab.log())
        got = fetch("www.denied.example", FAR)
        check(got.returncode in (7, 35, 56), "denied host", got, lab.log())
        lab.record(source__ip=address, destination__domain="www.denied.example", event__action="deny")
        got = lab.curl("http://10.77.1.1:8080/", GUEST)
        check(got.status in (200, 404), "the published port", got)


def test_docker_forwarding(lab):
    "where Docker switches forwarding on and drops the rest, the manual's lines let the clients' traffic go"
    with running(lab, Docker) as program:
        lab.run("gateway", "sysctl", "-qw", "net.ipv4.ip_forward=0")
        program.start()
        settled(lab)
        check("-P FORWARD DROP" in program.box.run("iptables -S FORWARD"), "Docker drops no more: mend test and manual")
        check(not lab.curl(f"https://{ALLOWED}/", GUEST, resolve=lab.sites[ALLOWED], timeout=2).ok, "Docker lets it go")
        program.box.run(" && ".join(manual("Docker")))
        settled(lab)
        with contextlib.closing(keep_alive(lab, ALLOWED)) as connection:
            stands(lab, connection, "the manual's lines")


if __name__ == "__main__":
    main(globals(), Lab)
