"""Features by the models on this machine: they do what they say, and say it as the table does."""

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from coatcheck.engine.errors import CallFailed
from coatcheck.providers.local.language_names import LANGUAGES as NAMES

from .features import same_shape
from .local_models import DRAWING, EMBEDDINGS, LANGUAGES, OCR, SPEECH, STYLES, TRANSCRIPTION, Served
from .pictures import page, scene

HEAR, SPEAK, DRAW, DETECT = "audio/speech_to_text_async", "audio/tts", "image/generation", "text/language_detection"
TEXT = "The quick brown fox jumps over the lazy dog. Please send the invoice on Tuesday morning."
WORDS = {"quick", "brown", "fox", "lazy", "dog", "invoice", "tuesday", "morning"}
#: The first article of the declaration of human rights, or its beginning.
SENTENCES = {
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια.",
    "en": "All human beings are born free and equal in dignity and rights.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "fi": "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है।",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti.",
    "ja": "すべての人間は、生まれながらにして自由であり、平等である。",
    "ru": "Все люди рождаются свободными и равными в своём достоинстве.",
    "zh": "人人生而自由，在尊严和权利上一律平等。",
}


def made(served: Served, feature: str, model: str, given: Any, **files: tuple[Path, ...]) -> Any:
    found = served.feature(feature, model, given, **files).result
    same_shape(feature, found)
    return found


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.mark.parametrize("code", SENTENCES)
@pytest.mark.parametrize("feature", [DETECT, "translation/language_detection"])
def test_a_sentence_s_language_is_told(code: str, feature: str, media: Served) -> None:
    first, *others = made(media, feature, LANGUAGES, {"text": SENTENCES[code]})["items"]
    assert (first["language"], first["display_name"]) == (code, NAMES[code][1])
    assert first["confidence"] > 0.6
    assert [other["confidence"] for other in others] == sorted((o["confidence"] for o in others), reverse=True)


def test_of_a_mixed_text_several_languages_are_told(media: Served) -> None:
    items = made(media, DETECT, LANGUAGES, {"text": f"{SENTENCES['de']} {SENTENCES['fr']}"})["items"]
    assert {"de", "fr"} <= {item["language"] for item in items}
    assert sum(item["confidence"] for item in items) <= 1.001


@pytest.mark.parametrize("text", ["12345", "😀 !?", "\0\0 1"])
def test_what_has_no_letters_is_in_no_language(text: str, media: Served) -> None:
    assert made(media, DETECT, LANGUAGES, {"text": text}) == {"items": []}


def test_a_long_text_over_lines_is_taken(media: Served) -> None:
    text = "\r\n".join([SENTENCES["it"]] * 5000)
    assert made(media, DETECT, LANGUAGES, {"text": text})["items"][0]["language"] == "it"


def test_every_language_has_a_code_and_a_name() -> None:
    assert len(NAMES) == 176
    assert all(re.fullmatch("[a-z]{2,3}", code) and name for code, name in NAMES.values())
    assert NAMES["als"] == ("gsw", "Alemannic German")


def test_vectors_are_those_of_v1(served: Served) -> None:
    texts = ["a coat", "a ticket"]
    plain = served.ask("embeddings", EMBEDDINGS, input=texts)
    assert made(served, "text/embeddings", EMBEDDINGS, {"texts": texts}) == {
        "items": [{"embedding": item["embedding"]} for item in plain["data"]]
    }


def test_a_refusal_of_the_model_is_one_of_the_feature(served: Served) -> None:
    with pytest.raises(CallFailed, match="have 384 dimensions") as caught:
        made(served, "text/embeddings", EMBEDDINGS, {"texts": ["a"], "dimensions": 3})
    assert (caught.value.status, caught.value.param) == (400, "dimensions")


