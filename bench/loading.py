"""What is asked of servers, and the load generators that ask it."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from .load import SEPARATOR, Load
from .servers import BY_KEY, CHAT, HERE, PATIENCE_SECONDS, Server, Unmeasured


def raw(method: str, path: str, body: object = None, headers: Mapping[str, str] = BY_KEY) -> bytes:
    """A request as the load generator sends it."""
    content = json.dumps(body).encode() if body is not None else b""
    given = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{given}"
        f"Accept: */*\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def chat(model: str, path: str = "/v1/async/chat/completions", more: Mapping[str, str] | None = None) -> bytes:
    """A submit, with `more` headers."""
    return raw("POST", path, {"model": model, **CHAT}, {**BY_KEY, **(more or {})})


class Loading:
    """A load generator at work."""

    def __init__(self, server: Server, requests: Sequence[bytes], *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "load.py"), str(server.port), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(SEPARATOR.join(requests))
        self._process.stdin.close()
        self._process.stdin = None

    def end(self, expect: Sequence[int] = (200, 202), *, now: bool = False) -> Load:
        """What it measured. Raises `Unmeasured` if an answer was not as expected; `now` ends it before its time."""
        if now:
            self._process.terminate()
        try:
            out, problem = self._process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise Unmeasured("the load generator did not end") from None
        if self._process.returncode:
            raise Unmeasured(f"the load generator failed: {problem.decode()[-500:]}")
        told = json.loads(out)
        told["statuses"] = {int(status): count for status, count in told["statuses"].items()}
        measured = Load(**told)
        if not measured.requests or set(measured.statuses) - set(expect):
            raise Unmeasured(f"the answers were {measured.statuses}")
        return measured


def probe(server: Server, connections: int = 1) -> Loading:
    """Asks for /healthz a hundred times a second, until its end: what that waits is the lag of the server's loop, and
    more. A lag over 10 ms takes more than one of the connections, or one request waits for the other."""
    return Loading(server, [raw("GET", "/healthz")], f"--connections={connections}", "--rate=100", "--seconds=600")


def load(server: Server, requests: Sequence[bytes], *options: str, expect: Sequence[int] = (200, 202)) -> Load:
    """Loads the server and returns what was measured."""
    return Loading(server, requests, *options).end(expect)
