"""How results, times and tables are put into words."""

import io
from typing import Any

import pytest

from coatcheck.commands.answers import text
from coatcheck.commands.events import Event, events
from coatcheck.commands.moments import brief, lasted
from coatcheck.commands.options import duration
from coatcheck.commands.terminal import Terminal, columns, fitted, printable, tail

CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}


@pytest.mark.parametrize(
    ("operation", "result", "expected"),
    [
        ("chat/completions", {"choices": [{"message": {"content": "Paris."}}]}, "Paris."),
        ("chat/completions", {"choices": [{"message": {"content": None, "refusal": "No."}}]}, "No."),
        ("chat/completions", {"choices": [{"message": {"content": [{"type": "text", "text": "A."}]}}]}, "A."),
        ("chat/completions", {"choices": [{"message": {"content": None, "tool_calls": [CALL]}}]},
         'weather({"city": "Paris"})'),
        ("chat/completions", {"choices": [{"message": {"content": "x"}}, {"message": {"content": "y"}}]},
         "[1]\nx\n\n[2]\ny"),
        ("chat/completions", {"choices": []}, '{\n  "choices": []\n}'),
        ("completions", {"choices": [{"text": " and so on"}]}, " and so on"),
        ("responses", {"output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "Red."}, {"refusal": "?"}]},
            {"type": "function_call", "name": "weather", "arguments": "{}"},
        ]}, "Red.\n?\n\nweather({})"),
        ("embeddings", {"data": [{"embedding": [0.5, 0.5]}]}, "1 vector of 2 numbers; --json has them"),
        ("embeddings", {"data": [{"embedding": "AAAA"}] * 2}, "2 vectors; --json has them"),
    ],
)  # fmt: skip
def test_an_answer_is_put_into_words(operation: str, result: dict[str, Any], expected: str) -> None:
    assert text(operation, result) == expected


@pytest.mark.parametrize(
    ("seconds", "long", "short"),
    [
        (-1, "0 ms", "0 s"), (0.0123, "12 ms", "0 s"), (0.9996, "1.0 s", "1 s"), (99.96, "1 min 40 s", "2 min"),
        (119.6, "2 min", "2 min"), (3599, "59 min 59 s", "60 min"), (3600, "1 h", "1 h"), (7260, "2 h 1 min", "2 h"),
        (172_790, "2 d", "2 d"), (90_000, "1 d 1 h", "1 d"),
    ],
)  # fmt: skip
def test_a_duration_is_as_exact_as_it_is_of_use(seconds: float, long: str, short: str) -> None:
    assert (lasted(seconds), brief(seconds)) == (long, short)


@pytest.mark.parametrize(
    ("given", "seconds"), [("90", 90), ("1.5s", 1.5), ("10m", 600), ("1h30m", 5400), ("2d", 172_800), ("1d1s", 86_401)]
)
def test_a_duration_is_read_as_it_is_written(given: str, seconds: float) -> None:
    assert duration(given) == seconds


@pytest.mark.parametrize("given", ["", "s", "-1", "1 h", "30m1h", "1e3", "inf", "nan", "١"])
def test_what_is_no_duration_is_refused(given: str) -> None:
    with pytest.raises(Exception, match="is not a duration like 90"):
        duration(given)


def test_wide_and_combining_characters_are_counted_as_they_are_shown() -> None:
    assert [columns(text) for text in ("abc", "日本", "e\u0301", "")] == [3, 4, 1, 0]
    assert [fitted("日本語", width) for width in (8, 6, 5, 4, 1)] == ["日本語  ", "日本語", "日本…", "日… ", "…"]
    assert printable("a\x1b[2J\u202eb\r\nc\td\x9b\udc80") == "a[2Jb\nc\td"


def test_the_lines_of_a_growing_text_stay_where_they_are() -> None:
    words = " ".join(f"word{number}" for number in range(400))
    before: list[str] = []
    for end in range(0, len(words), 7):
        lines = tail(words[:end], 40, 3)
        assert len(lines) <= 3
        assert all(columns(line) <= 40 for line in lines)
        if len(before) == 3 and lines[:2] != before[:2] and lines[0] != before[1]:
            # The block before has gone out of sight; the next one begins anew, once in a long while.
            assert end % (8 * 40 * 3) < 7
        before = lines
    assert tail("one\ntwo\n\nthree", 40, 3) == ["two", "", "three"]
    assert tail("x" * 100, 40, 3) == ["x" * 40, "x" * 40, "x" * 20]


def test_a_table_that_goes_on_keeps_its_columns() -> None:
    out = io.StringIO()
    terminal = Terminal(out, {})
    widths = terminal.table(["ID", "WHAT"], [["1", "a long one"]], flexible=1)
    terminal.table(["ID", "WHAT"], [["22", "b\nc"]], flexible=1, widths=widths)
    assert out.getvalue() == "ID  WHAT\n1   a long one\n22  b c\n"


def test_a_stream_is_read_as_the_standard_has_it() -> None:
    lines = [": hi", "id: 1", "event: a", 'data: {"x":', "data:1}", "", "event: b", "", "data: {}", "", "data: {"]
    assert list(events(lines)) == [Event(id="1", kind="a", data={"x": 1}), Event(id=None, kind="message", data={})]
