"""Transcription: what was spoken is heard, in every container and form; what is not sound is refused."""

import re
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from coatcheck.engine.calls import Progress
from coatcheck.engine.errors import CallFailed
from coatcheck.providers.local import transcription as local_transcription
from coatcheck.providers.local.subtitles import srt, vtt

from .local_models import SPEECH, TRANSCRIPTION, Served
from .pictures import scene, tone

TEXT = "The quick brown fox jumps over the lazy dog. Please send the invoice on Tuesday morning."
WORDS = {"quick", "brown", "fox", "lazy", "dog", "invoice", "tuesday", "morning"}


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def spoken(media: Served, name: str, text: str = TEXT) -> Path:
    return media.make("audio/speech", SPEECH, input=text, voice="alloy", response_format=name).paths[0]


@pytest.fixture(scope="module")
def speech(media: Served) -> Path:
    return spoken(media, "mp3")


def heard(media: Served, path: Path, **request: Any) -> dict[str, Any]:
    return media.ask("audio/transcriptions", TRANSCRIPTION, files={"file": (path,)}, **request)


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav"])
def test_what_was_spoken_is_heard_from_any_container(media: Served, name: str) -> None:
    result = heard(media, spoken(media, name))
    assert words(result["text"]) >= WORDS
    assert set(result) == {"text", "usage"}
    assert result["usage"]["type"] == "duration"
    assert 4 < result["usage"]["seconds"] < 10


def test_a_film_is_heard_by_its_sound(media: Served, speech: Path, folder: Path) -> None:
    film = folder / "film.mkv"
    with av.open(str(speech)) as source, av.open(str(film), "w") as out:
        sound, picture = out.add_stream_from_template(source.streams.audio[0]), out.add_stream("mpeg4", rate=10)
        picture.width, picture.height = 64, 64
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = sound
                out.mux(packet)
        for _ in range(20):
            out.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
        out.mux(picture.encode())
    assert words(heard(media, film)["text"]) >= WORDS


def test_raw_samples_are_heard_where_the_request_says_so(media: Served, folder: Path) -> None:
    raw = folder / "raw"
    with av.open(str(spoken(media, "wav"))) as container, raw.open("wb") as file:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
        for frame in container.decode(audio=0):
            for resampled in resampler.resample(frame):
                file.write(resampled.to_ndarray().tobytes())
    assert words(heard(media, raw, file_format="pcm_s16le_16")["text"]) >= WORDS
    with pytest.raises(CallFailed, match="cannot be read as sound"):
        heard(media, raw)


def test_verbose_json_has_segments_and_the_words_that_were_asked_for(media: Served, speech: Path) -> None:
    result = heard(media, speech, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert (result["task"], result["language"]) == ("transcribe", "en")
    assert [segment["id"] for segment in result["segments"]] == [*range(len(result["segments"]))]
    for segment in result["segments"]:
        assert 0 <= segment["start"] < segment["end"] <= result["duration"] + 0.5
        assert segment["tokens"]
    assert "".join(segment["text"] for segment in result["segments"]).strip() == result["text"]
    assert words(" ".join(word["word"] for word in result["words"])) >= WORDS
    times = [word["start"] for word in result["words"]]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("granularities", "there", "not_there"),
    [(None, "segments", "words"), (["segment"], "segments", "words"), (["word"], "words", "segments")],
)
def test_granularities_choose_what_is_told(
    media: Served, speech: Path, granularities: list[str] | None, there: str, not_there: str
) -> None:
    more = {"timestamp_granularities": granularities} if granularities else {}
    result = heard(media, speech, response_format="verbose_json", **more)
    assert result[there]
    assert not_there not in result


@pytest.mark.parametrize("language", ["en", "EN", "en-GB"])
def test_a_language_may_be_asked_for_in_any_spelling(media: Served, speech: Path, language: str) -> None:
    assert words(heard(media, speech, language=language)["text"]) >= WORDS


