"""Twenty uploads of 100 MB at once: how far they move the server's memory, and what others feel of them."""

import json
import subprocess
import sys

from .loading import probe
from .rows import UPLOADS_MEMORY, Measured
from .senders import Sent
from .servers import HERE, PATIENCE_SECONDS, Server, Unmeasured, gateway, scratch

COUNT = 20
SIZE_BYTES = 100_000_000
#: What is uploaded stays for a job that waits.
_MODEL = "busy/hang"


def uploads() -> Measured:
    with scratch() as folder, gateway(folder) as server:
        _send(server, 1, 1_000_000)
        server.calm()
        before = server.forget_peak()
        talking, began = probe(server, connections=32), server.cpu_seconds()
        sent = _send(server, COUNT, SIZE_BYTES)
        grown = server.peak() - before
        took = server.cpu_seconds() - began
        lag = talking.end(now=True)
        server.calm()
        kept = server.forget_peak() - before
        files = [path.stat().st_size for path in (folder / "blobs").rglob("*") if path.is_file()]
    if files.count(SIZE_BYTES) != COUNT:
        raise Unmeasured(f"{files.count(SIZE_BYTES)} of {COUNT} files are there: {files}")
    return Measured(
        values={UPLOADS_MEMORY.name: grown / 1e6},
        figures={
            "uploads": COUNT,
            "uploads MB each": SIZE_BYTES / 1e6,
            "uploads MB/s in all": COUNT * SIZE_BYTES / 1e6 / sent.seconds,
            "uploads cpu ms a MB": took * 1e3 / (COUNT * SIZE_BYTES / 1e6),
            "uploads memory kept afterwards MB": kept / 1e6,
            "uploads probe p50 ms": lag.p50_ms,
            "uploads probe p99 ms": lag.p99_ms,
            "uploads probe max ms": lag.max_ms,
        },
    )


def _send(server: Server, count: int, size: int) -> Sent:
    """Uploads files from a process of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.senders", str(server.port), str(count), str(size), _MODEL],
        capture_output=True, cwd=HERE.parent, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Unmeasured(f"the uploading clients failed: {done.stderr.decode()[-500:]}")
    sent = Sent(**json.loads(done.stdout))
    if sent.statuses != {"202": count}:
        raise Unmeasured(f"the uploads were answered {sent.statuses}")
    return sent
