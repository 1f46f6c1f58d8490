#!/usr/bin/env python3
"""A resolver on the clients' own side, whose answers never cross the gateway, tells it by dnstap."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import SITES, lab, v6, wait_for  # noqa: E402
from tap import Skip, check, equal, main, note  # noqa: E402

GUEST, STAFF, RESOLVER = "10.77.1.2", "10.77.1.3", "10.77.1.8"
ALLOWED, DENIED = SITES["allowed.example"], SITES["denied.example"]
BY_DNS = [{"tiers": ["guest"], "sites": ["good"], "evidence": "dns", "ports": ["tcp/8080", "udp/5000"]}]


def unbound(lab):
    data = "".join(f'  local-data: "{n}. 60 IN A {a}"\n  local-data: "{n}. 60 IN AAAA {v6(a)}"\n'
                   for n, a in SITES.items())
    return ("unbound", "-d", "-c"), f"""server:
  directory: "{lab.dir}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  interface: {RESOLVER}
  access-control: 10.77.1.0/24 allow
  local-zone: "example." static
{data}remote-control:
  control-enable: no
dnstap:
  dnstap-enable: yes
  dnstap-socket-path: "{lab.dir}/dnstap.sock"
  dnstap-log-client-response-messages: yes
"""


def named(lab):
    zone = lab.dir / "example.zone"
    zone.write_text("$TTL 60\n@ SOA ns root 1 60 60 60 60\n@ NS ns\n" + "".join(
        f"{n}. A {a}\n{n}. AAAA {v6(a)}\n" for n, a in {**SITES, "ns.example": RESOLVER}.items()))
    return ("named", "-f", "-c"), f"""options {{
  directory "{lab.dir}";
  pid-file none;
  session-keyfile none;
  listen-on {{ {RESOLVER}; }};
  listen-on-v6 {{ none; }};
  recursion no;
  dnstap {{ client response; }};
  dnstap-output unix "{lab.dir}/dnstap.sock";
}};
controls {{ }};
zone "example" {{ type primary; file "{zone}"; }};
"""


def kresd(lab):
    (lab.dir / "hosts").write_text("".join(f"{a} {n}\n{v6(a)} {n}\n" for n, a in SITES.items()))
    return ("kresd", "-n", "-c"), f"""net.listen('{RESOLVER}', 53)
trust_anchors.remove('.')
modules.unload('priming')
modules.unload('detect_time_skew')
modules.load('hints > iterate')
modules.load('dnstap')
dnstap.config({{ socket_path = '{lab.dir}/dnstap.sock', client = {{ log_responses = true }} }})
hints.add_hosts('{lab.dir}/hosts')
"""


def dnsdist(lab):
    return ("dnsdist", "--supervised", "--disable-syslog", "-C"), f"""setLocal('{RESOLVER}:53')
setACL('10.77.1.0/24')
setSecurityPollSuffix('')
newServer({{ address = '127.0.0.1:5353', healthCheckMode = 'up' }})
tap = newFrameStreamUnixLogger('{lab.dir}/dnstap.sock')
function known(q)
  return DNSAction.Spoof, q.qtype == DNSQType.AAAA and known6[q.qname:toString()] or known4[q.qname:toString()]
