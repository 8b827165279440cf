"""Server-sent events, as they come from a vendor: bytes in, events out (HTML Living Standard, 9.2.5 and 9.2.6)."""

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    data: str
    #: "message" where the server does not say.
    type: str = "message"


class EventParser:
    """Takes a stream in pieces, cut wherever the network cut it. It keeps no more than the event that is under way;
    what is left of one when the stream ends is no event."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[str] = []
        self._type = ""
        self._first = True
        #: A line feed that comes now belongs to the line end before it.
        self._after_return = False

    def feed(self, piece: bytes) -> list[Event]:
        """The events that this piece of the stream ends."""
        if not piece:
            return []
        if self._after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_return = piece.endswith(b"\r")
        *ends, rest = _LINE_END.split(piece)
        events: list[Event] = []
        for end in ends:
            self._line += end
            line = bytes(self._line)
            self._line.clear()
            if self._first:
                self._first = False
                line = line.removeprefix(_BYTE_ORDER_MARK)
            if line:
                self._take(line.decode("utf-8", "replace"))
            elif (event := self._dispatched()) is not None:
                events.append(event)
        self._line += rest
        return events

    def _take(self, line: str) -> None:
        # A comment is a line whose field has no name.
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._type = value

    def _dispatched(self) -> Event | None:
        data, kind = self._data, self._type
        self._data, self._type = [], ""
        return Event("\n".join(data), kind or "message") if data else None
