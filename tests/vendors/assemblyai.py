"""A server that speaks AssemblyAI's API."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from coatcheck.engine.calls import Usage

from .vendor import Attachment, Case, Done, Seen, Vendor, saying

AUDIO = Attachment(name="talk.mp3", media_type="audio/mpeg", content=b"ID3" + bytes(range(256)) * 3)
UPLOAD = "https://cdn.assemblyai.com/upload/f756988d"
ID = "9ea68fd3-f953-42c1-9742-976c447fb463"

COMPLETED = {
    "id": ID,
    "status": "completed",
    "audio_url": UPLOAD,
    "audio_duration": 12,
    "language_code": "en_us",
    "speech_model_used": "universal-3-pro",
    "text": "Good morning. How are you?",
    "words": [
        {"text": "Good", "start": 80, "end": 240, "confidence": 0.99, "speaker": None},
        {"text": "morning.", "start": 240, "end": 700, "confidence": 0.98, "speaker": None},
    ],
    "utterances": None,
}
SENTENCES = {
    "id": ID,
    "confidence": 0.97,
    "audio_duration": 12,
    "sentences": [
        {"text": "Good morning.", "start": 80, "end": 700, "confidence": 0.98, "words": [], "speaker": None},
        {"text": "How are you?", "start": 1250, "end": 2000, "confidence": 0.9, "words": [], "speaker": None},
    ],
}
SRT = "1\n00:00:00,080 --> 00:00:00,700\nGood morning.\n"


def answer(seen: Seen) -> web.StreamResponse:
    """Has every transcript ready when it is first asked after."""
    match seen.method, seen.raw_path.removeprefix("/api"):
        case "POST", "/v2/upload":
            return saying({"upload_url": UPLOAD})(seen)
        case "POST", "/v2/transcript":
            return saying({**COMPLETED, "status": "queued", "text": None, "words": None})(seen)
        case "GET", path if path == f"/v2/transcript/{ID}":
            return saying(COMPLETED)(seen)
        case "GET", path if path == f"/v2/transcript/{ID}/sentences":
            return saying(SENTENCES)(seen)
        case "GET", path if path == f"/v2/transcript/{ID}/srt":
            return web.Response(text=SRT)
    return saying({"error": f"no such route: {seen.method} {seen.raw_path}"}, 404)(seen)


def asked(seen: list[Seen]) -> dict[str, Any]:
    """What was asked of the transcript, after checking how the audio came there."""
    upload, launch = seen[:2]
    assert (upload.method, upload.raw_path) == ("POST", "/api/v2/upload")
    assert upload.headers["Content-Type"] == "application/octet-stream"
    assert upload.headers["Content-Length"] == str(len(AUDIO.content))
    assert upload.body == AUDIO.content
    assert (launch.method, launch.raw_path) == ("POST", "/api/v2/transcript")
    said: dict[str, Any] = launch.json
    assert said.pop("audio_url") == UPLOAD
    return said


def check_json(seen: list[Seen], done: Done) -> None:
    assert asked(seen) == {"speech_models": ["small"], "language_detection": True}
    assert done.result == {
        "text": "Good morning. How are you?",
        "duration": 12,
        "language": "en_us",
        "usage": {"type": "duration", "seconds": 12},
    }
    assert done.reply.model == "universal-3-pro"
    assert done.reply.usage == Usage(seconds=12)


def check_verbose(seen: list[Seen], done: Done) -> None:
    assert asked(seen) == {
        "speech_models": ["small", "universal-2"],
        "language_code": "en_uk",
        "prompt": "A greeting.",
        "temperature": 0.2,
        "speaker_labels": False,
        "domain": "medical-v1",
        "keyterms_prompt": ["Grüezi"],
    }
    assert [each.raw_path.rpartition("/")[2] for each in seen[2:]] == [ID, "sentences"]
    assert done.result["segments"] == [
        {"id": 0, "start": 0.08, "end": 0.7, "text": "Good morning."},
        {"id": 1, "start": 1.25, "end": 2.0, "text": "How are you?"},
    ]
    assert done.result["words"] == [
        {"word": "Good", "start": 0.08, "end": 0.24},
        {"word": "morning.", "start": 0.24, "end": 0.7},
    ]
    assert done.result["task"] == "transcribe"


def check_subtitles(seen: list[Seen], done: Done) -> None:
    assert asked(seen) == {"speech_model": "slam-1", "language_detection": True}
    assert done.result == {"text": SRT, "usage": {"type": "duration", "seconds": 12}}


def model(seen: Seen) -> str | None:
    if seen.method != "POST" or not seen.raw_path.endswith("/transcript"):
        return None
    said: Mapping[str, Any] = seen.json
    return str(said["speech_model"]) if "speech_model" in said else ",".join(said["speech_models"])


VENDOR = Vendor(
    kind="assemblyai",
    uploads_first=True,
    cases=(
        Case(
            operation="audio/transcriptions",
            request={"response_format": "json"},
            files={"file": (AUDIO,)},
            answer=answer,
            check=check_json,
        ),
        Case(
            operation="audio/transcriptions",
            model="small,universal-2",
            request={
                "response_format": "verbose_json",
                "language": "en-GB",
                "prompt": "A greeting.",
                "temperature": 0.2,
                "timestamp_granularities": ["segment", "word"],
                "speaker_labels": "false",
                "domain": "medical-v1",
                "keyterms_prompt": '["Grüezi"]',
            },
            files={"file": (AUDIO,)},
            answer=answer,
            check=check_verbose,
        ),
        Case(
            operation="audio/transcriptions",
            model="slam-1",
            request={"response_format": "srt"},
            files={"file": (AUDIO,)},
            answer=answer,
            check=check_subtitles,
        ),
    ),
    error=lambda message: {"error": message},
    model=model,
    key=lambda seen: seen.headers.get("Authorization"),
    path="/api",
    options={"poll_seconds": 0.001},
)
