"""A server that speaks OpenAI's API."""

import base64
from typing import Any

import orjson
from aiohttp import web

from coatcheck.engine.calls import Usage

from ..clients import REQUESTS
from .vendor import Answer, Attachment, Case, Done, Part, Seen, Vendor, bearer, body_model, saying

#: Beginnings of files, as far as anybody looks.
MP3 = b"ID3\x04" + bytes(range(256)) * 4000
WAV = b"RIFF\x24\x00\x00\x00WAVE" + bytes(200)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4000
JPEG = b"\xff\xd8\xff\xe0" + bytes(100)

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 17,
    "model": "small-2026",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello!"}}],
    "usage": {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 4},
    },
}
COMPLETION = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 17,
    "model": "small-2026",
    "choices": [{"index": 0, "finish_reason": "stop", "text": "Hello!", "logprobs": None}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "small-2026",
    "error": None,
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello!"}]}],
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 39,
    },
}
EMBEDDINGS = {
    "object": "list",
    "model": "small-2026",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}
TRANSCRIPTION = {
    "text": "Hello there.",
    "usage": {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
        "output_tokens": 4,
        "total_tokens": 18,
    },
}
IMAGES_USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 4160,
    "total_tokens": 4210,
}
RANKING = {
    "id": "rerank-1",
    "model": "small-2026",
    "usage": {"total_tokens": 56},
    "results": [
        {"index": 2, "document": {"text": "c"}, "relevance_score": 0.1},
        {"index": 0, "document": {"text": "a"}, "relevance_score": 0.9},
        {"index": 1, "document": {"text": "b"}, "relevance_score": 0.5},
    ],
}
OCR = {
    "model": "small-2026",
    "pages": [{"index": 0, "markdown": "# Hello", "images": [], "dimensions": {"dpi": 200, "height": 2, "width": 1}}],
    "usage_info": {"pages_processed": 1, "doc_size_bytes": 1000},
}


def error(message: str) -> Any:
    return {"error": {"message": message, "type": "some_error", "code": "some_code", "param": "messages"}}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pictures(*images: bytes, **more: Any) -> Any:
    return {"created": 17, "data": [{"b64_json": encoded(image)} for image in images], **more}


def sounding(data: bytes, media_type: str) -> Answer:
    return lambda _seen: web.Response(body=data, content_type=media_type)


def plain(operation: str, answer: Any, usage: Usage | None, **request: Any) -> Case:
    """An operation whose request goes as it came, and whose result is the answer."""
    asked_for = {**REQUESTS.get(operation, {}), **request}

    def check(seen: list[Seen], done: Done) -> None:
        (asked,) = seen
        assert (asked.method, asked.raw_path) == ("POST", f"/api/v1/{operation}")
        assert asked.json == {**asked_for, "model": "small"}
        assert done.result == answer
        assert done.reply.result == orjson.dumps(answer)
        assert (done.reply.model, done.reply.usage, done.reply.cost) == ("small-2026", usage, None)

    return Case(operation=operation, request=asked_for, answer=saying(answer), check=check)


