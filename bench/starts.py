"""How long a start takes: to the first answer, and with a backlog to the first claim."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from . import seed
from .rounds import alternate
from .rows import PENDING_START, START, Measured
from .servers import Unmeasured, bare, gateway, packaged_gateway, scratch

PAIRS = 5
BACKLOG = 100_000


def first_answer() -> Measured:
    """With the configuration of the package, whose local models are not loaded before they are asked for."""
    with scratch() as folder:

        def theirs() -> float:
            with bare(folder) as server:
                return server.start_seconds

        def ours() -> float:
            with packaged_gateway(folder) as server:
                return server.start_seconds

        rounds = alternate(theirs, ours, PAIRS)
    return Measured(values={START.name: rounds.b}, figures={"bare start s": rounds.a, "start ÷ bare": rounds.ratio})


def first_claim() -> Measured:
    with scratch() as folder:
        seeded = folder / "seeded.db"
        seed.pending(seeded, BACKLOG, "busy/hang")

        def theirs() -> float:
            with bare(folder) as server:
                return server.start_seconds

        def ours() -> float:
            path = folder / "coatcheck.db"
            shutil.copyfile(seeded, path)
            with gateway(folder) as server:
                began = server.began
                server.wait(first, "processing")
            claimed = _first_claim(path)
            path.unlink()
            return claimed - began

        (first,) = seed.ids(seeded, 1)
        rounds = alternate(theirs, ours, PAIRS)
    return Measured(values={PENDING_START.name: rounds.b}, figures={"start with a backlog ÷ bare": rounds.ratio})


def _first_claim(path: Path) -> float:
    """When the job that has been claimed was; at the stop it waits again, but the moment stays."""
    with closing(sqlite3.connect(path)) as db:
        claimed = db.execute("SELECT claimed_at FROM job WHERE claimed_at IS NOT NULL").fetchall()
    if len(claimed) != 1:
        raise Unmeasured(f"{len(claimed)} jobs were claimed for one slot")
    return float(claimed[0][0]) / 1e6
