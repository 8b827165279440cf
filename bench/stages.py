"""Where the microseconds of a submit and of a poll go.

    python -m bench.stages

Processor time of all threads, in microseconds a request. The stages are measured one by one in this process, the totals
and what bare aiohttp takes in servers under load; what is left over is what the stages cost by being together: tasks
that are suspended and woken, threads that wait for the interpreter's lock.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import orjson
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict, CIMultiDictProxy

from coatcheck.app import config_keys, create_app
from coatcheck.engine.jobs import Outcome, State, Submission
from coatcheck.engine.keys import KeyRing
from coatcheck.engine.store import Store
from coatcheck.engine.targets import resolve
from coatcheck.handlers import auth, bodies, v1
from coatcheck.handlers.browsers import guard, host_rule
from coatcheck.handlers.gateway import GATEWAY
from coatcheck.schemas import v1 as dialect
from coatcheck.schemas.operations import OPERATIONS

from .servers import CHAT, KEY, bare, gateway, load, scratch
from .throughput import GET, POST, SUBMIT_BUSY, Cost, occupy, polls

BATCH = 64
_SECONDS = "--seconds=3"

Stages = dict[str, float]


def _each(stage: Callable[[], object], times: int = 5000) -> float:
    """Microseconds of one call."""
    rounds = []
    for _ in range(7):
        began = time.process_time()
        for _ in range(times):
            stage()
        rounds.append((time.process_time() - began) / times * 1e6)
    return median(rounds)


async def _batch(stage: Callable[[], Awaitable[object]]) -> float:
    """Microseconds of one of the `BATCH` jobs that `stage` handles together."""
    rounds = []
    for _ in range(50):
        began = time.process_time()
        await stage()
        rounds.append((time.process_time() - began) / BATCH * 1e6)
    return median(rounds)


async def _stages(folder: Path) -> tuple[Stages, Stages, Stages]:
    """Of a submit, of a poll of a job that waits, and of one that has completed."""
    app = create_app({"auth": {"keys": [{"name": "bench", "key": KEY}]}, "providers": {"echo": {"kind": "echo"}}})
    parts = app[GATEWAY]
    parts.keys = KeyRing(config_keys(parts.config))
    check = guard(host_rule(parts.config.server))
    request = make_mocked_request("POST", "/v1/async/chat/completions", headers={"Host": "127.0.0.1", "x-bf-vk": KEY})
    nothing: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
    operation = OPERATIONS["chat/completions"]
    body = orjson.dumps({"model": "echo/echo", **CHAT})
    parsed = bodies.parse(body)
    loaded = operation.load(parsed)
    target = resolve(loaded.model, operation.name, parts.providers)

    def made() -> Submission:
        return Submission(
            id=v1.request_id(nothing), dialect="v1", operation=operation.name, owner="key:config/bench",
            model=loaded.model, targets=(target,), request=orjson.dumps(loaded.body), ttl_seconds=3600,
            request_id=v1.request_id(nothing), created_at=parts.clock.now(),
        )  # fmt: skip

    def answered(content: bytes) -> web.Response:
        headers = {"Location": "/", "Retry-After": "1"}
        return web.Response(body=content, status=202, headers=headers, content_type="application/json")

    def admitted() -> None:
        check(request)
        auth.caller(parts, request)

    who = _each(admitted)
    one = made()
    submitting = {
        "host, origin, key": who,
        "JSON": _each(lambda: bodies.parse(body)),
        "schema": _each(lambda: operation.load(parsed)),
        "provider and model": _each(lambda: resolve(loaded.model, operation.name, parts.providers)),
        "two ids, the submission": _each(made),
        "the answer": _each(lambda: answered(dialect.accepted(one.id, one.created_at, one.request_id))),
    }
    store = await Store.open(folder / "coatcheck.db")
    try:
        known: list[str] = []

        async def submitted() -> None:
            jobs = [made() for _ in range(BATCH)]
            known.extend(job.id for job in jobs)
            await asyncio.gather(*[await store.submit(job, "echo") for job in jobs])

        building = submitting["two ids, the submission"]
        submitting[f"store, commits of {BATCH}"] = await _batch(submitted) - building
        waiting, ended = known[-BATCH:], known[:BATCH]
        result = b'{"id":"chatcmpl-1","choices":[{"index":0,"message":{"role":"assistant","content":"Paris."}}]}'
        done = Outcome(state=State.COMPLETED, status_code=200, body=result, resolved_model="echo")
        claimed = await store.claim("echo", {"key:config/bench": BATCH})
        await asyncio.gather(*[store.finish(job, done) for job in claimed])
        polling = []
        for ids in (waiting, ended):
            ticket = await store.ticket(ids[0], None)
            assert ticket is not None
            polling.append(
                {
                    "host, origin, key": who,
                    f"store, reads of {BATCH}": await _batch(
                        lambda ids=ids: asyncio.gather(*[store.ticket(id, "key:config/bench") for id in ids])  # type: ignore[misc]
                    ),
                    "the job as the dialect shows it": _each(lambda ticket=ticket: dialect.envelope(ticket)),  # type: ignore[misc]
                    "the answer": _each(lambda: answered(b"{}")),
                }
            )
    finally:
        await store.close()
    return submitting, polling[0], polling[1]


def _totals() -> dict[str, tuple[float, float]]:
    """What a request costs bare aiohttp and the gateway, under load."""
    with scratch() as folder, bare(folder) as theirs, gateway(folder) as ours:
        occupy(ours)
        asked = polls(ours)
        found = {}
        for name, request, requests in (
            ("submit", POST, [SUBMIT_BUSY]), ("poll, waits", GET, asked[1::2]), ("poll, completed", GET, asked[::2])
        ):  # fmt: skip
            a, b = Cost(theirs), Cost(ours)
            a.rate(lambda request=request: load(theirs, [request], _SECONDS))  # type: ignore[misc]
            b.rate(lambda requests=requests: load(ours, requests, _SECONDS))  # type: ignore[misc]
            found[name] = (a.microseconds, b.microseconds)
    return found


def main() -> int:
    with scratch() as folder:
        stages = asyncio.run(_stages(folder))
    for (name, (aiohttp, total)), parts in zip(_totals().items(), stages, strict=True):
        print(f"| {name} | µs |\n|---|---|\n| bare aiohttp | {aiohttp:.0f} |")
        for stage, cost in parts.items():
            print(f"| {stage} | {cost:.1f} |")
        print(f"| together | {total - aiohttp - sum(parts.values()):.0f} |\n| **in all** | **{total:.0f}** |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
