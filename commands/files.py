"""What `coatcheck check` finds of the folder of files."""

import os
from pathlib import Path

from coatcheck.engine.blobs import other_database

from .findings import Finding, failed


def files(folder: Path, database: Path) -> Finding:
    """`database` is the one that these are to belong to."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            return failed("files", f"{existing} cannot be written", "choose a folder in [store] blobs, or its owner")
        other = other_database(folder, database)
    except OSError as error:
        return failed("files", f"{folder} cannot be read: {error.strerror}", "run this as the server's user")
    if other is not None:
        return failed("files", f"{folder} holds those of {other}", "name a folder for each in [store] blobs")
    there = "can be used" if existing == folder else "is not there yet; the first start makes it"
    return Finding(subject="files", message=f"{folder} {there}")
