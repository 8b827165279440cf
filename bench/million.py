"""What a million rows cost: those that lie there, and those that are being removed."""

import os
from collections.abc import Callable
from pathlib import Path

from . import seed
from .load import Load
from .loading import chat, load, raw
from .rounds import alternate
from .rows import MILLION_POLL, MILLION_SUBMIT, SWEEP_POLL, SWEEP_SUBMIT, Measured
from .servers import Server, Unmeasured, gateway, scratch
from .throughput import SECONDS, occupy, polls

ROWS = 1_000_000
PAIRS = 7
#: Jobs that are polled, from all over the table.
KNOWN = 5000
#: Requests a second: well below what the server can do, so that p99 tells of waiting for the sweep and not of a queue.
_PACE = ("--rate=500", "--connections=16", "--seconds=3")


def rows() -> Measured:
    """All four rows, over one pair of files."""
    with scratch() as place:
        empty, kept, expired = (place / part for part in ("empty", "kept", "expired"))
        for folder in (empty, kept, expired):
            folder.mkdir()
        seed.completed(kept / "coatcheck.db", ROWS, expires_in_seconds=24 * 3600)
        seed.completed(expired / "coatcheck.db", ROWS, expires_in_seconds=-60)
        os.sync()
        known = [raw("GET", f"/v1/async/chat/completions/{id}") for id in seed.ids(kept / "coatcheck.db", KNOWN)]
        lying = _lying(empty, kept, known)
        swept = _swept(kept, expired)
    return Measured(values=lying.values | swept.values, figures=lying.figures | swept.figures)


def _lying(empty: Path, kept: Path, known: list[bytes]) -> Measured:
    with gateway(empty) as a, gateway(kept) as b:
        occupy(a)
        occupy(b)
        few = polls(a)
        submits = alternate(
            lambda: load(a, [chat("busy/echo")], SECONDS).rate,
            lambda: load(b, [chat("busy/echo")], SECONDS).rate,
            PAIRS,
        )
        reads = alternate(lambda: load(a, few, SECONDS).rate, lambda: load(b, known, SECONDS).rate, PAIRS)
    return Measured(
        values={MILLION_SUBMIT.name: submits.ratio, MILLION_POLL.name: reads.ratio},
        figures={"submits/s with a million rows": submits.b, "polls/s with a million rows": reads.b},
    )


def _swept(kept: Path, expired: Path) -> Measured:
    """Each round starts its server anew, so that the sweep goes on under B alone."""

    def p99(folder: Path, take: Callable[[Server], Load]) -> float:
        with gateway(folder) as server:
            measured = take(server)
        if folder is expired and not seed.left(folder / "coatcheck.db"):
            raise Unmeasured("the sweep was over before the measurement was")
        return measured.p99_ms

    def submitting(server: Server) -> Load:
        return load(server, [chat("busy/echo")], *_PACE)

    def polling(server: Server) -> Load:
        return load(server, polls(server), *_PACE)

    with gateway(expired) as server:
        occupy(server)
    submits = alternate(lambda: p99(kept, submitting), lambda: p99(expired, submitting), PAIRS)
    reads = alternate(lambda: p99(kept, polling), lambda: p99(expired, polling), PAIRS)
    return Measured(
        values={SWEEP_SUBMIT.name: submits.ratio, SWEEP_POLL.name: reads.ratio},
        figures={
            "submit p99 ms": submits.a,
            "submit p99 ms during a sweep": submits.b,
            "poll p99 ms": reads.a,
            "poll p99 ms during a sweep": reads.b,
        },
    )
