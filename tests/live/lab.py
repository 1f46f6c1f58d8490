"""lab: four hosts on one machine, made of network namespaces, and a gateway under test.

    client 10.77.1.2-.9  --lan0 gateway wan0--  outside 198.51.100.10-.13, .20-.23  (the world: real TLS and
    fd77:1::2-::9               gateway dmz0--  2001:db8:2::10-::13         HTTP servers)
                                     |
                                inside 10.77.3.2, fd77:3::2 (a web server), 10.77.3.53 (dnsmasq)

Everything is made with the lab and goes with it, also when a test fails; nothing outside its
namespaces and its folder is touched. Names: NAME resolves to SITES[NAME] (or what Lab(sites) is given).
"""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "golden")]
from pcapgen import client_hello  # noqa: E402
from tap import Skip, check  # noqa: E402

BUILD = pathlib.Path(os.environ.get("TIERGATE_BUILD", ROOT / "build")).resolve()  # a test may change folder
HOSTS = ("client", "gateway", "inside", "outside")
SITES = {  # two names share .12, as on a content network
    "allowed.example": "198.51.100.10", "www.allowed.example": "198.51.100.10",
    "denied.example": "198.51.100.11", "www.denied.example": "198.51.100.11",
    "good.shared.example": "198.51.100.12", "bad.shared.example": "198.51.100.12",
    "www.social.example": "198.51.100.13",
    "intranet.example": "10.77.3.2",
}


def v6(address):
    """The IPv6 address of the same host: 198.51.100.10 -> 2001:db8:2::10."""
    net = {"198.51.100": "2001:db8:2", "10.77.1": "fd77:1", "10.77.3": "fd77:3"}
    head, _, last = address.rpartition(".")
    return f"{net[head]}::{last}"


def need_root():
    """Skips where a lab cannot be made."""
    if os.geteuid() != 0:
        raise Skip("needs root (network namespaces)")
    for tool in ("ip", "iptables", "curl", "openssl", "dnsmasq"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool}")
    r = subprocess.run(["unshare", "-n", "iptables", "-A", "INPUT", "-j", "NFQUEUE"],
                       capture_output=True, text=True)
    if r.returncode:
        raise Skip(f"the kernel has no NFQUEUE here: {(r.stderr.strip() or 'no namespaces')[:120]}")


# By how much bounds of waiting are longer on a machine that is slow, as an emulated one is.
PATIENCE = float(os.environ.get("TIERGATE_PATIENCE", 1))


def wait_for(condition, seconds=10, what="what was waited for"):
    """The first true value of condition(); fails after `seconds` (a bound, not a measure)."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < end, f"{what} did not come in {seconds} s")
        time.sleep(0.01)


def libconfig(value, key=None, depth=0):
    """A Python value as libconfig writes it."""
    if key is None and isinstance(value, dict) and depth == 0:
        return "".join(f"{k} = {libconfig(v, k, 1)};\n" for k, v in value.items())
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{ " + " ".join(f"{k} = {libconfig(v, k, 1)};" for k, v in value.items()) + " }"
    if value and all(isinstance(v, dict) for v in value):
        return "( " + ",\n  ".join(libconfig(v, "", 1) for v in value) + " )"
    return "[ " + ", ".join(libconfig(v, "", 1) for v in value) + " ]"


class Fetch:
    """What a client saw: ok, status, body, error, ms, and curl's exit (0 done, 28 timed out)."""

    def __init__(self, done):
        *body, tail = done.stdout.rsplit("\n", 1)
        self.body = body[0] if body else ""
        status, seconds, connect = (tail.split() + ["0", "0", "0"])[:3]
        self.exit, self.status, self.ms = done.returncode, int(status or 0), float(seconds) * 1000
        self.connect_ms = float(connect) * 1000
        self.error = done.stderr.strip()
        self.ok = self.exit == 0 and self.status == 200
        # refused or reset, not a timeout: 7 could not connect, 35 and 56 reset within or after TLS
        self.refused = self.exit in (7, 35, 52, 56)

    def __repr__(self):
        return (f"<{'ok' if self.ok else 'failed'} exit={self.exit} status={self.status} "
                f"{self.ms:.0f} ms {self.body.strip()[:60]!r} {self.error[:120]!r}>")


