"""Fixtures that every test may use."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .local_models import media, models_dir, served

__all__ = ["media", "models_dir", "served"]

#: A test that takes longer hangs.
_PATIENCE_SECONDS = 180


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on tmpfs where there is one: as fast as a fake, and real."""
    shm = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="coatcheck-test-", dir=shm if shm.is_dir() else None))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def run() -> Callable[[Any], Any]:
    """Runs a coroutine to its end, in a loop of its own; one that hangs fails."""

    async def bounded(work: Any) -> Any:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await work

    return lambda work: asyncio.run(bounded(work))