def check_speech(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    assert (asked.method, asked.raw_path) == ("POST", "/api/v1/audio/speech")
    assert asked.json == {"model": "small", "input": "Grüße", "voice": "alloy", "speed": 1.5, "x_mine": 1}
    assert done.files == [MP3]
    assert done.result == {"audio": done.reply.files[0].placeholder}
    assert done.reply.files[0].media_type == "audio/mpeg"
    assert done.reply.usage == Usage(characters=5)


def check_untyped_speech(_seen: list[Seen], done: Done) -> None:
    assert done.files == [WAV]
    assert done.reply.files[0].media_type == "audio/wav"


def check_speech_in_json(_seen: list[Seen], done: Done) -> None:
    assert done.files == [MP3]
    assert done.result == {"audio": done.reply.files[0].placeholder, "usage": {"total_tokens": 3}}
    assert done.reply.files[0].media_type == "audio/mpeg"


SPEECH = (
    Case(
        operation="audio/speech",
        request={"input": "Grüße", "voice": "alloy", "speed": 1.5, "x_mine": 1},
        answer=sounding(MP3, "audio/mpeg"),
        check=check_speech,
    ),
    Case(
        operation="audio/speech",
        request={"input": "Hello", "voice": "alloy", "response_format": "wav"},
        answer=sounding(WAV, "application/octet-stream"),
        check=check_untyped_speech,
    ),
    Case(
        operation="audio/speech",
        request={"input": "Hello", "voice": "alloy"},
        answer=saying({"audio_data": encoded(MP3), "usage": {"total_tokens": 3}}),
        check=check_speech_in_json,
    ),
)

SOUND = {"file": (Attachment(name="hello.wav", media_type="audio/wav", content=WAV),)}


def check_transcription(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    assert (asked.method, asked.raw_path) == ("POST", "/api/v1/audio/transcriptions")
    assert sorted(asked.fields) == [
        ("chunking_strategy[type]", "server_vad"),
        ("include[]", "logprobs"),
        ("language", "en"),
        ("model", "small"),
        ("stream", "false"),
        ("temperature", "0.5"),
        ("timestamp_granularities[]", "segment"),
        ("timestamp_granularities[]", "word"),
    ]
    assert asked.parts[-1] == Part("file", "hello.wav", "audio/wav", WAV)
    assert asked.headers["Content-Length"] == str(len(asked.body))
    assert done.result == TRANSCRIPTION
    assert done.reply.usage == Usage(input_tokens=14, audio_input_tokens=14, output_tokens=4)


SRT = "1\n00:00:00,000 --> 00:00:01,000\nGrüße.\n\n"


def check_subtitles(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    # The name that the vendor knows the format by.
    assert [(part.name, part.file_name) for part in asked.parts if part.file_name] == [("file", "speech.mp3")]
    assert sorted(asked.fields) == [("model", "small"), ("response_format", "srt")]
    assert done.result == {"text": SRT}


def check_wrapped_text(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    assert [part.file_name for part in asked.parts if part.file_name] == ["file.m4a"]
    assert done.result == {"text": "Hello."}


def check_seconds(_seen: list[Seen], done: Done) -> None:
    assert done.reply.usage == Usage(seconds=8.5)


TRANSCRIPTIONS = (
    Case(
        operation="audio/transcriptions",
        request={
            "language": "en",
            "temperature": 0.5,
            "timestamp_granularities": ["word", "segment"],
            "include": ["logprobs"],
            "chunking_strategy[type]": "server_vad",
            "stream": False,
            "prompt": None,
        },
        files=SOUND,
        answer=saying(TRANSCRIPTION),
        check=check_transcription,
    ),
    Case(
        operation="audio/transcriptions",
        request={"response_format": "srt", "file_format": "mp3"},
        files={"file": (Attachment(name="speech", media_type="application/octet-stream", content=MP3),)},
        answer=lambda _seen: web.Response(body=SRT.encode(), content_type="text/plain"),
        check=check_subtitles,
    ),
    Case(
        operation="audio/transcriptions",
        request={"response_format": "text"},
        files={"file": (Attachment(name='Grüße"\n', media_type="audio/x-m4a", content=MP3),)},
        answer=saying("Hello."),
        check=check_wrapped_text,
    ),
    Case(
        operation="audio/transcriptions",
        request={"response_format": "verbose_json"},
        files=SOUND,
        answer=saying({"text": "Hello", "duration": 8.5, "language": "english", "segments": []}),
        check=check_seconds,
    ),
)


def check_images(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    assert (asked.method, asked.raw_path) == ("POST", "/api/v1/images/generations")
    assert asked.json == {"model": "small", "prompt": "a cat", "n": 2, "response_format": "b64_json"}
    assert done.files == [PNG, JPEG]
    assert [blob.media_type for blob in done.reply.files] == ["image/png", "image/jpeg"]
    first, second = (blob.placeholder for blob in done.reply.files)
    assert done.result == {
        "created": 17,
        "data": [{"b64_json": first, "index": 0}, {"b64_json": second, "index": 1}],
        "usage": IMAGES_USAGE,
    }
    assert done.reply.usage == Usage(
        input_tokens=50, image_input_tokens=40, output_tokens=4160, image_output_tokens=4160
    )


def check_addresses(_seen: list[Seen], done: Done) -> None:
    assert done.result["data"] == [{"url": "https://images.example/1.png", "revised_prompt": "a cat!", "index": 0}]
    assert done.reply.files == ()
    assert done.reply.usage == Usage(images=1)


def check_image_model(seen: list[Seen], done: Done) -> None:
    # It always answers so, and refuses to be told.
    assert seen[0].json == {"model": "gpt-image-2", "prompt": "a cat", "output_format": "webp"}
    assert [blob.media_type for blob in done.reply.files] == ["image/webp"]


IMAGES = (
    Case(
        operation="images/generations",
        request={"prompt": "a cat", "n": 2, "response_format": "b64_json"},
        answer=saying(pictures(PNG, JPEG, usage=IMAGES_USAGE)),
        check=check_images,
    ),
    Case(
        operation="images/generations",
        request={"prompt": "a cat"},
        answer=saying({"data": [{"url": "https://images.example/1.png", "revised_prompt": "a cat!"}]}),
        check=check_addresses,
    ),
    Case(
        operation="images/generations",
        model="gpt-image-2",
        request={"prompt": "a cat", "response_format": "url", "output_format": "webp"},
        answer=saying(pictures(b"what nobody knows")),
        check=check_image_model,
    ),
)


def attached(*contents: bytes) -> tuple[Attachment, ...]:
    return tuple(Attachment(name=f"{i}.png", media_type="image/png", content=each) for i, each in enumerate(contents))


def check_edit(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    assert (asked.method, asked.raw_path) == ("POST", "/api/v1/images/edits")
    assert sorted(asked.fields) == [("model", "small"), ("n", "1"), ("prompt", "a hat")]
    assert [part for part in asked.parts if part.file_name] == [
        Part("image[]", "0.png", "image/png", PNG),
        Part("image[]", "1.png", "image/png", JPEG),
        Part("mask", "0.png", "image/png", b"mask"),
    ]
    assert done.files == [PNG]


def check_variation(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    assert (asked.method, asked.raw_path) == ("POST", "/api/v1/images/variations")
    assert [part.name for part in asked.parts if part.file_name] == ["image"]
    assert done.files == [JPEG]


CHANGES = (
    Case(
        operation="images/edits",
        request={"prompt": "a hat", "n": 1},
        files={"image": attached(PNG, JPEG), "mask": attached(b"mask")},
        answer=saying(pictures(PNG)),
        check=check_edit,
    ),
    Case(
        operation="images/variations",
        request={"n": 1},
        files={"image": attached(PNG)},
        answer=saying(pictures(JPEG)),
        check=check_variation,
    ),
)

DOCUMENTS = [{"text": "a", "id": "d-1", "meta": {"n": 1}}, {"text": "b"}, {"text": "c"}]


def check_ranking(seen: list[Seen], done: Done) -> None:
    (asked,) = seen
    assert (asked.method, asked.raw_path) == ("POST", "/api/v1/rerank")
    assert asked.json == {"model": "small", "query": "q", "documents": ["a", "b", "c"], "top_n": 2}
    assert done.result == {
        "id": "rerank-1",
        "model": "small-2026",
        "usage": {"total_tokens": 56},
        "results": [
            {"index": 0, "relevance_score": 0.9, "document": DOCUMENTS[0]},
            {"index": 1, "relevance_score": 0.5, "document": DOCUMENTS[1]},
        ],
    }
    assert done.reply.usage == Usage(input_tokens=56)


def check_scores(_seen: list[Seen], done: Done) -> None:
    assert done.result == {
        "model": "small",
        "results": [{"index": 1, "relevance_score": 2}, {"index": 0, "relevance_score": -3.5}],
    }


RANKINGS = (
    Case(
        operation="rerank",
        request={"query": "q", "documents": DOCUMENTS, "top_n": 2, "return_documents": True},
        answer=saying(RANKING),
        check=check_ranking,
    ),
    Case(
        operation="rerank",
        request={"query": "q", "documents": DOCUMENTS},
        answer=saying([{"index": 0, "score": -3.5, "document": "a"}, {"index": 1, "score": 2, "document": "b"}]),
        check=check_scores,
    ),
)

MODERATION = {
    "id": "modr-1",
    "model": "small-2026",
    "results": [
        {
            "flagged": flagged,
            "categories": {"violence": flagged, "self-harm": False},
            "category_scores": {"violence": score, "self-harm": 0.0},
            "category_applied_input_types": {"violence": ["text"], "self-harm": ["text"]},
        }
        for flagged, score in ((True, 0.9), (False, 0.1))
    ],
}
SEEN = [
    {"type": "text", "text": "Look."},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
]

PAGE = {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERi0="}

CHATS = (
    plain("chat/completions", CHAT, Usage(input_tokens=9, cached_input_tokens=4, output_tokens=3)),
    plain("completions", COMPLETION, Usage(input_tokens=1, output_tokens=2)),
    plain("responses", RESPONSE, Usage(input_tokens=9, cached_input_tokens=2, output_tokens=30)),
    plain("embeddings", EMBEDDINGS, Usage(input_tokens=5)),
)

VENDOR = Vendor(
    kind="openai",
    cases=(
        *CHATS,
        *SPEECH,
        *TRANSCRIPTIONS,
        *IMAGES,
        *CHANGES,
        *RANKINGS,
        plain("ocr", OCR, Usage(pages=1), document=PAGE, pages=[0], include_image_base64=True),
        plain("moderations", MODERATION, None, input=["one", "two"]),
        plain("moderations", {**MODERATION, "usage": {"prompt_tokens": 4}}, Usage(input_tokens=4), input=SEEN),
    ),
    error=error,
    model=body_model,
    key=bearer,
    models=(
        {"object": "list", "data": [{"id": "small", "created": 17}, {"id": "team/big"}, {"no": "id"}]},
        ["small", "team/big"],
    ),
)
