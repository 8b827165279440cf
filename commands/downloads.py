"""Saves a job's answer: the files of its result, or its text."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coatcheck.engine.errors import CoatcheckError

from .answers import files, size, text
from .client import Server
from .terminal import Terminal

HELP = "save the answer: sound, images (numbered if there are several), else the text; - is standard output"


def save(server: Server, shown: Mapping[str, Any], name: str, err: Terminal) -> None:
    """Saves the answer of a completed job under that name. What is there is replaced, when all of the new has come.

    Raises `CoatcheckError`; what was saved until then stays.
    """
    operation, result = shown["operation"], shown["result"]
    count = len(files(result))
    if count == 0:
        if operation.startswith("images/"):
            raise CoatcheckError(f"there is nothing to save: {text(operation, result)}")
        said = text(operation, result) + "\n"
        if name == "-":
            sys.stdout.write(said)
            return
        with _Place(name) as place:
            place.write(said.encode())
        err.say(f"saved {name}")
        return
    if count > 1 and name == "-":
        raise CoatcheckError(f"there are {count} images, and standard output takes one: say -o FILE")
    for index in range(count):
        path = f"/v1/async/jobs/{shown['id']}/content?index={index}"
        if name == "-":
            server.download(path, sys.stdout.buffer.write)
            return
        numbered = _numbered(name, index + 1) if count > 1 else name
        with _Place(numbered) as place:
            taken = server.download(path, place.write)
        err.say(f"saved {numbered} ({size(taken)})")


class _Place:
    """A file that is there as a whole or not at all; what is no file, such as /dev/null, is written to."""

    def __init__(self, name: str) -> None:
        self._path = self._written = Path(name)
        if not self._path.name or self._path.is_dir():
            raise CoatcheckError(f"{name!r} is not the name of a file")
        if self._path.is_file() or not self._path.exists():
            self._written = self._path.with_name(f".{self._path.name}.part")

    def __enter__(self) -> "_Place":
        with self._told():
            self._file = self._written.open("wb")
        return self

    def write(self, data: bytes) -> None:
        with self._told():
            self._file.write(data)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            with self._told():
                self._file.close()
                if kind is None and self._written != self._path:
                    self._written.replace(self._path)
        finally:
            if self._written != self._path:
                self._written.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CoatcheckError(f"{self._path} cannot be written: {error.strerror}") from error


def _numbered(name: str, number: int) -> str:
    path = Path(name)
    return str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
