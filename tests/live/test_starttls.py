#!/usr/bin/env python3
"""TLS that a client asks for in clear: real clients, a server for each protocol, the gateway between."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import HERE, Lab  # noqa: E402
from tap import check, equal, main, note  # noqa: E402

FAR = "198.51.100.10"
PROTOCOLS = {"ftp": 21, "lmtp": 24, "smtp": 25, "pop3": 110, "nntp": 119, "imap": 143, "ldap": 389, "mysql": 3306, "sieve": 4190,
             "xmpp": 5222, "xmpp-server": 5269, "postgres": 5432, "irc": 6667}


class Far(Lab):
    """A lab whose outside has the servers, and a policy of all their ports."""

    def __enter__(self):
        super().__enter__()
        server = self.spawn("outside", sys.executable, HERE / "starttls_servers.py", *self.certificate, FAR, stdout=subprocess.PIPE)
        equal(server.stdout.readline(), "ready\n", "the servers")
        self.start(allow=[{"tiers": ["guest"], "sites": ["good"], "ports": [f"tcp/{p}" for p in (*PROTOCOLS.values(), 587)]}])
        return self


def ask(lab, protocol, name, port=None):
    """openssl s_client's answer from within TLS."""
    return lab.run("client", "openssl", "s_client", "-starttls", protocol, "-connect", f"{FAR}:{port or PROTOCOLS[protocol]}", "-servername", name,
                   "-quiet", "-verify_quiet", check_exit=False, timeout=20, stdin=subprocess.DEVNULL)


def test_allowed(lab):
    "openssl s_client reaches an allowed name by STARTTLS in every protocol that it speaks"
    for protocol, port in PROTOCOLS.items():
        done = ask(lab, protocol, "www.allowed.example")
        check("in TLS" in done.stdout, protocol, done.stdout[-300:], done.stderr[-300:])
        r = lab.record(destination__port=port, event__action="allow")
        equal((r["destination.domain"], r["network.protocol"]), ("www.allowed.example", "tls"), protocol)


def test_denied(lab):
    "a denied name's hello never leaves, whatever the protocol before it"
    far = lab.sniff()
    for protocol, port in PROTOCOLS.items():
        done = ask(lab, protocol, "www.denied.example")
        check("in TLS" not in done.stdout, protocol, done.stdout[-300:])
        r = lab.record(destination__port=port, event__action="deny")
        equal((r["destination.domain"], r["event.reason"]), ("www.denied.example", "no-line"), protocol)
    check(not far.contains("www.denied.example"), "a hello left the gateway")
    check(len(far.frames()) > len(PROTOCOLS), "the sniffer is blind")


def test_clear(lab):
    "what is no prelude never leaves: mail, a search of the directory, a request of HTTP in the words of SMTP"
    far = lab.sniff()
    search = b"\x30\x13\2\1\1\x63\x0e\4\7secret1\n\1\2\n\1\0"
    for port, words in ((25, b"MAIL FROM:<secret2@x>\r\n"), (389, search), (25, b"NOOP http://secret3/ HTTP/1.0\r\n"), (21, b"HOST secret4\r\n"),
                        (143, b"1 LOGIN secret5 x\r\n"), (5222, b"<auth>secret6</auth>")):
        said = lab.say(FAR, [words], port=port)
        note(f"{port}: {said.how}")
    check(not far.contains("secret"), "it left the gateway")


if __name__ == "__main__":
    main(globals(), Far)
