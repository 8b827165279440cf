"""Features by vendors: what they are asked, what becomes of their answers, and of answers that lack what is needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from coatcheck.engine.errors import CallFailed, NotConfigured, Unusable
from coatcheck.providers.features import originals
from coatcheck.schemas.features.table import FEATURES

from .features import call, kept, output, vendor
from .vendor_cases import ONCE
from .vendors.openai import EMBEDDINGS, MP3, OCR, PNG, pictures, sounding
from .vendors.vendor import KEY, KEY_ENV, Case, Seen, Vendor, saying

#: Every vendor's answer to an operation, with each feature that is carried out by it.
CONFORMING = [
    pytest.param(name, *case.values, id=f"{name}-{case.id}")
    for name, feature in FEATURES.items()
    for case in ONCE
    if case.values[1].operation in feature.operations[:1]  # type: ignore[union-attr]
]
HEAR, SPEAK, DRAW = "audio/speech_to_text_async", "audio/tts", "image/generation"
#: What an answer says by which nothing can be done, by feature.
LACKING: Mapping[str, tuple[Any, ...]] = {
    "text/embeddings": (
        {},
        {"data": None},
        {"data": [{"index": 0}]},
        {"data": [{"embedding": "AAAA", "index": 0}]},
        {"data": ["x"]},
        {"data": [{"embedding": [1.0], "index": 7}]},
        {"data": [{"embedding": [1.0]}, {"embedding": [1.0]}]},
    ),
    "text/moderation": ({"results": [{"categories": {}}]}, {"results": [{"categories": {}, "category_scores": []}]}),
    HEAR: ({"text": None}, {"segments": []}),
    DRAW: ({"data": []}, {"data": [{}]}),
    "ocr/ocr": ({"pages": None}, {"pages": [{"index": 0}]}, {"pages": ["x"]}),
    "ocr/ocr_async": ({"pages": None}, {"pages": [{"index": 0}]}),
}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)


def asked(
    run: Any, folder: Path, kind: str, feature: str, answer: Any, given: Any = None, /, **more: Any
) -> tuple[Any, list[Seen]]:
    """The output of a feature at a vendor that answers so, and what the vendor was asked."""

    async def main() -> tuple[Any, list[Seen]]:
        async with kept(folder) as blobs, vendor(kind, answer if callable(answer) else saying(answer)) as (up, seen):
            return output(feature, await up.execute(call(feature, given, blobs=blobs, **more))), seen

    found: tuple[Any, list[Seen]] = run(main())
    return found


def refusal(
    run: Any, folder: Path, kind: str, feature: str, answer: Any, given: Any = None, /, **more: Any
) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        asked(run, folder, kind, feature, answer, given, **more)
    return caught.value


@pytest.mark.parametrize(("feature", "speaks", "case"), CONFORMING)
def test_what_any_vendor_answers_becomes_the_feature_s_output(
    feature: str, speaks: Vendor, case: Case, run: Any, folder: Path
) -> None:
    async def main() -> None:
        given = None
        if feature == "text/embeddings":
            # There must be a vector for each.
            texts = case.request["input"]
            given = {"texts": texts if isinstance(texts, list) else [texts]}
        async with kept(folder) as blobs, vendor(speaks, case.answer) as (up, _):
            assert up.check(feature, case.model) is None
            reply = await up.execute(call(feature, given, blobs=blobs, model=case.model))
            found = output(feature, reply)
            assert reply.made is not None
            assert reply.made.operation == case.operation
            assert found

    run(main())


@pytest.mark.parametrize(("feature", "answer"), [(name, answer) for name, each in LACKING.items() for answer in each])
def test_an_answer_that_lacks_what_is_needed_is_unusable(feature: str, answer: Any, run: Any, folder: Path) -> None:
    kind = "mistral" if feature.startswith("ocr/") else "openai"
    assert isinstance(refusal(run, folder, kind, feature, answer), Unusable)


def test_embeddings_stand_in_the_order_of_their_texts(run: Any, folder: Path) -> None:
    answer = {"data": [{"index": 1, "embedding": [1, 0.5]}, {"index": 0, "embedding": [0.25, -1]}]}
    found, seen = asked(run, folder, "openai", "text/embeddings", answer, {"texts": ["a", "b"], "dimensions": 2})
    assert found == {"items": [{"embedding": [0.25, -1]}, {"embedding": [1, 0.5]}]}
    assert seen[0].json == {"input": ["a", "b"], "encoding_format": "float", "dimensions": 2, "model": "small"}


def test_a_client_s_parameters_for_the_provider_win_but_never_say_what_is_asked_of_whom(run: Any, folder: Path) -> None:
    never = {"model": "large", "input": "no", "stream": True, "file": "no", "encoding_format": "base64"}
    own = {"dimensions": 3, "x_mine": {"a": 1}, **never}
    _, seen = asked(run, folder, "openai", "text/embeddings", EMBEDDINGS, {"texts": ["a"], "dimensions": 2}, params=own)
    assert seen[0].json == {
        "input": ["a"], "encoding_format": "float", "dimensions": 3, "x_mine": {"a": 1}, "model": "small",
    }  # fmt: skip


def test_another_provider_s_parameters_are_not_for_this_one(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with kept(folder) as blobs, vendor("openai", saying(EMBEDDINGS)) as (up, seen):
            made = call("text/embeddings", blobs=blobs)
            made.request["provider_params"] = {"other": {"dimensions": 9}}
            await up.execute(made)
            assert "dimensions" not in seen[0].json

    run(main())


def test_a_moderation_s_categories_are_those_of_the_feature(run: Any, folder: Path) -> None:
    scores = {"violence/graphic": 0.61, "hate": 0.0, "newest": 1.0}
    answer = {"results": [{"flagged": True, "categories": {"hate": False}, "category_scores": scores}]}
    found, seen = asked(run, folder, "openai", "text/moderation", answer, {"text": "ouch", "language": "en"})
    assert seen[0].json == {"input": "ouch", "model": "small"}
    assert (found["nsfw_likelihood"], found["nsfw_likelihood_score"]) == (5, 1.0)
    assert [(item["label"], item["likelihood"], item["category"], item["subcategory"]) for item in found["items"]] == [
        ("newest", 5, "Other", "Other"),
        ("violence/graphic", 4, "Violence", "GraphicViolenceOrGore"),
        ("hate", 1, "HateAndExtremism", "Hate"),
    ]


SEGMENTS = [
    {"start": 0, "end": 1.5, "text": " Your coat?", "speaker": "B"},
    {"start": 1.5, "end": 2.25, "text": " Here it is.", "speaker": "A"},
    {"start": 2.25, "end": 3, "text": " Thank you.", "speaker": "B"},
]


def test_speakers_are_numbered_as_they_are_first_heard(run: Any, folder: Path) -> None:
    found, seen = asked(
        run, folder, "openai", HEAR, {"text": "Your coat?", "segments": SEGMENTS}, model="gpt-4o-transcribe-diarize"
    )
    assert dict(seen[0].fields)["response_format"] == "diarized_json"
    assert dict(seen[0].fields)["chunking_strategy"] == "auto"
    assert found["diarization"] == {
        "total_speakers": 2,
        "entries": [
            {"segment": "Your coat?", "start_time": "0.0", "end_time": "1.5", "speaker": 1, "confidence": None},
            {"segment": "Here it is.", "start_time": "1.5", "end_time": "2.25", "speaker": 2, "confidence": None},
            {"segment": "Thank you.", "start_time": "2.25", "end_time": "3.0", "speaker": 1, "confidence": None},
        ],
        "error_message": None,
    }


def test_who_tells_no_speakers_apart_says_so(run: Any, folder: Path) -> None:
    plain = [{key: value for key, value in part.items() if key != "speaker"} for part in SEGMENTS]
    found, seen = asked(
        run,
        folder,
        "openai",
        HEAR,
        {"text": "a", "segments": plain},
        {"language": "en", "vocabulary": ["Coatcheck", "stub"], "speakers": 2},
    )
    assert dict(seen[0].fields) == {
        "language": "en", "response_format": "verbose_json", "prompt": "Coatcheck, stub", "model": "small",
    }  # fmt: skip
    told = found["diarization"]
    assert (told["total_speakers"], told["error_message"]) == (0, "The provider does not tell speakers apart.")
    assert [entry["speaker"] for entry in told["entries"]] == [None, None, None]


def test_a_model_that_knows_no_times_is_not_asked_for_them(run: Any, folder: Path) -> None:
    found, seen = asked(run, folder, "openai", HEAR, {"text": "Hello."}, model="gpt-transcribe")
    assert dict(seen[0].fields)["response_format"] == "json"
    assert found == {
        "text": "Hello.",
        "diarization": {
            "total_speakers": 0, "entries": [], "error_message": "The provider tells neither times nor speakers.",
        },
    }  # fmt: skip


def test_words_stand_in_for_segments(run: Any, folder: Path) -> None:
    words = [{"word": "Hello", "start": 0.1, "end": 0.4}, {"word": 5}, "x", {"word": "there", "start": None}]
    found, _ = asked(run, folder, "openai", HEAR, {"text": "Hello there", "words": words, "segments": "none"})
    assert [(entry["segment"], entry["start_time"]) for entry in found["diarization"]["entries"]] == [
        ("Hello", "0.1"),
        ("there", None),
    ]


def test_mistral_is_asked_in_its_own_words(run: Any, folder: Path) -> None:
    parts = [{"start": 0.0, "end": 1.0, "text": "Hi.", "speaker_id": "speaker_1", "score": 0.5}]
    found, seen = asked(
        run, folder, "mistral", HEAR, {"text": "Hi.", "segments": parts}, {"vocabulary": ["New York, NY"]}
    )
    assert sorted(seen[0].fields) == [
        ("context_bias", "New_York_NY"), ("diarize", "true"), ("model", "small"),
        ("timestamp_granularities", "segment"),
    ]  # fmt: skip
    assert found["diarization"]["entries"][0] | {"segment": ""} == {
        "segment": "", "start_time": "0.0", "end_time": "1.0", "speaker": 1, "confidence": 0.5,
    }  # fmt: skip


def test_assemblyai_tells_speakers_apart_and_masks_profanity(run: Any, folder: Path) -> None:
    said = {"text": "Hi.", "start": 80, "end": 240, "speaker": "A", "confidence": 0.9}
    transcript = {"id": "t", "status": "completed", "text": "Hi.", "audio_duration": 1, "utterances": [said]}

    def answer(seen: Seen) -> web.StreamResponse:
        return saying({"upload_url": "https://x"} if seen.raw_path.endswith("upload") else transcript)(seen)

    given = {"speakers": 2, "profanity_filter": True, "vocabulary": ["Coatcheck"], "language": "en"}
    found, seen = asked(run, folder, "assemblyai", HEAR, answer, given)
    assert seen[1].json == {
        "audio_url": "https://x", "speech_models": ["small"], "language_code": "en", "speaker_labels": True,
        "speakers_expected": 2, "filter_profanity": True, "keyterms_prompt": ["Coatcheck"],
    }  # fmt: skip
    assert found["diarization"]["total_speakers"] == 1
    assert found["diarization"]["entries"][0]["start_time"] == "0.08"


def test_who_cannot_mask_profanity_refuses_to(run: Any, folder: Path) -> None:
    refused = refusal(run, folder, "openai", HEAR, {"text": "a"}, {"profanity_filter": True})
    assert (refused.status, refused.param) == (400, "input.profanity_filter")
    assert asked(run, folder, "openai", HEAR, {"text": "a"}, {"profanity_filter": False})[0]["text"] == "a"


def test_speech_is_asked_for_and_told_where_it_is(run: Any, folder: Path) -> None:
    given = {"text": "Hi.", "speed": 1.5, "audio_format": "mp3", "speaking_pitch": 0}
    found, seen = asked(run, folder, "openai", SPEAK, sounding(MP3, "audio/mpeg"), given)
    assert seen[0].json == {
        "input": "Hi.", "voice": "alloy", "speed": 1.5, "response_format": "mp3", "model": "small",
    }  # fmt: skip
    assert found["voice_type"] == "alloy"
    assert found["audio"].removeprefix("blob:") == found["audio_resource_url"].removeprefix("link:")


@pytest.mark.parametrize("field", ["speaking_pitch", "speaking_volume"])
def test_what_a_voice_cannot_do_is_refused(field: str, run: Any, folder: Path) -> None:
    refused = refusal(run, folder, "openai", SPEAK, sounding(MP3, "audio/mpeg"), {"text": "Hi.", field: 5})
    assert (refused.status, refused.param, refused.code) == (400, f"input.{field}", "unsupported_parameter")


def test_a_provider_without_a_usual_voice_wants_one_named(run: Any, folder: Path) -> None:
    refused = refusal(run, folder, "mistral", SPEAK, sounding(MP3, "audio/mpeg"), {"text": "Hi."})
    assert (refused.status, refused.param) == (400, "input.voice")
    found, seen = asked(
        run, folder, "mistral", SPEAK, sounding(MP3, "audio/mpeg"), {"text": "Hi."}, params={"voice_id": "v-1"}
    )
    assert seen[0].json["voice_id"] == found["voice_type"] == "v-1"


def test_images_are_made_or_edited_as_there_are_images_to_begin_from(run: Any, folder: Path) -> None:
    found, seen = asked(
        run, folder, "openai", DRAW, pictures(PNG, PNG), {"text": "snow", "resolution": "64x64", "num_images": 2}
    )
    assert seen[0].raw_path.endswith("/images/generations")
    assert seen[0].json == {
        "prompt": "snow", "response_format": "b64_json", "size": "64x64", "n": 2, "model": "small",
    }  # fmt: skip
    assert [item["image_resource_url"].removeprefix("link:") for item in found["items"]] == [
        item["image"].removeprefix("blob:") for item in found["items"]
    ]
    files = {"reference_images": (b"one", b"two"), "mask": (b"three",)}
    _, seen = asked(run, folder, "openai", DRAW, pictures(PNG), {"text": "snow"}, files=files)
    assert seen[0].raw_path.endswith("/images/edits")
    assert [(part.name, part.content) for part in seen[0].parts if part.file_name] == [
        ("image[]", b"one"), ("image[]", b"two"), ("mask", b"three"),
    ]  # fmt: skip


def test_an_address_that_a_vendor_answers_stays_one(run: Any, folder: Path) -> None:
    answer = {"data": [{"url": "https://x.example/1.png"}]}
    found, _ = asked(run, folder, "openai", DRAW, answer)
    assert found == {"items": [{"image": None, "image_resource_url": "https://x.example/1.png"}]}


def test_a_provider_that_only_makes_images_says_so_when_it_is_to_edit_them(run: Any, folder: Path) -> None:
    refused = refusal(run, folder, "xai", DRAW, pictures(PNG), {"text": "snow"}, files={"reference_images": (b"one",)})
    assert isinstance(refused, NotConfigured)
    assert "has no operation images/edits" in refused.message


PAGE = {
    **OCR["pages"][0],  # type: ignore[index]
    "markdown": "# Hello\n\nthere",
    "dimensions": {"dpi": 72, "width": 200, "height": 100},
    "blocks": [
        {
            "type": "title", "content": "Hello",
            "top_left_x": 20, "top_left_y": 10, "bottom_right_x": 120, "bottom_right_y": 30,
        },
        {"type": "text", "content": "there", "top_left_x": None, "top_left_y": 1, "bottom_right_x": 2},
        {"type": "text", "content": " "},
    ],
}  # fmt: skip
BOX = {"left": 0.1, "top": 0.1, "width": 0.5, "height": 0.2}


def test_a_document_is_read_with_boxes_where_they_are_told(run: Any, folder: Path) -> None:
    found, seen = asked(run, folder, "mistral", "ocr/ocr", {**OCR, "pages": [PAGE, {"markdown": "two"}]})
    assert seen[0].json["document"] == {
        "type": "document_url", "document_url": "data:text/plain;base64,aGVsbG8gdGhlcmU=",
    }  # fmt: skip
    assert found == {"text": "# Hello\n\nthere\n\ntwo", "bounding_boxes": [{"text": "Hello", **BOX}]}


def test_a_document_s_pages_have_lines(run: Any, folder: Path) -> None:
    found, _ = asked(run, folder, "mistral", "ocr/ocr_async", {**OCR, "pages": [PAGE, {"markdown": "two\n\nthree "}]})
    first, second = found["pages"]
    assert [(line["text"], line["bounding_box"]) for line in first["lines"]] == [("Hello", BOX), ("there", None)]
    assert [(line["text"], line["bounding_box"]) for line in second["lines"]] == [("two", None), ("three", None)]
    assert (found["number_of_pages"], found["raw_text"]) == (2, "# Hello\n\nthere\n\ntwo\n\nthree ")


def test_an_original_is_what_the_vendor_answered_without_our_secrets_and_without_files(run: Any, folder: Path) -> None:
    async def original(kind: str, feature: str, answer: Any, **more: Any) -> Any:
        async with kept(folder) as blobs, vendor(kind, answer) as (up, _):
            reply = await up.execute(call(feature, blobs=blobs, original=True, **more))
            assert reply.original is not None
            return orjson.loads(reply.original)

    async def main() -> None:
        quoting = {**EMBEDDINGS, "echoed": f"Bearer {KEY}!", "x-new": {"y": [None, 1]}}
        assert await original("openai", "text/embeddings", saying(quoting)) == {**quoting, "echoed": "Bearer ***!"}
        found = await original("openai", DRAW, saying(pictures(PNG, note="as it was")))
        assert found == {"created": 17, "data": [{"b64_json": None}], "note": "as it was"}
        assert await original("openai", SPEAK, sounding(MP3, "audio/mpeg")) == {"audio": None}

    run(main())


def test_a_long_text_stays_in_an_original_whatever_it_is_written_in() -> None:
    text, file = "外套已经准备好了。" * 600, "QUJD" * 1200
    said = {"text": text, "image": file, "url": f"data:image/png;base64,{file}==", "lines": [f"{file}\r\n{file}"]}
    shown = orjson.loads(originals.original(orjson.dumps(said), ()))
    assert shown == {"text": text, "image": None, "url": None, "lines": [None]}


def test_nobody_who_did_not_ask_gets_an_original(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with kept(folder) as blobs, vendor("openai", saying(EMBEDDINGS)) as (up, _):
            assert (await up.execute(call("text/embeddings", blobs=blobs))).original is None

    run(main())


@pytest.mark.parametrize("given", ["hi", {"of": "a vendor's own"}], ids=["a text", "an object"])
def test_an_operation_of_v1_goes_straight_through(given: Any, run: Any, folder: Path) -> None:
    async def main() -> None:
        async with kept(folder) as blobs, vendor("openai", saying(EMBEDDINGS)) as (up, seen):
            made = call("text/embeddings", blobs=blobs)
            plain = type(made)(
                job_id="j",
                operation="embeddings",
                model="small",
                request={"input": given, "show_original_response": True},
            )
            reply = await up.execute(plain)
            assert (reply.result, reply.made, reply.original) == (orjson.dumps(EMBEDDINGS), None, None)
            assert seen[0].json == {"input": given, "show_original_response": True, "model": "small"}
        async with vendor("xai", saying({})) as (up, _):
            for name in ("embeddings", "text/embeddings"):
                assert (up.check(name, "small") or "").startswith("has no operation embeddings; it has ")
            assert (up.check("text/none", "small") or "").startswith("has no operation text/none; it has ")

    run(main())
