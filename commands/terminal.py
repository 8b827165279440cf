"""What a person sees: colour where it is wanted, text that fits, tables, and lines that are drawn again."""

import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TextIO

_COLOURS: Mapping[str, str] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

#: Of what was said, so that a person knows how it goes.
STATUS_COLOURS: Mapping[str, str] = {
    "pending": "yellow",
    "processing": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "dim",
    "due": "yellow",
    "delivered": "green",
    "dead": "red",
}


class Terminal:
    """A stream that a person may be reading, or a program or a file."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._stream = stream
        #: Whether lines can be drawn again.
        self.live = stream.isatty() and environ.get("TERM") != "dumb"
        #: https://no-color.org
        self._coloured = self.live and not environ.get("NO_COLOR")
        self._environ = environ

    @property
    def width(self) -> int:
        """In columns; what is no terminal has no bounds."""
        if not self._stream.isatty():
            return sys.maxsize
        try:
            found = int(self._environ.get("COLUMNS", ""))
        except ValueError:
            found = os.get_terminal_size(self._stream.fileno()).columns
        return found or shutil.get_terminal_size().columns

    def paint(self, text: str, colour: str | None) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if colour and self._coloured and text else text

    def say(self, *lines: str) -> None:
        for line in lines:
            self._stream.write(f"{line}\n")
        self._stream.flush()

    def show(self, text: str) -> None:
        """Text of someone else's: on a terminal, without what would control it."""
        self.say(printable(text) if self._stream.isatty() else text)

    def table(
        self, head: Sequence[str], rows: Iterable[Sequence[str]], *, flexible: int, widths: Sequence[int] = ()
    ) -> list[int]:
        """Says rows with aligned columns, the one of the index `flexible` cut so that the whole fits. Answers the
        columns' widths, for a table that goes on: with them it has no second head."""
        cells = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
        known = widths or [columns(name) for name in head]
        found = [
            max(width, *map(columns, column)) for width, column in zip(known, zip(*cells, strict=True), strict=True)
        ]
        spare = self.width - sum(found) - 2 * (len(found) - 1)
        found[flexible] = max(found[flexible] + min(spare, 0), 4)
        if not widths:
            self.say(self.paint(_aligned(head, found), "dim"))
        for row in cells:
            self.say(_aligned(row, found, self.paint))
        return found

    def hang(self, head: str, indent: int, text: str) -> None:
        """Says a text that begins after `head`, so many columns wide, and goes on below its beginning."""
        first, *rest = textwrap.wrap(printable(text), max(self.width - indent, 20)) or [""]
        self.say(f"{head}{first}", *(" " * indent + line for line in rest))


class Region:
    """Lines at the bottom of a terminal that are drawn again in place."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines = 0

    def draw(self, lines: Sequence[str]) -> None:
        """Puts these lines in the place of the last; each must fit in the terminal's width."""
        up = f"\x1b[{self._lines}A" if self._lines else ""
        self._stream.write(f"{up}\r\x1b[J" + "".join(f"{line}\n" for line in lines))
        self._stream.flush()
        self._lines = len(lines)

    def clear(self) -> None:
        self.draw([])


def _aligned(
    row: Sequence[str], widths: Sequence[int], paint: Callable[[str, str | None], str] = lambda text, _colour: text
) -> str:
    cells = [(cell, fitted(cell, width)) for cell, width in zip(row, widths, strict=True)]
    return "  ".join(paint(padded, STATUS_COLOURS.get(cell)) for cell, padded in cells).rstrip()


def printable(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") or c == "\u200d")


def columns(text: str) -> int:
    """How wide a terminal shows the text."""
    return sum(_width(c) for c in text)


def fitted(text: str, width: int) -> str:
    """The text in exactly so many columns: padded, or cut with an ellipsis."""
    if columns(text) <= width:
        return text + " " * (width - columns(text))
    taken, kept = 0, []
    for c in text:
        if taken + _width(c) > width - 1:
            break
        taken += _width(c)
        kept.append(c)
    return "".join(kept) + "…" + " " * (width - 1 - taken)


def tail(text: str, width: int, most: int) -> list[str]:
    """The last lines of a text, wrapped at that width, at most so many. As the text grows its lines stay as they are,
    but for the last."""
    # Far more than can be seen, and begun at the same place for as long as that is so.
    block = 8 * width * most
    shown = printable(text[max(len(text) // block - 1, 0) * block :]).expandtabs(4)
    lines: list[str] = []
    for paragraph in shown.split("\n"):
        line, taken = "", 0
        for c in paragraph:
            if taken + _width(c) > width:
                whole, space, begun = line.rpartition(" ")
                lines.append(whole if space else line)
                line = begun if space else ""
                taken = columns(line)
            line += c
            taken += _width(c)
        lines.append(line)
    return lines[-most:]


def _width(c: str) -> int:
    if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1