def test_what_was_spoken_is_heard(media: Served) -> None:
    spoken = media.feature(SPEAK, SPEECH, {"text": TEXT, "audio_format": "wav"})
    same_shape(SPEAK, spoken.result)
    assert spoken.result["voice_type"] == "heart"
    assert spoken.media_types == ["audio/wav"]
    heard = made(media, HEAR, TRANSCRIPTION, {"language": "en"}, file=(spoken.paths[0],))
    assert words(heard["text"]) >= WORDS
    told = heard["diarization"]
    assert (told["total_speakers"], told["error_message"]) == (0, "The provider does not tell speakers apart.")
    assert " ".join(entry["segment"] for entry in told["entries"]) == heard["text"].strip()
    times = [float(entry[name]) for entry in told["entries"] for name in ("start_time", "end_time")]
    assert times == sorted(times)
    assert 4 < times[-1] < 10


def test_an_image_is_drawn_and_painted_anew(media: Served, folder: Path) -> None:
    drawn = media.feature(DRAW, DRAWING, {"text": "mountains at dusk", "resolution": "128x96", "num_images": 2})
    same_shape(DRAW, drawn.result)
    assert [size(path) for path in drawn.paths] == [(128, 96)] * 2
    assert len(drawn.result["items"]) == 2
    reference = scene(folder / "scene.png", (128, 96))
    painted = media.feature(DRAW, STYLES, {"text": "starry night"}, reference_images=(reference,))
    same_shape(DRAW, painted.result)
    assert len(painted.paths) == 1


LINES = ("Your coat is ready.", "Ticket No. 4711, paid 12.50 EUR")


def test_a_page_is_read_with_a_box_for_each_line(media: Served, folder: Path) -> None:
    found = made(media, "ocr/ocr", OCR, {"language": "en"}, file=(page(folder / "page.png", LINES),))
    assert found["text"] == "\n".join(LINES)
    first, second = found["bounding_boxes"]
    assert (first["text"], second["text"]) == LINES
    # The page draws them from 60 pixels of 1000 on, 40 of 700 apart.
    assert (first["left"], second["top"] - first["top"]) == (
        pytest.approx(0.06, abs=0.01),
        pytest.approx(40 / 700, abs=0.01),
    )
    assert 0.2 < first["width"] < second["width"] < 0.6


def test_lines_have_words_where_they_stand(media: Served, folder: Path) -> None:
    found = made(media, "ocr/ocr_async", OCR, {}, file=(page(folder / "page.png", LINES),))
    assert (found["raw_text"], found["number_of_pages"]) == ("\n".join(LINES), 1)
    [read] = found["pages"]
    assert [" ".join(word["text"] for word in line["words"]) for line in read["lines"]] == list(LINES)
    for line in read["lines"]:
        assert line["confidence"] > 0.9
        lefts = [word["bounding_box"]["left"] for word in line["words"]]
        assert lefts == sorted(lefts)
        assert lefts[0] == pytest.approx(line["bounding_box"]["left"], abs=0.02)


def test_a_document_of_several_pages_is_read_page_by_page(media: Served, folder: Path) -> None:
    one, two = (page(folder / f"{number}.png", [f"Page number {number}"]) for number in (1, 2))
    with Image.open(one) as first, Image.open(two) as second:
        first.save(folder / "both.pdf", save_all=True, append_images=[second], resolution=72)
    found = made(media, "ocr/ocr_async", OCR, {}, file=(folder / "both.pdf",))
    assert [[line["text"] for line in each["lines"]] for each in found["pages"]] == [
        ["Page number 1"],
        ["Page number 2"],
    ]
    assert made(media, "ocr/ocr", OCR, {}, file=(folder / "both.pdf",))["text"] == "Page number 1\n\nPage number 2"


def test_a_page_without_text_has_none(media: Served, folder: Path) -> None:
    blank = page(folder / "blank.png", [])
    assert made(media, "ocr/ocr", OCR, {}, file=(blank,)) == {"text": "", "bounding_boxes": []}
    assert made(media, "ocr/ocr_async", OCR, {}, file=(blank,))["pages"] == [{"lines": []}]


def test_a_file_that_is_no_page_is_refused_by_its_name_in_the_input(media: Served, folder: Path) -> None:
    (folder / "page.png").write_bytes(b"no picture")
    with pytest.raises(CallFailed) as caught:
        made(media, "ocr/ocr", OCR, {}, file=(folder / "page.png",))
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, "input.file", "invalid_file")
