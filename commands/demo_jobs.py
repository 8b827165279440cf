"""What the demo asks for: one job of each operation that local models do, some of them about what others made."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from .answers import text

SENTENCE = "The cloakroom closes at midnight. Please keep your ticket, and come back before eleven thirty."


@dataclass
class Job:
    operation: str
    #: What it is about, for a person.
    question: str
    request: Mapping[str, Any]
    #: Files that go along, by the form's field.
    uploads: Mapping[str, Path] = field(default_factory=dict)
    #: Where the file that it makes is saved.
    makes: Path | None = None
    #: Its answer in words.
    words: Callable[[Mapping[str, Any]], str] | None = None

    id: str = ""
    began: float = 0.0
    story: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "failed")

    @property
    def status(self) -> str:
        return str(self.shown.get("status", ""))

    def take(self, shown: dict[str, Any]) -> None:
        """What the server says of the job now."""
        self.shown = shown
        if not self.story:
            self.id, self.began = shown["id"], time.monotonic()
        if not self.story or self.status != self.story[-1]:
            self.story.append(self.status)
        if self.ended:
            self.story[-1] += f" after {time.monotonic() - self.began:.1f} s"

    def body(self) -> dict[str, Any]:
        """For aiohttp: a JSON body, or a form where files go along."""
        if not self.uploads:
            return {"json": self.request}
        form = aiohttp.FormData()
        for name, value in self.request.items():
            form.add_field(name, str(value))
        for name, path in self.uploads.items():
            form.add_field(name, path.read_bytes(), filename=path.name, content_type="application/octet-stream")
        return {"data": form}

    def line(self) -> str:
        """The job on one line: its ticket and the states it has been through."""
        progress = self.shown.get("progress")
        how_far = ""
        if progress and not self.ended:
            total = f"/{progress['total']}" if "total" in progress else ""
            how_far = f" ({progress['done']}{total} {progress['unit']})"
        return f"  {self.operation:<20} {self.id[:8]}  {' → '.join(self.story)}{how_far}"

    def answer(self) -> str:
        result: Mapping[str, Any] = self.shown.get("result", {})
        if self.words is not None:
            return self.words(result)
        return text(self.operation, result)


def first_jobs(chat: str, models: Mapping[str, str], folder: Path, page: Path) -> list[Job]:
    """Those that need nothing of the others; `models` by operation, but for chat."""
    question = "What is the capital of France? Answer in one short sentence."
    opening = "def fibonacci(n):\n    "
    texts = ["A man is playing a guitar.", "Someone plays an instrument.", "The stock price fell."]
    query = "Where do I find my coat?"
    documents = ["Umbrellas are dried overnight.", "Coats hang on the second floor.", "We close at midnight."]
    scene = "Snowy mountains at sunset"
    picture = f"data:image/png;base64,{base64.b64encode(page.read_bytes()).decode()}"
    return [
        Job(
            "chat/completions",
            question,
            {"model": chat, "messages": [{"role": "user", "content": question}], "max_tokens": 48, "temperature": 0},
        ),
        Job(
            "completions",
            opening.rstrip(),
            {"model": chat, "prompt": opening, "max_tokens": 40, "temperature": 0, "stop": ["\n\n"]},
        ),
        Job(
            "responses",
            "Name three colours.",
            {"model": chat, "input": "Name three colours.", "max_output_tokens": 48, "temperature": 0},
        ),
        Job("embeddings", " | ".join(texts), {"model": models["embeddings"], "input": texts}, words=_likeness),
        Job(
            "rerank",
            query,
            {
                "model": models["rerank"],
                "query": query,
                "documents": [{"text": document} for document in documents],
                "return_documents": True,
            },
        ),
        Job(
            "audio/speech",
            SENTENCE,
            {"model": models["audio/speech"], "input": SENTENCE, "voice": "alloy"},
            makes=folder / "speech.mp3",
            words=lambda result: f"{result['usage']['input_chars']} characters, spoken",
        ),
        Job(
            "ocr",
            str(page),
            {"model": models["ocr"], "document": {"type": "image_url", "image_url": picture}},
        ),
        Job(
            "images/generations",
            scene,
            {"model": models["images/generations"], "prompt": scene, "size": "1024x1024"},
            makes=folder / "landscape.png",
            words=_said,
        ),
    ]


def later_jobs(models: Mapping[str, str], folder: Path) -> list[Job]:
    """Those about the files that the first ones made."""
    sound, picture = folder / "speech.mp3", folder / "landscape.png"
    style = "Paint it as a starry night"
    return [
        Job("audio/transcriptions", str(sound), {"model": models["audio/transcriptions"]}, uploads={"file": sound}),
        Job(
            "images/edits",
            f"{picture}: {style}",
            {"model": models["images/edits"], "prompt": style},
            uploads={"image": picture},
            makes=folder / "painted.png",
            words=_said,
        ),
        Job(
            "images/variations",
            str(picture),
            {"model": models["images/variations"]},
            uploads={"image": picture},
            makes=folder / "variation.png",
            words=_said,
        ),
    ]


def _said(result: Mapping[str, Any]) -> str:
    return str(result["data"][0]["revised_prompt"])


def _likeness(result: Mapping[str, Any]) -> str:
    first, second, third = (item["embedding"] for item in result["data"])
    return (
        f"3 vectors of {len(first)} numbers; the first is like the second ({_cosine(first, second):.2f}), "
        f"not like the third ({_cosine(first, third):.2f})"
    )


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
