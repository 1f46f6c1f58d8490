#!/usr/bin/env python3
"""tiergatectl init: a first configuration from what the machine shows; it loads, observes, and governs the inside alone."""
import os
import pathlib
import pty
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, lab  # noqa: E402
from tap import check, equal, main  # noqa: E402


def init(lab, *options, host="gateway"):
    return lab.run(host, BUILD / "tiergatectl", "init", *options, check_exit=False)


def printed(lab, path):
    done = lab.run("gateway", BUILD / "tiergated", "check", "--print", "--config", path, check_exit=False)
    equal(done.returncode, 0, done.stderr)
    return done.stdout


def test_examples(lab):
    "each example loads and observes; inside is what is not the way to the world, segments are its networks"
    lab.run("gateway", "ip", "route", "add", "default", "via", "198.51.100.10")
    try:
        for name in ("school", "office", "runners"):
            path = lab.dir / f"{name}.conf"
            done = init(lab, "--out", path, "--example", name)
            equal(done.returncode, 0, done.stderr)
            for step in ("enable --now tiergate-wiring tiergated", "tiergatectl suggest", 'mode = "enforce"'):
                check(step in done.stdout, done.stdout)
            text = printed(lab, path)
            for wanted in ('mode = "observe"', 'inside = [ "lan0", "dmz0" ]', "10.77.1.0/24", "fd77:3::/64"):
                check(wanted in text, wanted, text)
            check("198.51.100" not in text and "wan0" not in text, text)
        before = path.read_text()
        equal(init(lab, "--out", path).returncode, 1, "it wrote over a file")
        equal(path.read_text(), before)
        lab.run("gateway", "ip", "link", "set", "dmz0", "down")
        lab.run("gateway", "ip", "link", "set", "lan0", "down")
        done = init(lab, "--out", lab.dir / "down.conf")
        for name in ("lan0", "dmz0"):
            lab.run("gateway", "ip", "link", "set", name, "up")
        check(done.returncode == 1 and "no interface of clients was found" in done.stderr, done)
        equal(init(lab, "--out", path, "--force").returncode, 0)
        check(path.read_text() != before)
    finally:
        lab.run("gateway", "ip", "route", "del", "default")


def test_named(lab):
    "what is named is taken: interfaces and resolvers; a resolver on the host itself is none"
    path = lab.dir / "named.conf"
    done = init(lab, "--out", path, "--inside", "lan0", "--resolvers", "10.77.3.53,fd77:3::53,127.0.0.53,::1")
    equal(done.returncode, 0, done.stderr)
    for wrong in ("10.0.0.300", "10.77.3.53,dns", "fd77::g"):
        done = init(lab, "--out", lab.dir / "wrong.conf", "--inside", "lan0", "--resolvers", wrong)
        check(done.returncode == 1 and f"{wrong.split(',')[-1]} is no address of a resolver" in done.stderr, done)
        check(not (lab.dir / "wrong.conf").exists(), "it wrote something")
    text = printed(lab, path)
    check('inside = [ "lan0" ]' in text, text)
    check('resolvers = [ "10.77.3.53/32", "fd77:3::53/128" ]' in text, text)
    check("10.77.3.0/24" not in text, text)


def test_nothing(lab):
    "without a default route nothing is guessed: it asks, and without anybody to answer it says what to do"
    path = lab.dir / "nothing.conf"
    done = init(lab, "--out", path)
    equal(done.returncode, 1, done.stdout)
    check("there is no default route" in done.stderr and "with --inside; there are: lan0 wan0" in done.stderr, done.stderr)
    check(not path.exists(), "it wrote something")
    for names in ("lan7", "lan0,lan7"):
        done = init(lab, "--out", path, "--inside", names)
        equal(done.returncode, 1)
        check("no interface is called lan7; there are: " in done.stderr and " lan0" in done.stderr, done.stderr)
        check("--inside" not in done.stderr, done.stderr)
    lab.run("gateway", "ip", "link", "add", "bare0", "type", "veth", "peer", "name", "bare1")
    done = init(lab, "--out", path, "--inside", "bare0")
    lab.run("gateway", "ip", "link", "del", "bare0")
    check(done.returncode == 1 and "bare0 has no address" in done.stderr, done.stderr)
    equal(init(lab, "--example", "prison").returncode, 2)
    ours, its = pty.openpty()
    p = subprocess.Popen(["ip", "netns", "exec", lab.ns("gateway"), BUILD / "tiergatectl", "init", "--out", path],
                         stdin=its, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.write(ours, b"lan0\n10.77.3.53\n")
    out, said = p.communicate(timeout=20)
    equal(p.returncode, 0, said)
    check("interfaces of the clients" in said, said)
    check('inside = [ "lan0" ]' in printed(lab, path))


if __name__ == "__main__":
    main(globals(), lab)
