#!/usr/bin/env python3
"""Metrics: what Prometheus reads is right, and its own tool has nothing to say against it."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, ROOT, lab, wait_for  # noqa: E402
from prometheus import prometheus  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402


def read(lab):
    """{(name, labels as written): value}"""
    text = lab.ctl("metrics").stdout
    return {(m[1], m[2] or ""): float(m[3])
            for m in re.finditer(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$", text, re.M)}


def total(values, name, part=""):
    return sum(v for (n, labels), v in values.items() if n == name and part in labels)


def test_values(lab):
    "decisions count up by reason, queues by number; version, policy and rules are told"
    with lab.gateway():
        before = read(lab)
        for _ in range(3):
            check(lab.curl("https://www.denied.example/").refused)
        check(lab.curl("https://www.allowed.example/").ok)
        lab.record(event__action="allow")
        now = read(lab)
        more = lambda name, part="": total(now, name, part) - total(before, name, part)  # noqa: E731
        equal(more("tiergate_decisions_total", 'reason="no-line"'), 3, "denials")
        equal(more("tiergate_decisions_total", 'reason="allow-line"'), 1, "allowed")
        equal(more("tiergate_decisions_total"), 4, "decisions")
        check(more("tiergate_queue_packets_total") >= 8, "packets")
        equal({labels for n, labels in now if n == "tiergate_queue_packets_total"}, {'queue="0"', 'queue="1"'})
        equal(more("tiergate_tier_decisions_total", 'tier="guest",outcome="deny",reason="no-line"'), 3, "by tier")
        equal(more("tiergate_tier_decisions_total", 'tier="guest",outcome="allow",reason="allow-line"'), 1, "by tier")
        equal(more("tiergate_tier_decisions_total"), 4, "by tier, all")
        equal(total(before, "tiergate_tier_decisions_total", 'outcome="allow",reason="allow-line"'), 0, "from the start")
        equal(total(now, "tiergate_rules_in_place"), 1)
        status = lab.status()
        equal(total(now, "tiergate_policy_info", f'digest="{status["policy"]}",mode="enforce"'), 1)
        equal(total(now, "tiergate_build_info", f'version="{status["version"]}"'), 1)
        lab.run("gateway", "iptables", "-t", "mangle", "-F", "TIERGATE-INSIDE")
        wait_for(lambda: total(read(lab), "tiergate_rules_put_back_total") == 1, 15, "rules that were put back")


def test_histograms(lab):
    "each packet and each decision is in its histogram, whose buckets have what lies below them, too"
    with lab.gateway():
        check(lab.curl("https://www.allowed.example/").ok)
        lab.record(event__action="allow")
        now = read(lab)
        for name, counted in (("tiergate_verdict_seconds", "tiergate_queue_packets_total"),
                              ("tiergate_hello_wait_seconds", "tiergate_decisions_total")):
            buckets = [v for (n, labels), v in now.items() if n == name + "_bucket"]
            equal(buckets, sorted(buckets), name)
            equal(len(buckets), 19)
            equal(total(now, name + "_bucket", 'le="+Inf"'), total(now, name + "_count"), name)
            held = total(now, "tiergate_queue_held_total") if "verdict" in name else 0
            equal(total(now, name + "_count"), total(now, counted) - held, name)
        check(0 < total(now, "tiergate_verdict_seconds_sum") < 60)


def test_many(lab):
    "as many queues and lists as there may be are told: an answer has a bound"
    sites = lab.settings()["sites"]
    for i in range(250):
        (lab.dir / f"many-{i}.sites").write_text(f"n{i}.example\n")
        sites.append({"name": f"many-{i}", "lists": [str(lab.dir / f"many-{i}.sites")]})
    with lab.gateway(sites=sites, queues=64, bounds={"flows": 1024, "streams": 64, "held": 64}):
        now = read(lab)
        equal(len({labels for n, labels in now if n == "tiergate_queue_packets_total"}), 64)
        equal(len({labels for n, labels in now if n == "tiergate_list_entries"}), 200)
        size = len(lab.ctl("--json", "metrics").stdout)
        check(size < 220_000, "that is near to what an answer may be", size)


def listed(lab):
    """Sites, one of a list in a file."""
    path = lab.dir / "news.sites"
    path.write_text("allowed.example\n=one.example\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return [{"name": "good", "lists": [str(path)]}] + [s for s in lab.settings()["sites"] if s["name"] != "good"]


def test_lists(lab):
    "a list tells when its file was changed, and how many entries it has"
    with lab.gateway(sites=listed(lab)):
        now = read(lab)
        part = 'site="good",list="news.sites"'
        equal(total(now, "tiergate_list_changed_time_seconds", part), 1_700_000_000)
        equal(total(now, "tiergate_list_entries", part), 2)


def tell(lab, **what):
    """As the portal and the probe do."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(lab.control))
        s.sendall(json.dumps({"id": 1, "v": 1, "command": "tell", **what}).encode() + b"\n")
        answer = json.loads(s.makefile().readline())
    check(answer["ok"], answer)


