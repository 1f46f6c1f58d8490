#!/usr/bin/env python3
"""tiergatectl top at a terminal: what it shows of a gateway at work, in another size, and without a daemon."""
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, lab as Lab  # noqa: E402
from tap import check, equal, main  # noqa: E402

GUEST, FAR = "10.77.1.2", "198.51.100.11"


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv, rows=24, columns=80, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            self.fd = 0
            self.size(rows, columns)
            os.execve(argv[0], argv, {**os.environ, "TERM": "vt100", **env})
        self.seen = ""

    def size(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, wanted, seconds=20):
        """The first whole screen from now on that `wanted` is in, as text with its escapes."""
        self.seen, end = "", time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 65536).decode()
            for screen in self.seen.split("\033[H")[1:-1]:  # the last may not be whole
                if wanted in screen:
                    return screen
        check(False, f"no {wanted!r} in", self.seen[-3000:])

    def close(self):
        """Its end by control-C: the signal."""
        os.write(self.fd, b"\003")
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return os.WTERMSIG(status)


def lines(screen):
    return re.sub(r"\033\[[0-9;]*[A-Za-z]", "", screen).replace("\r", "").strip("\n").split("\n")


def test_top(lab):
    "decisions come as they are made; the window's size is followed; a daemon that goes and comes is told"
    argv = [str(BUILD / "tiergatectl"), "--socket", str(lab.control), "top"]
    with lab.gateway():
        top = Terminal(argv)
        try:
            screen = top.until(": ok")
            check("\033[32mtiergate" in screen and "mode      enforce, policy " in screen, screen)
            check(lab.curl("https://www.denied.example/", GUEST, resolve=FAR).refused, "denied")
            check(lab.curl("https://www.allowed.example/", GUEST).ok, "allowed")
            screen = lines(top.until("www.denied.example  no-line"))
            check(any(re.match(GUEST + r"  guest +[0-9]+ +[1-9]", line) for line in screen), screen)
            check(len(screen) <= 24 and all(len(line) <= 80 for line in screen), screen)
            top.until("\033[Kgood ")
            top.size(12, 50)
            small = lines(top.until("REASON"))
            for _ in range(5):  # one may have been drawn before
                if max(map(len, small)) <= 50:
                    break
                small = lines(top.until("REASON"))
            check(len(small) <= 12 and max(map(len, small)) <= 50, small)
            lab.stop(wire=False)
            top.until("no daemon: it does not answer")
            lab.launch()
            top.until(": ok")
        finally:
            end = top.close()
        equal(end, signal.SIGINT)


def test_no_colour(lab):
    "NO_COLOR leaves nothing but where the cursor goes; an empty one is none"
    argv = [str(BUILD / "tiergatectl"), "--socket", "/nowhere/socket", "top"]
    for value, coloured in (("1", False), ("", True)):
        top = Terminal(argv, NO_COLOR=value)
        try:
            equal("\033[1;31m" in top.until("no daemon"), coloured, f"NO_COLOR={value!r}")
        finally:
            top.close()


if __name__ == "__main__":
    main(globals(), Lab)
