"""The page that the demo has read: drawn here, so that it is there to be looked at."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_SIZE = (1240, 640)
_LEFT, _TOP, _ROW = 80, 70, 52
_CELLS = (0, 460, 640, 840)

_LINES: tuple[tuple[str, ...], ...] = (
    ("The Grand Cloakroom",),
    ("12 Harbour Street, Dublin 2",),
    (),
    ("Ticket 2026-0417, 21 November 2026",),
    (),
    ("Winter coat", "2", "$3.50", "$7.00"),
    ("Umbrella", "1", "$1.25", "$1.25"),
    ("Total", "", "", "$8.25"),
)


def draw(path: Path) -> None:
    image = Image.new("RGB", _SIZE, "white")
    canvas, font = ImageDraw.Draw(image), ImageFont.load_default(34)
    for row, cells in enumerate(_LINES):
        for column, cell in zip(_CELLS, cells, strict=False):
            canvas.text((_LEFT + column, _TOP + row * _ROW), cell, font=font, fill="black")
    image.save(path)
