"""Pictures, pages and sounds that tests make for themselves."""

import base64
import math
import struct
import wave
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont


def page(path: Path, lines: Sequence[str | tuple[str, ...]], *, size: tuple[int, int] = (1000, 700)) -> Path:
    """A page with these lines, from top to bottom; a tuple is a row of cells, an empty line a gap."""
    image = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(28)
    for number, line in enumerate(lines):
        for column, cell in enumerate((line,) if isinstance(line, str) else line):
            draw.text((60 + column * 220, 50 + number * 40), cell, font=font, fill="black")
    image.save(path)
    return path


def scene(path: Path, size: tuple[int, int] = (320, 240), mode: str = "RGB") -> Path:
    """A house below a sun: enough to be seen again."""
    image = Image.new("RGB", size, (120, 170, 230))
    draw, (width, height) = ImageDraw.Draw(image), size
    draw.rectangle((0, height * 0.7, width, height), fill=(80, 140, 70))
    draw.rectangle((width * 0.3, height * 0.4, width * 0.6, height * 0.8), fill=(180, 60, 50))
    draw.ellipse((width * 0.75, height * 0.1, width * 0.9, height * 0.3), fill=(255, 230, 140))
    image.convert(mode).save(path)
    return path


def data_uri(path: Path, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(path.read_bytes()).decode()}"


def tone(path: Path, seconds: float = 1.0, rate: int = 16_000, loudness: float = 0.3) -> Path:
    """A WAV file that holds nothing but a tone; with no loudness, silence."""
    samples = (round(32767 * loudness * math.sin(2 * math.pi * 440 * n / rate)) for n in range(int(seconds * rate)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return path
