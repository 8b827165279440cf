"""Runs the benchmark, prints its table and appends it to the history.

    python -m bench [--long] [--only NAME …] [--history FILE]

Exits with 1 if a row could not be measured; a missed budget is printed, and is no error.
"""

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import crowd, history, million, rows, starts, streams, throughput, uploads, waiters
from .rows import Measured, Row


@dataclass(frozen=True, kw_only=True)
class Measurement:
    rows: tuple[Row, ...]
    take: Callable[[], Measured]
    #: Whether it takes minutes.
    long: bool = False


MEASUREMENTS = (
    Measurement(rows=(rows.SUBMIT,), take=throughput.submits),
    Measurement(rows=(rows.POLL,), take=throughput.known_polls),
    Measurement(rows=(rows.DONE,), take=throughput.jobs_done),
    Measurement(rows=(rows.CONDITIONAL,), take=throughput.conditional),
    Measurement(rows=(rows.IDEMPOTENT,), take=throughput.idempotent),
    Measurement(rows=(rows.JWT,), take=throughput.with_tokens),
    Measurement(rows=(rows.WAITERS_MEMORY, rows.WAITERS_LAG, rows.WAITERS_WOKEN), take=waiters.waiters),
    Measurement(rows=(rows.STREAMS_MEMORY, rows.STREAMS_LAG, rows.STREAMS_LATE), take=streams.streams),
    Measurement(rows=(rows.UPLOADS_MEMORY,), take=uploads.uploads),
    Measurement(rows=(rows.HELD, rows.HELD_MEMORY), take=crowd.held),
    Measurement(rows=(rows.HELD_TWICE, rows.HELD_TWICE_MEMORY), take=crowd.held_twice, long=True),
    Measurement(rows=(rows.PENDING_START,), take=starts.first_claim),
    Measurement(rows=(rows.START,), take=starts.first_answer),
    Measurement(
        rows=(rows.MILLION_SUBMIT, rows.MILLION_POLL, rows.SWEEP_SUBMIT, rows.SWEEP_POLL), take=million.rows, long=True
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    names = [row.name for measurement in MEASUREMENTS for row in measurement.rows]
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures Coatcheck against bare aiohttp.")
    parser.add_argument("--long", action="store_true", help="also the rows that take minutes")
    parser.add_argument("--only", nargs="+", choices=names, metavar="ROW", help=f"of {', '.join(names)}")
    parser.add_argument("--history", type=Path, default=history.HISTORY, metavar="FILE")
    given = parser.parse_args(arguments)
    if given.only:
        chosen = [m for m in MEASUREMENTS if {row.name for row in m.rows} & set(given.only)]
    else:
        chosen = [m for m in MEASUREMENTS if given.long or not m.long]
    return run(chosen, given.history)


def run(measurements: Sequence[Measurement], path: Path) -> int:
    """Takes the measurements; the exit code."""
    print(", ".join(f"{name} {value}" for name, value in history.surroundings().items()), flush=True)
    all_of = Measured()
    failed = False
    for measurement in measurements:
        print(f"measuring {', '.join(row.name for row in measurement.rows)} …", file=sys.stderr, flush=True)
        try:
            measured = measurement.take()
        except Exception:
            # The other rows are worth having.
            traceback.print_exc()
            failed = True
            continue
        all_of.values.update(measured.values)
        all_of.figures.update(measured.figures)
    before = history.read(path)
    print(f"\n{history.table([row for m in measurements for row in m.rows], all_of.values, before)}\n")
    print("Absolute figures, of this machine in this minute:")
    for name, figure in all_of.figures.items():
        print(f"  {name:<45} {figure:>12,.4g}" if figure < 1000 else f"  {name:<45} {figure:>12,.0f}")
    if all_of.values:
        history.append(path, history.entry(all_of.values, all_of.figures))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
