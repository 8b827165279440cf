"""Images: drawn by formulas, and painted anew; each says what it is, and what cannot be done is refused."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from coatcheck.engine.calls import Progress
from coatcheck.engine.errors import CallFailed

from .local_models import DRAWING, STYLES, Made, Served
from .pictures import scene
from .test_local_ocr import bomb

GENERATE, EDIT, VARY = "images/generations", "images/edits", "images/variations"


def pixels(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def unlike(one: Image.Image, other: Image.Image) -> float:
    """How far two pictures are apart, from 0 to 255."""
    means: list[float] = ImageStat.Stat(ImageChops.difference(one, other)).mean
    return sum(means) / len(means)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scene(tmp_path_factory.mktemp("images") / "photo.png")


def draw(media: Served, **request: Any) -> Made:
    return media.make(GENERATE, DRAWING, **{"prompt": "mountains at sunset", "size": "256x256", **request})


def edit(media: Served, *images: Path, mask: Path | None = None, **request: Any) -> Made:
    files = {"image": images, **({"mask": (mask,)} if mask else {})}
    return media.make(EDIT, STYLES, files=files, **request)


def test_a_drawing_says_that_it_is_procedural_and_what_it_shows(media: Served) -> None:
    made = draw(media, seed=7)
    [datum] = made.result["data"]
    assert datum["index"] == 0
    assert datum["revised_prompt"].startswith("procedural, not generative: mountains, sunset")
    assert datum["revised_prompt"].endswith("seed 7")
    expected = {"model": DRAWING, "size": "256x256", "output_format": "png", "background": "opaque", "seeds": [7]}
    assert {key: made.result[key] for key in expected} == expected
    assert made.media_types == ["image/png"]
    assert pixels(made.paths[0]).size == (256, 256)


def test_the_same_seed_is_the_same_drawing_and_another_is_another(media: Served) -> None:
    one, again, other = (draw(media, seed=seed).paths[0].read_bytes() for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_a_prompt_without_a_seed_is_always_drawn_alike(media: Served) -> None:
    assert draw(media).paths[0].read_bytes() == draw(media).paths[0].read_bytes()
    assert draw(media).paths[0].read_bytes() != draw(media, prompt="sunset mountains").paths[0].read_bytes()


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("A sailing boat on the ocean at night", "sea, night"),
        ("skyscrapers in the morning, overcast", "city, dawn, clouds"),
        ("pine trees in winter, misty", "forest, .*, fog, snow"),
        ("Sahara at noon, cloudless", "desert, day, clear"),
        ("a cow", "(mountains|hills|sea|forest|desert|city), (dawn|day|sunset)"),
    ],
)
def test_words_of_the_prompt_choose_what_is_drawn(media: Served, prompt: str, shown: str) -> None:
    [datum] = draw(media, prompt=prompt).result["data"]
    assert re.match(f"procedural, not generative: {shown}", datum["revised_prompt"])


def test_night_is_darker_than_day(media: Served) -> None:
    night, day = (
        sum(ImageStat.Stat(pixels(draw(media, prompt=f"mountains, {hour}, clear").paths[0])).mean)
        for hour in ("night", "day")
    )
    assert night < day / 2


def test_vivid_has_more_colour_than_natural(media: Served) -> None:
    def colour(style: str) -> float:
        image = pixels(draw(media, style=style, seed=3).paths[0])
        return float(ImageStat.Stat(image.convert("HSV")).mean[1])

    assert colour("vivid") > colour("natural") * 1.1


def test_several_drawings_are_different_and_come_in_order(media: Served) -> None:
    told: list[Progress] = []
    made = media.make(GENERATE, DRAWING, told.append, prompt="hills", n=3, size="128x128", seed=5)
    assert [datum["index"] for datum in made.result["data"]] == [0, 1, 2]
    assert made.result["seeds"] == [5, 6, 7]
    assert len({path.read_bytes() for path in made.paths}) == 3
    assert told[0] == Progress(done=0, total=3, unit="images")


@pytest.mark.parametrize(
    ("size", "expected"),
    [(None, (1024, 1024)), ("auto", (1024, 1024)), ("1792x1024", (1792, 1024)), ("64x2048", (64, 2048))],
)
def test_a_drawing_has_the_size_that_was_asked_for(media: Served, size: str | None, expected: tuple[int, int]) -> None:
    assert pixels(draw(media, size=size).paths[0]).size == expected


@pytest.mark.parametrize(("name", "media_type"), [("jpeg", "image/jpeg"), ("webp", "image/webp")])
def test_a_picture_has_the_format_and_the_compression_that_were_asked_for(
    media: Served, name: str, media_type: str
) -> None:
    rough, fine = (draw(media, output_format=name, output_compression=quality) for quality in (10, 100))
    assert rough.media_types == fine.media_types == [media_type]
    assert rough.result["output_format"] == name
    assert rough.paths[0].stat().st_size < fine.paths[0].stat().st_size / 2
    with Image.open(rough.paths[0]) as image:
        assert image.format == name.upper()


def test_an_edit_paints_the_picture_in_the_style_that_the_prompt_names(media: Served, photo: Path) -> None:
    made = edit(media, photo, prompt="Make it look like a starry night by van Gogh", n=2)
    assert [datum["revised_prompt"] for datum in made.result["data"]] == [
        "style transfer: style 19",
        "style transfer: style 6",
    ]
    first, second = map(pixels, made.paths)
    assert first.size == second.size == (320, 240)
    assert unlike(first, pixels(photo)) > 20
    assert unlike(first, second) > 20


def test_a_style_may_be_named_by_its_number_and_is_always_the_same(media: Served, photo: Path) -> None:
    one, again = (edit(media, photo, prompt="style 7", type="style_transfer") for _ in range(2))
    assert one.result["data"][0]["revised_prompt"] == "style transfer: style 7"
    assert one.paths[0].read_bytes() == again.paths[0].read_bytes()


def test_a_seed_chooses_where_any_style_will_do(media: Served, photo: Path) -> None:
    said = {
        edit(media, photo, prompt="turn it into a painting", seed=seed).result["data"][0]["revised_prompt"]
        for seed in range(3)
    }
    assert len(said) == 3


def test_a_second_picture_is_the_style(media: Served, photo: Path, folder: Path) -> None:
    reference = folder / "reference.png"
    image = Image.effect_noise((200, 200), 90).convert("RGB")
    image.paste((220, 30, 30), (0, 0, 200, 90))
    image.save(reference)
    made = edit(media, photo, reference, prompt="")
    assert made.result["data"][0]["revised_prompt"] == "style transfer from the second picture"
    assert unlike(pixels(made.paths[0]), pixels(photo)) > 20


def test_a_mask_keeps_what_is_not_transparent_in_it(media: Served, photo: Path, folder: Path) -> None:
    mask = Image.new("RGBA", (320, 240), (0, 0, 0, 255))
    ImageDraw.Draw(mask).rectangle((0, 0, 159, 239), fill=(0, 0, 0, 0))
    mask.save(folder / "mask.png")
    made = pixels(edit(media, photo, mask=folder / "mask.png", prompt="style 20").paths[0])
    left, right = (0, 0, 150, 240), (170, 0, 320, 240)
    assert unlike(made.crop(left), pixels(photo).crop(left)) > 20
    assert unlike(made.crop(right), pixels(photo).crop(right)) == 0


def test_an_edit_has_the_size_that_was_asked_for_and_else_its_own_up_to_a_bound(
    media: Served, photo: Path, folder: Path
) -> None:
    assert pixels(edit(media, photo, prompt="style 1", size="256x512").paths[0]).size == (256, 512)
    large = scene(folder / "large.png", (2400, 1200))
    assert pixels(edit(media, large, prompt="style 1", size="auto").paths[0]).size == (1024, 512)


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "CMYK", "1", "I;16"])
def test_pictures_of_every_mode_are_painted(media: Served, folder: Path, mode: str) -> None:
    if mode == "I;16":
        path = folder / "photo.tiff"
        Image.new("I;16", (64, 64), 30_000).save(path)
    else:
        path = scene(folder / f"photo.{'tiff' if mode == 'CMYK' else 'png'}", (64, 64), mode)
    assert pixels(edit(media, path, prompt="style 3").paths[0]).size == (64, 64)


def test_variations_are_different_pictures_in_the_pictures_own_colours(media: Served, photo: Path) -> None:
    made = media.make(VARY, STYLES, files={"image": (photo,)}, n=3)
    assert len({datum["revised_prompt"] for datum in made.result["data"]}) == 3
    assert len({path.read_bytes() for path in made.paths}) == 3
    own = ImageStat.Stat(pixels(photo).convert("YCbCr")).mean
    for path in made.paths:
        varied = pixels(path)
        assert varied.size == (320, 240)
        assert unlike(varied, pixels(photo)) > 3
        assert ImageStat.Stat(varied.convert("YCbCr")).mean[1:] == pytest.approx(own[1:], abs=4)


@pytest.mark.parametrize(
    ("request_", "param", "reason"),
    [
        ({"size": "big"}, "size", "WIDTHxHEIGHT"),
        ({"size": "32x32"}, "size", "from 64 to 2048 pixels"),
        ({"size": "4096x64"}, "size", "from 64 to 2048 pixels"),
        ({"n": 11}, "n", "at most 10"),
        ({"output_format": "gif"}, "output_format", "one of png, jpeg, webp"),
        ({"background": "transparent"}, "background", "are opaque"),
    ],
)
def test_a_drawing_that_cannot_be_made_is_refused(
    media: Served, request_: dict[str, Any], param: str, reason: str
) -> None:
    with pytest.raises(CallFailed, match=reason) as caught:
        draw(media, **request_)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    ("request_", "param", "reason"),
    [
        ({"prompt": "add a cat"}, "prompt", "the prompt names none that it knows. .* watercolor"),
        ({"prompt": "style 26"}, "prompt", "styles 0 to 25"),
        ({"prompt": "style 1", "type": "inpainting"}, "type", "no edit of the type inpainting; it has style_transfer"),
    ],
)
def test_an_edit_that_is_no_style_is_refused(
    media: Served, photo: Path, request_: dict[str, Any], param: str, reason: str
) -> None:
    with pytest.raises(CallFailed, match=reason) as caught:
        edit(media, photo, **request_)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_pictures_that_cannot_be_painted_are_refused(media: Served, photo: Path, folder: Path) -> None:
    (folder / "junk").write_bytes(b"GIF89a" + b"junk" * 100)
    (folder / "bomb").write_bytes(base64.b64decode(bomb(9000, 9000).partition(",")[2]))
    small = scene(folder / "small.png", (20, 100))
    for images, reason in (
        ((folder / "junk",), "cannot be read as a picture"),
        ((folder / "bomb",), "at most 50 million pixels"),
        ((small,), "needs 32 pixels"),
        ((photo, photo, photo), "at most one more as the style"),
    ):
        with pytest.raises(CallFailed, match=reason) as caught:
            edit(media, *images, prompt="style 1")
        assert (caught.value.status, caught.value.param) == (400, "image")
