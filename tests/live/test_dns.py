#!/usr/bin/env python3
"""Name resolution and the daemon: queries and answers pass whatever becomes of it, and every name is known
before the first connection to it. The policy allows a name only where DNS told its address."""
import contextlib
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab, wait_for  # noqa: E402
from tap import check, equal, main, note  # noqa: E402

CLIENT, RESOLVER, SERVER = "10.77.1.2", "10.77.3.2", "198.51.100.10"
STRICT = {"resolvers": [RESOLVER], "queues": 2,
          "tiers": [{"name": "guest", "evidence": "name+address"}, {"name": "staff"}]}

# Every name has the same address; a TTL of a week.
ANSWERS = r"""
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.bind(("10.77.3.2", 53))
print("ready", flush=True)
while True:
    q, who = s.recvfrom(2000)
    one = b"\xc0\x0c\0\1\0\1" + struct.pack("!I", 604800) + b"\0\4" + socket.inet_aton("198.51.100.10")
    s.sendto(q[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + q[12:] + one, who)
"""


@contextlib.contextmanager
def resolver(lab):
    p = lab.spawn("inside", sys.executable, "-c", ANSWERS, stdout=subprocess.PIPE)
    equal(p.stdout.readline(), "ready\n")
    yield
    p.kill()


class Asker:
    """A client's socket: ask(name) is whether an answer came, asked once."""

    def __init__(self, lab, source=CLIENT):
        self.socket = lab.socket("client", socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((source, 0))
        self.socket.connect((RESOLVER, 53))
        self.socket.settimeout(5)
        self.id = 0

    def ask(self, name):
        self.id = (self.id + 1) & 0xffff
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        self.socket.send(struct.pack("!HHHHHH", self.id, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1")
        try:
            return self.socket.recv(4096)[:2] == struct.pack("!H", self.id)
        except OSError:
            return False


def name(n):
    return f"n{n}.allowed.example"


def reaches(lab, n):
    return lab.hello(name(n), to=SERVER, timeout=15).how


def test_known_before(lab):
    "each name is known before the first connection to it, on every worker; each copy is counted"
    with resolver(lab), lab.gateway(**STRICT):
        asker = Asker(lab)
        for n in range(60):
            check(asker.ask(name(n)), "no answer")
            equal(reaches(lab, n), "answered", name(n))
        equal(reaches(lab, 1000), "reset", "a name that was not asked for")
        dns = lab.status()["dns"]
        equal((dns["copies"], dns["queries"], dns["answers"], dns["copies_lost"]), (120, 60, 60, 0))


def test_hung(lab):
    "while the daemon hangs no query is lost, and what was asked meanwhile is known after"
    with resolver(lab), lab.gateway(**STRICT):
        asker = Asker(lab)
        lab.daemon.send_signal(signal.SIGSTOP)
        equal(sum(asker.ask(name(n)) for n in range(1000)), 1000, "answers of 1000")
        lab.daemon.send_signal(signal.SIGCONT)
        for n in (999, 0, 500):
            equal(reaches(lab, n), "answered", name(n))
        equal(lab.status()["dns"]["copies_lost"], 0, "lost copies")


def test_restart(lab):
    "stopped, killed and started over and over: no query is lost"
    with resolver(lab), lab.gateway(**STRICT):
        done, count = threading.Event(), [0, 0]

        def load():
            asker = Asker(lab)
            while not done.is_set():
                count[0] += 1
                count[1] += asker.ask(name(count[0]))
        thread = threading.Thread(target=load)
        thread.start()
        try:
            for how in (signal.SIGTERM, signal.SIGKILL) * 2:
                lab.stop(how, wire=False)
                lab.start(wire=False)
        finally:
            done.set()
            thread.join()
        equal(count[1], count[0], "answers")
        note(f"{count[0]} queries, 4 restarts")
        asker = Asker(lab)
        check(asker.ask("again.allowed.example"), "no answer")
        wait_for(lambda: lab.status()["dns"]["answers"], what="an answer's copy")


if __name__ == "__main__":
    main(globals(), lab)
