"""The client of a running server, local or remote: asks, and says what to do about a refusal.

On the standard library's HTTP alone: a command that asks one question is done before aiohttp is imported.
"""

import http.client
import json
import os
import ssl
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from coatcheck.engine.errors import CoatcheckError

from .events import Event, events
from .options import config_path
from .refusals import WHERE, refusal
from .uploads import Form

#: A server that says nothing for so long is gone; a stream of events has heartbeats in between.
PATIENCE_SECONDS = 60.0
_PIECE_BYTES = 262_144

#: What an address to listen on means for one who calls.
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class NotReached(CoatcheckError):
    """No server answered.

    `sent`: it may all the same have carried out what it was asked.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A server at an address, and the key to ask it with; None: without one."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """Raises `CoatcheckError` if either cannot be used."""
        self.url = url.rstrip("/")
        try:
            parts = urlsplit(self.url)
            self._host, self._port = parts.hostname, parts.port
            usable = parts.scheme in ("http", "https") and bool(self._host)
        except ValueError:
            usable = False
        if not usable:
            raise CoatcheckError(f"COATCHECK_URL: {url!r} is not an http or https address")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._prefix = parts.path
        self._key = key
        if key is not None and not (key.isascii() and key.isprintable()):
            raise CoatcheckError("COATCHECK_KEY holds characters that no key has")

    @classmethod
    def configured(cls, config: Path | None = None, environ: Mapping[str, str] = os.environ) -> "Server":
        """The server that COATCHECK_URL names, else the one of the configuration on this machine; COATCHECK_KEY is the
        key. Of the configuration only the address is read."""
        url = environ.get("COATCHECK_URL") or _address(config_path(config), environ)
        return cls(url, environ.get("COATCHECK_KEY", "").strip() or None)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> Answer:
        """One question; `body` goes as JSON, bytes and forms as they are.

        Raises `NotReached`, or `ServerRefused` for a status over 399 or an answer that is not this API's.
        """
        data = body if body is None or isinstance(body, bytes | Form) else json.dumps(body).encode()
        connection = self._connect(patience_seconds)
        try:
            response = self._send(connection, method, path, data, headers or {})
            try:
                answer = Answer(status=response.status, headers=response.headers, body=response.read())
            except (OSError, http.client.HTTPException) as error:
                raise NotReached(f"{self.url} broke off its answer: {_words(error)}", sent=True) from error
        finally:
            connection.close()
        self._check(answer, path)
        return answer

    def download(self, path: str, write: Callable[[bytes], object]) -> int:
        """Gives `write` the answer to a GET, piece by piece; how many bytes it had. Raises like `ask`."""
        connection = self._connect(PATIENCE_SECONDS)
        taken = 0
        try:
            response = self._send(connection, "GET", path, None, {})
            if response.status != 200:
                self._check(Answer(status=response.status, headers=response.headers, body=response.read()), path)
            while piece := self._piece(response):
                taken += len(piece)
                write(piece)
        finally:
            connection.close()
        return taken

    def _piece(self, response: http.client.HTTPResponse) -> bytes:
        try:
            piece = response.read(_PIECE_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise NotReached(f"{self.url} broke off its answer: {_words(error)}") from error
        if not piece and response.length:
            raise NotReached(f"{self.url} broke off its answer: {response.length} bytes are missing")
        return piece

    def events(self, id: str, after: str | None = None, *, deadline: float | None = None) -> Iterator[Event]:
        """The job's events after the one with the id `after`, as they come, until the last; none if that was the last.
        `deadline` is a reading of the monotonic clock.

        Raises `TimeoutError` at the deadline, `NotReached` if the connection cannot be had or breaks, `ServerRefused`.
        """
        path = f"/v1/async/jobs/{id}/events"
        connection = self._connect(_left(deadline))
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after is not None else {})}
        try:
            try:
                response = self._send(connection, "GET", path, None, headers)
            except NotReached:
                _left(deadline)
                raise
            if response.status == 204:
                return
            if response.status != 200:
                self._check(Answer(status=response.status, headers=response.headers, body=response.read()), path)
            yield from events(self._lines(connection, response, deadline))
        finally:
            connection.close()

    def _lines(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, deadline: float | None
    ) -> Iterator[str]:
        """The lines of a stream, without their ends."""
        while True:
            left = _left(deadline)
            # None if the server will close it: then its first time-out stays.
            if connection.sock is not None:
                connection.sock.settimeout(left)
            try:
                line = response.readline()
            except TimeoutError:
                _left(deadline)
                raise NotReached(f"{self.url} fell silent") from None
            except (OSError, http.client.HTTPException) as error:
                raise NotReached(f"the connection to {self.url} was lost: {_words(error)}") from error
            if not line:
                return
            yield line.decode(errors="replace").rstrip("\r\n")

    def _connect(self, patience_seconds: float) -> http.client.HTTPConnection:
        assert self._host is not None
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=patience_seconds, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=patience_seconds)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        data: bytes | Form | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        sent = {"Accept-Encoding": "identity", "User-Agent": "coatcheck", **headers}
        if isinstance(data, Form):
            sent |= {"Content-Type": data.content_type, "Content-Length": str(len(data))}
        elif data is not None:
            sent["Content-Type"] = "application/json"
        if self._key is not None:
            sent["Authorization"] = f"Bearer {self._key}"
        asked = False
        try:
            connection.connect()
            asked = True
            # A server that refuses a large body need not read it: its answer comes before all is sent.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, self._prefix + path, data, sent)
            return connection.getresponse()
        except TimeoutError as error:
            raise NotReached(f"{self.url} did not answer within {connection.timeout:g} s", sent=asked) from error
        except OSError as error:
            raise NotReached(f"no server answers at {self.url} ({_words(error)}): {WHERE}", sent=asked) from error
        except http.client.HTTPException as error:
            what = f"what answers at {self.url} does not speak HTTP ({_words(error)})"
            raise NotReached(f"{what}: {WHERE}", sent=asked) from error

    def _check(self, answer: Answer, path: str) -> None:
        found = refusal(self.url, path, answer.status, answer.headers, answer.body, keyed=self._key is not None)
        if found is not None:
            raise found


def _left(deadline: float | None) -> float:
    """Seconds to wait for the next byte; raises `TimeoutError` at the deadline."""
    if deadline is None:
        return PATIENCE_SECONDS
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(left, PATIENCE_SECONDS)


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate: {error.verify_message}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _address(config: Path, environ: Mapping[str, str]) -> str:
    """Where a server with this configuration listens. Only `serve` judges the file; here a broken one is no obstacle
    if the environment says host and port."""
    try:
        table = tomllib.loads(config.read_text()).get("server")
    except (OSError, ValueError):
        table = None
    table = table if isinstance(table, dict) else {}
    host = environ.get("COATCHECK_SERVER_HOST") or str(table.get("host", "127.0.0.1"))
    port = environ.get("COATCHECK_SERVER_PORT") or table.get("port", 8080)
    host = _ANY_HOST.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
