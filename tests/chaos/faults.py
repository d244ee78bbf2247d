"""An S3 proxy that does what bad days do: errors, resets, cut and flipped bodies, stalls, darkness. Seeded; counts requests."""

import http.client
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# What the issue asks for. Probabilities of each request; bodies are cut, flipped and stalled on GET of a photo only.
SICK = {"500": 0.05, "503": 0.05, "reset": 0.02, "cut": 0.02, "stall": 0.01, "flip": 0.005}
STALL_SECONDS = 12


class Proxy:
    def __init__(self, endpoint, seed, faults):
        self.upstream = urlsplit(endpoint)
        self.faults = faults
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.counts = {}
        self.requests = 0
        self.dark_until = 0.0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def handle_any(self):
                proxy.serve(self)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                # A client that went away, or a connection that was reset here.
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def go_dark(self, seconds):
        self.dark_until = time.monotonic() + seconds

    def pick(self, is_photo):
        with self.lock:
            self.requests += 1
            drawn = self.random.random()
            where = self.random.random()
        for fault, chance in self.faults.items():
            if drawn < chance:
                if fault in ("cut", "stall", "flip") and not is_photo:
                    return None, where
                with self.lock:
                    self.counts[fault] = self.counts.get(fault, 0) + 1
                return fault, where
            drawn -= chance
        return None, where

    def serve(self, handler):
        length = int(handler.headers.get("content-length") or 0)
        sent = handler.rfile.read(length) if length else b""
        if time.monotonic() < self.dark_until:
            with self.lock:
                self.requests += 1
                self.counts["dark"] = self.counts.get("dark", 0) + 1
            return reset(handler)
        is_photo = handler.command == "GET" and ".jpg" in handler.path
        fault, where = self.pick(is_photo)
        if fault == "reset":
            return reset(handler)
        if fault in ("500", "503"):
            code = "InternalError" if fault == "500" else "SlowDown"
            return answer(handler, int(fault), {}, f"<Error><Code>{code}</Code></Error>".encode())
        upstream = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=60)
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "connection"}
        upstream.request(handler.command, handler.path, body=sent, headers=headers)
        got = upstream.getresponse()
        body = got.read()
        upstream.close()
        kept = {n: v for n, v in got.getheaders() if n.lower() not in ("transfer-encoding", "connection", "content-length")}
        if handler.command == "HEAD":
            return answer(handler, got.status, kept | {"Content-Length": got.getheader("content-length") or "0"}, None)
        if fault == "flip" and body:
            at = int(where * len(body))
            body = body[:at] + bytes([body[at] ^ 0x55]) + body[at + 1 :]
        if fault == "cut":
            return answer(handler, got.status, kept, body, upto=int(where * len(body)))
        if fault == "stall":
            return answer(handler, got.status, kept, body, upto=int(where * len(body)), stall=STALL_SECONDS)
        return answer(handler, got.status, kept, body)


def answer(handler, status, headers, body, upto=None, stall=0):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    if body is not None:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if body is None:
        return
    handler.wfile.write(body[:upto])
    if upto is not None:
        handler.wfile.flush()
        time.sleep(stall)
        reset(handler)


def reset(handler):
    """Ends the connection without a farewell."""
    handler.close_connection = True
    try:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        handler.connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
