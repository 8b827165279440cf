"""Files on disk: what clients upload, and what providers make that is not JSON.

A file is written under `incoming/`, synced, and renamed to its place; its row, and who uses it, are written in the
commit of the job that it belongs to. A file without a row is therefore of no use to anybody: see `collector`.
"""

import asyncio
import errno
import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from .errors import BodyTooLarge, CoatcheckError, StoreUnavailable, StoreUnusable
from .ids import new_id

log = logging.getLogger(__name__)

T = TypeVar("T")

#: What is written at once, off the loop; less waits in memory.
_PIECE_BYTES = 262_144
_THREADS = 4
#: What clients leave of a disk for results and for the database: a twentieth of it, and no more than so much.
_SPARE_SHARE, _SPARE_BYTES = 20, 1_073_741_824
#: The file that names the database, by its way from here: both may move together.
_NOTE = "database"


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """A file that is kept."""

    id: str
    size_bytes: int
    sha256: bytes
    media_type: str

    @property
    def placeholder(self) -> str:
        """What stands for the file in a result: a string of JSON that nobody could have known before."""
        return f"blob:{self.id}"

    @property
    def link(self) -> str:
        """What stands in a result for an address at which the file can be had."""
        return f"link:{self.id}"


def _too_large(most: int) -> CoatcheckError:
    return BodyTooLarge(f"the file is larger than {most} bytes")


class Blobs:
    """The folder of the files of one database, whose owner owns it too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        #: Bytes of the files in their places; without those of earlier processes until they have been looked at.
        self.size_bytes = 0
        #: The files that this process has begun, until those of earlier ones have been looked at; then None.
        self.begun: set[str] | None = set()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="coatcheck blobs")

    async def open(self, database: Path) -> None:
        """Makes the folder, and empties it of what was being written when an earlier process ended.

        Raises `StoreUnusable` if that cannot be done, or if the folder is another database's.
        """
        try:
            await self.off_loop(self._prepare, database)
        except StoreUnavailable as error:
            raise StoreUnusable(f"the folder of files {self.folder} cannot be written: {error.__cause__}") from error

    async def close(self) -> None:
        """Returns when nothing is being written or removed any more."""
        await asyncio.to_thread(self._threads.shutdown)

    def path(self, id: str) -> Path:
        """Where the file of that id is, if there is one."""
        return self.folder / id[:2] / id

    def new(
        self,
        media_type: str,
        most: int | None = None,
        too_large: Callable[[int], CoatcheckError] = _too_large,
        *,
        spares: bool = False,
    ) -> "Incoming":
        """A file to be written, of at most that many bytes; `too_large` makes the error that says so. `spares`: it is
        not what fills the disk."""
        return Incoming(self, media_type, most, too_large, spares)

    async def discard(self, *blobs: Blob) -> None:
        """Removes files that no row names. What cannot be removed is so at the next start."""
        try:
            await self.unlink(*(blob.id for blob in blobs))
        except StoreUnavailable as error:
            log.warning("%s", error)

    async def unlink(self, *ids: str) -> None:
        """Removes files; those that are gone already are no matter. Raises `StoreUnavailable`."""
        if ids:
            self.size_bytes -= await self.off_loop(self._unlink, ids)

    async def off_loop(self, work: Callable[..., T], *arguments: object) -> T:
        """Runs the work in a thread, to its end even if the caller is cancelled meanwhile.

        Raises `StoreUnavailable` for what goes wrong with files.
        """
        future = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        try:
            return await asyncio.shield(future)
        except OSError as error:
            raise StoreUnavailable(f"files cannot be kept: {error.strerror or error}", retry_after=5) from error

    def _prepare(self, database: Path) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._claim(database)
        self.incoming.mkdir(mode=0o700, exist_ok=True)
        for left in self.incoming.iterdir():
            left.unlink(missing_ok=True)

    def _claim(self, database: Path) -> None:
        """Notes whose files these are: what one database does not know is removed, and another's must not be."""
        other = other_database(self.folder, database)
        if other is not None:
            raise StoreUnusable(
                f"{self.folder} holds the files of another database, {other}: name a folder for each in [store] blobs"
            )
        (self.folder / _NOTE).write_text(os.path.relpath(database, self.folder.resolve()))

    def _unlink(self, ids: tuple[str, ...]) -> int:
        freed = 0
        for id in ids:
            with suppress(FileNotFoundError):
                path = self.path(id)
                size = path.stat().st_size
                path.unlink()
                freed += size
        return freed


