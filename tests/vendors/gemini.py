"""A server that speaks Google's Gemini API."""

import base64
import math
import struct
from typing import Any

from coatcheck.engine.calls import Usage

from ..clients import REQUESTS
from .vendor import Attachment, Case, Done, Seen, Vendor, saying

COUNTS = {
    "promptTokenCount": 8,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 20,
    "cachedContentTokenCount": 3,
    "totalTokenCount": 33,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}],
}
USAGE = Usage(input_tokens=8, cached_input_tokens=3, output_tokens=25)
PNG = b"\x89PNG picture"
SAMPLES = struct.pack("<4h", 0, 1, -1, 0)


def answering(*parts: Any, counts: Any = COUNTS, **more: Any) -> dict[str, Any]:
    return {
        "candidates": [
            {"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", "index": 0, **more}
        ],
        "usageMetadata": counts,
        "modelVersion": "small-2026",
        "responseId": "r-1",
    }


def blob(media_type: str, data: bytes) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": base64.b64encode(data).decode()}}


def check_sent(asked: Seen, method: str = "generateContent") -> None:
    assert (asked.method, asked.raw_path) == ("POST", f"/api/v1beta/models/small:{method}")
    assert "Authorization" not in asked.headers
    assert asked.query == ({"alt": "sse"} if method == "streamGenerateContent" else {})


def check_chat(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    check_sent(asked, "streamGenerateContent")
    assert asked.json == {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    (choice,) = done.result["choices"]
    assert choice["message"]["content"] == "Hi!"
    assert choice["finish_reason"] == "stop"
    assert done.result["id"] == "r-1"
    assert (done.reply.model, done.reply.usage, done.reply.cost) == ("small-2026", USAGE, None)


def check_responses(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    check_sent(asked, "streamGenerateContent")
    assert asked.json == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
        "generationConfig": {"maxOutputTokens": 40},
    }
    assert done.result["output"][0]["content"][0]["text"] == "Hi!"
    assert done.result["usage"]["output_tokens_details"] == {"reasoning_tokens": 20}
    assert done.reply.usage == USAGE


def check_embeddings(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    check_sent(asked, "batchEmbedContents")
    shared = {"model": "models/small", "taskType": "RETRIEVAL_DOCUMENT", "title": "Numbers", "outputDimensionality": 2}
    assert asked.json == {
        "requests": [
            {**shared, "content": {"parts": [{"text": "one"}]}},
            {**shared, "content": {"parts": [{"text": "two"}]}},
        ]
    }
    assert done.result["data"] == [
        {"index": 0, "object": "embedding", "embedding": [0.5, 1.0]},
        {"index": 1, "object": "embedding", "embedding": [2.0, -1.0]},
    ]
    assert done.result["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert done.reply.usage == Usage(input_tokens=4)


def check_image(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    check_sent(asked)
    assert asked.json == {
        "contents": [{"role": "user", "parts": [{"text": "A fox."}]}],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "3:2"}},
    }
    check_picture(done)


def check_edit(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    check_sent(asked)
    sent = [blob("image/png", b"one"), blob("image/webp", b"two"), {"text": "Join them."}]
    assert asked.json["contents"] == [{"role": "user", "parts": sent}]
    check_picture(done)


def check_picture(done: Done) -> None:
    (blob,) = done.reply.files
    assert done.result["data"] == [{"b64_json": blob.placeholder, "index": 0}]
    assert (done.result["output_format"], blob.media_type, done.files) == ("png", "image/png", [PNG])
    assert done.result["usage"]["total_tokens"] == 1298
    assert done.reply.usage == Usage(input_tokens=8, output_tokens=1290, image_output_tokens=1290, images=1)


def check_speech(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    check_sent(asked)
    config = {"voiceConfig": {"voice": "Kore"}}
    assert asked.json["generationConfig"] == {"responseModalities": ["AUDIO"], "speechConfig": config}
    assert asked.json["contents"][0]["parts"] == [{"text": "Hello."}]
    (kept,) = done.reply.files
    assert done.result["audio"] == kept.placeholder
    assert kept.media_type == "audio/wav"
    assert done.files[0] == (
        b"RIFF\x2c\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
        b"\xc0\x5d\x00\x00\x80\xbb\x00\x00\x02\x00\x10\x00data\x08\x00\x00\x00" + SAMPLES
    )
    counted = done.reply.usage
    assert counted is not None
    assert (counted.input_tokens, counted.audio_output_tokens, counted.characters) == (8, 48, 6)
    assert counted.seconds is not None
    assert math.isclose(counted.seconds, 4 / 24000)


def error(message: str) -> Any:
    return {"error": {"code": 418, "message": message, "status": "SOME_STATUS", "details": [{"@type": "x"}]}}


PICTURE_COUNTS = {
    "promptTokenCount": 8,
    "candidatesTokenCount": 1290,
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
}
SPEECH_COUNTS = {
    "promptTokenCount": 8,
    "candidatesTokenCount": 48,
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 48}],
}

VENDOR = Vendor(
    kind="gemini",
    cases=(
        Case(
            operation="chat/completions",
            request=REQUESTS["chat/completions"],
            answer=saying(answering({"text": "Hi!"})),
            check=check_chat,
        ),
        Case(
            operation="responses",
            request={"instructions": "Be brief.", "input": "hello", "max_output_tokens": 40, "store": False},
            answer=saying(answering({"text": "Hi!"})),
            check=check_responses,
        ),
        Case(
            operation="embeddings",
            request={"input": ["one", "two"], "task_type": "retrieval_document", "title": "Numbers", "dimensions": 2},
            answer=saying(
                {
                    "embeddings": [{"values": [0.5, 1.0]}, {"values": [2.0, -1.0]}],
                    "usageMetadata": {"promptTokenCount": 4},
                }
            ),
            check=check_embeddings,
        ),
        Case(
            operation="images/generations",
            request={"prompt": "A fox.", "size": "1536x1024", "quality": "high"},
            answer=saying(answering({"text": "Here it is."}, blob("image/png", PNG), counts=PICTURE_COUNTS)),
            check=check_image,
        ),
        Case(
            operation="images/edits",
            request={"prompt": "Join them."},
            files={
                "image": (
                    Attachment(name="1.png", media_type="image/png", content=b"one"),
                    Attachment(name="2.webp", media_type="image/webp", content=b"two"),
                )
            },
            answer=saying(answering(blob("image/png", PNG), counts=PICTURE_COUNTS)),
            check=check_edit,
        ),
        Case(
            operation="audio/speech",
            request={"input": "Hello.", "voice": "Kore"},
            answer=saying(answering(blob("audio/L16;codec=pcm;rate=24000", SAMPLES), counts=SPEECH_COUNTS)),
            check=check_speech,
        ),
    ),
    error=error,
    model=lambda seen: seen.segments[-1].rpartition(":")[0],
    key=lambda seen: seen.headers.get("x-goog-api-key"),
    path="/api/v1beta",
    models=(
        {
            "models": [
                {"name": "models/gemini-3.8-flash", "supportedGenerationMethods": ["generateContent", "countTokens"]},
                {"name": "models/gemini-embedding-2", "supportedGenerationMethods": ["embedContent"]},
                {"name": "models/veo-4", "supportedGenerationMethods": ["predictLongRunning"]},
            ]
        },
        ["gemini-3.8-flash", "gemini-embedding-2"],
    ),
)
