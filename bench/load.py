"""A load generator that costs less than what it measures: HTTP/1.1 over raw asyncio protocols.

    python bench/load.py PORT [--connections 64] [--seconds 1] [--count N] [--rate N] [--ids] [--fresh] [--late]

Standard input holds the raw requests, separated by a line "----"; the connections send them in turn, one at a time
each, until the seconds are over, the count is reached or SIGTERM arrives. With a rate, each request has its moment, and
its latency counts from there: a server that stalls is not asked less. With --fresh, each request has a number of its
own where it says `FRESH`. Prints one JSON line, a `Load`.
"""

import argparse
import asyncio
import json
import re
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb'"id":"([0-9a-f-]{36})"')
_ENDED = re.compile(rb'"completed_at":"([^"]+)"')
SEPARATOR = b"----\n"
FRESH = b"@@@@@@@@@@@@@@@@"


@dataclass(frozen=True, kw_only=True)
class Load:
    #: Requests that were answered.
    requests: int
    #: The first request, by the wall clock.
    began_at: float
    #: From the first request to the last answer.
    seconds: float
    #: Answers a second.
    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    #: How many answers had which status.
    statuses: dict[int, int]
    #: The ids in the answers, by connection and then by age; empty unless they were asked for.
    ids: list[list[str]]
    #: From the end of the job that an answer shows to the answer's arrival; 0 unless that was asked for.
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float


class Budget:
    """What all connections share: when they end, and which request is next."""

    def __init__(self, requests: list[bytes], deadline: float, count: int | None, *, fresh: bool = False) -> None:
        self._requests = requests
        self._left = count
        self._sent = 0
        #: The last number that was given; no other load has the same.
        self._number = time.time_ns() if fresh else 0
        self.deadline = deadline

    def next(self) -> bytes | None:
        """The request to send now; None at the end."""
        if time.perf_counter() >= self.deadline or self._left == 0:
            return None
        if self._left is not None:
            self._left -= 1
        self._sent += 1
        request = self._requests[self._sent % len(self._requests)]
        if not self._number:
            return request
        self._number += 1
        return request.replace(FRESH, b"%016x" % self._number)

    def stop(self) -> None:
        self.deadline = 0.0


class Connection(asyncio.Protocol):
    """Sends one request at a time; `every` seconds apart, or at once after the answer where that is None."""

    def __init__(self, budget: Budget, every: float | None, phase: float, keep_ids: bool, tell_late: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._budget, self._every, self._keep_ids, self._tell_late = budget, every, keep_ids, tell_late
        self._at = time.perf_counter() + phase
        self._began = 0.0
        self._buffer = b""
        self._transport: asyncio.Transport
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.ids: list[str] = []
        self.late: list[float] = []
        self.done: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._go_on()

    def _go_on(self) -> None:
        wait = 0.0 if self._every is None else self._at - time.perf_counter()
        if wait > 0:
            self._loop.call_later(wait, self._send)
        else:
            self._send()

    def _send(self) -> None:
        request = self._budget.next()
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        if self._every is None:
            self._began = time.perf_counter()
        else:
            self._began = self._at
            self._at += self._every
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end)
        size = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < size:
            return
        self.latencies.append(time.perf_counter() - self._began)
        self.statuses[int(self._buffer[9:12])] += 1
        if self._keep_ids and (found := _ID.search(self._buffer, end)):
            self.ids.append(found[1].decode())
        if self._tell_late and (ended := _ENDED.search(self._buffer, end)):
            self.late.append(time.time() - datetime.fromisoformat(ended[1].decode()).timestamp())
        self._buffer = self._buffer[size:]
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed a connection"))


async def drive(
    port: int,
    requests: list[bytes],
    *,
    connections: int = 64,
    seconds: float = 1.0,
    count: int | None = None,
    rate: float | None = None,
    keep_ids: bool = False,
    fresh: bool = False,
    tell_late: bool = False,
) -> Load:
    """Loads the server on that port of the loopback. Raises `ConnectionError` if it closes a connection."""
    loop = asyncio.get_running_loop()
    began, began_at = time.perf_counter(), time.time()
    budget = Budget(requests, began + seconds, count, fresh=fresh)
    loop.add_signal_handler(signal.SIGTERM, budget.stop)
    every = None if rate is None else connections / rate
    made = [
        await loop.create_connection(
            lambda phase=(every or 0) * i / connections: Connection(budget, every, phase, keep_ids, tell_late),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        for i in range(connections)
    ]
    clients = [client for _, client in made]
    await asyncio.gather(*(client.done for client in clients))
    took = time.perf_counter() - began
    latencies = sorted(latency for client in clients for latency in client.latencies)
    late = sorted(seconds for client in clients for seconds in client.late)
    statuses: Counter[int] = sum((client.statuses for client in clients), Counter())
    return Load(
        requests=len(latencies),
        began_at=began_at,
        seconds=took,
        rate=len(latencies) / took,
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
        max_ms=percentile(latencies, 100),
        statuses=dict(statuses),
        ids=[client.ids for client in clients],
        late_p50_ms=percentile(late, 50),
        late_p99_ms=percentile(late, 99),
        late_max_ms=percentile(late, 100),
    )


def percentile(latencies: list[float], percent: int) -> float:
    """In milliseconds, of sorted seconds; by the nearest rank."""
    return latencies[max(0, -(-len(latencies) * percent // 100) - 1)] * 1000 if latencies else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Loads an HTTP server on the loopback.")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--count", type=int)
    parser.add_argument("--rate", type=float)
    for option in ("--ids", "--fresh", "--late"):
        parser.add_argument(option, action="store_true")
    given = parser.parse_args()
    requests = sys.stdin.buffer.read().split(SEPARATOR)
    load = asyncio.run(
        drive(
            given.port, requests, connections=given.connections, seconds=given.seconds, count=given.count,
            rate=given.rate, keep_ids=given.ids, fresh=given.fresh, tell_late=given.late,
        )
    )  # fmt: skip
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
