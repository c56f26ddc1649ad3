"""Reads requests, finds the dialect, writes answers whole or in streams, with faults on demand."""

import dataclasses
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import ai21, anthropic, bedrock, cohere, google, openai
from .answers import Answer
from .checks import Refusal
from .world import marker

DIALECTS = [openai, anthropic, cohere, ai21, google, bedrock]


@dataclasses.dataclass
class Request:
    method: str
    path: str  # as sent, with the query
    headers: dict  # lower-case names
    body: bytes
    scenario: str = ""

    @property
    def json(self):
        return json.loads(self.body)


class MockProvider:
    def __init__(self, port=0):
        self.requests = []
        self._scripts = []
        self._lock = threading.Lock()
        self.left = 0  # streams whose client went away
        mock = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                mock.serve(self)

            do_GET = do_POST

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # clients leave as they please

        self._server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def script(self, *scenarios):
        with self._lock:
            self._scripts = list(scenarios)

    def reset(self):
        with self._lock:
            self.requests.clear()
            self._scripts = []
            self.left = 0

    @property
    def last(self):
        return self.requests[-1]

    def serve(self, http):
        length = int(http.headers.get("content-length") or 0)
        body = http.rfile.read(length)
        headers = {name.lower(): value for name, value in http.headers.items()}
        request = Request(http.command, http.path, headers, body)
        is_token = re.search(r"/token$|^/$", http.path) is not None
        with self._lock:
            self.requests.append(request)
            scripted = self._scripts.pop(0) if self._scripts and not is_token else None
        request.scenario = marker(body) if scripted is None else scripted
        delay = re.fullmatch(r"latency-(\d+)", request.scenario)
        if delay:
            time.sleep(int(delay[1]) / 1000)
        answer = self.answer(request)
        try:
            self.write(http, request, answer)
        except (BrokenPipeError, ConnectionResetError):
            with self._lock:
                self.left += 1
            http.close_connection = True

    def answer(self, request):
        path = request.path.split("?")[0]
        for dialect in DIALECTS:
            for pattern, handle in dialect.ROUTES:
                match = re.fullmatch(pattern, path)
                if not match:
                    continue
                try:
                    error = re.fullmatch(r"error-([a-z0-9]+)", request.scenario)
                    if error and error[1] == "html":
                        return Answer(502, b"<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
                    if error:
                        return dialect.error(error[1], request)
                    return handle(request, *match.groups())
                except Refusal as refusal:
                    return dialect.refuse(refusal)
        return Answer(404, json.dumps({"error": {"message": f"no such path {path}"}}).encode())

    def write(self, http, request, answer):
        http.send_response(answer.status)
        http.send_header("content-type", answer.content_type)
        for name, value in answer.headers.items():
            http.send_header(name, value)
        if answer.frames is None:
            http.send_header("content-length", str(len(answer.body)))
            http.end_headers()
            http.wfile.write(answer.body)
            return
        http.send_header("transfer-encoding", "chunked")
        http.end_headers()
        http.wfile.flush()
        self.write_stream(http, request.scenario, answer)

    def write_stream(self, http, scenario, answer):
        frames = list(answer.frames)
        middle = max(1, len(frames) // 2)
        if scenario == "cut":
            frames = frames[:middle]
        elif scenario == "malformed":
            frames = frames[:middle] + [answer.garbage]
        elif scenario == "overload-mid":
            frames = frames[:middle] + [answer.overload]
        elif scenario == "overload-first":
            frames = [answer.overload]

        def chunk(data):
            http.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
            http.wfile.flush()

        for i, frame in enumerate(frames):
            if scenario == "slow":
                time.sleep(0.1)
            if scenario == "stall" and i == middle:
                time.sleep(30)
            if scenario == "bytes":
                for at in range(len(frame)):
                    chunk(frame[at:at + 1])
            else:
                chunk(frame)
        http.wfile.write(b"0\r\n\r\n")
        http.wfile.flush()
