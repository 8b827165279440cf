"""Ten thousand slow calls at once through one process: that all complete, what each costs in memory, and how the
process answers others meanwhile."""

import json
import resource
import subprocess
import sys
import time
from contextlib import suppress

from .loading import chat, load, probe
from .rows import HELD, HELD_MEMORY, HELD_TWICE, HELD_TWICE_MEMORY, Measured
from .servers import CHAT, HERE, PATIENCE_SECONDS, Server, Unmeasured, gateway, scratch, upstream
from .throughput import completed

COUNT = 10_000
#: Before memory is looked at, so that what is made once is there.
WARM_UP = 300
#: Descriptors beside those of the calls.
_SPARE = 300


def held() -> Measured:
    return _crowd(COUNT, HELD.name, HELD_MEMORY.name)


def held_twice() -> Measured:
    return _crowd(2 * COUNT, HELD_TWICE.name, HELD_TWICE_MEMORY.name)


def _crowd(wanted: int, name: str, memory: str) -> Measured:
    count = affordable(wanted)
    with scratch() as folder:
        with upstream(folder) as slow:
            client = _client_bytes(slow, count)
        # Another upstream, and so another port: the first one's connections are not waited for.
        with upstream(folder) as slow, gateway(folder, slow=slow, concurrency=count) as server:
            quiet = probe(server)
            load(server, [chat("echo/echo")], f"--count={WARM_UP}", "--seconds=60")
            lag_quiet = quiet.end(now=True)
            before = server.memory()
            began = time.perf_counter()
            ramp = probe(server)
            taken = load(server, [chat("slow/model")], f"--count={count}", "--seconds=300", "--ids")
            until_held(slow, count)
            ramped = time.perf_counter() - began
            lag_ramp = ramp.end(now=True)
            holding = probe(server)
            ours = server.memory() - before
            time.sleep(1)
            lag_held = holding.end(now=True)
            began = time.perf_counter()
            drain = probe(server)
            slow.ask("POST", "/answer")
            for ids in taken.ids:
                server.wait(ids[-1], "completed")
            drained = time.perf_counter() - began
            lag_drain = drain.end(now=True)
            asked = slow.ask("GET", "/healthz")["asked"]
        if asked != count:
            raise Unmeasured(f"the upstream was called {asked} times for {count} jobs")
        completed(folder, count + WARM_UP)
    each = (ours - client) / count / 1000
    return Measured(
        values={name: count, memory: each},
        figures={
            f"{name} gateway kB a job": ours / count / 1000,
            f"{name} bare client kB a call": client / count / 1000,
            f"{name} submitted and dialled s": ramped,
            f"{name} completed after the answers s": drained,
            f"{name} probe p99 before ms": lag_quiet.p99_ms,
            f"{name} probe p99 while submitting ms": lag_ramp.p99_ms,
            f"{name} probe max while submitting ms": lag_ramp.max_ms,
            f"{name} probe p99 while held ms": lag_held.p99_ms,
            f"{name} probe p99 while completing ms": lag_drain.p99_ms,
            f"{name} probe max while completing ms": lag_drain.max_ms,
        },
    )


def until_held(slow: Server, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (now := slow.ask("GET", "/healthz")["held"]) < count:
        if time.monotonic() > deadline:
            raise Unmeasured(f"{now} of {count} calls are at the upstream")
        time.sleep(0.02)


def _client_bytes(slow: Server, count: int) -> int:
    """What an aiohttp client grows by when it holds so many calls."""
    told = subprocess.run(
        [sys.executable, str(HERE / "client.py"), str(slow.port), str(count)],
        input=json.dumps({"model": "model", **CHAT}).encode(), capture_output=True, timeout=PATIENCE_SECONDS,
        check=False,
    )  # fmt: skip
    if told.returncode:
        raise Unmeasured(f"the bare client failed: {told.stderr.decode()[-500:]}")
    return int(told.stdout)


def affordable(count: int) -> int:
    """So many connections as the limit of descriptors allows; it is raised as far as the system lets us, for the
    processes that are started from here on."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard == resource.RLIM_INFINITY or hard >= count + _SPARE
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if enough else (count + _SPARE, count + _SPARE))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return count if hard == resource.RLIM_INFINITY else min(count, hard - _SPARE)
