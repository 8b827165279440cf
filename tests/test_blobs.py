"""Files on disk: how they are written, and that nothing stays of one that was not written to its end."""

import asyncio
import hashlib
import os
import resource
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coatcheck.engine.blobs import _PIECE_BYTES as PIECE
from coatcheck.engine.blobs import Incoming
from coatcheck.engine.errors import BodyTooLarge, StoreUnavailable, StoreUnusable, Unusable
from coatcheck.engine.store import Store

from .files import keep, on_disk
from .jobs import opened

Run = Callable[[Awaitable[Any]], Any]


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """No file of this process grows beyond that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("sizes", [(), (0,), (5,), (PIECE - 1, 1, 1), (3 * PIECE + 7,), (PIECE // 3,) * 10])
def test_a_file_is_what_was_written_in_whatever_pieces(sizes: tuple[int, ...], folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            pieces = [os.urandom(size) for size in sizes]
            async with store.blobs.new("image/png") as file:
                for number, piece in enumerate(pieces):
                    await file.write((bytes, bytearray, memoryview)[number % 3](piece))
            whole = b"".join(pieces)
            path = store.blobs.path(file.blob.id)
            assert path.read_bytes() == whole
            assert (file.blob.size_bytes, file.blob.media_type) == (len(whole), "image/png")
            assert file.blob.sha256 == hashlib.sha256(whole).digest()
            assert path.stat().st_mode & 0o077 == 0, "other users may read it"
            assert on_disk(folder) == {file.blob.id}
            assert store.blobs.size_bytes == len(whole)

    run(main())


@pytest.mark.parametrize(
    ("total", "free", "scarce"),
    [(2**40, 2**30, False), (2**40, 2**30 - 1, True), (2000, 100, False), (2000, 99, True)],
)
def test_what_clients_send_leaves_room_on_the_disk_for_results(
    total: int, free: int, scarce: bool, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            left = [total, free]
            monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=left[0], free=left[1]))
            async with store.blobs.new("image/png") as result:
                await result.write(b"x" * PIECE)
            left[1] = total
            with pytest.raises(StoreUnavailable, match="almost full") if scarce else nullcontext():
                async with store.blobs.new("image/png", spares=True) as file:
                    await file.write(b"x" * PIECE)
                    left[1] = free
            assert len(on_disk(folder)) == (1 if scarce else 2)
            assert not list(store.blobs.incoming.iterdir())

    run(main())


def test_a_file_has_no_name_before_it_is_whole(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, store.blobs.new("image/png") as file:
            await file.write(bytes(PIECE))
            with pytest.raises(RuntimeError, match="not written yet"):
                print(file.blob)
            assert len(list(store.blobs.incoming.iterdir())) == 1

    run(main())


def test_nothing_stays_of_a_file_whose_writer_fails(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:

            async def write() -> None:
                async with store.blobs.new("image/png") as file:
                    await file.write(bytes(2 * PIECE))
                    raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await write()
            assert on_disk(folder) == set()
            assert store.blobs.size_bytes == 0

    run(main())


@pytest.mark.parametrize("steps", range(12))
def test_nothing_stays_of_a_file_whose_writer_is_cancelled_at_whatever_moment(
    steps: int, folder: Path, run: Run
) -> None:
    async def main() -> None:
        async with opened(folder) as store:

            async def write() -> str:
                async with store.blobs.new("image/png") as file:
                    for _ in range(3):
                        await file.write(bytes(PIECE))
                return file.blob.id

            writing = asyncio.create_task(write())
            for _ in range(steps):
                await asyncio.sleep(0)
            writing.cancel()
            # A second time while it cleans up.
            await asyncio.sleep(0)
            writing.cancel()
            (left,) = await asyncio.gather(writing, return_exceptions=True)
        # What a thread was still doing has been done when the store is closed.
        assert on_disk(folder) == ({left} if isinstance(left, str) else set())

    run(main())


def test_a_thread_that_comes_too_late_writes_nothing(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            for begun in (b"", b"begun"):
                file = store.blobs.new("image/png")
                if begun:
                    file._append(bytearray(begun))
                file._drop()
                file._append(bytearray(b"late"))
                file._keep()
            assert on_disk(folder) == set()

    run(main())


def test_a_file_that_is_too_large_is_refused_and_does_not_stay(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:

            async def write(file: Incoming, *pieces: bytes) -> None:
                async with file:
                    for piece in pieces:
                        await file.write(piece)

            await write(store.blobs.new("image/png", most=10), bytes(9), b"!")
            with pytest.raises(BodyTooLarge, match="larger than 10 bytes"):
                await write(store.blobs.new("image/png", most=10), bytes(10), b"!")
            ours = store.blobs.new("image/png", 3, lambda most: Unusable(f"not more than {most}"))
            with pytest.raises(Unusable, match="not more than 3"):
                await write(ours, bytes(4))
            assert len(on_disk(folder)) == 1

    run(main())


@pytest.mark.parametrize("size", [PIECE // 2, 3 * PIECE], ids=["at its end", "on the way"])
def test_a_file_that_the_disk_does_not_take_is_refused_and_does_not_stay(size: int, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            with full_disk(PIECE // 4), pytest.raises(StoreUnavailable, match="files cannot be kept: File too large"):
                await keep(store, bytes(size))
            assert on_disk(folder) == set()
            await keep(store)

    run(main())


def test_what_was_being_written_when_a_process_ended_is_gone_when_the_next_one_starts(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            kept = await keep(store)
            (store.blobs.incoming / "half a file").write_bytes(b"half")
        async with opened(folder) as store:
            assert on_disk(folder) == {kept.id}

    run(main())


def test_files_are_removed_once_and_twice(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            one, other = await keep(store, b"one"), await keep(store, b"other")
            await store.blobs.discard(one)
            assert on_disk(folder) == {other.id}
            await store.blobs.discard(one, other, other)
            assert (on_disk(folder), store.blobs.size_bytes) == (set(), 0)

    run(main())


def test_two_databases_do_not_share_a_folder(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            kept = await keep(store)
        (folder / "another").mkdir()
        with pytest.raises(StoreUnusable, match=r"holds the files of another database, .*/coatcheck\.db"):
            await Store.open(folder / "another" / "coatcheck.db", blobs=folder / "blobs")
        assert on_disk(folder) == {kept.id}
        async with opened(folder / "another"):
            """The one that refused has let its own file go."""

    run(main())


def test_a_database_and_its_folder_may_move_together(folder: Path, run: Run) -> None:
    async def main() -> None:
        (folder / "old").mkdir()
        async with opened(folder / "old") as store:
            kept = await keep(store)
        (folder / "old").rename(folder / "new")
        async with opened(folder / "new") as store:
            assert store.blobs.path(kept.id).exists()

    run(main())


def test_a_folder_that_cannot_be_made_refuses_the_start(folder: Path, run: Run) -> None:
    async def main() -> None:
        (folder / "blobs").write_text("not a folder")
        with pytest.raises(StoreUnusable, match=r"the folder of files .*/blobs cannot be written: .*File exists"):
            await Store.open(folder / "coatcheck.db", blobs=folder / "blobs")

    run(main())


def test_who_has_to_do_with_no_file_makes_no_folder(folder: Path, run: Run) -> None:
    async def main() -> None:
        store = await Store.open(folder / "coatcheck.db")
        assert await store.keys() == []
        await store.close()
        assert not (folder / "blobs").exists()

    run(main())
