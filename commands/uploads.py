"""A form with files (RFC 7578), read from the disk while it is sent."""

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from coatcheck.engine.errors import CoatcheckError

_PIECE_BYTES = 262_144
#: In a quoted string (RFC 2046); what would end the line is written as browsers do.
_QUOTED = str.maketrans({'"': '\\"', "\\": "\\\\", "\r": "%0D", "\n": "%0A"})


class Form:
    """The body of a request: its pieces, each time it is iterated over."""

    def __init__(self, texts: Sequence[tuple[str, str]], files: Sequence[tuple[str, Path]]) -> None:
        """Raises `CoatcheckError` if a file cannot be read."""
        boundary = secrets.token_hex(16)
        self._delimiter = f"--{boundary}\r\n".encode()
        self._end = f"--{boundary}--\r\n".encode()
        self._texts = [_head(name) + text.encode() + b"\r\n" for name, text in texts]
        self._files = [(_head(name, path.name), path, _size(path)) for name, path in files]
        self.content_type = f"multipart/form-data; boundary={boundary}"

    def __len__(self) -> int:
        """In bytes."""
        parts = [len(text) for text in self._texts] + [len(head) + size + 2 for head, _, size in self._files]
        return sum(parts) + len(parts) * len(self._delimiter) + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        """Raises `CoatcheckError` if a file can no longer be read as it was."""
        for text in self._texts:
            yield self._delimiter + text
        for head, path, size in self._files:
            yield self._delimiter + head
            yield from _pieces(path, size)
            yield b"\r\n"
        yield self._end


def _head(name: str, file_name: str | None = None) -> bytes:
    said = f'Content-Disposition: form-data; name="{name.translate(_QUOTED)}"'
    if file_name is not None:
        said += f'; filename="{file_name.translate(_QUOTED)}"'
    return f"{said}\r\n\r\n".encode(errors="replace")


def _size(path: Path) -> int:
    try:
        if not path.is_file():
            raise CoatcheckError(
                f"{path} cannot be sent: {'it is no file' if path.exists() else 'there is no such file'}"
            )
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        raise CoatcheckError(f"{path} cannot be read: {error.strerror}") from error


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """So many bytes of the file: as many were announced."""
    left = size
    try:
        with path.open("rb") as file:
            while left and (piece := file.read(min(left, _PIECE_BYTES))):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise CoatcheckError(f"{path} cannot be read: {error.strerror}") from error
    if left:
        raise CoatcheckError(f"{path} has become shorter while it was sent")
