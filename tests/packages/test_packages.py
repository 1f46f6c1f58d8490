#!/usr/bin/env python3
"""Debian's packages in a booted systemd: installed they change nothing; upgraded under load they lose nothing;
removed they take the rules with them; purged nothing is left. Needs what `make deb` has built."""
import contextlib
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/live"), str(ROOT / "tests")]
from lab import BUILD, lab  # noqa: E402
from machine import Machine  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402
from test_systemd import Service, load  # noqa: E402

NAMES = ("tiergate", "tiergate-portal", "tiergate-tools")


def debs():
    found = [p for n in NAMES for p in (BUILD / "deb").glob(f"{n}_*.deb")]
    if len(found) != len(NAMES):
        raise Skip("needs make deb")
    return found


@contextlib.contextmanager
def service():
    def prepare(root):
        (root / "debs").mkdir()
        for path in debs():
            shutil.copy(path, root / "debs")
    with lab() as hosts, Machine(hosts.ns("gateway"), prepare) as machine:
        yield Service(hosts, machine)


def install(s, *options):
    done = s.run("sh", "-c", "dpkg -i " + " ".join(options) + " /debs/*.deb")
    equal(done.returncode, 0, done.stdout + done.stderr)


def test_install(s):
    "installed, nothing is enabled, nothing runs, no rule is there, and the shipped configuration is good"
    install(s)
    for unit in ("tiergated", "tiergate-wiring", "tiergate-portal", "tiergate-portal.socket", "tiergate-metrics.socket",
                 "tiergate-probe"):
        equal(s.systemctl("is-enabled", unit).stdout.strip(), "disabled", unit)
        equal(s.systemctl("is-active", unit).stdout.strip(), "inactive", unit)
    equal(s.run("nft", "list", "ruleset").stdout, "")
    equal(s.run("tiergated", "check").returncode, 0)
    equal(s.run("stat", "-c", "%U %a", "/var/lib/tiergate").stdout.strip(), "tiergate 700")
    check(s.lab.curl("https://www.denied.example/").ok, "the network is cut")


def test_first_hour(s):
    "the first hour's first command writes over the configuration that the package brought, and no doctor finds the portal ill"
    options = ("--example", "school", "--inside", "lan0", "--resolvers", "10.77.3.2")
    shipped = s.conf.read_bytes()
    done = s.run("tiergatectl", "init", *options)
    equal(done.returncode, 0, done.stdout + done.stderr)
    equal(s.run("tiergated", "check").returncode, 0)
    equal(s.run("tiergatectl", "init", *options).returncode, 1, "it writes over what somebody has made")
    portal = [line for line in s.run("tiergatectl", "doctor").stdout.splitlines() if " portal " in line]
    check(portal and all(line.startswith("look") for line in portal), portal)
    s.conf.write_bytes(shipped)


def test_autopkgtest(s):
    "the source package's own tests pass, with nothing on standard error, as autopkgtest runs them"
    where = s.machine.root / "autopkgtest"
    shutil.copytree(ROOT / "packaging/debian/tests", where)
    names = re.findall(r"^Tests: (.*)", (where / "control").read_text(), re.M)
    equal(names, ["smoke"])
    for name in names:
        done = s.run("sh", "-c", f"cd / && exec /autopkgtest/{name}")
        equal((done.returncode, done.stderr), (0, ""), name + ": " + done.stdout)


def test_upgrade(s):
    "an upgrade under load restarts what runs, loses nothing, and keeps the configuration"
    s.configure(allow=[{"tiers": ["guest"], "sites": ["good"], "ports": ["tcp/443", "tcp/4443"]}])
    equal(s.systemctl("start", "tiergated").returncode, 0, s.machine.journal("tiergated"))
    s.works()
    pid, conf = s.show("MainPID"), s.conf.read_text()
    with load(s, 8, 8) as seen:
        install(s, "--force-confdef")
    equal((seen["refused/s"], seen["failed"]), (0, 0), f"{seen}")
    check(seen["done/s"] > 50, f"no load: {seen}")
    check(s.show("MainPID") not in (pid, "0"), "no restart")
    equal(s.conf.read_text(), conf, "the configuration")
    s.works()


def test_remove(s):
    "removed, the rules and the daemon are gone, the network is open, the configuration stays"
    done = s.run("dpkg", "-r", *NAMES)
    equal(done.returncode, 0, done.stdout + done.stderr)
    check("TIERGATE" not in s.run("iptables-save").stdout, "rules are still there")
    check(s.lab.curl("https://www.denied.example/").ok, "the network is cut")
    check(s.conf.exists(), "the configuration is gone")
    check("tiergated" not in s.run("ps", "-e").stdout, "it still runs")


def test_again(s):
    "installed again with the configuration that stayed, it works"
    install(s, "--force-confdef")
    equal(s.systemctl("start", "tiergated").returncode, 0, s.machine.journal("tiergated"))
    s.works()


def test_purge(s):
    "purged, nothing of it is left"
    done = s.run("dpkg", "-P", *NAMES)
    equal(done.returncode, 0, done.stdout + done.stderr)
    left = s.run("sh", "-c", "find /etc /usr /lib /var /run -name '*tiergate*' -not -path '/var/tmp/systemd-private*' "
                 "-not -path '/run/log/*' -not -path '/run/systemd/*'").stdout
    equal(left, "")


def test_dependencies(s):
    "what the build installs is what the packages say that they are built with"
    wanted = subprocess.run([ROOT / "scripts/install-deps", "--list", "build"], capture_output=True, text=True).stdout.split()
    said = set(re.findall(r"[a-z0-9-]+", re.search(r"Build-Depends: (.*)", (ROOT / "packaging/debian/control").read_text())[1]))
    equal({w for w in wanted if w not in said} - {"gcc", "libc6-dev", "make", "tzdata"}, set())


if __name__ == "__main__":
    main(globals(), service)
