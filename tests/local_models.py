"""Real local models for tests: pulled once, served by real processes."""

import asyncio
import os
import select
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from coatcheck.engine.blobs import Blobs
from coatcheck.engine.calls import Call, File, Progress, Provider
from coatcheck.providers.features.provider import featured as provider_with_features
from coatcheck.providers.local.models import models_directory, pull
from coatcheck.providers.local.provider import LocalOptions, LocalProvider
from coatcheck.schemas.features.table import FEATURES

CHAT = "smollm2-135m-instruct"
EMBEDDINGS = "minilm-l6-v2"
SPEECH = "hibari-heart"
TRANSCRIPTION = "whisper-tiny.en"
OCR = "pp-ocrv6-small"
DRAWING = "procedural-1"
STYLES = "style-transfer-1"
LANGUAGES = "lid-176"
MEDIA = (SPEECH, TRANSCRIPTION, OCR, DRAWING, STYLES)

#: Keeps the small chat model from ending its answer: its end-of-turn and end-of-text tokens.
ENDLESS: dict[str, Any] = {"logit_bias": {"0": -100, "2": -100}}


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder that holds the small models."""
    directory = models_directory()
    pull([CHAT, EMBEDDINGS, TRANSCRIPTION], directory, print)
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


def call(
    operation: str,
    model: str,
    watch: Callable[[Progress], None] = lambda _: None,
    *,
    files: Mapping[str, tuple[Path, ...]] | None = None,
    blobs: Blobs | None = None,
    **request: Any,
) -> Call:
    more: dict[str, Any] = {"new_file": blobs.new} if blobs else {}
    return Call(
        job_id="job",
        operation=operation,
        model=model,
        request={"model": "a/client's spelling", **request},
        progress=watch,
        files={role: tuple(map(_file, paths)) for role, paths in (files or {}).items()},
        **more,
    )


def _file(path: Path) -> File:
    return File(
        name=path.name, media_type="application/octet-stream", size_bytes=path.stat().st_size, path=path.absolute()
    )


@dataclass(frozen=True)
class Made:
    """A result, and the files it names."""

    result: dict[str, Any]
    media_types: list[str]
    paths: list[Path]


class Served:
    """A provider that serves a whole module of tests from one loop."""

    def __init__(self, runner: "asyncio.Runner", provider: Provider, blobs: Blobs) -> None:
        self._runner = runner
        self._blobs = blobs
        self.provider = provider

    def feature(self, feature: str, model: str, given: Mapping[str, Any], **files: tuple[Path, ...]) -> "Made":
        """What the provider makes of a feature."""
        featured = Served(self._runner, provider_with_features("local", "local", self.provider), self._blobs)
        asked = {"input": FEATURES[feature].load(dict(given), files), "provider_params": {}}
        return featured.make(feature, model, **asked, show_original_response=False, files=files)

    def ask(
        self, operation: str, model: str, watch: Callable[[Progress], None] = lambda _: None, **request: Any
    ) -> dict[str, Any]:
        return self.make(operation, model, watch, **request).result

    def make(
        self, operation: str, model: str, watch: Callable[[Progress], None] = lambda _: None, **request: Any
    ) -> Made:
        """`files` among the request's fields are those of the request, by role."""
        asked = call(operation, model, watch, blobs=self._blobs, **request)
        reply = self._runner.run(self.provider.execute(asked))
        assert reply.model == model
        assert reply.cost == 0
        text = reply.result.decode()
        # Each file is named once, in the order of `files`.
        places = [text.index(f'"{blob.placeholder}"') for blob in reply.files]
        assert places == sorted(places)
        assert text.count('"blob:') == len(places)
        return Made(
            orjson.loads(text),
            [blob.media_type for blob in reply.files],
            [self._blobs.path(blob.id) for blob in reply.files],
        )


@pytest.fixture(scope="module")
def served(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with _serving(make(models_dir), tmp_path_factory) as served:
        yield served


@pytest.fixture(scope="module")
def media(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The models that hear, speak, read and draw, and the one that tells languages apart."""
    with _serving(make(models_dir, models=(*MEDIA, LANGUAGES)), tmp_path_factory) as served:
        yield served


@contextmanager
def _serving(provider: LocalProvider, folders: pytest.TempPathFactory) -> Iterator[Served]:
    with asyncio.Runner() as runner:
        folder = folders.mktemp("blobs")
        blobs = Blobs(folder / "blobs")
        runner.run(blobs.open(folder / "coatcheck.db"))
        yield Served(runner, provider, blobs)
        runner.run(provider.close())
        runner.run(blobs.close())


def has_ended(pidfd: int) -> bool:
    """Waits for the end of the process, ten seconds at most."""
    try:
        return bool(select.select([pidfd], [], [], 10)[0])
    finally:
        os.close(pidfd)
