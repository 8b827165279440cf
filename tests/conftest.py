"""Fixtures that every test may use."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .local_models import models_dir, served

__all__ = ["models_dir", "served"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on tmpfs where there is one: as fast as a fake, and real."""
    shm = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="coatcheck-test-", dir=shm if shm.is_dir() else None))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def run() -> Callable[[Any], Any]:
    """Runs a coroutine to its end, in a loop of its own."""
    return asyncio.run
