"""Lists of the server, page by page."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from .answers import as_json
from .client import Server

#: The most that the server puts on a page.
_PAGE = 100


class Pages:
    """What a list of the server has, page by page; no page is empty. `limit`: None: all of it."""

    def __init__(self, server: Server, path: str, query: Mapping[str, str], limit: int | None) -> None:
        self._server = server
        self._path = path
        self._query = query
        self._left = limit
        #: Once all pages were read: whether there may be more beyond the limit.
        self.more = False

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        left, query = self._left, self._query
        while left is None or left > 0:
            asked = {**query, "limit": _PAGE if left is None else min(left, _PAGE)}
            answer = self._server.ask("GET", f"{self._path}?{urlencode(asked)}").json
            if answer["data"]:
                yield answer["data"]
            self.more = "next" in answer
            if not self.more:
                return
            query = {**query, "cursor": answer["next"]}
            left = None if left is None else left - len(answer["data"])


def limits(command: argparse.ArgumentParser) -> None:
    """Adds the options that say how much of a list is wanted."""
    many = command.add_mutually_exclusive_group()
    many.add_argument("--limit", type=_count, default=20, metavar="N", help="default: 20")
    many.add_argument("--all", action="store_true", help="without a limit")


def limit(options: argparse.Namespace) -> int | None:
    """What these say; None: all."""
    found: int | None = None if options.all else options.limit
    return found


def print_json(pages: Iterable[list[dict[str, Any]]]) -> None:
    """One document, written as the pages come: there may be a million."""
    sys.stdout.write('{"data": [')
    comma = ""
    for page in pages:
        sys.stdout.write(comma + ", ".join(as_json(one) for one in page))
        comma = ", "
    sys.stdout.write("]}\n")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return int(text)
