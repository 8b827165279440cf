"""Submits, polls and jobs a second, against the bare handlers."""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

import jwt

from .load import FRESH, Load
from .loading import chat, load, raw
from .rounds import alternate
from .rows import CONDITIONAL, DONE, IDEMPOTENT, JWT, POLL, SUBMIT, Measured
from .servers import BY_KEY, SECRET, Server, Unmeasured, bare, gateway, scratch

PAIRS = 15
SECONDS = "--seconds=0.6"
#: Jobs that are polled: half of them have ended, half wait.
KNOWN = 128

POST = chat("echo/echo", "/jobs")
GET = raw("GET", "/jobs/3c90c3cc-0d44-4b50-8888-8dd25736052a")
SUBMIT_BUSY = chat("busy/echo")


class Cost:
    """The processor time that a server spends on a request; it hears less of the neighbours than the clock does."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seconds = 0.0
        self._requests = 0

    def rate(self, take: Callable[[], Load]) -> float:
        before = self._server.cpu_seconds()
        measured = take()
        self._seconds += self._server.cpu_seconds() - before
        self._requests += measured.requests
        return measured.rate

    @property
    def microseconds(self) -> float:
        return self._seconds / self._requests * 1e6


def occupy(server: Server) -> None:
    """Takes the one slot of the lane `busy`, for good: after a stop the job is the first to be claimed again."""
    server.wait(server.submit("busy/hang"), "processing")


def polls(server: Server, key: Mapping[str, str] = BY_KEY) -> list[bytes]:
    """Polls of jobs of which half have ended and half wait."""
    return [raw("GET", path, headers=key) for path in poll_paths(server, key)]


def poll_paths(server: Server, key: Mapping[str, str] = BY_KEY) -> list[str]:
    """Paths of jobs: by turns of one that has ended and of one that waits, since the lane `busy` is."""
    ended = [server.submit("echo/echo", key) for _ in range(KNOWN // 2)]
    waiting = [server.submit("busy/echo", key) for _ in ended]
    for id in ended:
        server.wait(id, "completed", key)
    return [f"/v1/async/chat/completions/{id}" for pair in zip(ended, waiting, strict=True) for id in pair]


def submits() -> Measured:
    with scratch() as folder, bare(folder) as a, gateway(folder) as b:
        occupy(b)
        return _compare(SUBMIT.name, "POST", a, POST, b, [SUBMIT_BUSY])


def known_polls() -> Measured:
    with scratch() as folder, bare(folder) as a, gateway(folder) as b:
        occupy(b)
        return _compare(POLL.name, "GET", a, GET, b, polls(b))


def _compare(
    name: str,
    method: str,
    a: Server,
    request: bytes,
    b: Server,
    requests: list[bytes],
    expect: Sequence[int] = (200, 202),
) -> Measured:
    ours, theirs = Cost(b), Cost(a)
    rounds = alternate(
        lambda: theirs.rate(lambda: load(a, [request], SECONDS)),
        lambda: ours.rate(lambda: load(b, requests, SECONDS, expect=expect)),
        PAIRS,
    )
    return Measured(
        values={name: rounds.ratio},
        figures={
            f"{name}s/s": rounds.b,
            f"bare {method}/s": rounds.a,
            f"{name} cpu µs": ours.microseconds,
            f"bare {method} cpu µs": theirs.microseconds,
        },
    )


def conditional() -> Measured:
    """Polls that name what they have seen, of jobs that have not changed."""
    with scratch() as folder, bare(folder) as a, gateway(folder) as b:
        occupy(b)
        paths = poll_paths(b)
        requests = [raw("GET", path, headers={**BY_KEY, "If-None-Match": b.etag(path)}) for path in paths]
        return _compare(CONDITIONAL.name, "GET", a, GET, b, requests, expect=(304,))


def idempotent() -> Measured:
    """Submits with a key that no other has had, against submits without."""
    with scratch() as folder, gateway(folder) as server:
        occupy(server)
        fresh = [chat("busy/echo", more={"Idempotency-Key": f'"{FRESH.decode()}"'})]
        plainly, repeatably = Cost(server), Cost(server)
        rounds = alternate(
            lambda: plainly.rate(lambda: load(server, [SUBMIT_BUSY], SECONDS)),
            lambda: repeatably.rate(lambda: load(server, fresh, SECONDS, "--fresh")),
            PAIRS,
        )
    return Measured(
        values={IDEMPOTENT.name: rounds.ratio},
        figures={
            f"{IDEMPOTENT.name} submits/s": rounds.b,
            f"{IDEMPOTENT.name} submit cpu µs": repeatably.microseconds,
            f"{IDEMPOTENT.name} plain submits/s": rounds.a,
            f"{IDEMPOTENT.name} plain submit cpu µs": plainly.microseconds,
        },
    )


def with_tokens() -> Measured:
    """Polls with a JWT, against polls with a virtual key, each of its owner's jobs."""
    token = jwt.encode({"iss": "bench", "aud": "bench", "sub": "alice", "exp": time.time() + 3600}, SECRET)
    bearer = {"Authorization": f"Bearer {token}"}
    with scratch() as folder, gateway(folder, tokens=True) as server:
        occupy(server)
        ours, theirs = polls(server), polls(server, bearer)
        keyed, signed = Cost(server), Cost(server)
        rounds = alternate(
            lambda: keyed.rate(lambda: load(server, ours, SECONDS)),
            lambda: signed.rate(lambda: load(server, theirs, SECONDS)),
            PAIRS,
        )
    return Measured(
        values={JWT.name: rounds.ratio},
        figures={
            f"{JWT.name} polls/s": rounds.b,
            f"{JWT.name} poll cpu µs": signed.microseconds,
            f"{JWT.name} polls/s with a virtual key": rounds.a,
            f"{JWT.name} poll cpu µs with a virtual key": keyed.microseconds,
        },
    )


def jobs_done() -> Measured:
    with scratch() as folder:
        accepted = 0

        def run(server: Server) -> float:
            """Jobs a second, from the first submit to the last end."""
            nonlocal accepted
            taken = load(server, [chat("echo/echo")], SECONDS, "--ids")
            accepted += taken.requests
            ended = max(server.wait(ids[-1], "completed")["completed_at"] for ids in taken.ids)
            return taken.requests / (datetime.fromisoformat(ended).timestamp() - taken.began_at)

        with bare(folder) as a, gateway(folder) as b:
            rounds = alternate(lambda: load(a, [POST], SECONDS).rate, lambda: run(b), PAIRS)
        completed(folder, accepted)
    return Measured(values={DONE.name: rounds.ratio}, figures={"jobs done/s": rounds.b})


def completed(folder: Path, count: int) -> None:
    """Raises `Unmeasured` unless exactly so many jobs have completed and none has ended otherwise or is left."""
    with closing(sqlite3.connect(folder / "coatcheck.db")) as db:
        states = dict(db.execute("SELECT state, COUNT(*) FROM job GROUP BY state").fetchall())
    if states != {"completed": count}:
        raise Unmeasured(f"of {count} jobs that were accepted, the states are {states}")
