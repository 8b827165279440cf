"""What kind `echo` answers where files come or go: tones, coloured squares, and what is written in a file."""

import asyncio
import hashlib
import struct
import zlib
from pathlib import Path
from typing import Any

import orjson

from ...engine.blobs import Blob
from ...engine.calls import Call, File, Reply
from ..data_urls import data_url
from ..refusals import invalid
from ..waves import wave_head

#: Of a second; a tone of 400 Hz takes 20 samples.
_SAMPLES = 8000
_SECONDS_PER_CHARACTER = 0.05
_LONGEST_SECONDS = 60.0
_PERIOD = b"".join(struct.pack("<h", 8000 if sample < 10 else -8000) for sample in range(20))

_SIDE = 64
#: Of a file that is read as text.
_MOST_BYTES = 1_048_576


async def speech(call: Call) -> Reply:
    """A tone, as long as the text: WAV whatever form was asked for, but for `pcm`."""
    seconds = min(max(len(call.request["input"]) * _SECONDS_PER_CHARACTER, 0.1), _LONGEST_SECONDS)
    samples = _PERIOD * int(seconds * _SAMPLES / 20)
    if call.request.get("response_format") == "pcm":
        blob = await _kept(call, "audio/pcm", samples)
    else:
        blob = await _kept(call, "audio/wav", wave_head(len(samples), _SAMPLES) + samples)
    return _reply(call, {"audio": blob.placeholder}, blob)


async def images(call: Call) -> Reply:
    """Squares whose colours follow from what was asked; with `response_format` "url", addresses where nothing is."""
    asked = call.request.get("prompt", "").encode()
    for file in (file for files in call.files.values() for file in files):
        asked += await asyncio.to_thread(_digest, file.path)
    data: list[dict[str, Any]] = []
    blobs: list[Blob] = []
    for index in range(call.request.get("n", 1)):
        colour = hashlib.sha256(asked + bytes([index])).digest()[:3]
        if call.request.get("response_format") == "url":
            data.append({"url": f"https://echo.invalid/{colour.hex()}.png", "index": index})
            continue
        blobs.append(await _kept(call, "image/png", _png(colour)))
        data.append({"b64_json": blobs[-1].placeholder, "index": index})
    return _reply(call, {"created": 0, "model": call.model, "data": data}, *blobs)


async def transcription(call: Call) -> Reply:
    """What is written in the file, if it is a text; else what kind of file it is. A word takes a second."""
    (file,) = call.files["file"]
    text = await asyncio.to_thread(_written, file)
    words = text.split()
    wanted = call.request.get("response_format")
    end = float(len(words))
    if wanted in ("srt", "vtt"):
        return _reply(call, {"text": _subtitles(text, len(words), wanted)})
    result: dict[str, Any] = {"text": text}
    if wanted == "verbose_json":
        result |= {
            "task": "transcribe",
            "language": call.request.get("language", "en"),
            "duration": end,
            "segments": [{"id": 0, "start": 0.0, "end": end, "text": text}],
        }
        if "word" in call.request.get("timestamp_granularities", ()):
            result["words"] = [{"word": word, "start": float(i), "end": i + 1.0} for i, word in enumerate(words)]
    return _reply(call, result)


async def ocr(call: Call) -> Reply:
    """What is written in a document that comes along, if it is a text; else what kind of document it is."""
    document = call.request["document"]
    field = document["type"]
    data = data_url(document[field])
    if data is None:
        raise invalid("Only a data: URL is read here; this is another kind of address.", f"document.{field}")
    content = data.decoded(f"document.{field}")
    pages = []
    if 0 in call.request.get("pages", [0]):
        pages.append({"index": 0, "markdown": _text(content) or f"{data.media_type}, {len(content)} bytes"})
    usage = {"pages_processed": len(pages), "doc_size_bytes": len(content)}
    return _reply(call, {"model": call.model, "pages": pages, "usage_info": usage})


async def rerank(call: Call) -> Reply:
    """How many of the query's words each document has."""
    query = set(call.request["query"].lower().split())
    results: list[dict[str, Any]] = []
    for index, document in enumerate(call.request["documents"]):
        shared = query & set(document["text"].lower().split())
        found: dict[str, Any] = {"index": index, "relevance_score": len(shared) / len(query)}
        if call.request.get("return_documents"):
            found["document"] = document
        results.append(found)
    results.sort(key=lambda found: -found["relevance_score"])
    return _reply(call, {"model": call.model, "results": results[: call.request.get("top_n")]})


async def _kept(call: Call, media_type: str, content: bytes) -> Blob:
    async with call.new_file(media_type) as file:
        await file.write(content)
    return file.blob


def _reply(call: Call, result: dict[str, Any], *files: Blob) -> Reply:
    return Reply(result=orjson.dumps(result), model=call.model, cost=0, files=files)


def _png(colour: bytes) -> bytes:
    row = b"\0" + colour * _SIDE
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(row * _SIDE)), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _written(file: File) -> str:
    with file.path.open("rb") as opened:
        text = _text(opened.read(_MOST_BYTES))
    return text or f"{file.name or 'a file'}: {file.media_type}, {file.size_bytes} bytes"


def _text(content: bytes) -> str:
    """Empty for what is no text."""
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        return ""
    return text if all(letter.isprintable() or letter.isspace() for letter in text) else ""


def _subtitles(text: str, seconds: int, form: str) -> str:
    minutes, rest = divmod(seconds, 60)
    if form == "srt":
        return f"1\n00:00:00,000 --> 00:{minutes:02d}:{rest:02d},000\n{text}\n"
    return f"WEBVTT\n\n00:00.000 --> {minutes:02d}:{rest:02d}.000\n{text}\n"
