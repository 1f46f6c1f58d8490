#!/usr/bin/env python3
"""Differential tests: what the gateway lets through of an odd HTTP connection is given to real servers, on
loopback. None may serve another host than the gateway was told is allowed.

    test_differential.py [SEED [SECONDS]]    other seeds, for so long; prints what it finds and goes on
"""
import contextlib
import itertools
import os
import pathlib
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "golden")]
import heads  # noqa: E402
import name_cases  # noqa: E402
import pcapgen  # noqa: E402
from heads import BAD, GOOD  # noqa: E402
from tap import Skip, check, equal, main, note  # noqa: E402

TIERGATED = pathlib.Path(os.environ.get("TIERGATE_BUILD", ROOT / "build")).resolve() / "tiergated"
COUNT = 800  # connections of each kind in the plain run
QUIET = 0.3  # seconds without a byte of any server end a batch
NOT_SERVED = {400, 408, 411, 413, 414, 417, 421, 426, 431, 500, 501, 502, 503, 505}

CONFIG = """http = "%s";
internal = [ "10.0.0.0/16" ];
resolvers = [ "10.0.0.53" ];
tiers = ( { name = "guest"; } );
segments = ( { network = "10.1.0.0/16"; tier = "guest"; } );
"""
NAMED = """sites = ( { name = "good"; hosts = [ "allowed.example" ]; } );
allow = ( { tiers = [ "guest" ]; sites = [ "good" ]; } );
"""
# All but one name: what is read as another protocol, or as no name, passes by its address.
BUT_ONE = """sites = ( { name = "all"; hosts = [ "203.0.113.0/24" ]; }, { name = "bad"; hosts = [ "denied.example" ]; } );
allow = ( { tiers = [ "guest" ]; sites = [ "all" ]; evidence = "any"; } );
deny = ( { tiers = [ "guest" ]; sites = [ "bad" ]; } );
"""
NGINX = """daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit; user root;
events { worker_connections 2048; }
http { access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  server { listen 127.0.0.1:%(port)d backlog=2048; location / { return 200 "[served $host]"; }
           error_page 405 =200 /; } }
"""
APACHE = """ServerRoot %(dir)s
DefaultRuntimeDir %(dir)s
PidFile %(dir)s/apache%(port)d.pid
Listen 127.0.0.1:%(port)d
ListenBacklog 2048
LoadModule mpm_event_module %(modules)s/mod_mpm_event.so
LoadModule authz_core_module %(modules)s/mod_authz_core.so
LoadModule alias_module %(modules)s/mod_alias.so
LoadModule headers_module %(modules)s/mod_headers.so
ErrorLog /dev/null
LogLevel crit
ServerName none.example
HttpProtocolOptions %(strict)s
AliasMatch .* %(dir)s/page
<Directory />
  Require all granted
</Directory>
Header always set X-Served "expr=[served %%{SERVER_NAME}]"
"""
HAPROXY = """global
    log /dev/null local0
    maxconn 4000
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend f
    bind 127.0.0.1:%(port)d%(options)s
    http-request return status 200 content-type text/plain lf-string "[served %%[req.hdr(host)]][target %%[url]]"
"""
NODE = """require('http').createServer({insecureHTTPParser: %(lenient)s, requireHostHeader: false}, (q, s) => {
  q.resume(); q.on('error', () => {});
  s.end('[served ' + (q.headers.host || '') + '][target ' + q.url + ']')
}).listen(%(port)d, '127.0.0.1', 2048)
"""
CADDY = """{
    admin off
    auto_https off
    storage file_system %(dir)s/caddy
}
http://:%(port)d {
    bind 127.0.0.1
    respond "[served {http.request.host}]"
}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def kinds(d):
    """Name, program, what its configuration is made of, its command."""
    def written(name, text):
        (d / name).write_text(text)
        return d / name
    modules = next((p for p in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules") if os.path.isdir(p)), "")

    def nginx(port):
        return ["-p", d, "-c", written("nginx.conf", NGINX % {"port": port}), "-e", "/dev/null"]

    def apache(strict):
        return lambda port: ["-DFOREGROUND", "-f", written(f"{strict}.conf", APACHE % {
            "port": port, "dir": d, "modules": modules, "strict": strict})]

    def haproxy(options):
        return lambda port: ["-q", "-f", written(f"haproxy{port}.cfg", HAPROXY % {"port": port, "options": options})]

    def node(lenient):
        return lambda port: [written(f"{lenient}.js", NODE % {"port": port, "lenient": lenient})]

    def caddy(port):
        return ["run", "--adapter", "caddyfile", "--config", written("Caddyfile", CADDY % {"port": port, "dir": d})]
    yield "nginx", "nginx", nginx
    yield "apache", "apache2", apache("Strict")
    yield "apache-unsafe", "apache2", apache("Unsafe Allow0.9")
    yield "haproxy", "haproxy", haproxy("")
    yield "haproxy-accept-proxy", "haproxy", haproxy(" accept-proxy")
    yield "node", "node", node("false")
    yield "node-lenient", "node", node("true")
    yield "caddy", "caddy", caddy


class Servers:
    def __init__(self, folder, kinds):
        self.dir, self.kinds, self.ports, self.processes = pathlib.Path(folder), kinds, {}, []
        (self.dir / "page").write_text("page")
        os.chmod(self.dir, 0o755)

    def start(self):
        for name, program, arguments in self.kinds(self.dir):
            if not shutil.which(program):
                note(f"without {name}: no {program}")
                continue
            port = free_port()
            command = [program, *map(str, arguments(port))]
            self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                                   stderr=open(self.dir / f"{name}.log", "w"), cwd=self.dir,
                                                   env=dict(os.environ, HOME=str(self.dir))))
            self.ports[name] = port
        for name, port in self.ports.items():
            self.wait(name, port)

    def wait(self, name, port):
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return
            time.sleep(0.1)
        raise AssertionError(f"{name} does not come up: {(self.dir / f'{name}.log').read_text()[-500:]}")

    def stop(self):
        for p in self.processes:
            p.terminate()
        for p in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(5)
            p.kill()
            p.wait()

    def ask(self, streams, end=False):
        """[(server, index, answer)] of streams of bytes, each given to each server, with their end or without."""
        out = []
        every = [(name, port, i) for i in range(len(streams)) for name, port in self.ports.items()]
        for at in range(0, len(every), 400):
            out += self.batch(every[at:at + 400], streams, end)
        return out

    def batch(self, wanted, streams, end):
        selector, answers, open_ = selectors.DefaultSelector(), {}, 0
        for name, port, i in wanted:
            s = socket.create_connection(("127.0.0.1", port))
            with contextlib.suppress(OSError):
                s.sendall(streams[i])
                if end:
                    s.shutdown(socket.SHUT_WR)
            s.setblocking(False)
            answers[name, i] = b""
            selector.register(s, selectors.EVENT_READ, (name, i))
            open_ += 1
        while open_ and (ready := selector.select(QUIET)):
            for key, _ in ready:
                data = b""
                with contextlib.suppress(OSError):
                    data = key.fileobj.recv(65536)
                answers[key.data] += data
                if not data:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    open_ -= 1
        for key in list(selector.get_map().values()):
            key.fileobj.close()
        selector.close()
        return [(name, i, answer) for (name, i), answer in answers.items()]


def hosts_served(answer):
    """What a server's answers, in order, say of the host that each was for; None: nothing was served."""
    parts = re.split(rb"(?=HTTP/1\.[01] \d\d\d )", answer)
    for part in parts:
        status = re.match(rb"HTTP/1\.[01] (\d\d\d)", part)
        if not part or (status and status[1].startswith(b"1")):
            continue
        served = re.search(rb"\[served ([^\]]*)\]", part, re.S)
        if not served or (status and int(status[1]) in NOT_SERVED):
            yield None
            continue
        yield from names_of(served[1].decode("latin-1"), re.search(rb"\[target ([^\]]*)\]", part, re.S))


