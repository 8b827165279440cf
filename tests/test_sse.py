"""Server-sent events, however the network cuts them."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coatcheck.providers.sse import Event, EventParser

from .openai_streams import CHAT, WIRE


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    ends = [0, *sorted(places), len(stream)]
    return [stream[start:end] for start, end in pairwise(ends)]


def parsed(pieces: Iterable[bytes]) -> list[Event]:
    parser = EventParser()
    return [event for each in pieces for event in parser.feed(each)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event("YHOO\n+2\n10")]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n", ["first event", "second event"]),
        (b"data: whole\n\ndata: cut\n", ["whole"]),
        (b"data\n\ndata\ndata\n\ndata:", ["", "\n"]),
        (b"data:test\n\ndata: test\n\n", ["test", "test"]),
        (b"event: add\ndata: 73857293\n\nevent: remove\n\ndata: 1\n\n", [Event("73857293", "add"), Event("1")]),
        (b"\xef\xbb\xbfdata: a\r\n\r\ndata: b\r\rdata: c\n\n", ["a", "b", "c"]),
        (b"data: \xff\nretry: 3\nunknown: x\n\n", ["\ufffd"]),
    ],
)  # fmt: skip
def test_events_are_read_as_the_specification_says(stream: bytes, events: list[Any]) -> None:
    assert parsed([stream]) == [event if isinstance(event, Event) else Event(event) for event in events]


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_a_stream_may_be_cut_at_every_byte(line_end: bytes) -> None:
    plain = WIRE + b"data: two\ndata: lines\n\n"
    stream = plain.replace(b"\n", line_end)
    whole = parsed([plain])
    assert len(whole) == len(CHAT) + 2
    for place in range(len(stream) + 1):
        assert parsed(cut(stream, [place])) == whole
    assert parsed(cut(stream, range(len(stream)))) == whole


LINES = st.lists(st.sampled_from(["data: a", "data:ß🎉", "data", ": c", "event: e", "id: 1", "", ""]), max_size=12)


@given(LINES, st.sampled_from(["\n", "\r", "\r\n"]), st.data())
def test_where_a_stream_is_cut_makes_no_difference(lines: list[str], line_end: str, data: st.DataObject) -> None:
    stream = "".join(line + line_end for line in lines).encode()
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert parsed(cut(stream, places)) == parsed(["".join(line + "\n" for line in lines).encode()])
