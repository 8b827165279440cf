"""Files of jobs for tests: kept in a store, and looked for on its disk."""

from collections.abc import Iterable
from pathlib import Path

from coatcheck.engine.blobs import Blob
from coatcheck.engine.jobs import Attached, Submission
from coatcheck.engine.store import Store

from .jobs import rows, submission


async def keep(store: Store, content: bytes = b"a file", media_type: str = "audio/wav") -> Blob:
    """A file on disk, without a row."""
    async with store.blobs.new(media_type) as file:
        await file.write(content)
    return file.blob


async def filed(store: Store, *contents: bytes, role: str = "file", **changes: object) -> Submission:
    """A submission with a file of each content; `changes` are those of `submission`."""
    blobs = [await keep(store, content) for content in contents]
    files = (Attached(role, place, blob, f"{role}-{place}.wav") for place, blob in enumerate(blobs))
    return submission(**changes)._replace(files=tuple(files))  # type: ignore[arg-type]


def on_disk(folder: Path) -> set[str]:
    """The ids of all files in their places, and the names of those that are being written."""
    shards = [*(folder / "blobs").glob("??"), folder / "blobs" / "incoming"]
    return {path.name for shard in shards for path in shard.iterdir()}


def in_rows(folder: Path) -> set[str]:
    """The ids of all blobs that have a row."""
    return {id for (id,) in rows(folder / "coatcheck.db", "SELECT id FROM blob")}


def ids(blobs: Iterable[Blob]) -> set[str]:
    return {blob.id for blob in blobs}
