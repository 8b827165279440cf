"""The layout of a page: rows, cells, paragraphs and columns, from nothing but boxes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from coatcheck.providers.local.layout import Line, blocks


def line(text: str, left: float, top: float, width: float | None = None, height: float = 20) -> Line:
    right = left + (width if width is not None else 10 * len(text))
    return Line(text=text, confidence=0.9, left=left, top=top, right=right, bottom=top + height)


def read(*lines: Line) -> list[str]:
    return [block.text for block in blocks(lines)]


def test_rows_go_from_top_to_bottom_and_cells_from_left_to_right() -> None:
    assert read(
        line("c", 300, 33), line("first", 0, 0), line("a", 0, 30), line("b", 150, 28), line("close", 14, 29)
    ) == ["first\na close\tb\tc"]


def test_a_gap_or_another_size_begins_a_paragraph() -> None:
    assert read(line("one", 0, 0), line("two", 0, 26), line("three", 0, 80)) == ["one\ntwo", "three"]
    assert read(line("Title", 0, 0, height=40), line("text", 0, 48)) == ["Title", "text"]


def column(name: str, left: float, top: float) -> list[Line]:
    return [line(f"{name} column, line number {number}", left, top + 26 * number) for number in range(4)]


def text(name: str) -> str:
    return "\n".join(f"{name} column, line number {number}" for number in range(4))


def test_columns_of_prose_are_read_one_after_the_other() -> None:
    assert read(*column("right", 400, 0), *column("left", 0, 0)) == [text("left"), text("right")]


def test_columns_below_a_title_are_read_one_after_the_other() -> None:
    title = line("A title that goes over both of the columns of this page", 0, 0, width=700)
    foot = line("A foot that goes over both of the columns of this page", 0, 400, width=700)
    page = [*column("right", 400, 80), foot, *column("left", 0, 80), title]
    assert read(*page) == [title.text, text("left"), text("right"), foot.text]


def test_columns_of_a_table_stay_together() -> None:
    cells = [line(f"{column}{row}", column * 200, row * 26) for row in range(6) for column in range(3)]
    assert read(*cells) == ["\n".join(f"0{row}\t1{row}\t2{row}" for row in range(6))]


def test_a_block_is_as_large_as_its_lines() -> None:
    [block] = blocks([line("one", 10.4, 5), line("two", 4, 30, width=100)])
    assert block.box == (4, 5, 104, 50)


def test_an_empty_page_has_no_blocks() -> None:
    assert blocks([]) == blocks([line("  ", 0, 0)]) == []


boxes = st.builds(
    line,
    st.text("abc ", min_size=1, max_size=30),
    st.floats(0, 2000),
    st.floats(0, 2000),
    st.floats(0, 800),
    st.floats(0, 90),
)


@settings(deadline=None)
@given(st.lists(boxes, max_size=60))
def test_whatever_stands_on_a_page_is_read_once(lines: list[Line]) -> None:
    found = sorted(id(line) for block in blocks(lines) for line in block.lines)
    assert found == sorted(id(line) for line in lines if line.text.strip())
