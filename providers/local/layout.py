"""The layout of a page: lines of text that were found somewhere on it, put into the order in which one reads them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

#: All in heights of a line: a gap that parts two columns, two cells of a row, two paragraphs.
_GUTTER, _CELL, _PARAGRAPH = 1.0, 1.5, 0.9
#: A column has so many lines, of so many characters: cells of a table are neither.
_COLUMN_LINES, _COLUMN_CHARACTERS = 3, 15
#: How often a part of the page is cut again.
_CUTS = 12
#: Lines share a row if they overlap by so much of the lower one's height.
_SAME_ROW = 0.5


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of a line, where the line's model thinks that it is."""

    text: str
    confidence: float
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, kw_only=True)
class Line:
    text: str
    #: From 0 to 1, as the model scores it.
    confidence: float
    left: float
    top: float
    right: float
    bottom: float
    #: Empty where they were not asked for.
    words: tuple[Word, ...] = ()

    @property
    def height(self) -> float:
        return self.bottom - self.top


@dataclass(frozen=True, kw_only=True)
class Block:
    """A paragraph, or what else stands together; its rows are lines of `text`."""

    text: str
    lines: tuple[Line, ...]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return (
            round(min(line.left for line in self.lines)),
            round(min(line.top for line in self.lines)),
            round(max(line.right for line in self.lines)),
            round(max(line.bottom for line in self.lines)),
        )


def blocks(lines: Iterable[Line]) -> list[Block]:
    """The page's paragraphs, columns one after the other."""
    return [
        block for region in _regions([line for line in lines if line.text.strip()]) for block in _paragraphs(region)
    ]


def _regions(lines: list[Line], cuts: int = _CUTS) -> list[list[Line]]:
    """What is to be read from top to bottom in one go: the page is cut between columns, and above and below them."""
    if len(lines) < 2 * _COLUMN_LINES or not cuts:
        return [lines] if lines else []
    if columns := _columns(lines):
        left, right = columns
        return [*_regions(left, cuts - 1), *_regions(right, cuts - 1)]
    upper, lower = _halves(lines)
    if not lower:
        return [lines]
    above, below = _regions(upper, cuts - 1), _regions(lower, cuts - 1)
    return [lines] if len(above) == len(below) == 1 else [*above, *below]


def _columns(lines: Sequence[Line]) -> tuple[list[Line], list[Line]] | None:
    gutter = _GUTTER * median(line.height for line in lines)
    by_left = sorted(lines, key=lambda line: line.left)
    reached = by_left[0].right
    for index, line in enumerate(by_left):
        if line.left - reached > gutter and _is_column(by_left[:index]) and _is_column(by_left[index:]):
            return by_left[:index], by_left[index:]
        reached = max(reached, line.right)
    return None


def _is_column(lines: Sequence[Line]) -> bool:
    return len(lines) >= _COLUMN_LINES and median(len(line.text) for line in lines) >= _COLUMN_CHARACTERS


def _halves(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """Cut at the widest gap between rows; the second is empty where there is none."""
    by_top = sorted(lines, key=lambda line: line.top)
    reached = by_top[0].bottom
    widest, cut = 0.0, len(by_top)
    for index, line in enumerate(by_top):
        if line.top - reached > widest:
            widest, cut = line.top - reached, index
        reached = max(reached, line.bottom)
    return by_top[:cut], by_top[cut:]


def _paragraphs(lines: Sequence[Line]) -> list[Block]:
    found: list[list[list[Line]]] = []
    for row in _rows(lines):
        if found and _belongs(found[-1][-1], row):
            found[-1].append(row)
        else:
            found.append([row])
    return [
        Block(text="\n".join(map(_row_text, rows)), lines=tuple(line for row in rows for line in row)) for rows in found
    ]


def _rows(lines: Sequence[Line]) -> list[list[Line]]:
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (line.top + line.bottom) / 2):
        last = rows[-1][-1] if rows else None
        if last is not None:
            shared = min(last.bottom, line.bottom) - max(last.top, line.top)
            if shared > _SAME_ROW * min(last.height, line.height):
                rows[-1].append(line)
                continue
        rows.append([line])
    return [sorted(row, key=lambda line: line.left) for row in rows]


def _belongs(above: Sequence[Line], row: Sequence[Line]) -> bool:
    """Whether a row goes on with the paragraph of the one above it."""
    heights = median(line.height for line in above), median(line.height for line in row)
    gap = min(line.top for line in row) - max(line.bottom for line in above)
    return gap < _PARAGRAPH * min(heights) and max(heights) < 1.4 * min(heights)


def _row_text(row: Sequence[Line]) -> str:
    """Cells that stand apart are parted by a tab."""
    text = row[0].text.strip()
    for former, line in pairwise(row):
        apart = line.left - former.right > _CELL * min(former.height, line.height)
        text += ("\t" if apart else " ") + line.text.strip()
    return text
