"""One owner per database: a lock on a file beside it.

The lock is never on the database itself: closing any descriptor of that file would drop SQLite's own locks.
"""

import fcntl
import os
from pathlib import Path

from .errors import StoreLocked


class OwnerLock:
    """Held from creation to `release`, or to the death of the process."""

    def __init__(self, database: Path) -> None:
        """Raises `StoreLocked` if another process holds it."""
        path = database.with_name(database.name + ".lock")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._file, 32, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise StoreLocked(
                f"{database} is owned by another process{f' (pid {owner})' if owner else ''}; "
                "one process serves a database at a time"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        os.close(self._file)
