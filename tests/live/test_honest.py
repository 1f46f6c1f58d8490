#!/usr/bin/env python3
"""Ordinary clients: what they cost, and that a bad network makes none of them a denied one."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from honest import CLIENTS, NAME, SERVER, context, curl, failures, one, settings, visit  # noqa: E402
from lab import v6  # noqa: E402
from tap import check, equal, main  # noqa: E402


def came_up(lab):
    return sum(lane["packets"] for lane in lab.status()["queues"])


def test_two_packets(lab):
    "an allowed TLS 1.3 connection brings two packets up: its SYN and its hello"
    with lab.gateway(**settings()):
        for six in (False, True):
            server, source = (v6(SERVER), v6("10.77.1.2")) if six else (SERVER, "10.77.1.2")
            for version in ("--http1.1", "--http2"):
                before = came_up(lab)
                check(curl(lab, server, source, "--tlsv1.3", version), "curl has no answer")
                equal(came_up(lab) - before, 2, f"packets of one connection to {NAME}, {version}")


def test_good_network(lab):
    "each client is served on a good network"
    with lab.gateway(**settings()):
        done = [one(lab, kind, six) for kind in CLIENTS for six in (False, True)]
        equal(failures(lab, done), [], "what failed")


def test_bad_network(lab):
    "100 connections on networks that lose, delay, reorder and duplicate packets: none is denied"
    with lab.gateway(**settings()):
        equal(failures(lab, visit(lab, 100, seed=1)), [], "what failed")


if __name__ == "__main__":
    main(globals(), context)
