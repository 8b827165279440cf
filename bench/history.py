"""What was measured when: one JSON line a run, in `bench/history.jsonl`."""

import json
import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .rows import Row

HISTORY = Path(__file__).with_name("history.jsonl")


def surroundings() -> dict[str, Any]:
    """What the figures of a run depend on, besides the code."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "aiohttp": version("aiohttp"),
        "cpus": os.cpu_count(),
    }


def entry(values: Mapping[str, float], figures: Mapping[str, float]) -> dict[str, Any]:
    """A run, as the history keeps it."""
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **_code(),
        **surroundings(),
        "values": {name: float(f"{value:.4g}") for name, value in values.items()},
        "figures": {name: float(f"{value:.4g}") for name, value in figures.items()},
    }


def read(path: Path) -> list[dict[str, Any]]:
    """All runs, oldest first."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, run: Mapping[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(run) + "\n")


def last(runs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """The row's value in the last run that measured it; None if none did."""
    values = [run["values"][name] for run in runs if name in run["values"]]
    return values[-1] if values else None


def table(rows: Sequence[Row], values: Mapping[str, float], before: Sequence[Mapping[str, Any]]) -> str:
    """The rows that were measured, beside their budgets, their aims and the run before."""
    lines = [["", "budget", "aim", "this run", "last run", ""]]
    for row in rows:
        value = values.get(row.name)
        lines.append(
            [
                row.title, row.show(row.budget), row.show(row.aim), row.show(value), row.show(last(before, row.name)),
                "could not be measured" if value is None else row.verdict(value),
            ]
        )  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(line[1:5], widths[1:5], strict=True)),
             line[5]]
        ).rstrip()
        for line in lines
    )  # fmt: skip


def _code() -> dict[str, Any]:
    """The commit, and whether there are changes beside it; nothing outside of a clone."""
    try:
        commit = _git("rev-parse", "--short=10", "HEAD")
        return {"commit": commit, "changed": bool(_git("status", "--porcelain", "--", ":!bench/history.jsonl"))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "--no-optional-locks", *arguments], cwd=HISTORY.parent, capture_output=True, text=True, check=True
    ).stdout.strip()