def test_plain_text_and_subtitles_are_in_text(media: Served, speech: Path) -> None:
    assert words(heard(media, speech, response_format="text")["text"]) >= WORDS
    subtitles = heard(media, speech, response_format="srt")["text"]
    assert re.match(r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\nThe quick", subtitles)
    web = heard(media, speech, response_format="vtt")["text"]
    assert re.match(r"WEBVTT\n\n00:00:0\d\.\d{3} --> 00:00:0\d\.\d{3}\nThe quick", web)


def test_subtitles_count_hours_and_escape_marks() -> None:
    segments = [{"start": 0.0, "end": 59.9996, "text": " a <b> & c "}, {"start": 3661.5, "end": 3662.0, "text": "d"}]
    assert srt(segments) == ("1\n00:00:00,000 --> 00:01:00,000\na <b> & c\n\n2\n01:01:01,500 --> 01:01:02,000\nd\n\n")
    assert vtt(segments) == (
        "WEBVTT\n\n00:00:00.000 --> 00:01:00.000\na &lt;b&gt; &amp; c\n\n01:01:01.500 --> 01:01:02.000\nd\n\n"
    )


@pytest.mark.parametrize("loudness", [0.0, 0.3])
def test_nothing_is_heard_where_nobody_speaks(media: Served, folder: Path, loudness: float) -> None:
    path = tone(folder / "tone.wav", 3, loudness=loudness)
    result = heard(media, path, response_format="verbose_json")
    assert (result["text"], result["segments"], result["duration"]) == ("", [], 3.0)


def test_a_recording_that_is_cut_off_is_heard_as_far_as_it_goes(media: Served, speech: Path, folder: Path) -> None:
    whole = speech.read_bytes()
    (folder / "half.mp3").write_bytes(whole[: len(whole) // 2])
    result = heard(media, folder / "half.mp3")
    assert {"quick", "fox"} <= words(result["text"])
    assert "morning" not in words(result["text"])


def test_progress_is_in_seconds_and_brings_the_text(media: Served, speech: Path) -> None:
    told: list[Progress] = []
    result = media.ask("audio/transcriptions", TRANSCRIPTION, told.append, files={"file": (speech,)})
    assert told[0].unit == "seconds"
    assert told[0].total == round(result["usage"]["seconds"])
    assert told[0].delta.split()[0] == "The"


PLAYLIST = """#EXTM3U
#EXT-X-TARGETDURATION:10
#EXTINF:10,
{path}
#EXT-X-ENDLIST
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text", b"hello" * 1000),
        ("empty", b""),
        ("zeros", b"\x00" * 5000),
        ("head.wav", b"RIFF\xff\xff\xff\xffWAVEfmt "),
        ("list.ffconcat", b"ffconcat version 1.0\nfile 'other.mp3'\n"),
        ("list.m3u8", PLAYLIST.encode()),
    ],
)
def test_what_is_no_sound_or_names_other_files_is_refused(
    media: Served, speech: Path, folder: Path, name: str, content: bytes
) -> None:
    shutil.copy(speech, folder / "other.mp3")
    (folder / name).write_bytes(content.replace(b"{path}", str(folder / "other.mp3").encode()))
    with pytest.raises(CallFailed, match=r"cannot be read as sound|no sound in the file") as caught:
        heard(media, folder / name)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, "file", "invalid_file")


def test_a_picture_is_refused_as_sound(media: Served, folder: Path) -> None:
    with pytest.raises(CallFailed, match=r"cannot be read as sound|no sound") as caught:
        heard(media, scene(folder / "scene.png"))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("request_", "param", "reason"),
    [
        ({"language": "de"}, "language", "knows no language de; it knows en"),
        ({"include": ["logprobs"]}, "include", "have nothing of include"),
        ({"response_format": "diarized_json"}, "response_format", "one of json, text, srt"),
    ],
)
def test_what_the_model_cannot_do_is_refused_by_name(
    media: Served, speech: Path, request_: dict[str, Any], param: str, reason: str
) -> None:
    with pytest.raises(CallFailed, match=reason) as caught:
        heard(media, speech, **request_)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_long_sound_is_cut_where_it_is_quiet() -> None:
    rate, longest = 16_000, local_transcription._STRETCH_SECONDS
    loud = np.full(rate, 0.5, np.float32)
    quiet_at = longest - 10
    pieces = [loud * (0 if number == quiet_at else 1) for number in range(longest + 20)]
    first, second = local_transcription._stretches(iter(pieces))
    assert quiet_at * rate <= len(first) <= (quiet_at + 1) * rate
    assert len(first) + len(second) == len(pieces) * rate