def told(lab):
    tell(lab, portal={"url": "https://gate.example", "signed_in": 3, "failed": 1})
    tell(lab, probe={"tier": "guest", "allowed": "ok", "denied": "wrong"})


def test_promtool(lab):
    "promtool check metrics has nothing to say"
    if not shutil.which("promtool"):
        raise Skip("needs promtool")
    with lab.gateway():
        told(lab)
        done = subprocess.run(["promtool", "check", "metrics"], input=lab.ctl("metrics").stdout, text=True,
                              capture_output=True)
        equal((done.returncode, done.stdout + done.stderr), (0, ""))


def used():
    """Every metric that an alert or the dashboard asks for."""
    rules = (ROOT / "packaging/prometheus/tiergate.rules.yml").read_text()
    board = json.loads((ROOT / "packaging/grafana/tiergate.json").read_text())
    asked = re.findall(r"expr: (.*)", rules) + [t["expr"] for p in board["panels"] for t in p["targets"]]
    return {name for expr in asked for name in re.findall(r"tiergate_[a-z_]+", expr)}


def test_alerts(lab):
    "every alert fires where it should, and what alerts and the dashboard ask for is there"
    if not shutil.which("promtool"):
        raise Skip("needs promtool")
    folder = ROOT / "packaging/prometheus"
    for argv in (("check", "rules", "tiergate.rules.yml"), ("test", "rules", "tiergate.rules.test.yml")):
        done = subprocess.run(["promtool", *argv], cwd=folder, text=True, capture_output=True)
        equal(done.returncode, 0, done.stdout + done.stderr)
    alerts = set(re.findall(r"alert: (\w+)", (folder / "tiergate.rules.yml").read_text()))
    equal(alerts, set(re.findall(r"alertname: (\w+)", (folder / "tiergate.rules.test.yml").read_text())), "alerts tried")
    check(len(used()) > 10, used())
    with lab.gateway(sites=listed(lab)):
        told(lab)
        equal(used() - {name for name, _ in read(lab)}, set(), "metrics that nobody tells")


def test_dashboard(lab):
    "a real Prometheus has an answer for every query of the dashboard, and understands every alert"
    board = json.loads((ROOT / "packaging/grafana/tiergate.json").read_text())
    alerts = re.findall(r"expr: (.*)", (ROOT / "packaging/prometheus/tiergate.rules.yml").read_text())
    queries = [(p["title"], t["expr"]) for p in board["panels"] for t in p["targets"]]
    check(len(queries) > 10 and len(alerts) > 10, "nothing to ask")
    with lab.gateway(sites=listed(lab)), prometheus(lab, [BUILD / "tiergatectl", "--socket", lab.control]) as it:
        def answers(expr):
            told(lab)
            lab.curl("https://www.denied.example/")
            # no number: nothing was divided by nothing
            return [v for _, v in it.now(expr) if v == v]
        for title, expr in queries:
            wait_for(lambda: answers(expr), 60, f"data of {title}: {expr}")
        for expr in alerts:
            it.now(expr)


sys.exit(main(globals(), lab))
