"""recorders.py FILE CERT KEY ADDRESS...: applications that write down what they read, and answer as real ones do.

Each read is a line "CONNECTION CLIENT-PORT HEX" of FILE. TLS (OpenSSL) on 443, on 8443 with a curve that asks for a
second hello, behind STARTTLS on 25; HTTP on 80. Prints "ready"."""
import itertools
import socket
import ssl
import sys
import threading

NUMBERS = itertools.count()


def tls(certificate, key, curve=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if curve:
        context.set_ecdh_curve(curve)
    return context


class Application:
    def __init__(self, out, connection, client, context):
        self.out, self.s, self.port, self.context = out, connection, client[1], context
        self.number = next(NUMBERS)

    def read(self):
        data = self.s.recv(65536)
        if data:
            self.out.write(f"{self.number} {self.port} {data.hex()}\n")
        return data

    def talk_tls(self, data=b""):
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = self.context.wrap_bio(coming, going, server_side=True)
        while data := data or self.read():
            coming.write(data)
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                data = b""
                self.s.sendall(going.read())
                continue
            except ssl.SSLError:
                self.s.sendall(going.read())
                return
            self.s.sendall(going.read())
            data = b""

    def talk_http(self):
        data = b""
        while got := self.read():
            data += got
            while b"\r\n\r\n" in data:
                data = data.split(b"\r\n\r\n", 1)[1]
                self.s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def talk_mail(self):
        self.s.sendall(b"220 mail ready\r\n")
        data = b""
        while got := self.read():
            data += got
            while b"\n" in data:
                line, data = data.split(b"\n", 1)
                if line.upper().startswith(b"STARTTLS"):
                    self.s.sendall(b"220 go\r\n")
                    return self.talk_tls(data)
                self.s.sendall(b"250-mail\r\n250 STARTTLS\r\n" if line.upper().startswith(b"EHLO") else b"500 what\r\n")

    def run(self, how):
        try:
            self.s.settimeout(10)
            getattr(self, how)()
            while self.read():
                pass
        except (OSError, ValueError):
            pass
        finally:
            self.s.close()


def serve(address, port, out, how, context):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(4096)
    while True:
        connection, client = s.accept()
        threading.Thread(target=Application(out, connection, client, context).run, args=(how,), daemon=True).start()


def main():
    out = open(sys.argv[1], "w", buffering=1)
    plain, other = tls(*sys.argv[2:4]), tls(*sys.argv[2:4], "prime256v1")
    for address in sys.argv[4:]:
        for port, how, context in ((443, "talk_tls", plain), (8443, "talk_tls", other), (80, "talk_http", None), (25, "talk_mail", plain)):
            threading.Thread(target=serve, args=(address, port, out, how, context), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
