"""Starts and stops the real binary."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import requests

ROOT = pathlib.Path(__file__).parent.parent.parent
BUILD = ROOT / os.environ.get("TESSERA_BUILD", "build/release")
BINARY = BUILD / "src/app/tessera"
MODELS = ROOT / "build/models"
CHAT = "smollm2-135m-instruct"
EMBED = "all-minilm-l6-v2"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(question, seconds, what):
    """The first true answer; fails loudly when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"{what} did not happen within {seconds} s")


def answers(url, status=200):
    try:
        return requests.get(url, timeout=5).status_code == status
    except requests.RequestException:
        return False


class Server:
    """`tessera serve` on a free loopback port, ready when the with-block begins."""

    def __init__(self, data_dir, *flags, env=None):
        self.data_dir = pathlib.Path(data_dir)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.flags = flags
        self.env = {**os.environ, **(env or {})}
        self.log = None
        self.process = None

    def start(self, wait_ready=True):
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self.log = self.data_dir.parent / f"{self.data_dir.name}-{self.port}.log"
        self.process = subprocess.Popen(
            [BINARY, "serve", "--data-dir", self.data_dir, "--models-dir", MODELS,
             "--port", str(self.port), *self.flags],
            stdout=self.log.open("ab"), stderr=subprocess.STDOUT, env=self.env)
        try:
            wait_until(lambda: self.alive() and answers(f"{self.url}/health"), 20, "GET /health")
            if wait_ready:
                wait_until(lambda: self.alive() and self.all_local_ready(), 60, "local endpoints READY")
        except BaseException:
            print(self.output())
            self.stop(signal.SIGKILL)
            raise
        return self

    def alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the server left with {self.process.returncode}:\n{self.output()}")
        return True

    def all_local_ready(self):
        return all(self.endpoint(name)["state"]["ready"] == "READY" for name in (CHAT, EMBED))

    @property
    def token(self):
        return (self.data_dir / "admin-token").read_text().strip()

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def output(self):
        return self.log.read_text(errors="replace")

    def get(self, path, **kwargs):
        return requests.get(self.url + path, headers=self.headers, timeout=60, **kwargs)

    def post(self, path, body, **kwargs):
        kwargs.setdefault("headers", self.headers)
        return requests.post(self.url + path, json=body, timeout=120, **kwargs)

    def register_version(self, catalog, schema, model, source):
        """A new version of an existing registered model, finalised; returns its number."""
        base = "/api/2.1/unity-catalog/models"
        made = self.post(f"{base}/versions", {"catalog_name": catalog, "schema_name": schema, "model_name": model,
                                              "source": str(source)})
        if made.status_code >= 400:
            return made
        version = int(made.json()["version"])
        done = requests.patch(f"{self.url}{base}/{catalog}.{schema}.{model}/versions/{version}/finalize",
                              json={"full_name": f"{catalog}.{schema}.{model}", "version": version},
                              headers=self.headers, timeout=60)
        return done

    def endpoint(self, name):
        return self.get(f"/api/2.0/serving-endpoints/{name}").json()

    def worker_pids(self, needle):
        """Processes `tessera worker …` below this server whose command line holds `needle`."""
        children = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(self.process.pid)],
                                  capture_output=True, text=True).stdout
        return [int(line.split()[0]) for line in children.splitlines()
                if " worker " in line and re.search(needle, line)]

    def worker_gauge(self, needle, name):
        """A value of the worker's own /metrics, read through its Unix socket."""
        (pid,) = self.worker_pids(needle)
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(words[words.index("--unix-socket") + 1])
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))

    def stop(self, how=signal.SIGTERM, seconds=40):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        return self.process.returncode

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
