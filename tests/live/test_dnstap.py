#!/usr/bin/env python3
"""A resolver on the clients' own side, whose answers never cross the gateway, tells it by dnstap."""
import contextlib
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import SITES, lab, v6, wait_for  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402

GUEST, STAFF, RESOLVER = "10.77.1.2", "10.77.1.3", "10.77.1.8"
ALLOWED, DENIED = SITES["allowed.example"], SITES["denied.example"]
BY_DNS = [{"tiers": ["guest"], "sites": ["good"], "evidence": "dns", "ports": ["tcp/8080", "udp/5000"]}]


@contextlib.contextmanager
def unbound(lab):
    """Unbound with the lab's names, beside the clients; its file is the lab's."""
    program = shutil.which("unbound") or "/usr/sbin/unbound"
    if not pathlib.Path(program).exists():
        raise Skip("needs unbound")
    if "--enable-dnstap" not in subprocess.run([program, "-V"], capture_output=True, text=True).stdout:
        raise Skip("unbound is built without dnstap")
    data = "".join(f'  local-data: "{n}. 60 IN A {a}"\n  local-data: "{n}. 60 IN AAAA {v6(a)}"\n'
                   for n, a in SITES.items())
    conf = lab.dir / "unbound.conf"
    conf.write_text(f"""server:
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
""")
    resolver = lab.spawn("client", program, "-d", "-c", conf)
    try:
        wait_for(lambda: lab.resolve("intranet.example", STAFF, RESOLVER), what="unbound's answer")
        yield resolver
    finally:
        resolver.terminate()
        resolver.wait()


def answers(lab):
    return lab.status()["dnstap"]["answers"]


def told(lab, name, client, **more):
    """Asks, and waits until the gateway was told."""
    before = answers(lab)
    check(lab.resolve(name, client, RESOLVER, **more), "no answer for", name)
    wait_for(lambda: answers(lab) > before, what="word from unbound")


def test_names_by_dnstap(lab):
    "what unbound tells names the asker's flows, and nobody else's"
    with lab.gateway(dnstap_socket=str(lab.dir / "dnstap.sock"), allow=BY_DNS), unbound(lab):
        equal(lab.udp(ALLOWED, 5000, b"ping", GUEST), "refused")
        told(lab, "allowed.example", GUEST)
        equal(lab.udp(ALLOWED, 5000, b"ping", GUEST), b"ping")
        equal(lab.udp(ALLOWED, 5000, b"ping", STAFF), "refused")
        record = lab.record(event__action="allow", destination__ip=ALLOWED)
        equal((record["destination.domain"], record["tiergate.evidence"]), ("allowed.example", "dns"))


def test_confirms_by_dnstap(lab):
    "name+address holds by what unbound told, over IPv6 too where the question came over IPv4"
    allow = [{"tiers": ["guest"], "sites": ["good"], "evidence": "name+address"}]
    with lab.gateway(dnstap_socket=str(lab.dir / "dnstap.sock"), allow=allow), unbound(lab):
        check(lab.hello("www.allowed.example").how == "reset")
        told(lab, "www.allowed.example", GUEST)
        told(lab, "www.allowed.example", GUEST, kind=28)
        check(lab.hello("www.allowed.example").how == "answered")
        check(lab.hello("www.allowed.example", source=v6(GUEST)).how == "answered")
        check(lab.hello("www.allowed.example", to=DENIED).how == "reset")


def test_resolver_comes_again(lab):
    "the gateway outlives a resolver that is killed, and hears the next one"
    with lab.gateway(dnstap_socket=str(lab.dir / "dnstap.sock"), allow=BY_DNS):
        with unbound(lab) as first:
            told(lab, "allowed.example", GUEST)
            first.kill()
        with unbound(lab):
            told(lab, "denied.example", GUEST)
        equal(lab.udp(ALLOWED, 5000, b"ping", GUEST), b"ping")


if __name__ == "__main__":
    main(globals(), lab)
