"""A client that watches many jobs at once, each over a connection of its own, until all have ended.

    python -m bench.watch PORT PATH < ids

`PATH` has a * where the id belongs. Where the partial answers tell the time, as `upstream` does, it looks how late they
are. Prints one JSON line, a `Watched`.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass

from coatcheck.app import raise_descriptor_limit

from .load import percentile
from .servers import KEY

_STAMP = re.compile(rb"\d{10}\.\d{6}")


@dataclass(frozen=True, kw_only=True)
class Watched:
    #: Streams that came to their end.
    ended: int
    #: Events that told of progress, and moments in them.
    reports: int
    moments: int
    #: From a moment to its arrival.
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float


class Watch(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self._buffer = b""
        self.reports = 0
        self.late: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.time()
        *events, self._buffer = (self._buffer + data).split(b"\n\n")
        for event in events:
            if b"event: progress" in event:
                self.reports += 1
                self.late += [now - float(stamp) for stamp in _STAMP.findall(event)]
            elif b"event: completed" in event:
                self.done.set_result(None)
                self._transport.close()
                return

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError(f"a stream broke off: {self._buffer[-500:]!r}"))


async def watch(port: int, path: str, ids: list[str]) -> Watched:
    loop = asyncio.get_running_loop()
    watches = []
    for id in ids:
        request = f"GET {path.replace('*', id)} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-bf-vk: {KEY}\r\n\r\n"
        _, one = await loop.create_connection(lambda request=request: Watch(request.encode()), "127.0.0.1", port)  # type: ignore[misc]
        watches.append(one)
    await asyncio.gather(*(one.done for one in watches))
    late = sorted(seconds for one in watches for seconds in one.late)
    return Watched(
        ended=len(watches),
        reports=sum(one.reports for one in watches),
        moments=len(late),
        late_p50_ms=percentile(late, 50),
        late_p99_ms=percentile(late, 99),
        late_max_ms=percentile(late, 100),
    )


def main(port: int, path: str) -> None:
    raise_descriptor_limit()
    print(json.dumps(asdict(asyncio.run(watch(port, path, sys.stdin.read().split())))))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
