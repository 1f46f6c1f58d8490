#!/usr/bin/env python3
"""tiergatectl top at a terminal: what it shows of a gateway at work, its keys, another size, and no daemon."""
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import struct
import sys
import tempfile
import termios
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, lab as Lab  # noqa: E402
from tap import check, equal, main  # noqa: E402

GUEST, FAR = "10.77.1.2", "198.51.100.11"
TOKEN = re.compile(r"\033\[([?>]?[0-9;]*)([A-Za-z@])|\033[()][A-Z0-9]|\033[=>78MHc]|[\r\n\b\t\x0e\x0f]|[^\033\r\n\b\t\x0e\x0f]+")


class Grid:
    """What a terminal shows of what it was sent: the part of VT100 and xterm that ncurses uses."""

    def __init__(self, rows, columns):
        self.size(rows, columns)
        self.rest = ""

    def size(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.y = self.x = 0
        self.top, self.bottom = 0, rows - 1

    def feed(self, text):
        text, at = self.rest + text, 0
        while at < len(text):
            m = TOKEN.match(text, at)
            if not m or (m.end() == len(text) and m[0].startswith("\033") and not m[2] and len(m[0]) < 2):
                break
            self.take(m)
            at = m.end()
        self.rest = text[at:]
        check(len(self.rest) < 64, "a terminal does not know", repr(self.rest[:64]))

    def take(self, m):
        t = m[0]
        if m[2]:
            self.control(m[1], m[2])
        elif t == "\r":
            self.x = 0
        elif t == "\n":
            self.down()
        elif t == "\b":
            self.x = max(0, min(self.x, self.columns - 1) - 1)
        elif t == "\t":
            self.x = min(self.columns - 1, self.x // 8 * 8 + 8)
        elif t == "\033M":
            if self.y == self.top:
                self.scroll(-1)
            else:
                self.y -= 1
        elif t[0] not in "\033\x0e\x0f":
            for c in t.replace("\0", ""):
                self.put(c)

    def down(self):
        if self.y == self.bottom:
            self.scroll(1)
        else:
            self.y = min(self.rows - 1, self.y + 1)

    def scroll(self, n):
        part = self.cells[self.top:self.bottom + 1]
        empty = [[" "] * self.columns]
        self.cells[self.top:self.bottom + 1] = part[1:] + empty if n > 0 else empty + part[:-1]

    def put(self, c):
        if self.x >= self.columns:
            self.x = 0
            self.down()
        self.cells[self.y][self.x] = self.last = c
        self.x += 1

    def blank(self, y, first, end):
        for x in range(max(0, first), min(end, self.columns)):
            self.cells[y][x] = " "

    def control(self, parameters, letter):
        n = [int(p or 0) for p in parameters.lstrip("?>").split(";")]
        one = n[0] or 1
        y, x = self.y, min(self.x, self.columns - 1)
        if letter in "Hf":
            self.y, self.x = min(one, self.rows) - 1, min((n + [1])[1] or 1, self.columns) - 1
        elif letter == "J":
            for row in range(self.rows):
                if n[0] == 2 or row > y:
                    self.blank(row, 0, self.columns)
            self.blank(y, x, self.columns)
        elif letter == "K":
            self.blank(y, x if n[0] == 0 else 0, x + 1 if n[0] == 1 else self.columns)
        elif letter == "A":
            self.y = max(0, y - one)
        elif letter == "B":
            self.y = min(self.rows - 1, y + one)
        elif letter == "C":
            self.x = min(self.columns - 1, x + one)
        elif letter == "D":
            self.x = max(0, x - one)
        elif letter == "G":
            self.x = min(one, self.columns) - 1
        elif letter == "d":
            self.y = min(one, self.rows) - 1
        elif letter == "X":
            self.blank(y, x, x + one)
        elif letter == "b":
            for _ in range(one):
                self.put(self.last)
        elif letter == "P":
            self.cells[y][x:] = self.cells[y][x + one:] + [" "] * min(one, self.columns - x)
        elif letter == "@":
            self.cells[y][x:] = ([" "] * one + self.cells[y][x:])[:self.columns - x]
        elif letter in "ST":
            for _ in range(one):
                self.scroll(1 if letter == "S" else -1)
        elif letter in "LM":
            was, self.top = self.top, y
            for _ in range(one):
                self.scroll(-1 if letter == "L" else 1)
            self.top = was
        elif letter == "r":
            self.top, self.bottom = one - 1, ((n + [0])[1] or self.rows) - 1
            self.y = self.x = 0
        elif letter == "h" and parameters == "?1049":
            self.size(self.rows, self.columns)
        else:
            check(letter in "mhlnct", "a terminal does not know", parameters, letter)

    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv, rows=24, columns=80, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(argv[0], argv, {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **env})
        self.grid = Grid(rows, columns)
        self.seen = ""  # as it was sent
        self.status = None

    def size(self, rows, columns):
        self.grid.size(rows, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """False where the program has ended."""
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                text = os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                return False
            self.seen += text
            self.grid.feed(text)
        return True

    def until(self, wanted, seconds=30, absent=False):
        """The lines of the screen, once `wanted` is on it, or no longer is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if ((wanted in "\n".join(self.grid.lines())) != absent) and not select.select([self.fd], [], [], 0.1)[0]:
                return self.grid.lines()
            if not self.read(0.2):
                break
        check(False, f"{'still' if absent else 'no'} {wanted!r} on", "\n".join(self.grid.lines()), repr(self.seen[-500:]))

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def ended(self, seconds=20):
        """Its status as waitpid has it."""
        end = time.monotonic() + seconds
        while self.status is None:
            check(time.monotonic() < end, "it does not end:", self.grid.lines())
            self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        os.close(self.fd)
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGTERM)
            self.ended()

    def keep(self, name):
        """The screen, for who wants to look at it."""
        folder = BUILD / "top"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.txt").write_text("\n".join(self.grid.lines()) + "\n")


@contextlib.contextmanager
def top_of(path, **more):
    top = Terminal([str(BUILD / "tiergatectl"), "--socket", str(path), "top"], **more)
    try:
        yield top
    finally:
        top.close()


def row_of(lines, start):
    return next((i for i, line in enumerate(lines) if line.startswith(start)), None)


def test_top(lab):
    "decisions come as they are made; the window's size is followed; a daemon that goes and comes is told"
    with lab.gateway(), top_of(lab.control) as top:
        screen = top.until(": ok")
        check("\033[32mtiergate" in top.seen, repr(top.seen[:400]))
        check(screen[1].startswith("mode      enforce, policy "), screen)
        check(lab.curl("https://www.denied.example/", GUEST, resolve=FAR).refused, "denied")
        check(lab.curl("https://www.allowed.example/", GUEST).ok, "allowed")
        screen = top.until("www.denied.example  no-line")
        check(any(re.match(GUEST + r"  guest +[0-9]+ +[1-9]", line) for line in screen), screen)
        top.until("\ngood ")
        top.until("half of the verdicts within")
        top.keep("top")
        top.size(14, 50)
        small = top.until("REASON")
        check(row_of(small, "USER") == 4 and small[13].startswith("q quit"), small)
        lab.stop(wire=False)
        top.until("no daemon: it does not answer")
        lab.launch()
        top.until(": ok")
        top.press("\003")
        equal(os.WTERMSIG(top.ended()), signal.SIGINT)


# ---- keys: with a daemon that says what the test wants ----

class Daemon:
    """Answers `status`, and sends to who watches what it is given."""

    def __init__(self, first=None):
        self.folder = tempfile.TemporaryDirectory(prefix="tiergate-top-")
        self.path = pathlib.Path(self.folder.name) / "socket"
        self.first, self.watcher, self.packets = first, None, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                made = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(made,), daemon=True).start()

    def serve(self, made):
        for line in made.makefile():
            asked = json.loads(line)
            answer = {"id": asked["id"], "ok": True, "result": {}}
            if asked["command"] == "watch":
                self.watcher, self.asked = made, asked["id"]
                if self.first:
                    made.sendall((json.dumps({"id": asked["id"], **self.first}) + "\n").encode())
                continue
            self.packets += 100
            answer["result"] = {"version": "9.9", "mode": "enforce", "policy": "abc", "started": "then",
                                "wiring": "in place", "queues": [
                {"packets": self.packets, "allowed": 7, "denied": 1, "verdict_times": [0, self.packets, 0, 1]}]}
            with contextlib.suppress(OSError):
                made.sendall((json.dumps(answer) + "\n").encode())

    def tell(self, *records):
        while not self.watcher:
            time.sleep(0.05)
        for r in records:
            self.watcher.sendall((json.dumps({"id": self.asked, "more": True, "record": r}) + "\n").encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.folder.cleanup()


def record(user, name, action="allow", reason="allow-line", client="10.0.0.7"):
    return {"@timestamp": "2026-11-27T10:00:00.000000Z", "event.kind": "event", "event.action": action,
            "event.reason": reason, "user.name": user, "tiergate.tier": "staff", "source.ip": client,
            "source.port": 4000, "destination.ip": "203.0.113.9", "destination.port": 443,
            "destination.domain": name, "network.transport": "tcp", "tiergate.evidence": "sni",
            "tiergate.mode": "enforce", "tiergate.policy": "abc"}


ANNA, BOB = record("anna", "good.example"), record("bob", "bad.example", "deny", "no-line")


def test_keys(lab):
    "each key does what the last line and the help say"
    with Daemon() as daemon, top_of(daemon.path) as top:
        top.until("9.9: ok")
        daemon.tell(*[ANNA] * 5, *[BOB] * 3)
        screen = top.until("anna  staff")
        check(row_of(screen, "anna") < row_of(screen, "bob"), screen)
        check(screen[23] == "q quit  p pause  / filter  s sort: now  ? help", screen)
        for word, first in (("denied", "bob"), ("allowed", "anna"), ("bytes", "anna"), ("name", "anna"), ("now", "anna")):
            top.press("s")
            screen = top.until(f"s sort: {word} ")
            equal(min("anna", "bob", key=lambda who: row_of(screen, who)), first, word)
        top.press("?")
        screen = top.until("this, and away again")
        check(row_of(screen, "USER") is None, screen)
        top.keep("help")
        top.press("?")
        top.until("USER")
        top.press("?")
        top.until("this, and away again")
        top.press("\033")
        top.until("USER")
        top.press("p")
        top.until("PAUSED")
        daemon.tell(*[record("cleo", "late.example")] * 9)
        lines = [top.until("PAUSED") for _ in range(3) if time.sleep(0.7) is None]
        check(all(row_of(screen, "cleo") is None for screen in lines), lines)
        top.press("p")
        screen = top.until("cleo  staff")
        check("p pause" in screen[23], screen)
        top.press("q")
        equal(top.ended(), 0)
        check("\033[?1049l" in top.seen, "the terminal as it was before", repr(top.seen[-200:]))


def test_filter(lab):
    "/ takes a filter as it is typed; Enter keeps it, Escape takes it back, an empty one shows all"
    with Daemon() as daemon, top_of(daemon.path) as top:
        daemon.tell(*[ANNA] * 5, *[BOB] * 3, record("d\u00e4na", "x.example"))
        top.until("d\u00e4na  staff")
        top.press("/")
        top.until("filter:")
        top.press("Bq")  # a key's letter is text here
        top.until("anna", absent=True)
        top.press("\x7f")
        screen = top.until("bob")
        check(row_of(screen, "anna") is None and screen[23] == "filter: B", screen)
        top.press("\r")
        screen = top.until("/ filter: B  s sort")
        daemon.tell(record("abbot", "bad.example"), record("eve", "x.example"))
        screen = top.until("abbot")
        check(row_of(screen, "eve") is None and row_of(screen, "anna") is None, screen)
        top.keep("filter")
        top.press("/")
        top.until("anna")
        top.press("eve")
        top.until("bob", absent=True)
        top.press("\033")
        top.until("/ filter: B  s sort")
        top.until("eve  ", absent=True)
        top.press("/\u00e4")
        top.until("bob", absent=True)
        top.until("d\u00e4na")
        top.press("\x7f")  # the whole of a character
        top.until("bob")
        top.press("x" * 200 + "\r")  # longer than a filter may be
        top.until("/ filter: " + "x" * 40)
        top.press("/\r")
        screen = top.until("anna")
        check("/ filter  s sort" in screen[23], screen)


def test_refused(lab):
    "who may not watch is told, and what comes first is read whole"
    with Daemon(first={"ok": False, "code": "denied", "error": "only a few may do this"}) as daemon:
        with top_of(daemon.path, columns=200) as top:
            top.until(": only a few may do this")
    with Daemon(first={"more": True, "record": ANNA}) as daemon, top_of(daemon.path) as top:
        top.until("anna  staff")


def test_small(lab):
    "no size is too small for it, and a bigger one is filled"
    with Daemon() as daemon, top_of(daemon.path, rows=4, columns=20) as top:
        top.until("9.9: ok")
        for rows, columns in ((1, 1), (2, 7), (50, 200)):
            top.size(rows, columns)
            top.press("??")
            time.sleep(0.3)
        screen = top.until("REASON")
        check(len(screen[4]) == 200 and screen[49].startswith("q quit"), screen)
        os.kill(top.pid, signal.SIGTERM)
        equal(os.WTERMSIG(top.ended()), signal.SIGTERM)


def test_hangup(lab):
    "it ends with its terminal"
    with Daemon() as daemon:
        top = Terminal([str(BUILD / "tiergatectl"), "--socket", str(daemon.path), "top"])
        top.until("9.9: ok")
        os.close(top.fd)
        end, pid = time.monotonic() + 30, 0
        while not pid and time.monotonic() < end:
            time.sleep(0.1)
            pid, status = os.waitpid(top.pid, os.WNOHANG)
        if not pid:
            os.kill(top.pid, signal.SIGKILL)
        check(pid, "it goes on without a terminal")
        equal(os.WTERMSIG(status), signal.SIGHUP)


def test_no_colour(lab):
    "NO_COLOR leaves no colour; an empty one is none"
    for value, coloured in (("1", False), ("", True)):
        with top_of("/nowhere/socket", NO_COLOR=value) as top:
            top.until("no daemon")
            equal(bool(re.search(r"\033\[([0-9;]*;)?3[0-7](;[0-9;]*)?m", top.seen)), coloured, f"NO_COLOR={value!r}")


def test_plain(lab):
    "a terminal that nobody knows, --once, and what is no terminal get one plain screen"
    with Daemon() as daemon:
        argv = [str(BUILD / "tiergatectl"), "--socket", str(daemon.path), "top"]
        for more, env in (((), {"TERM": "dumb"}), (("--once",), {}), ((), {"TERM": "none-such"}), ((), {"TERM": ""})):
            top = Terminal(argv + list(more), rows=60, **env)
            equal(top.ended(), 0)
            check("9.9: ok" in top.seen and "\033" not in top.seen, repr(top.seen))


if __name__ == "__main__":
    main(globals(), Lab)
