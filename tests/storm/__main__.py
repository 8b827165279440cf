"""Runs a storm and prints what came of it.

    python -m tests.storm [--rounds 100] [--seconds 1.5] [--seed N]

Exits with 1 if anything was lost, ended or was called twice, or was answered wrongly. The seed gives the same chances
again, not the same storm: what happens first is up to the machine.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from .ledger import Fault
from .storm import Storm

#: Of each kind of fault, so many are printed.
_SHOWN = 10


async def _run(folder: Path, rounds: int, seconds: float, chance: random.Random) -> Storm:
    async with Storm(folder, chance, seconds) as storm:
        for number in range(1, rounds + 1):
            lived = await storm.live()
            print(f"{number:>4}/{rounds}  lived {lived:.2f} s  {_line(storm)}", flush=True)
        await storm.settle()
    return storm


def _line(storm: Storm) -> str:
    ledger = storm.ledger
    told = {"accepted": len(ledger.entries), "ended": ledger.ended, "interrupted": storm.interrupted}
    told |= {fault.value: len(ledger.faults[fault]) for fault in (Fault.TWICE, Fault.LOST)}
    return "  ".join(f"{name} {count}" for name, count in told.items())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description="Kills a server under load.")
    parser.add_argument("--rounds", type=int, default=100, help="kills (100)")
    parser.add_argument("--seconds", type=float, default=1.5, help="the longest life between two kills (1.5)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="coatcheck-storm-", dir=memory if memory.is_dir() else None))
    storm = asyncio.run(_run(folder, given.rounds, given.seconds, random.Random(given.seed)))
    ledger = storm.ledger
    print(f"\n{_line(storm)}")
    for fault in Fault:
        print(f"{fault.value:<30} {len(ledger.faults[fault]):>9,}")
    for name, count in sorted(ledger.counts.items()):
        print(f"{name:<30} {count:>9,}")
    if ledger.faultless:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    for fault, texts in ledger.faults.items():
        for text in texts[:_SHOWN]:
            print(f"{fault.value}: {text}")
    print(f"The database and the server's log are in {folder}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
