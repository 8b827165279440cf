"""Real local models for tests: pulled once, served by real processes."""

import asyncio
import os
import select
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.calls import Call, Progress
from coatcheck.providers.local import LocalOptions, LocalProvider
from coatcheck.providers.models import models_directory, pull

CHAT = "smollm2-135m-instruct"
EMBEDDINGS = "minilm-l6-v2"

#: Keeps the small chat model from ending its answer: its end-of-turn and end-of-text tokens.
ENDLESS: dict[str, Any] = {"logit_bias": {"0": -100, "2": -100}}


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder that holds the two small models."""
    directory = models_directory()
    pull([CHAT, EMBEDDINGS], directory, print)
    return directory


@asynccontextmanager
async def local(models_dir: Path, **options: Any) -> AsyncIterator[LocalProvider]:
    provider = make(models_dir, **options)
    await provider.start()
    try:
        yield provider
    finally:
        await provider.close()


def make(models_dir: Path, **options: Any) -> LocalProvider:
    named: dict[str, Any] = {"models": (CHAT, EMBEDDINGS), "models_dir": str(models_dir), **options}
    return LocalProvider("local", LocalOptions(**named))


class Watch:
    """Hears a call's progress, and lets a test wait for it."""

    def __init__(self) -> None:
        self.heard: list[Progress] = []
        self._changed = asyncio.Event()

    def __call__(self, progress: Progress) -> None:
        self.heard.append(progress)
        self._changed.set()

    async def until(self, accept: Callable[[Progress], bool]) -> Progress:
        async with asyncio.timeout(60):
            while True:
                for progress in self.heard:
                    if accept(progress):
                        return progress
                self._changed.clear()
                await self._changed.wait()

    async def unit(self, unit: str) -> Progress:
        return await self.until(lambda progress: progress.unit == unit)


def call(operation: str, model: str, watch: Callable[[Progress], None] = lambda _: None, **request: Any) -> Call:
    return Call(
        job_id="job",
        operation=operation,
        model=model,
        request={"model": "a/client's spelling", **request},
        progress=watch,
    )


class Served:
    """A provider that serves a whole module of tests from one loop."""

    def __init__(self, runner: "asyncio.Runner", provider: LocalProvider) -> None:
        self._runner = runner
        self.provider = provider

    def ask(
        self, operation: str, model: str, watch: Callable[[Progress], None] = lambda _: None, **request: Any
    ) -> dict[str, Any]:
        reply = self._runner.run(self.provider.execute(call(operation, model, watch, **request)))
        assert reply.model == model
        assert reply.cost == 0
        result: dict[str, Any] = orjson.loads(reply.result)
        return result


@pytest.fixture(scope="module")
def served(models_dir: Path) -> Iterator[Served]:
    with asyncio.Runner() as runner:
        provider = make(models_dir)
        yield Served(runner, provider)
        runner.run(provider.close())


def has_ended(pidfd: int) -> bool:
    """Waits for the end of the process, ten seconds at most."""
    try:
        return bool(select.select([pidfd], [], [], 10)[0])
    finally:
        os.close(pidfd)
