#!/usr/bin/env python3
"""servers.py CERT KEY ADDRESS...: what stands outside: on each address HTTPS on 443, HTTP on 80 and
8080, and an echo on UDP 443 and 5000. Prints "ready" when all of them listen."""
import http.server
import socket
import socketserver
import ssl
import sys
import threading


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        size = self.path.strip("/")
        body = b"." * int(size) if size.isdigit() else \
            f"{self.headers.get('Host', '?').split(':')[0]} says hello\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):  # HTTPServer would ask DNS for its own name
    request_queue_size = 512
    allow_reuse_address = True
    daemon_threads = True
    tls = None

    def handle_error(self, *_):
        pass  # a denied client resets in the middle: nothing to say

    def finish_request(self, request, client_address):
        if self.tls:  # in the connection's own thread: a held hello must not stop the others
            request.settimeout(20)
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)


def serve(address, port, tls=None):
    kind = type("S", (Server,), {"tls": tls, "address_family":
                                 socket.AF_INET6 if ":" in address else socket.AF_INET})
    threading.Thread(target=kind((address, port), Site).serve_forever, daemon=True).start()


def echo(address, port):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))

    def loop():
        while True:
            data, who = s.recvfrom(65536)
            s.sendto(data, who)
    threading.Thread(target=loop, daemon=True).start()


def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[1], sys.argv[2])
    for address in sys.argv[3:]:
        serve(address, 443, tls)
        serve(address, 80)
        serve(address, 8080)
        echo(address, 443)
        echo(address, 5000)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