end
known4 = {{ {", ".join(f"['{n}.'] = '{a}'" for n, a in SITES.items())} }}
known6 = {{ {", ".join(f"['{n}.'] = '{v6(a)}'" for n, a in SITES.items())} }}
addAction('example.', LuaAction(known))
addResponseAction(AllRule(), DnstapLogResponseAction('gateway', tap))
addCacheHitResponseAction(AllRule(), DnstapLogResponseAction('gateway', tap))
addSelfAnsweredResponseAction(AllRule(), DnstapLogResponseAction('gateway', tap))
"""


@contextlib.contextmanager
def running(lab, resolver):
    """A resolver with the lab's names, beside the clients; its files are the lab's."""
    (name, *options), conf = resolver(lab)
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        raise Skip(f"needs {name}")
    where = lab.dir / f"{name}.conf"
    where.write_text(conf)
    before, log = answers(lab), lab.dir / f"{name}.log"
    with open(log, "w", encoding="utf-8") as out:
        process = lab.spawn("client", program, *options, where, *(lab.dir,) * (name == "kresd"),
                            stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: lab.resolve("intranet.example", STAFF, RESOLVER), what=f"{name}'s answer")
        wait_for(lambda: answers(lab) > before, what=f"word from {name}")
        yield process
    except AssertionError:
        note(log.read_text()[-2000:])
        raise
    finally:
        process.terminate()
        process.wait()


def answers(lab):
    return lab.status()["dnstap"]["answers"]


def told(lab, name, client, **more):
    """Asks, and waits until the gateway was told."""
    before = answers(lab)
    check(lab.resolve(name, client, RESOLVER, **more), "no answer for", name)
    wait_for(lambda: answers(lab) > before, what="word from the resolver")


def same_host(lab):
    """The asker's other address has the name, too, once the neighbour table has it as the same host's."""
    wait_for(lambda: lab.udp(ALLOWED, 5000, b"ping", STAFF) == b"ping", what="the name for the host's other address")


def test_names_by_dnstap(lab):
    "what unbound tells names the asker's flows, at each of its addresses"
    with lab.gateway(dnstap_socket=str(lab.dir / "dnstap.sock"), allow=BY_DNS), running(lab, unbound):
        equal(lab.udp(ALLOWED, 5000, b"ping", GUEST), "refused")
        told(lab, "allowed.example", GUEST)
        equal(lab.udp(ALLOWED, 5000, b"ping", GUEST), b"ping")
        same_host(lab)
        record = lab.record(event__action="allow", destination__ip=ALLOWED)
        equal((record["destination.domain"], record["tiergate.evidence"]), ("allowed.example", "dns"))


def names_by(lab, resolver):
    with lab.gateway(dnstap_socket=str(lab.dir / "dnstap.sock"), allow=BY_DNS), running(lab, resolver):
        equal(lab.udp(ALLOWED, 5000, b"ping", GUEST), "refused")
        told(lab, "allowed.example", GUEST)
        equal(lab.udp(ALLOWED, 5000, b"ping", GUEST), b"ping")
        same_host(lab)
        equal(lab.status()["dnstap"]["malformed"], 0)


def test_named(lab):
    "BIND writes the same"
    names_by(lab, named)


def test_kresd(lab):
    "Knot Resolver writes the same"
    names_by(lab, kresd)


def test_dnsdist(lab):
    "dnsdist writes the same, of answers that it gives itself"
    names_by(lab, dnsdist)


def test_confirms_by_dnstap(lab):
    "name+address holds by what unbound told, over IPv6 too where the question came over IPv4"
    allow = [{"tiers": ["guest"], "sites": ["good"], "evidence": "name+address"}]
    with lab.gateway(dnstap_socket=str(lab.dir / "dnstap.sock"), allow=allow), running(lab, unbound):
        check(lab.hello("www.allowed.example").how == "reset")
        told(lab, "www.allowed.example", GUEST)
        told(lab, "www.allowed.example", GUEST, kind=28)
        check(lab.hello("www.allowed.example").how == "answered")
        check(lab.hello("www.allowed.example", source=v6(GUEST)).how == "answered")
        check(lab.hello("www.allowed.example", to=DENIED).how == "reset")


def test_resolver_comes_again(lab):
    "the gateway outlives a resolver that is killed, and hears the next one"
    with lab.gateway(dnstap_socket=str(lab.dir / "dnstap.sock"), allow=BY_DNS):
        with running(lab, unbound) as first:
            told(lab, "allowed.example", GUEST)
            first.kill()
        with running(lab, unbound):
            told(lab, "denied.example", GUEST)
        equal(lab.udp(ALLOWED, 5000, b"ping", GUEST), b"ping")


if __name__ == "__main__":
    main(globals(), lab)
