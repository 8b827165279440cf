"""Features for tests: calls of them, and whether an output is what the table says."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from coatcheck.engine.blobs import Blobs
from coatcheck.engine.calls import Call, File, Provider, Reply
from coatcheck.providers.features.provider import featured
from coatcheck.schemas.features.table import FEATURES
from coatcheck.schemas.fields import ListOf, Object, Shape

from .vendors import VENDORS
from .vendors.vendor import Answer, Seen, Vendor, served

#: A valid input of each feature, without files, and the files.
INPUTS: Mapping[str, Mapping[str, Any]] = {
    "text/embeddings": {"texts": ["hello"]},
    "text/language_detection": {"text": "The coat is ready."},
    "text/moderation": {"text": "hello"},
    "translation/language_detection": {"text": "The coat is ready."},
    "audio/speech_to_text_async": {},
    "audio/tts": {"text": "hello", "voice": "alloy"},
    "image/generation": {"text": "hello"},
    "ocr/ocr": {},
    "ocr/ocr_async": {},
}
FILES: Mapping[str, Mapping[str, tuple[bytes, ...]]] = {
    "audio/speech_to_text_async": {"file": (b"hello there",)},
    "ocr/ocr": {"file": (b"hello there",)},
    "ocr/ocr_async": {"file": (b"hello there",)},
}


def call(
    feature: str,
    given: Mapping[str, Any] | None = None,
    *,
    blobs: Blobs,
    model: str = "small",
    files: Mapping[str, tuple[bytes | Path, ...]] | None = None,
    params: Mapping[str, Any] | None = None,
    original: bool = False,
) -> Call:
    """A call of the feature at the provider "up", as the pool makes it; a file that is bytes is a text."""
    contents = FILES.get(feature, {}) if files is None else files
    kept = {
        role: tuple(_file(blobs, role, place, one) for place, one in enumerate(each)) for role, each in contents.items()
    }
    asked = FEATURES[feature].load(dict(INPUTS[feature] if given is None else given), kept)
    request = {"input": asked, "provider_params": {"up": dict(params or {})}, "show_original_response": original}
    return Call(job_id="j", operation=feature, model=model, request=request, files=kept, new_file=blobs.new)


def _file(blobs: Blobs, role: str, place: int, content: bytes | Path) -> File:
    if isinstance(content, Path):
        kind = {".png": "image/png", ".pdf": "application/pdf"}.get(content.suffix, "application/octet-stream")
        return File(name=content.name, media_type=kind, size_bytes=content.stat().st_size, path=content)
    path = blobs.folder.parent / f"{role}-{place}.txt"
    path.write_bytes(content)
    return File(name=path.name, media_type="text/plain", size_bytes=len(content), path=path)


def output(feature: str, reply: Reply) -> Any:
    """The output, after checking that it is what the table says, key by key, and that it names its files."""
    found = orjson.loads(reply.result)
    same_shape(feature, found)
    text = reply.result.decode()
    for blob in reply.files:
        assert (text.count(blob.placeholder), text.count(blob.link)) == (1, 1)
    assert text.count('"blob:') == len(reply.files)
    return found


def same_shape(feature: str, found: Any) -> None:
    FEATURES[feature].output_schema.check(found)
    _same_keys(FEATURES[feature].output_schema, found)


def _same_keys(schema: Shape, value: Mapping[str, Any]) -> None:
    assert set(value) == set(schema.fields)
    for name, field in schema.fields.items():
        inner = field.kinds[0] if isinstance(field, ListOf) else field
        if isinstance(inner, Object) and inner.inner is not None and value[name] is not None:
            for each in value[name] if isinstance(field, ListOf) else [value[name]]:
                _same_keys(inner.inner, each)


@asynccontextmanager
async def kept(folder: Path) -> AsyncIterator[Blobs]:
    blobs = Blobs(folder / "blobs")
    await blobs.open(folder / "coatcheck.db")
    try:
        yield blobs
    finally:
        await blobs.close()


@asynccontextmanager
async def vendor(kind: str | Vendor, answer: Answer, **options: Any) -> AsyncIterator[tuple[Provider, list[Seen]]]:
    """A provider "up" of that kind, with features, at a server that answers so; and what the server has seen."""
    speaks = kind if isinstance(kind, Vendor) else VENDORS.get(kind) or replace(VENDORS["openai"], kind=kind)
    async with served(speaks, answer, **options) as (provider, seen, _):
        yield featured("up", speaks.kind, provider), seen
