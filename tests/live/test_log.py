#!/usr/bin/env python3
"""A decision log in trouble: a full disk, a reader that sleeps, a file taken away, a line cut in the middle."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab, wait_for  # noqa: E402
from tap import check, equal, main, note  # noqa: E402

GUEST = "10.77.1.2"
FLOWS = 3000  # of more than 350 bytes a record: more than the writer keeps, and the small disk and the pipe


@contextlib.contextmanager
def small_disk(lab, kilobytes):
    """A folder with room for so much."""
    folder = lab.dir / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def fill(path):
    """Takes all room there is."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as f:
        while f.write(bytes(512)):
            pass


def flows(lab, first, count):
    """`count` denied flows, a record each; in portions that the queue holds."""
    s = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((GUEST, 0))
    for start in range(first, first + count, 200):
        for port in range(start, min(start + 200, first + count)):
            s.sendto(b"x", ("198.51.100.13", port))
        decides(lab)


def decides(lab):
    """Packets are decided as ever, whatever the log does."""
    check(lab.curl("https://www.allowed.example/", GUEST).ok, "allowed, no answer")
    check(lab.curl("https://www.denied.example/", GUEST).refused, "denied, not refused")


def counters(lab):
    def find(node):
        if isinstance(node, dict):
            if "lost_write" in node:
                return node
            return next((c for v in node.values() if (c := find(v))), None)
        return None
    done = lab.ctl("--json", "status", "--all")
    got = find(json.loads(done.stdout))
    check(got, "status has no lost_write:", done.stdout[:2000])
    return got


def failing(lab):
    return counters(lab)["failing"]


def account(lines, lab, first, count):
    """Each line is a JSON object, and no flow is without either its record or a place in a count of lost ones."""
    records = [json.loads(line) for line in lines]
    check(all(isinstance(r, dict) for r in records))
    said = sum(r.get("tiergate.lost", 0) for r in records)
    ports = {r["destination.port"] for r in records if r.get("destination.ip") == "198.51.100.13"}
    there = len(ports & set(range(first, first + count)))
    note(f"{there} of {count} flows have records, {said} records were lost")
    check(said > 0, "nothing was lost: the log was never in trouble")
    check(there + said >= count, f"{count - there - said} are missing")
    now = counters(lab)
    equal(said, now["lost_write"] + now["lost_ring"], "what the records say and what the counters say")
    return records


def test_full_disk(lab):
    "a full disk stops no packet; the file stays whole lines; what is lost is counted, in a record and in status"
    with small_disk(lab, 512) as folder, lab.gateway(log_file=str(folder / "log")):
        log, filler = folder / "log", folder / "filler"
        fill(filler)
        flows(lab, 2000, FLOWS)
        wait_for(lambda: failing(lab) and counters(lab)["lost_write"] > 0, what="a log that fails")
        check("NOT OK" in (said := lab.ctl("status").stdout) and "the log takes no records" in said, said)
        filler.unlink()
        wait_for(lambda: not failing(lab), what="a log that goes on")
        check("the log takes no records" not in lab.ctl("status").stdout, "status")
        decides(lab)
        wait_for(lambda: "tiergate.lost" in log.read_text(), what="the count")
        lines = log.read_text().splitlines(keepends=True)
        account([x for x in lines if x[-1] == "\n"], lab, 2000, FLOWS)


def test_strict(lab):
    "audit = strict: while the disk is full nothing is allowed; with room again it is"
    with small_disk(lab, 64) as folder, lab.gateway(log_file=str(folder / "log"), audit="strict"):
        check(lab.curl("https://www.allowed.example/", GUEST).ok)
        filler = folder / "filler"
        fill(filler)

        def denied():
            return lab.curl("https://www.allowed.example/", GUEST).refused and failing(lab)
        wait_for(denied, 30, "a denial")
        check(lab.curl("https://www.allowed.example/", GUEST).refused, "allowed without a record")
        check(lab.curl("https://intranet.example/", GUEST).ok, "internal hosts need no record")
        filler.unlink()
        wait_for(lambda: lab.curl("https://www.allowed.example/", GUEST).ok, 30, "access with a record")


def test_sleeping_reader(lab):
    "a pipe whose reader sleeps holds up no packet; awake it gets whole lines, and the count of those it missed"
    pipe = lab.dir / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with lab.gateway(log_file=str(pipe)):
            flows(lab, 2000, FLOWS)
            wait_for(lambda: counters(lab)["lost_write"] > 0, what="a loss")
            text = b""

            def said():
                nonlocal text
                with contextlib.suppress(BlockingIOError):
                    while more := os.read(reader, 65536):
                        text += more
                return b"tiergate.lost" in text and text.endswith(b"\n")
            wait_for(said, what="the count")
            account(text.decode().splitlines(), lab, 2000, FLOWS)
    finally:
        os.close(reader)
        pipe.unlink()


def test_file_gone(lab):
    "a log that was taken away, and its folder with it, stops nothing; SIGUSR1 makes it anew once there is a folder"
    folder = lab.dir / "gone"
    folder.mkdir()
    log = folder / "log"
    with lab.gateway(log_file=str(log)):
        decides(lab)
        wait_for(lambda: log.stat().st_size > 0, what="a record")
        log.unlink()
        folder.rmdir()
        lab.daemon.send_signal(signal.SIGUSR1)
        wait_for(lambda: str(log) in lab.log(), what="what is wrong, said")
        decides(lab)
        folder.mkdir()
        lab.daemon.send_signal(signal.SIGUSR1)
        wait_for(log.exists, what="the new log")
        decides(lab)
        wait_for(lambda: log.exists() and "www.denied.example" in log.read_text(), what="a record")
        log.unlink()
    log.unlink(missing_ok=True)


def test_torn_line(lab):
    "a line that a crash has cut stays the only one that can't be read"
    log = lab.dir / "torn"
    log.write_text('{"event.action":"allow"}\n{"@timestamp":"2026-11-2')
    with lab.gateway(log_file=str(log)):
        decides(lab)
        wait_for(lambda: "www.denied.example" in log.read_text(), what="a record")
        lab.stop(signal.SIGKILL, wire=False)
        with log.open("a") as f:
            f.write('{"cut')
        lab.start(wire=False)
        decides(lab)
        lab.stop(wire=False)
        bad = []
        for line in log.read_text().splitlines():
            try:
                json.loads(line)
            except ValueError:
                bad.append(line)
        equal(bad, ['{"@timestamp":"2026-11-2', '{"cut'], "lines that are no JSON")
    log.unlink()


if __name__ == "__main__":
    main(globals(), lab)