def other_database(folder: Path, database: Path) -> Path | None:
    """The database whose files are in the folder, if it is there and not this one. Raises `OSError`."""
    with suppress(FileNotFoundError):
        known = (folder / _NOTE).read_text()
        other = (folder / known).resolve()
        if known and other.exists() and other != database.resolve():
            return other
    return None


class Incoming:
    """A file that is being written: `async with blobs.new(…) as file: await file.write(…)`, then `file.blob`."""

    def __init__(
        self,
        blobs: Blobs,
        media_type: str,
        most: int | None,
        too_large: Callable[[int], CoatcheckError],
        spares: bool,
    ) -> None:
        self._blobs = blobs
        self._media_type = media_type
        self._most = most
        self._too_large = too_large
        self._spares = spares
        self._id = new_id()
        if blobs.begun is not None:
            blobs.begun.add(self._id)
        self._path = blobs.incoming / self._id
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self._size = 0
        self._kept: Blob | None = None
        #: Threads take turns: one may still write for a task that was cancelled, while another removes the file.
        self._turn = threading.Lock()
        self._dropped = False

    @property
    def blob(self) -> Blob:
        """The file, once its context has ended."""
        if self._kept is None:
            raise RuntimeError("the file is not written yet")
        return self._kept

    async def __aenter__(self) -> Self:
        return self

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Raises the error for a file that is too large, or `StoreUnavailable` where the disk does not take it."""
        self._size += len(data)
        if self._most is not None and self._size > self._most:
            raise self._too_large(self._most)
        self._waiting += data
        if len(self._waiting) >= _PIECE_BYTES:
            piece, self._waiting = self._waiting, bytearray()
            await self._blobs.off_loop(self._append, piece)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._blobs.off_loop(self._keep)
                self._blobs.size_bytes += self._size
                self._kept = Blob(
                    id=self._id, size_bytes=self._size, sha256=self._digest.digest(), media_type=self._media_type
                )
        finally:
            # Whatever has ended it, a cancel included: nothing of the file stays.
            if self._kept is None:
                await self._blobs.off_loop(self._drop)

    def _append(self, piece: bytearray) -> None:
        with self._turn:
            self._write(piece)

    def _keep(self) -> None:
        with self._turn:
            self._write(self._waiting)
            if self._file is None or self._dropped:
                return
            os.fsync(self._file.fileno())
            self._file.close()
            path = self._blobs.path(self._id)
            try:
                path.parent.mkdir(mode=0o700)
                _sync(self._blobs.folder)
            except FileExistsError:
                pass
            self._path.rename(path)
            _sync(path.parent)

    def _drop(self) -> None:
        with self._turn:
            self._dropped = True
            if self._file is not None:
                self._file.close()
            for path in (self._path, self._blobs.path(self._id)):
                path.unlink(missing_ok=True)

    def _write(self, piece: bytearray) -> None:
        if self._dropped:
            return
        if self._spares and _is_scarce(self._blobs.folder):
            raise OSError(errno.ENOSPC, "the disk is almost full")
        if self._file is None:
            self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)
        with memoryview(piece) as view:
            self._digest.update(view)
            written = 0
            while written < len(view):
                written += self._file.write(view[written:])


def _is_scarce(folder: Path) -> bool:
    disk = shutil.disk_usage(folder)
    return disk.free < min(disk.total // _SPARE_SHARE, _SPARE_BYTES)


def _sync(folder: Path) -> None:
    """What was made or renamed in the folder is there after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
