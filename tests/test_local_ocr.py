"""OCR: a page that was drawn is read, in the order of its lines; what cannot be opened or told is refused."""

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from coatcheck.engine.calls import Progress
from coatcheck.engine.errors import CallFailed

from .local_models import OCR, Served
from .pictures import data_uri, page

INVOICE = (
    "INVOICE 2026-0417",
    "Bill to: Contoso Ltd, 12 Harbour Street, Dublin 2",
    "",
    ("GPU hours", "12", "$3.25", "$39.00"),
    ("Storage", "40", "$0.10", "$4.00"),
)
MARKDOWN = (
    "INVOICE 2026-0417\nBill to: Contoso Ltd, 12 Harbour Street, Dublin 2\n\n"
    "GPU hours\t12\t$3.25\t$39.00\nStorage\t40\t$0.10\t$4.00"
)


@pytest.fixture(scope="module")
def invoice(tmp_path_factory: pytest.TempPathFactory) -> str:
    return data_uri(page(tmp_path_factory.mktemp("ocr") / "invoice.png", INVOICE), "image/png")


def read(media: Served, url: str, kind: str = "image_url", **request: Any) -> dict[str, Any]:
    return media.ask("ocr", OCR, document={"type": kind, kind: url}, **request)


def test_a_page_is_read_in_paragraphs_and_rows(media: Served, invoice: str) -> None:
    result = read(media, invoice)
    assert result["model"] == OCR
    [found] = result["pages"]
    assert found == {
        "index": 0,
        "markdown": MARKDOWN,
        "images": [],
        "dimensions": {"dpi": 72, "height": 700, "width": 1000},
    }
    assert result["usage_info"] == {
        "pages_processed": 1,
        "doc_size_bytes": len(base64.b64decode(invoice.partition(",")[2])),
    }


def test_blocks_stand_where_the_text_is_and_say_how_sure_the_model_is(media: Served, invoice: str) -> None:
    [found] = read(media, invoice, include_blocks=True, confidence_scores_granularity="block")["pages"]
    head, table = found["blocks"]
    assert (head["type"], f"{head['content']}\n\n{table['content']}") == ("text", MARKDOWN)
    assert 50 < head["top_left_x"] < 70
    assert 40 < head["top_left_y"] < head["bottom_right_y"] < table["top_left_y"] < 180
    for scores, of in ((head["confidence_scores"], "content"), (found["confidence_scores"], "page")):
        assert 0.8 < scores[f"minimum_{of}_confidence_score"] <= scores[f"average_{of}_confidence_score"] <= 1


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_page_is_read_from_any_kind_of_picture(media: Served, folder: Path, form: str) -> None:
    path = page(folder / "page.png", ["Harbour Street 12"], size=(500, 150))
    with Image.open(path) as image:
        image.save(folder / "page", form)
    # Whatever it is said to be.
    [found] = read(media, data_uri(folder / "page", "application/octet-stream"), "document_url")["pages"]
    assert found["markdown"] == "Harbour Street 12"


def test_a_transparent_page_is_read_as_on_white(media: Served, folder: Path) -> None:
    path = page(folder / "page.png", ["Harbour Street 12"], size=(500, 150))
    with Image.open(path) as image:
        black = Image.new("RGBA", image.size, (0, 0, 0, 0))
        black.putalpha(Image.eval(image.convert("L"), lambda value: 255 - value))
        black.save(path)
    assert read(media, data_uri(path, "image/png"))["pages"][0]["markdown"] == "Harbour Street 12"


