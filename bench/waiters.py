"""Five thousand clients at once that wait for their jobs: what each costs in memory, how the process answers others
meanwhile, and how soon each is answered when all jobs end in the same moment."""

import time
from dataclasses import dataclass

from .crowd import WARM_UP, affordable, until_held
from .load import Load
from .loading import Loading, chat, load, probe, raw
from .rows import WAITERS_LAG, WAITERS_MEMORY, WAITERS_WOKEN, Measured
from .servers import BY_KEY, Server, Unmeasured, bare, gateway, scratch, upstream

COUNT = 5000
#: Descriptors of a waiter: its own connection, and that of the call it waits for.
_DESCRIPTORS = 2
_WAIT = {**BY_KEY, "Prefer": "wait=60"}


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """Clients that wait, all of whom are known to."""

    load: Loading
    #: What the server has grown by.
    bytes: int


def waiters() -> Measured:
    count = affordable(_DESCRIPTORS * COUNT) // _DESCRIPTORS
    with scratch() as folder:
        with bare(folder) as server:
            load(server, [raw("GET", "/healthz")], f"--count={WARM_UP}", "--seconds=60")
            theirs = _gather(server, [f"/waits/{number}" for number in range(count)])
            server.ask("POST", "/answer")
            theirs.load.end()
        with upstream(folder) as slow, gateway(folder, slow=slow, concurrency=count) as server:
            _warm_up(server)
            taken = load(server, [chat("slow/model")], f"--count={count}", "--seconds=300", "--ids")
            until_held(slow, count)
            ours = _gather(server, [_poll(id) for ids in taken.ids for id in ids])
            waiting = probe(server)
            time.sleep(2)
            lag_waiting = waiting.end(now=True)
            waking = probe(server)
            slow.ask("POST", "/answer")
            woken = ours.load.end((200,))
            lag_waking = waking.end(now=True)
    if woken.requests != count:
        raise Unmeasured(f"{woken.requests} of {count} clients were answered")
    return _measured(count, ours.bytes, theirs.bytes, woken, lag_waiting, lag_waking)


def _poll(id: str) -> str:
    return f"/v1/async/chat/completions/{id}"


def _warm_up(server: Server) -> None:
    """So that what is made once is there."""
    taken = load(server, [chat("echo/wait-0.5")], f"--count={WARM_UP}", "--seconds=60", "--ids")
    requests = [raw("GET", _poll(id), headers=_WAIT) for ids in taken.ids for id in ids]
    load(server, requests, f"--connections={WARM_UP}", f"--count={WARM_UP}", "--seconds=60")


def _gather(server: Server, paths: list[str]) -> Crowd:
    server.calm()
    before, open_before = server.memory(), server.descriptors()
    requests = [raw("GET", path, headers=_WAIT) for path in paths]
    waiting = Loading(
        server, requests, f"--connections={len(paths)}", f"--count={len(paths)}", "--seconds=300", "--late"
    )
    server.until_open(open_before + len(paths))
    server.calm()
    return Crowd(load=waiting, bytes=server.memory() - before)


def _measured(count: int, ours: int, theirs: int, woken: Load, waiting: Load, waking: Load) -> Measured:
    return Measured(
        values={
            WAITERS_MEMORY.name: (ours - theirs) / count / 1000,
            WAITERS_LAG.name: waiting.p99_ms,
            WAITERS_WOKEN.name: woken.late_p99_ms / 1000,
        },
        figures={
            "waiters": count,
            "waiters gateway kB each": ours / count / 1000,
            "waiters bare handler kB each": theirs / count / 1000,
            "waiters probe p50 while they wait ms": waiting.p50_ms,
            "waiters probe max while they wait ms": waiting.max_ms,
            "waiters probe p99 while they are woken ms": waking.p99_ms,
            "waiters woken p50 ms": woken.late_p50_ms,
            "waiters woken max ms": woken.late_max_ms,
        },
    )