class Said:
    """What came of raw bytes on a TCP connection: how is "answered", "reset", "closed" or "silent"."""

    def __init__(self, how, ms, data=b""):
        self.how, self.ms, self.data = how, ms, data

    def __repr__(self):
        return f"<{self.how} after {self.ms:.1f} ms, {len(self.data)} bytes>"


class Sniffer:
    """Every frame that a host's interface sees, from now on."""

    def __init__(self, lab, host, device="eth0"):
        self.socket = lab.socket(host, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((device, 0))
        self.socket.setblocking(False)
        self.seen = []

    def frames(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.seen.append(self.socket.recv(70000))
        return self.seen

    def contains(self, piece):
        piece = piece.encode() if isinstance(piece, str) else piece
        return any(piece in f for f in self.frames())

    def close(self):
        self.socket.close()


class Lab:
    """with Lab() as lab: ..."""

    def __init__(self, sites=None, bare=()):
        """bare: addresses of sites where the test runs servers of its own."""
        self.sites = sites or SITES
        self.world = sorted({a for a in self.sites.values() if a.startswith("198")} - set(bare))
        self.prefix = f"tgl{os.getpid() % 100000}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tiergate-lab-"))
        self.children = []
        self.daemon = None
        self.wired = False
        self.config_file = self.dir / "tiergate.conf"
        self.records_file = self.dir / "decisions.jsonl"
        self.control = self.dir / "run" / "control.sock"
        self.marker = 0

    # -- hosts ---------------------------------------------------------------------------------
    def __enter__(self):
        need_root()
        try:
            self._hosts()
            self._certificates()
            self._servers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.daemon = None
        for p in self.children:
            if p.poll() is None:
                p.send_signal(signal.SIGCONT)
                p.kill()
            p.wait()
        for h in HOSTS:
            subprocess.run(["ip", "netns", "del", self.ns(h)], capture_output=True)
        shutil.rmtree(f"/etc/netns/{self.ns('client')}", ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir("/etc/netns")
        shutil.rmtree(self.dir, ignore_errors=True)

    def ns(self, host):
        return f"{self.prefix}-{host}"

    def _hosts(self):
        for h in HOSTS:
            subprocess.run(["ip", "netns", "add", self.ns(h)], check=True)
            self.run(h, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0",
                     "net.ipv6.conf.default.accept_dad=0", "net.ipv4.tcp_syn_retries=2")
        # ICMP errors without the kernel's own limit (a burst of six, then one a second and client): a
        # test that waits for a refusal must not depend on how many others its client has just had.
        self.run("gateway", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                 "net.ipv4.icmp_ratemask=0", "net.ipv6.icmp.ratelimit=0")
        for host, device, net4, net6, own in (
                ("client", "lan0", "10.77.1", "fd77:1", range(2, 10)),
                ("outside", "wan0", "198.51.100", "2001:db8:2", (2, *range(10, 14), *range(20, 24))),
                ("inside", "dmz0", "10.77.3", "fd77:3", (2, 53))):
            subprocess.run(["ip", "link", "add", device, "netns", self.ns("gateway"), "type",
                            "veth", "peer", "name", "eth0", "netns", self.ns(host)], check=True)
            self._batch("gateway", f"addr add {net4}.1/24 dev {device}",
                        f"-6 addr add {net6}::1/64 dev {device} nodad",
                        "link set lo up", f"link set {device} up")
            self._batch(host, *(f"addr add {net4}.{n}/24 dev eth0" for n in own),
                        *(f"-6 addr add {net6}::{n}/64 dev eth0 nodad" for n in own),
                        "link set lo up", "link set eth0 up", f"route add default via {net4}.1",
                        f"-6 route add default via {net6}::1")
        etc = pathlib.Path("/etc/netns") / self.ns("client")
        etc.mkdir(parents=True)
        (etc / "resolv.conf").write_text("nameserver 10.77.3.53\noptions attempts:2 timeout:2\n")

    def _batch(self, host, *commands):
        for family in ("-4", "-6"):
            mine = [c.removeprefix("-6 ") for c in commands if c.startswith("-6 ") == (family == "-6")]
            subprocess.run(["ip", family, "-n", self.ns(host), "-batch", "-"], check=True,
                           input="\n".join(mine), text=True)

    def _certificates(self):
        names = [f"DNS:{n}" for n in self.sites] + [f"IP:{x}" for a in self.world for x in (a, v6(a))]
        (self.dir / "leaf.cnf").write_text(f"subjectAltName={','.join(names)}\n")
        key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        for command in (f"req -x509 {key} -days 2 -subj /CN=lab-ca -keyout ca.key -out ca.pem",
                        f"req {key} -subj /CN=lab -keyout server.key -out server.csr",
                        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 2 -extfile leaf.cnf "
                        "-out server.pem"):
            subprocess.run(["openssl", *command.split()], cwd=self.dir, check=True, capture_output=True)
        self.ca, self.certificate = self.dir / "ca.pem", (self.dir / "server.pem", self.dir / "server.key")

    def _servers(self):
        for host, addresses in (("outside", self.world), ("inside", ["10.77.3.2"])):
            p = self.spawn(host, sys.executable, HERE / "servers.py", *self.certificate,
                           *addresses,
                           *map(v6, addresses), stdout=subprocess.PIPE)
            check(p.stdout.readline() == "ready\n", f"the servers of {host} did not start")
        names = [f"--host-record={n},{a},{v6(a)}" for n, a in self.sites.items()]
        self.dns = self.spawn("inside", "dnsmasq", "--keep-in-foreground", "--no-resolv",
                              "--no-hosts", "--user=root", "--listen-address=10.77.3.53,fd77:3::53",
                              "--bind-interfaces", "--conf-file=/dev/null", "--pid-file=",
                              "--local-ttl=60", "--local=/example/", *names)
        wait_for(lambda: self.resolve(next(iter(self.sites))), what="the resolver's answer")

    # -- running things --------------------------------------------------------------------------
    def run(self, host, *argv, check_exit=True, timeout=60, **more):
        """Runs a command on a host; its output is text."""
        argv = ["ip", "netns", "exec", self.ns(host), *map(str, argv)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout * PATIENCE, **more)
        if check_exit and done.returncode:
            raise AssertionError(f"{argv[4:]} exits {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def spawn(self, host, *argv, **more):
        """Starts a command that lasts; it ends with the lab at the latest."""
        argv = ["ip", "netns", "exec", self.ns(host), *map(str, argv)]
        more.setdefault("stdout", subprocess.DEVNULL)
        more.setdefault("stderr", subprocess.DEVNULL)
        p = subprocess.Popen(argv, text=True, **more)
        self.children.append(p)
        return p

    def socket(self, host, *arguments):
        """A socket that lives on a host."""
        libc = ctypes.CDLL(None, use_errno=True)
        made = []

        def make():  # a thread of its own: only it changes its namespace
            fd = os.open(f"/run/netns/{self.ns(host)}", os.O_RDONLY)
            failed = libc.setns(fd, 0x40000000)
            os.close(fd)
            if not failed:
                made.append(socket.socket(*arguments))
        t = threading.Thread(target=make)
        t.start()
        t.join()
        check(made, f"no socket on {host}")
        return made[0]

    def connect(self, to, port, source="10.77.1.2", host="client", timeout=5):
        """A TCP connection from a host, with Nagle off."""
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        s = self.socket(host, family, socket.SOCK_STREAM)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.settimeout(timeout)
        s.bind((v6(source) if family == socket.AF_INET6 and ":" not in source else source, 0))
        s.connect((to, port))
        return s

    def say(self, to, pieces, port=443, source="10.77.1.2", timeout=5, pause=0.02):
        """Connects and sends pieces one by one, each in a packet of its own; then listens."""
        start = time.monotonic()
        s = None
        try:
            s = self.connect(to, port, source, timeout=timeout)
            for i, piece in enumerate(pieces):
                if i:
                    time.sleep(pause)
                start = time.monotonic()
                s.sendall(piece)
            data = s.recv(65536)
            how = "answered" if data else "closed"
        except (ConnectionResetError, ConnectionRefusedError, BrokenPipeError, PermissionError,
                OSError) as e:
            data, how = b"", "silent" if isinstance(e, socket.timeout) else "reset"
        finally:
            if s:
                s.close()
        return Said(how, (time.monotonic() - start) * 1000, data)

    def hello(self, name, cuts=(), to=None, source="10.77.1.2", port=443, **more):
        """A TLS hello for a name, cut at offsets; to: the name's address by default."""
        address = to or self.sites.get(name, "198.51.100.10")
        if ":" in source and ":" not in address:
            address = v6(address)
        bytes_ = client_hello(name)
        ends = [0, *cuts, len(bytes_)]
        return self.say(address, [bytes_[a:b] for a, b in zip(ends, ends[1:])], port, source, **more)

    def resolve(self, name, source="10.77.1.2", server="10.77.3.53", kind=1):
        """Asks the resolver as a client does; the answer's bytes, or None."""
        query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + b"".join(
            bytes([len(part)]) + part.encode() for part in name.split(".")) + \
            b"\x00" + kind.to_bytes(2, "big") + b"\x00\x01"
        s = self.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(1)
        try:
            s.bind((source, 0))
            s.sendto(query, (server, 53))
            return s.recv(4096)
        except OSError:
            return None
        finally:
            s.close()

    def curl(self, url, source="10.77.1.2", *options, resolve=None, timeout=5):
        """Real curl as a client. resolve: an address that replaces the resolver's answer."""
        host = re.match(r"https?://([^/:]+|\[[^]]+\])(?::(\d+))?", url)
        argv = ["curl", "-sS", "--cacert", self.ca, "--interface", source, "-m", timeout,
                "-w", "\n%{http_code} %{time_total} %{time_connect}",
                "-6" if ":" in source else "-4"]
        if resolve:
            at = f"[{resolve}]" if ":" in resolve else resolve
            for port in {host.group(2) or "443", "443", "80"}:
                argv += ["--resolve", f"{host.group(1)}:{port}:{at}"]
        return Fetch(self.run("client", *argv, *options, url, check_exit=False,
                              timeout=timeout + 10))

    def udp(self, to, port, payload, source="10.77.1.2", timeout=1, sock=None):
        """Sends one datagram: the echo's answer, "refused" (ICMP), or None where nothing comes."""
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        s = sock or self.socket("client", family, socket.SOCK_DGRAM)
        try:
            s.settimeout(timeout)
            if not sock:
                s.bind((source, 0))
                s.setsockopt(*((socket.IPPROTO_IP, 11) if family == socket.AF_INET else
                               (socket.IPPROTO_IPV6, 25)), 1)  # RECVERR: every ICMP error is told
                s.connect((to, port))
            s.send(payload)
            return s.recv(65536)
        except socket.timeout:
            return None
        except OSError:
            return "refused"
        finally:
            if not sock:
                s.close()

    def sniff(self, host="outside", device="eth0"):
        return Sniffer(self, host, device)

    # -- the gateway -------------------------------------------------------------------------------
    def settings(self, **over):
        """The configuration of most tests, as a dict; a key of None is left out."""
        base = {
            "inside": ["lan0"], "internal": ["10.0.0.0/8", "fd00::/8"],
            "resolvers": ["10.77.3.53"], "mode": "enforce",
            "log": "file", "log_file": str(self.records_file),
            "users_file": str(self.dir / "users"), "control_socket": str(self.control),
            "state_dir": str(self.dir / "state"), "runtime_dir": str(self.dir / "run"),
            "tiers": [{"name": "guest"}, {"name": "staff", "includes": ["guest"]}],
            "segments": [{"network": "10.77.1.2/32", "tier": "guest"},
                         {"network": "fd77:1::2/128", "tier": "guest"},
                         {"network": "10.77.1.3/32", "tier": "staff"},
                         {"network": "fd77:1::3/128", "tier": "staff"}],
            "sites": [{"name": "good", "hosts": ["allowed.example", "good.shared.example"]},
                      {"name": "social", "hosts": ["social.example"]}],
            "allow": [{"tiers": ["guest"], "sites": ["good"]},
                      {"tiers": ["staff"], "sites": ["social"]}],
        }
        base.update(over)
        return {k: v for k, v in base.items() if v is not None}

    def configure(self, extra="", **over):
        """Writes the configuration: settings(**over), then `extra` as it is."""
        for d in ("state", "run"):
            (self.dir / d).mkdir(exist_ok=True)
        self.config_file.write_text(libconfig(self.settings(**over)) + extra)

    def wire(self, up=True):
        """tiergatectl wiring up or down."""
        done = self.ctl("wiring", "up" if up else "down", "--config", self.config_file, socket=False)
        check(done.returncode == 0, "wiring:", done.stdout, done.stderr)
        self.wired = up

    def start(self, wire=True, prefix=(), **over):
        """Configures (where anything is given), wires, starts tiergated, waits until it is ready."""
        if over or not self.config_file.exists():
            self.configure(**over)
        if wire:
            self.wire()
        self.launch(*prefix)
        wait_for(lambda: self.told("READY=1") or self.daemon.poll() is not None, 15, "READY=1")
        check(self.daemon.poll() is None, "tiergated ended:", self.log())

    def launch(self, *prefix, options=()):
        """Starts tiergated and does not wait. prefix: a command that runs it (setpriv ...)."""
        self.notify_path = self.dir / "notify"
        self.notify_path.unlink(missing_ok=True)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.notify_path))
        self.notify_path.chmod(0o666)
        self.messages = []
        threading.Thread(target=self._listen, args=(self.notify, self.messages), daemon=True).start()
        self.log_path = self.dir / "daemon.log"
        with self.log_path.open("a") as log:
            self.daemon = self.spawn(
                "gateway", *prefix, BUILD / "tiergated", "run", "--config", self.config_file, *options,
                stderr=log, stdout=log,
                env={**os.environ, "NOTIFY_SOCKET": str(self.notify_path)})
        return self.daemon

    @staticmethod
    def _listen(notify, messages):
        """Plays the service manager, who always listens: a full socket would stop the daemon."""
        with contextlib.suppress(OSError):
            while text := notify.recv(4096).decode():
                messages.extend(text.splitlines())

    def told(self, word):
        """Whether tiergated told the service manager `word` since the last forget()."""
        return any(m.startswith(word) for m in list(self.messages))

    def forget(self):
        self.messages.clear()

    def stop(self, how=signal.SIGTERM, wire=True):
        """Stops tiergated; wire: removes its rules too. Its exit status (negative: a signal)."""
        status = None
        if self.daemon:
            self.daemon.send_signal(how)
            status = self.daemon.wait(20)
            self.daemon = None
            self.notify.shutdown(socket.SHUT_RDWR)
            self.notify.close()
        if wire and self.wired:
            self.wire(False)
        return status

    @contextlib.contextmanager
    def gateway(self, **over):
        """A gateway with settings(**over) and an empty log, for the time of a with block."""
        shutil.rmtree(self.dir / "state", ignore_errors=True)
        self.records_file.unlink(missing_ok=True)
        (self.dir / "daemon.log").unlink(missing_ok=True)
        self.configure(**over)
        try:
            self.start()
            yield self
            if self.daemon:
                check(self.daemon.poll() is None, "tiergated died:", self.log())
        finally:
            self.stop()
            self.run("gateway", "conntrack", "-F", check_exit=False)

    def reload(self, **over):
        """SIGHUP, with a new configuration where one is given; waits until it is over."""
        if over:
            self.configure(**over)
        self.forget()
        self.daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: self.told("RELOADING=1") and self.told("READY=1"), 15, "the reload")

    def policy(self):
        """The digest of the policy in force, as status tells it."""
        return self.status().get("policy")

    def ctl(self, *argv, socket=True, **more):
        """tiergatectl on the gateway."""
        first = ("--socket", self.control) if socket else ()
        return self.run("gateway", BUILD / "tiergatectl", *first, *argv, check_exit=False, **more)

    def status(self):
        done = self.ctl("--json", "status")
        check(done.returncode in (0, 1), "status:", done.stdout, done.stderr)  # 1: the rules are not good
        return json.loads(done.stdout)

    def login(self, address, user, password, *options):
        done = self.ctl("login", "--config", self.config_file, "--address", address, "--user", user,
                        *options, input=password + "\n")
        return done

    def log(self):
        """tiergated's own log."""
        return self.log_path.read_text(errors="replace")[-4000:]

    # -- records -----------------------------------------------------------------------------------
    def records(self, **want):
        """Decision records whose fields match (dots as __): records(source__ip="10.77.1.2")."""
        if not self.records_file.exists():
            return []
        out = []
        for line in self.records_file.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                out.append(json.loads(line))
        return [r for r in out if all(r.get(k.replace("__", ".")) == v for k, v in want.items())]

    def record(self, seconds=5, **want):
        """The first record that matches, waited for."""
        return wait_for(lambda: self.records(**want), seconds, f"a record with {want}")[0]

    def conntrack(self, *arguments):
        return self.run("gateway", "conntrack", "-L", *arguments, check_exit=False).stdout


@contextlib.contextmanager
def lab():
    if not (BUILD / "tiergated").exists() or not (BUILD / "tiergatectl").exists():
        raise Skip("build/tiergated and build/tiergatectl are not built")
    with Lab() as made:
        yield made