def test_a_photograph_that_lies_on_its_side_is_set_upright(media: Served, folder: Path) -> None:
    path = page(folder / "page.png", ["Harbour Street 12", "Dublin"], size=(500, 200))
    with Image.open(path) as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        image.rotate(90, expand=True).save(folder / "page.jpg", exif=exif)
    [found] = read(media, data_uri(folder / "page.jpg", "image/jpeg"))["pages"]
    assert found["markdown"] == "Harbour Street 12\nDublin"
    assert found["dimensions"] == {"dpi": 72, "height": 200, "width": 500}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PDF of three pages."""
    folder = tmp_path_factory.mktemp("pdf")
    pages = [Image.open(page(folder / f"{n}.png", [f"This is page {word}"], size=(600, 300))) for n, word in PAGES]
    pages[0].save(folder / "pages.pdf", save_all=True, append_images=pages[1:], resolution=72)
    return data_uri(folder / "pages.pdf", "application/pdf")


PAGES = [(0, "zero"), (1, "one"), (2, "two")]


def test_a_pdf_is_read_page_by_page(media: Served, document: str) -> None:
    told: list[Progress] = []
    result = media.ask(
        "ocr", OCR, told.append, document={"type": "document_url", "document_url": document, "document_name": "a.pdf"}
    )
    assert [(found["index"], found["markdown"]) for found in result["pages"]] == [
        (number, f"This is page {word}") for number, word in PAGES
    ]
    assert result["pages"][0]["dimensions"] == {"dpi": 200, "height": 834, "width": 1667}
    assert told[0] == Progress(done=0, total=3, unit="pages")


def test_only_the_pages_that_were_asked_for_are_read(media: Served, document: str) -> None:
    result = read(media, document, "document_url", pages=[2, 0, 2])
    assert [found["index"] for found in result["pages"]] == [2, 0]
    with pytest.raises(CallFailed, match="There is no page 3: the document has 3, counted from 0") as caught:
        read(media, document, "document_url", pages=[1, 3])
    assert (caught.value.status, caught.value.param) == (400, "pages")


def test_a_page_without_text_is_empty(media: Served, folder: Path) -> None:
    Image.new("RGB", (300, 200), "white").save(folder / "white.png")
    [found] = read(media, data_uri(folder / "white.png", "image/png"), confidence_scores_granularity="page")["pages"]
    assert found["markdown"] == ""
    assert "confidence_scores" not in found


def bomb(width: int, height: int) -> str:
    """A PNG that says it is huge, and is a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)

    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 2, 0, 0, 0])
    png = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def encoded(data: bytes) -> str:
    return f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("url", "code", "reason"),
    [
        ("https://example.com/page.pdf", "unsupported_content", "fetches nothing: send the document itself"),
        ("file:///etc/passwd", "unsupported_content", "fetches nothing"),
        ("data:image/png;base64,not base64!", "invalid_file", "not valid base64"),
        (encoded(b"hello"), "invalid_file", "cannot be read as a picture"),
        (encoded(b""), "invalid_file", "cannot be read as a picture"),
        (
            encoded(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"),
            "invalid_file",
            "cannot be read as a picture",
        ),
        (encoded(b"%PDF-1.7\nhello"), "invalid_file", "The PDF cannot be opened"),
        (bomb(9000, 9000), "invalid_file", "at most 50 million pixels"),
        (bomb(60_000, 60_000), "invalid_file", "at most 50 million pixels"),
        (bomb(100, 100), "invalid_file", "cannot be read as a picture"),
    ],
)
def test_what_cannot_be_opened_is_refused(media: Served, url: str, code: str, reason: str) -> None:
    with pytest.raises(CallFailed, match=reason) as caught:
        read(media, url)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, "document.image_url")


def test_a_locked_pdf_is_refused(media: Served) -> None:
    with pytest.raises(CallFailed, match="without a password") as caught:
        read(media, encoded(LOCKED), "document_url")
    assert (caught.value.status, caught.value.param) == (400, "document.document_url")


#: An encryption dictionary whose keys nobody knows.
LOCKED = b"""%%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]>>endobj
4 0 obj<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>endobj
trailer<</Root 1 0 R/Encrypt 4 0 R/ID[<00112233445566778899aabbccddeeff><00112233445566778899aabbccddeeff>]>>
""" % (b"41" * 32, b"42" * 32)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"table_format": "html"}, "knows nothing of table_format"),
        ({"extract_header": True}, "knows nothing of extract_header"),
        ({"document_annotation_format": {"type": "json_schema"}}, "knows nothing of document_annotation_format"),
        ({"confidence_scores_granularity": "word"}, "the confidence of a page or a block"),
    ],
)
def test_what_the_model_cannot_tell_is_refused_by_name(
    media: Served, invoice: str, request_: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CallFailed, match=reason) as caught:
        read(media, invoice, **request_)
    assert (caught.value.status, caught.value.param) == (400, next(iter(request_)))


def test_an_address_may_be_an_object_as_vendors_have_it(media: Served, folder: Path) -> None:
    url = data_uri(page(folder / "page.png", ["Dublin"], size=(300, 150)), "image/png")
    result = media.ask("ocr", OCR, document={"type": "image_url", "image_url": {"url": url}})
    assert result["pages"][0]["markdown"] == "Dublin"


def test_a_large_page_is_read(media: Served, folder: Path) -> None:
    path = page(folder / "page.png", ["Harbour Street 12"], size=(500, 150))
    with Image.open(path) as image:
        file = io.BytesIO()
        image.resize((5000, 1500)).save(file, "JPEG")
    [found] = read(media, encoded(file.getvalue()))["pages"]
    assert found["markdown"] == "Harbour Street 12"
    assert found["dimensions"]["width"] == 5000


def test_a_page_that_is_far_higher_than_broad_is_read_to_its_end(media: Served, folder: Path) -> None:
    lines = [f"This is line number {number}" for number in range(30)]
    path = page(folder / "page.png", [row for line in lines for row in (line, *[""] * 9)], size=(500, 12_000))
    [found] = read(media, data_uri(path, "image/png"), include_blocks=True)["pages"]
    assert found["markdown"].split("\n\n") == lines
    assert 40 < found["blocks"][0]["top_left_y"] < 70
    assert 11_650 < found["blocks"][-1]["bottom_right_y"] < 11_700
