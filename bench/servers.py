"""Servers in processes of their own, from the start to the end of a `with`, and what is asked of them."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self

import psutil  # type: ignore[import-untyped]

HERE = Path(__file__).parent

KEY = "sk-bf-benchmark"
#: A chat as an application may send it.
CHAT = {
    "messages": [
        {"role": "system", "content": "You are a geographer. Answer in one short sentence."},
        {"role": "user", "content": "What is the capital of France, and how many people live there today?"},
    ],
    "temperature": 0.2,
    "max_tokens": 100,
}

#: How a request says whose it is.
BY_KEY = {"x-bf-vk": KEY}

_CALM_SECONDS = 0.5
#: Nothing here may take longer.
PATIENCE_SECONDS = 300.0

_CONFIG = """
[jobs]
max_pending = 100_000_000
max_pending_per_owner = 100_000_000
# A job that is interrupted by each of many stops goes on.
max_attempts = 1_000_000
shutdown_grace_seconds = 0

[[auth.keys]]
name = "bench"
key = "{key}"

[providers.echo]
kind = "echo"

# A lane with one slot, which a job that never ends takes.
[providers.busy]
kind = "echo"
concurrency = 1
"""

_SLOW = """
[providers.slow]
kind = "openai"
base_url = "http://127.0.0.1:{port}/v1"
concurrency = {concurrency}
operations = ["chat/completions"]
stream = {stream}
"""

_JWT = """
[auth.jwt]
issuer = "bench"
audience = "bench"
secret_env = "BENCH_SECRET"
"""
#: What tokens are signed with where that is asked for.
SECRET = "benchmark-" * 4


class Unmeasured(Exception):
    """something did not happen as the measurement needs it"""


class Server:
    """One process that answers HTTP on a port of the loopback."""

    def __init__(self, command: Sequence[str], port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder
        self._log = folder / f"server-{port}.log"
        self.began, self._spawned = time.time(), time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=_environ()
            )
        try:
            #: From the start of the process to its first answer.
            self.start_seconds = self._first_answer()
        except BaseException:
            self.stop()
            raise

    @classmethod
    @contextmanager
    def running(cls, command: Sequence[str], port: int, folder: Path) -> Iterator[Self]:
        """The server, which has answered; it is ended on leaving."""
        server = cls(command, port, folder)
        try:
            yield server
        finally:
            server.stop()

    def ask(self, method: str, path: str, body: object = None, key: Mapping[str, str] = BY_KEY) -> Any:
        """The answer's JSON; raises `Unmeasured` if it is an error."""
        return self._ask(method, path, body, key)[0]

    def etag(self, path: str) -> str:
        """The ETag of the answer to a GET."""
        found: str | None = self._ask("GET", path, None, BY_KEY)[1].get("ETag")
        if found is None:
            raise Unmeasured(f"GET {path} was answered without an ETag")
        return found

    def _ask(self, method: str, path: str, body: object, key: Mapping[str, str]) -> tuple[Any, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, dict(key))
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise Unmeasured(f"{method} {path} was answered {response.status}: {answer[:200]!r}")
        return json.loads(answer) if answer else None, response.headers

    def submit(self, model: str, key: Mapping[str, str] = BY_KEY) -> str:
        """The id of a new job."""
        id: str = self.ask("POST", "/v1/async/chat/completions", {"model": model, **CHAT}, key)["id"]
        return id

    def wait(self, id: str, status: str, key: Mapping[str, str] = BY_KEY) -> Any:
        """The job as a poll shows it, when it has this status."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (shown := self.ask("GET", f"/v1/async/jobs/{id}", key=key))["status"] != status:
            if time.monotonic() > deadline:
                raise Unmeasured(f"job {id} is still {shown['status']}")
            time.sleep(0.002)
        return shown

    def memory(self) -> int:
        """Bytes that belong to this process alone."""
        return int(psutil.Process(self._process.pid).memory_full_info().uss)

    def peak(self) -> int:
        """The most bytes it had in memory, what it shares included, since `forget_peak`."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def forget_peak(self) -> int:
        """From now on `peak` counts anew; what it begins with."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        return self.peak()

    def cpu_seconds(self) -> float:
        """Of all of its threads, in user and kernel."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def descriptors(self) -> int:
        """What it has open: files, and connections that it has accepted or made."""
        return int(psutil.Process(self._process.pid).num_fds())

    def until_open(self, count: int) -> None:
        """Returns when it has that many descriptors open."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (now := self.descriptors()) < count:
            if time.monotonic() > deadline:
                raise Unmeasured(f"a server has {now} descriptors open, not {count}")
            time.sleep(0.02)

    def calm(self) -> None:
        """Returns when it has nothing to do: for half a second it took less than a twentieth of a processor."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        before = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(_CALM_SECONDS)
            before, last = self.cpu_seconds(), before
            if before - last < _CALM_SECONDS / 20:
                return
        raise Unmeasured("a server does not come to rest")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _first_answer(self) -> float:
        began = self._spawned
        while time.perf_counter() - began < PATIENCE_SECONDS:
            if self._process.poll() is not None:
                raise Unmeasured(f"a server did not start: {self._log.read_text()[-2000:]}")
            try:
                self.ask("GET", "/healthz")
            except OSError:
                time.sleep(0.002)
            else:
                return time.perf_counter() - began
        raise Unmeasured("a server did not answer")


def _environ() -> dict[str, str]:
    """Without the settings of whoever runs the benchmark. Bytecode is kept: only a first start compiles."""
    left_out = ("COATCHECK_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "BENCH_SECRET": SECRET}


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on a disk, so that a sync is one: /tmp may be memory, /var/tmp is not."""
    place = Path("/var/tmp")
    with tempfile.TemporaryDirectory(prefix="coatcheck-bench-", dir=place if place.is_dir() else None) as name:
        yield Path(name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def bare(folder: Path) -> AbstractContextManager[Server]:
    port = free_port()
    return Server.running([sys.executable, str(HERE / "bare.py"), str(port)], port, folder)


def upstream(folder: Path) -> AbstractContextManager[Server]:
    port = free_port()
    return Server.running([sys.executable, str(HERE / "upstream.py"), str(port)], port, folder)


def gateway(
    folder: Path, *, slow: Server | None = None, concurrency: int = 1, stream: bool = False, tokens: bool = False
) -> AbstractContextManager[Server]:
    """A gateway with its data in `folder`; `slow` is the upstream of its provider of that name, which it may ask for
    streams. `tokens`: it takes JWTs too."""
    text = _CONFIG.format(key=KEY)
    if tokens:
        text += _JWT
    if slow is not None:
        text += _SLOW.format(port=slow.port, concurrency=concurrency, stream=json.dumps(stream))
    config = folder / "config.toml"
    config.write_text(text)
    return packaged_gateway(folder, "--config", str(config))


def packaged_gateway(folder: Path, *options: str) -> AbstractContextManager[Server]:
    """A gateway with the configuration that is part of the package, but for `options`."""
    port = free_port()
    command = [sys.executable, "-m", "coatcheck.cli", "serve", "--port", str(port), "--data", str(folder), *options]
    return Server.running(command, port, folder)
