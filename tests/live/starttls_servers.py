"""starttls_servers.py CERT KEY ADDRESS: servers that take STARTTLS and then answer in TLS, one a protocol. Prints "ready"."""
import socket
import ssl
import struct
import sys
import threading

CAPABLE = {b"EHLO": b"250-m\r\n250 STARTTLS\r\n", b"LHLO": b"250-m\r\n250 STARTTLS\r\n", b"CAPA": b"+OK\r\nSTLS\r\n.\r\n",
           b"FEAT": b"211-F\r\n AUTH TLS\r\n211 e\r\n", b"CAPABILITIES": b"101 c\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"}
# port: greeting, the answer to what asks for TLS, the words that do
LINES = {21: (b"220 f\r\n", b"234 go\r\n", b"AUTH"), 24: (b"220 m\r\n", b"220 go\r\n", b"STARTTLS"), 25: (b"220 m\r\n", b"220 go\r\n", b"STARTTLS"),
         110: (b"+OK\r\n", b"+OK go\r\n", b"STLS"), 119: (b"200 n\r\n", b"382 go\r\n", b"STARTTLS"),
         143: (b"* OK [CAPABILITY IMAP4rev1 STARTTLS]\r\n", b"%s OK go\r\n", b"STARTTLS"),
         587: (b"220 m\r\n", b"220 go\r\n", b"STARTTLS"),
         4190: (b'"STARTTLS"\r\nOK\r\n', b"OK\r\n", b"STARTTLS"), 6667: (b"", b":s 670 * :go\r\n", b"STARTTLS")}
MYSQL = b"\n8.0.30\0\1\0\0\0" + b"12345678\0\xff\xff\x21\2\0\xff\xdf\x15" + bytes(10) + b"123456789012\0mysql_native_password\0"
STREAM = b"<?xml version='1.0'?><stream:stream from='x' id='1' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>" \
    b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"


def lines(s, port):
    greeting, go, ask = LINES[port]
    s.sendall(greeting)
    reader = s.makefile("rb", buffering=0)
    while line := reader.readline():
        words = line.upper().split()
        tag = line.split()[0] if port == 143 else b""
        command = words[1 if port == 143 else 0]
        if command == ask:
            s.sendall(go.replace(b"%s", tag))
            return
        s.sendall(CAPABLE.get(command, b"* CAPABILITY IMAP4rev1 STARTTLS\r\n" + tag + b" OK\r\n" if tag else b"OK\r\n"))


def prelude(s, port):
    if port in LINES:
        lines(s, port)
    elif port == 389:
        asked = s.recv(4096)
        s.sendall(b"\x30\x0c\2\1" + asked[4:5] + b"\x78\7\n\1\0\4\0\4\0")
    elif port == 3306:
        s.sendall(struct.pack("<I", len(MYSQL)) + MYSQL)
        s.recv(36)
    elif port == 5432:
        while struct.unpack("!II", s.recv(8))[1] == 80877104:
            s.sendall(b"N")
        s.sendall(b"S")
    else:
        s.recv(4096)
        s.sendall(STREAM)
        s.recv(4096)
        s.sendall(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")


def talk(s, port, tls):
    try:
        s.settimeout(20)
        prelude(s, port)
        secure = tls.wrap_socket(s, server_side=True)
        secure.sendall(b"in TLS\r\n")
        secure.close()
    except (OSError, IndexError, struct.error):
        s.close()  # a denied client resets in the middle: nothing to say


def accept(listener, port, tls):
    while True:
        s, _ = listener.accept()
        threading.Thread(target=talk, args=(s, port, tls), daemon=True).start()


def main():
    certificate, key, address = sys.argv[1:]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    for port in (*LINES, 389, 3306, 5222, 5269, 5432):
        listener = socket.create_server((address, port))
        threading.Thread(target=accept, args=(listener, port, tls), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


main()
