#!/usr/bin/env python3
"""What packaging/rsyslog ships: the records of a live gateway at a second rsyslog, over TLS, none lost."""
import collections
import contextlib
import json
import pathlib
import shutil
import signal
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import ROOT, lab, wait_for  # noqa: E402
from tap import Skip, check, main, note  # noqa: E402

GUEST, COLLECTOR = "10.77.1.2", "10.77.3.2"
GTLS = "usr/lib*/**/rsyslog/lmnsd_gtls.so"


class Rsyslog:
    """An rsyslogd of its own with a shipped configuration in which `changes` were made."""

    def __init__(self, lab, host, name, changes):
        self.lab, self.host, self.dir = lab, host, lab.dir / f"rsyslog-{name}"
        self.dir.mkdir(exist_ok=True)
        text = (ROOT / "packaging/rsyslog" / name).read_text()
        for old, new in changes.items():
            check(old in text, f"{name} has no {old}")
            text = text.replace(old, str(new))
        self.conf = self.dir / "rsyslog.conf"
        self.conf.write_text(f'global(workDirectory="{self.dir}")\n{text}')
        self.start()

    def start(self):
        done = self.lab.run(self.host, "rsyslogd", "-N1", "-f", self.conf, check_exit=False)
        check(done.returncode == 0 and "error" not in done.stderr, done.stderr)
        self.process = self.lab.spawn(self.host, "rsyslogd", "-n", "-f", self.conf, "-i", self.dir / "pid")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def listens(lab):
    wait_for(lambda: "6514" in lab.run("inside", "ss", "-Htln").stdout, what="the collector")


@contextlib.contextmanager
def shipped(lab):
    "A gateway that ships; gives the collector's file."
    if not shutil.which("rsyslogd") or not list(pathlib.Path("/").glob(GTLS)):
        raise Skip("needs rsyslog and rsyslog-gnutls")
    got = lab.dir / "collected.jsonl"
    got.unlink(missing_ok=True)
    for old in lab.dir.glob("rsyslog-*"):
        shutil.rmtree(old)
    certificate, key = lab.certificate
    with lab.gateway(mode="enforce"):
        collector = Rsyslog(lab, "inside", "collector.conf", {
            "/etc/tiergate/ship/ca.pem": lab.ca, "/etc/tiergate/ship/collector.pem": certificate,
            "/etc/tiergate/ship/collector.key": key, "gateway.example.org": "intranet.example",
            "/var/log/tiergate-gateways.jsonl": got})
        listens(lab)
        sender = Rsyslog(lab, "gateway", "tiergate.conf", {
            "/etc/tiergate/ship/ca.pem": lab.ca, "/etc/tiergate/ship/gateway.pem": certificate,
            "/etc/tiergate/ship/gateway.key": key, '"logs.example.org" port': f'"{COLLECTOR}" port',
            "logs.example.org": "intranet.example", "/var/log/tiergate/decisions.jsonl": lab.records_file,
            'resumeInterval="5"': 'resumeInterval="1"'})
        try:
            yield got, sender, collector
        finally:
            sender.stop()
            collector.stop()
            for old in lab.dir.glob("decisions.jsonl*"):
                old.unlink()


def flows(lab, first, count):
    """`count` denied flows, a record each."""
    s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((GUEST, 0))
    for port in range(first, first + count):
        s.sendto(b"x", ("198.51.100.13", port))


def written(lab):
    return [line for f in sorted(lab.dir.glob("decisions.jsonl*")) for line in f.read_text().splitlines(keepends=True)]


def settled(lab, count):
    """Everything that was written, once `count` flows are."""
    def all_there():
        lines = written(lab)
        ports = {json.loads(x)["destination.port"] for x in lines if '"event.action":"deny"' in x and x[-1] == "\n"}
        return len(ports) >= count and lines
    return wait_for(all_there, 20, "the records")


def compare(lab, got, count):
    want = collections.Counter(settled(lab, count))

    def arrived():
        return got.exists() and len(got.read_text().splitlines()) >= sum(want.values())
    try:
        wait_for(arrived, 30)
    except AssertionError:
        pass  # the difference says more
    have = collections.Counter(got.read_text().splitlines(keepends=True) if got.exists() else [])
    lost, more = want - have, have - want
    note(f"{sum(want.values())} records, {sum(lost.values())} lost, {sum(more.values())} more")
    check(not lost, f"{sum(lost.values())} lost, such as", *list(lost)[:1])
    check(not set(more) - set(want), f"{sum(more.values())} that were never written, such as", *list(more)[:1])
    check(sum(more.values()) <= 5, "whole files came twice:", sum(more.values()))  # a retry of the last few may


def rotate(lab, day):
    """As logrotate does it."""
    lab.records_file.rename(lab.dir / f"decisions.jsonl-{day}")
    lab.daemon.send_signal(signal.SIGUSR1)
    wait_for(lab.records_file.exists, what="the new log")


def test_over_tls(lab):
    "records come to the collector as RFC 5424 over TLS, byte for byte; in clear none of them is seen"
    with shipped(lab) as (got, _, _), contextlib.closing(lab.sniff("inside")) as wire:
        flows(lab, 2000, 50)
        compare(lab, got, 50)
        to = [f for f in wire.frames() if f[12:14] == b"\x08\0" and f[23] == 6 and f[36:38] == (6514).to_bytes(2, "big")]
        check(len(to) > 5, "nothing went to the collector's port")
        check(not any(b"event.action" in f for f in to), "a record in clear")


def test_rotation(lab):
    "none is lost over five rotations, each when the collector has what was written"
    with shipped(lab) as (got, _, _):
        for i in range(5):
            flows(lab, 2000 + 400 * i, 200)
            compare(lab, got, 400 * i + 200)  # imfile may leave the end of a file that is renamed meanwhile
            rotate(lab, 20261101 + i)
            flows(lab, 2200 + 400 * i, 200)
            compare(lab, got, 400 * (i + 1))


def test_collector_away(lab):
    "while the collector is away records wait, over a restart of the gateway's rsyslog"
    with shipped(lab) as (got, sender, collector):
        flows(lab, 2000, 50)
        compare(lab, got, 50)
        collector.stop()
        sender.stop()
        flows(lab, 3000, 100)
        settled(lab, 150)
        sender.start()
        flows(lab, 3100, 100)
        settled(lab, 250)
        collector.start()
        listens(lab)
        compare(lab, got, 250)


def test_stranger(lab):
    "a collector of another name gets nothing"
    with shipped(lab) as (got, sender, _):
        sender.stop()
        sender.conf.write_text(sender.conf.read_text().replace('Peers="intranet.example"', 'Peers="other.example"'))
        sender.start()
        flows(lab, 2000, 20)
        settled(lab, 20)
        sender.stop()  # it has tried by then, or would wait for its queue
        check(not got.exists() or not got.read_text(), "the stranger has records")


if __name__ == "__main__":
    main(globals(), lab)
