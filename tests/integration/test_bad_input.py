"""Hostile bodies and slow clients: each a clear error, nothing falls."""

import gzip
import json
import socket

import pytest
import requests
from support import CHAT

PATH = f"/serving-endpoints/{CHAT}/invocations"


def raw(server, body, headers=None):
    return requests.post(server.url + PATH, data=body, headers={**server.headers, **(headers or {})}, timeout=30)


@pytest.mark.parametrize("body,fragment", [
    (b"", "Bad request"),
    (b"{", "Bad request"),
    (b"[]", "object"),
    (b'{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}", "Bad request"),
    (b'{"messages": NaN}', "Bad request"),
    (b'{"messages": "\xff\xfe"}', "Bad request"),
    (b'{"messages":[{"role":"user","content":"x"}],"max_tokens":"5"}', "max_tokens"),
    (b'{"messages":[{"role":"user","content":"x"}],"max_tokens":1.5}', "max_tokens"),
    (b'{"messages":[{"role":"user","content":"x"}],"max_tokens":1e400}', "too large"),
    (b'{"messages":[{"role":"user","content":"x"}],"seed":9223372036854775808}', "seed"),
    (b'{"messages":[{"role":"user","content":"x"}],"stream_options":{}}', "stream"),
    (b'{"messages":[{"role":"user","content":["x"]}]}', "messages[0]"),
    (b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}]}', "image_url"),
    (b'{"messages":[{"role":"user","content":"x"}],"stop":[""]}', "stop"),
    (b'{"messages":[{"role":"user","content":"x"}],"logit_bias":{"99999999":1}}', "99999999"),
    (b'{"prompt":[999999999]}', "999999999"),
    (b'{"inputs":[1]}', 'json: unknown field "inputs"'),
])
def test_bad_bodies(server, body, fragment):
    answer = raw(server, body)
    assert answer.status_code == 400, answer.text
    error = answer.json()
    assert "error" not in error and error["error_code"] in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")
    assert fragment in error["message"], error["message"]
    assert answer.headers["x-request-id"]


def test_body_limit(server):
    big = json.dumps({"messages": [{"role": "user", "content": "x" * (4 << 20)}]}).encode()
    answer = raw(server, big)
    assert answer.status_code == 413 and answer.json()["error_code"] == "REQUEST_TOO_LARGE"
    bomb = gzip.compress(b" " * (64 << 20))
    assert raw(server, bomb, {"Content-Encoding": "gzip"}).status_code == 413
    ok = gzip.compress(b'{"messages":[{"role":"user","content":"x"}],"max_tokens":1}')
    assert raw(server, ok, {"Content-Encoding": "gzip"}).status_code == 200


def test_media_type_method_and_path(server):
    assert raw(server, b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}).status_code == 415
    answer = requests.get(server.url + PATH, headers=server.headers, timeout=10)
    assert answer.status_code == 405 and "POST" in answer.headers["Allow"]
    assert requests.get(f"{server.url}/api/2.0/nope", headers=server.headers, timeout=10).json()["error_code"] == (
        "ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize("request_bytes", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
])
def test_hostile_connections(server, request_bytes):
    with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        sock.sendall(request_bytes)
        sock.settimeout(10)
        try:
            answer = sock.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or answer.split()[1][:1] in (b"4", b"5")
    assert requests.get(f"{server.url}/health", timeout=5).status_code == 200
