"""Clients that each upload one large file, all at once.

    python -m bench.senders PORT COUNT BYTES MODEL

The last bytes of each are sent when all the others have been. Prints the statuses of the answers and the seconds as
JSON.
"""

import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from .servers import BY_KEY, PATIENCE_SECONDS

_PIECE = b"\x80" * 262_144
_BOUNDARY = "bench"
_END = f"\r\n--{_BOUNDARY}--\r\n".encode()


@dataclass(frozen=True)
class Sent:
    statuses: dict[str, int]
    seconds: float


def send(port: int, count: int, size: int, model: str) -> Sent:
    """Uploads `count` recordings of `size` bytes."""
    statuses: Counter[str] = Counter()
    together = threading.Barrier(count)
    senders = [threading.Thread(target=_send, args=(port, size, model, together, statuses)) for _ in range(count)]
    began = time.perf_counter()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return Sent(dict(statuses), time.perf_counter() - began)


def _send(port: int, size: int, model: str, together: threading.Barrier, statuses: Counter[str]) -> None:
    head = _part('name="model"') + model.encode() + b"\r\n" + _part('name="file"; filename="recording.wav"')

    def pieces() -> Iterator[bytes]:
        yield head
        for at in range(0, size, len(_PIECE)):
            yield _PIECE[: size - at]
        together.wait(PATIENCE_SECONDS)
        yield _END

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    headers = {
        **BY_KEY,
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        "Content-Length": str(len(head) + size + len(_END)),
    }
    try:
        connection.request("POST", "/v1/async/audio/transcriptions", pieces(), headers)
        statuses[str(connection.getresponse().status)] += 1
    finally:
        connection.close()


def _part(said: str) -> bytes:
    return f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode()


if __name__ == "__main__":
    port, count, size = map(int, sys.argv[1:4])
    print(json.dumps(asdict(send(port, count, size, sys.argv[4]))))