def names_of(host, target):
    """Host, and where the target names one that one, as far as they differ."""
    absolute = target and re.match(r"[a-z][a-z0-9+.-]*://([^/?#]*)", target[1].decode("latin-1"), re.I)
    found = {plain(host)} | ({plain(absolute[1])} if absolute else set())
    found = {n for n in found if n} or {""}
    yield found.pop() if len(found) == 1 else " and ".join(sorted(found))


def plain(host):
    """Without its port, the brackets that Apache puts around what has a colon, and a last dot."""
    host = re.sub(r":\d*$", "", host.strip(" \t[]")).lower()
    return host[:-1] if host.endswith(".") else host


def passed(folder, http, policy, streams, port=80):
    """What the gateway let through of each stream, whole and cut."""
    config, capture, out = folder / "tiergate.conf", folder / "in.pcap", folder / "out.pcap"
    config.write_text(CONFIG % http + policy)
    c = pcapgen.Capture()
    ports = []
    for i, data in enumerate(streams):
        talk = name_cases.Talk(c, port)
        ports.append(talk.sport)
        cut = len(data) // 2 if i % 4 == 3 else len(data)
        for piece in (data[:cut], data[cut:]):
            if piece:
                talk.say(piece)
    c.write(capture)
    done = subprocess.run([TIERGATED, "replay", "--config", config, "--read", capture, "--write", out],
                          capture_output=True, text=True, timeout=120)
    check(done.returncode == 0, done.stderr[-2000:])
    went = dict.fromkeys(ports, b"")
    for _, frame in pcapgen.read(out):
        p = pcapgen.payload_of(frame)
        if p and p[3] == port:
            went[p[1]] += p[4]
    return [went[sport] for sport in ports]


