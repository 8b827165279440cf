"""Speech: every format holds the whole sound, decodable; what the voice cannot do is refused by name."""

from pathlib import Path
from typing import Any

import av
import pytest

from coatcheck.engine.calls import Progress
from coatcheck.engine.errors import CallFailed

from .local_models import SPEECH, Served

TEXT = "The quick brown fox jumps over the lazy dog."
ALONE: dict[str, Any] = {"input": TEXT, "voice": "alloy"}


def seconds(path: Path, **how: Any) -> float:
    """How long the decoded sound is."""
    with av.open(str(path), **how) as container:
        return float(sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0)))


@pytest.fixture(scope="module")
def usual(media: Served) -> float:
    """How long the text takes at the usual speed."""
    made = media.make("audio/speech", SPEECH, response_format="wav", **ALONE)
    return seconds(made.paths[0])


@pytest.mark.parametrize(
    ("name", "media_type", "codec"),
    [
        (None, "audio/mpeg", "mp3"),
        ("mp3", "audio/mpeg", "mp3"),
        ("opus", "audio/ogg", "opus"),
        ("aac", "audio/aac", "aac"),
        ("flac", "audio/flac", "flac"),
        ("wav", "audio/wav", "pcm_s16le"),
    ],
)
def test_each_format_holds_the_whole_sound(
    media: Served, usual: float, name: str | None, media_type: str, codec: str
) -> None:
    made = media.make("audio/speech", SPEECH, response_format=name, **ALONE)
    assert made.media_types == [media_type]
    assert made.result["usage"] == {"input_chars": len(TEXT)}
    with av.open(str(made.paths[0])) as container:
        [stream] = container.streams.audio
        assert stream.codec_context.name in (codec, f"{codec}float", f"lib{codec}")
        assert stream.channels == 1
    assert seconds(made.paths[0]) == pytest.approx(usual, abs=0.15)


def test_pcm_is_24_kilohertz_of_16_bits_and_nothing_else(media: Served, usual: float) -> None:
    made = media.make("audio/speech", SPEECH, response_format="pcm", **ALONE)
    assert made.media_types == ["audio/pcm"]
    assert made.paths[0].stat().st_size == pytest.approx(usual * 24_000 * 2, abs=2)


@pytest.mark.parametrize("speed", [0.25, 0.5, 2, 4])
def test_speed_makes_it_longer_or_shorter(media: Served, usual: float, speed: float) -> None:
    made = media.make("audio/speech", SPEECH, speed=speed, response_format="wav", **ALONE)
    assert seconds(made.paths[0]) == pytest.approx(usual / speed, rel=0.15)


def test_the_same_text_is_the_same_sound_whichever_voice_is_named(media: Served) -> None:
    sounds = {
        media.make("audio/speech", SPEECH, input=TEXT, voice=voice, response_format="pcm").paths[0].read_bytes()
        for voice in ("heart", "alloy", "verse", [{"speaker": "A", "voice": "onyx"}])
    }
    assert len(sounds) == 1


def test_progress_counts_sentences(media: Served) -> None:
    heard: list[Progress] = []
    media.make("audio/speech", SPEECH, heard.append, input="One. Two. Three. " * 20, voice="alloy")
    assert heard[0] == Progress(done=0, total=60, unit="sentences")


@pytest.mark.parametrize(
    "text",
    [
        "word " * 2_000,
        "a" * 5_000,
        "7" * 400,
        "$" + "9" * 60,
        "No end in sight, " * 300,
        "Dr. Smith paid £3.50 (about 4 €) on 12/10/2026 at 3:30pm — “really?” \u200b\ufeff\x00",
        "Grüße aus Größe: 5 µm, π ≈ 3.14",
    ],
)
def test_odd_and_long_texts_are_spoken_to_their_end(media: Served, text: str) -> None:
    made = media.make("audio/speech", SPEECH, input=text, voice="alloy", speed=4, response_format="opus")
    assert seconds(made.paths[0]) > len(text) / 200


@pytest.mark.parametrize(
    ("request_", "param", "code", "reason"),
    [
        ({"input": "日本語のテキスト"}, "input", "unsupported_language", "speaks English only"),
        ({"input": "Привет, мир"}, "input", "unsupported_language", "speaks English only"),
        ({"input": "😀 …"}, "input", "invalid_value", "nothing in input that the English voice could say"),
        ({"input": "x" * 100_001}, "input", "too_long", "takes 100000 at most"),
        ({**ALONE, "language_code": "de"}, "language_code", "unsupported_language", "speaks English only"),
        ({**ALONE, "voice": "rachel"}, "voice", "unsupported_parameter", "There is one local voice, heart"),
        (
            {"input": TEXT, "voice": [{"speaker": "A", "voice": "nova"}, {"speaker": "B", "voice": "onyx"}]},
            "voice",
            "unsupported_parameter",
            "several speakers",
        ),
        ({**ALONE, "instructions": "Whisper."}, "instructions", "unsupported_parameter", "leave it away"),
        ({**ALONE, "with_timestamps": True}, "with_timestamps", "unsupported_parameter", "leave it away"),
        ({**ALONE, "response_format": "ogg"}, "response_format", "invalid_value", "one of mp3, opus"),
        ({**ALONE, "speed": 5}, "speed", "invalid_value", r"from 0\.25 to 4"),
    ],
)
def test_what_the_voice_cannot_do_is_refused_by_name(
    media: Served, request_: dict[str, Any], param: str, code: str, reason: str
) -> None:
    with pytest.raises(CallFailed, match=reason) as caught:
        media.make("audio/speech", SPEECH, **{"voice": "alloy", **request_})
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)


@pytest.mark.parametrize("language", ["en", "EN", "en-GB", "eng"])
def test_english_may_be_asked_for_in_any_spelling(media: Served, language: str) -> None:
    assert media.make("audio/speech", SPEECH, language_code=language, **ALONE).paths[0].stat().st_size > 1000
