#!/usr/bin/env python3
"""http = "every-request" on live connections: uploads that lose segments, and what clients put between requests."""
import contextlib
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import Lab  # noqa: E402
from tap import check, equal, main, note  # noqa: E402

FAR, GUEST, NAME, BAD = "198.51.100.12", "10.77.1.2", b"good.shared.example", b"bad.shared.example"
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
LOSS = "table ip loss {\nchain out {\ntype filter hook prerouting priority -400;\niifname lan0 tcp dport 80 ip length > 100 numgen inc mod 30 7 counter drop\n}\n}\n"


def answer(s, got):
    """Reads all that comes, and answers where a body's end or an empty line is the last of it."""
    data = b""
    with contextlib.suppress(OSError), s:
        while part := s.recv(65536):
            data += part
            got[0] = data
            if data.rstrip(b"\r\n")[-3:] in (b"222", b"\r\n0") or data.endswith(b"\r\n\r\n") and b"chunked" not in data:
                s.sendall(ANSWER)


def serve(listener, got):
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0], got), daemon=True).start()


@contextlib.contextmanager
def far():
    with Lab(bare=[FAR]) as lab:
        listener = lab.socket("outside", socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((FAR, 80))
        listener.listen()
        got = [b""]
        threading.Thread(target=serve, args=(listener, got), daemon=True).start()
        lab.start(http="every-request", bounds={"held": 64, "held_per_client": 12})  # a first window, no more
        yield lab, got


def talk(lab, *pieces):
    """Says each piece, and reads the answer to it."""
    s = lab.socket("client", socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(30)
    s.bind((GUEST, 0))
    with s:
        s.connect((FAR, 80))
        answers = []
        for piece in pieces:
            s.sendall(piece)
            try:
                answers.append(s.recv(4096))
            except ConnectionError:
                answers.append(b"reset")
                break
        return answers


def request(name, fields=b"", method=b"GET"):
    return method + b" / HTTP/1.1\r\nHost: " + name + b"\r\n" + fields + b"\r\n"


def test_lines_behind_a_body(context):
    "an empty line behind a body does not hold the body's end; the next request is still read"
    lab, _ = context
    post = request(NAME, b"Content-Length: 9\r\n", b"POST") + b"a=1&b=222\r\n"
    equal(talk(lab, post, request(NAME)), [ANSWER, ANSWER])
    equal(talk(lab, post, request(BAD)), [ANSWER, b"reset"])


def test_upload_loss(context):
    "chunked uploads through a loss of one segment in thirty arrive whole, and the next request is still read"
    lab, got = context
    lab.run("client", "ip", "link", "set", "eth0", "gso_max_segs", "1")
    lab.run("gateway", "nft", "-f", "-", input=LOSS)
    for size in (1024, 8192, 60000):
        body = (b"%x\r\n" % size + b"x" * size + b"\r\n") * (600000 // size) + b"0\r\n\r\n"
        upload = request(NAME, b"Transfer-Encoding: chunked\r\n", b"POST") + body
        answers = talk(lab, upload, request(BAD))
        equal(answers, [ANSWER, b"reset"], f"chunks of {size}")
        check(got[0] == upload, f"{len(got[0])} bytes of {len(upload)} arrived, or others")
    lost = lab.run("gateway", "nft", "list", "table", "ip", "loss").stdout
    note(lost.splitlines()[-3].strip())
    check("bad.shared" not in got[0].decode("latin-1"), "the denied request left the gateway")


if __name__ == "__main__":
    main(globals(), far)
