"""A thousand event streams at once: what each costs in memory, and how late the upstream's tokens arrive."""

import json
import subprocess
import sys
from collections.abc import Sequence

from .crowd import WARM_UP, affordable, until_held
from .loading import chat, load, probe, raw
from .rows import STREAMS_LAG, STREAMS_LATE, STREAMS_MEMORY, Measured
from .servers import HERE, PATIENCE_SECONDS, Server, Unmeasured, bare, gateway, scratch, upstream
from .upstream import TOKENS
from .watch import Watched

COUNT = 1000
#: Descriptors of a stream: its own connection, and that of the call it watches.
_DESCRIPTORS = 2
_EVENTS = "/v1/async/jobs/*/events"


class Watching:
    """Clients that watch, each one job, in a process of their own."""

    def __init__(self, server: Server, path: str, ids: Sequence[str]) -> None:
        self._server = server
        server.calm()
        self._bytes_before, self._open = server.memory(), server.descriptors() + len(ids)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.watch", str(server.port), path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HERE.parent,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(ids).encode())
        self._process.stdin.close()
        self._process.stdin = None

    def grown(self) -> int:
        """The bytes that the server has grown by, when all watch and nothing happens."""
        self._server.until_open(self._open)
        self._server.calm()
        return self._server.memory() - self._bytes_before

    def end(self) -> Watched:
        try:
            out, problem = self._process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise Unmeasured("the streams did not end") from None
        if self._process.returncode:
            raise Unmeasured(f"the watching clients failed: {problem.decode()[-500:]}")
        return Watched(**json.loads(out))


def streams() -> Measured:
    count = affordable(_DESCRIPTORS * COUNT) // _DESCRIPTORS
    with scratch() as folder:
        with bare(folder) as server:
            load(server, [raw("GET", "/healthz")], f"--count={WARM_UP}", "--seconds=60")
            watching = Watching(server, "/streams/*", [str(number) for number in range(count)])
            theirs = watching.grown()
            server.ask("POST", "/answer")
            watching.end()
        with upstream(folder) as slow, gateway(folder, slow=slow, concurrency=count, stream=True) as server:
            warm = load(server, [chat("echo/wait-0.5")], f"--count={WARM_UP}", "--seconds=60", "--ids")
            Watching(server, _EVENTS, [id for ids in warm.ids for id in ids]).end()
            taken = load(server, [chat("slow/model")], f"--count={count}", "--seconds=300", "--ids")
            until_held(slow, count)
            watching = Watching(server, _EVENTS, [id for ids in taken.ids for id in ids])
            ours = watching.grown()
            talking, began = probe(server), server.cpu_seconds()
            slow.ask("POST", "/answer")
            watched = watching.end()
            took = server.cpu_seconds() - began
            lag = talking.end(now=True)
    if watched.ended != count or watched.moments != count * TOKENS:
        raise Unmeasured(f"{watched.ended} of {count} streams have ended, with {watched.moments} tokens")
    return Measured(
        values={
            STREAMS_MEMORY.name: (ours - theirs) / count / 1000,
            STREAMS_LAG.name: lag.p99_ms,
            STREAMS_LATE.name: watched.late_p99_ms,
        },
        figures={
            "streams": count,
            "streams gateway kB each": ours / count / 1000,
            "streams bare handler kB each": theirs / count / 1000,
            "streams late p50 ms": watched.late_p50_ms,
            "streams late max ms": watched.late_max_ms,
            "streams probe p50 ms": lag.p50_ms,
            "streams probe max ms": lag.max_ms,
            "streams tokens": watched.moments,
            "streams events": watched.reports,
            "streams cpu µs a token": took / watched.moments * 1e6,
        },
    )
