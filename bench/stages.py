"""Where the microseconds of a submit and of a poll go.

    python -m bench.stages

Processor time of all threads, in microseconds a request. The stages are measured one by one in this process, the totals
and what bare aiohttp takes in servers under load; what is left over is what the stages cost by being together: tasks
that are suspended and woken, threads that wait for the interpreter's lock.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from statistics import median

import orjson
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from coatcheck.app import create_app
from coatcheck.engine import trace
from coatcheck.engine.ids import new_id
from coatcheck.engine.jobs import Outcome, State, Submission
from coatcheck.engine.targets import resolve
from coatcheck.handlers import auth, bodies, headers, tickets
from coatcheck.handlers.browsers import guard, host_rule
from coatcheck.handlers.errors import answered as answering
from coatcheck.handlers.gateway import GATEWAY, Gateway
from coatcheck.handlers.requests import present
from coatcheck.schemas import v1 as dialect
from coatcheck.schemas.operations import OPERATIONS

from .loading import load
from .servers import CHAT, KEY, bare, gateway, scratch
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


def _driven(work: Coroutine[None, None, object]) -> None:
    """Runs what never waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("a stage has waited")


async def _stages(folder: Path) -> tuple[Stages, Stages, Stages]:
    """Of a submit, of a poll of a job that waits, and of one that has completed."""
    tables = {"auth": {"keys": [{"name": "bench", "key": KEY}]}, "providers": {"echo": {"kind": "echo"}}}
    app = create_app(tables, data=folder)
    runner = web.AppRunner(app)
    await runner.setup()
    # As `serve` does: else each stage pays for looking through all that was imported.
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    try:
        return await _measured(app[GATEWAY])
    finally:
        await runner.cleanup()


async def _measured(parts: Gateway) -> tuple[Stages, Stages, Stages]:
    given = {"Host": "127.0.0.1", "x-bf-vk": KEY}
    request = make_mocked_request("POST", "/v1/async/chat/completions", headers=given)
    asking = make_mocked_request("GET", "/v1/async/chat/completions/id", headers=given)
    operation = OPERATIONS["chat/completions"]
    body = orjson.dumps({"model": "echo/echo", **CHAT})
    parsed = bodies.parse(body)
    loaded = operation.load(parsed)
    target = resolve(loaded.model, operation.name, parts.providers)

    nothing = web.Response()
    middleware = answering(guard(host_rule(parts.config.server)))

    async def handle(_request: web.Request) -> web.StreamResponse:
        return nothing

    def made() -> Submission:
        now = parts.clock.now()
        return Submission(
            id=new_id(), dialect="v1", operation=operation.name, owner="key:config/bench", model=loaded.model,
            targets=(target,), request=bodies.render(loaded.body),
            ttl_seconds=headers.ttl_seconds(request.headers.get("x-bf-async-job-result-ttl"), parts.config.jobs),
            request_id=present(request.headers).request_id,
            priority=headers.priority(request.headers.get("Priority")), created_at=now,
            cancel_at=headers.cancel_at(request.headers.get("Cancel-After"), now), trace=trace.read(request.headers),
        )  # fmt: skip

    def answered() -> web.Response:
        again = tickets.retry_after(parts.pool.forecast.seconds_for(one))
        content = dialect.accepted(one.id, one.created_at, one.request_id)
        return web.Response(
            body=content, status=202, headers={"Location": "/", "Retry-After": again}, content_type="application/json"
        )

    both = {
        "middleware: browsers' rules, the log's context": _each(lambda: _driven(middleware(request, handle))),  # type: ignore[arg-type]
        "key": _each(lambda: auth.caller(parts, request)),
    }
    one = made()
    submitting = both | {
        "JSON": _each(lambda: bodies.parse(body)),
        "schema": _each(lambda: operation.load(parsed)),
        "provider and model": _each(lambda: resolve(loaded.model, operation.name, parts.providers)),
        "headers, an id, the submission": _each(made),
        "the answer and its headers": _each(answered),
    }
    store = parts.store
    known: list[str] = []

    async def submitted() -> None:
        jobs = [made() for _ in range(BATCH)]
        known.extend(job.id for job in jobs)
        # To the store alone: the pool knows nothing of these, and leaves them where they are.
        await asyncio.gather(*[await store.submit(job, "echo") for job in jobs])

    building = submitting["headers, an id, the submission"]
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
        showing = _each(lambda ticket=ticket: dialect.envelope(ticket))  # type: ignore[misc]
        shown = _each(lambda ticket=ticket: tickets.show(asking, parts, ticket))  # type: ignore[misc]
        polling.append(
            both
            | {
                f"store, reads of {BATCH}": await _batch(
                    lambda ids=ids: asyncio.gather(*[store.ticket(id, "key:config/bench") for id in ids])  # type: ignore[misc]
                ),
                "the job as the dialect shows it": showing,
                "the answer, its ETag and headers": shown - showing,
            }
        )
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