def is_wrong(host, policy, data):
    if policy is BUT_ONE:
        return BAD in host.split(" and ")
    if host == "" and heads.PREFACE in data:
        return False  # Go's net/http serves PRI behind an upgrade that it refused: for no host
    return host != GOOD


def differences(servers, http, policy, streams):
    """(what was wrong, the bytes) for each server that serves what the gateway did not see; and how many
    streams passed, and of how many of these a server served something."""
    went = passed(servers.dir, http, policy, streams)
    index = [i for i, data in enumerate(went) if data]
    wrong, answered = [], set()
    for name, i, answer in servers.ask([went[i] for i in index]):
        hosts = list(hosts_served(answer))
        if http == "first":
            hosts = hosts[:1]
        if any(h is not None for h in hosts):
            answered.add(i)
        for h in hosts:
            if h is not None and is_wrong(h, policy, went[index[i]]):
                wrong.append((f"{http}: {name} serves {h!r}", went[index[i]]))
                break
    return wrong, len(index), len(answered)


@contextlib.contextmanager
def servers():
    with tempfile.TemporaryDirectory() as d:
        s = Servers(d, kinds)
        try:
            s.start()
            if len(s.ports) < 2:
                raise Skip("no servers to compare: scripts/install-deps test")
            yield s
        finally:
            s.stop()


def test_servers_tell_their_host(s):
    """each server says which host it serves, and what it does not serve"""
    streams = [f"GET / HTTP/1.1\r\nHost: {h}\r\n\r\n".encode() for h in (GOOD, BAD)] + [b"\x16\3\1\r\n\r\n"]
    for name, i, answer in s.ask(streams):
        if name != "haproxy-accept-proxy":
            equal([h for h in hosts_served(answer) if h is not None], [GOOD, BAD, None][i:i + 1] if i < 2 else [], name)
    line = b"PROXY TCP4 10.1.0.2 203.0.113.10 1 80\r\n"
    for name, _, answer in s.ask([line + streams[1]]):
        served = [h for h in hosts_served(answer) if h is not None]
        equal(served, [BAD] if name == "haproxy-accept-proxy" else [], f"{name} behind a PROXY line")


def compare(s, http, policy):
    wrong, went, answered = differences(s, http, policy, [heads.connection(seed) for seed in range(COUNT)])
    note(f"{COUNT} connections, {went} passed, {answered} of them were served")
    for why, data in wrong[:20]:
        note(f"{why}: {data!r}")
    check(not wrong, f"{len(wrong)} times a server read another host")
    check(answered > COUNT // 10, "the generator's connections are too odd to be served")


def test_first(s):
    """http = "first": no server serves another host than the first request's name that was allowed"""
    compare(s, "first", NAMED)


def test_first_but_one(s):
    """http = "first", all is allowed but one name: no server serves that one, whatever passed for no request"""
    compare(s, "first", BUT_ONE)


def test_every(s):
    """http = "every-request": no server finds a request in what passed that the gateway did not see"""
    compare(s, "every-request", NAMED)


def test_every_but_one(s):
    """http = "every-request", all is allowed but one name: no server serves that one"""
    compare(s, "every-request", BUT_ONE)


def search(first, seconds):
    """Other seeds, until the time is over."""
    found, count, end = 0, 0, time.monotonic() + seconds
    with servers() as s:
        while time.monotonic() < end:
            for http, policy in itertools.product(("first", "every-request"), (NAMED, BUT_ONE)):
                wrong, _, _ = differences(s, http, policy, [heads.connection(first + count + i) for i in range(1000)])
                for why, data in wrong:
                    print(f"{why}: {data!r}", flush=True)
                found += len(wrong)
            count += 1000
    print(f"{count} connections from seed {first}: {found} differences", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        sys.exit(search(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 60))
    main(globals(), servers)
