"""Images in a worker without a network: landscapes that are drawn by formulas, guided by words of the prompt."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from ..workers.task import Task
from .pictures import Gallery, count_asked, size_asked

Pixels = np.ndarray[Any, np.dtype[np.float32]]
Color = tuple[int, int, int]

_DEFAULT_SIZE = (1024, 1024)
_VIVID = 1.35
_WORD = re.compile(r"[a-z]+")

#: What stands on the ground, and the words that ask for it.
_GROUNDS = {
    "mountains": ("mountain", "mountains", "alps", "peak", "peaks", "landscape", "rock", "cliff"),
    "hills": ("hill", "hills", "meadow", "field", "fields", "countryside", "farm", "grass", "valley"),
    "sea": ("sea", "ocean", "beach", "coast", "lake", "water", "island", "boat", "ship", "wave", "waves", "harbor"),
    "forest": ("forest", "tree", "trees", "wood", "woods", "jungle", "pine", "pines"),
    "desert": ("desert", "dune", "dunes", "sand", "sahara"),
    "city": ("city", "town", "skyline", "street", "building", "buildings", "skyscraper", "skyscrapers", "urban"),
}
_HOURS = {
    "dawn": ("dawn", "morning", "sunrise"),
    "day": ("day", "noon", "sunny", "daylight", "afternoon", "summer", "spring"),
    "sunset": ("sunset", "dusk", "evening", "twilight", "golden"),
    "night": ("night", "midnight", "star", "stars", "starry", "moon", "moonlight", "dark", "space", "galaxy"),
}
_WEATHER = {
    "clouds": ("cloud", "clouds", "cloudy", "storm", "stormy", "rain", "rainy", "overcast"),
    "clear": ("clear", "cloudless", "blue"),
    "fog": ("fog", "foggy", "mist", "misty", "haze"),
    "snow": ("snow", "snowy", "winter", "ice", "frozen", "christmas"),
}

#: Of each hour: the sky above, the sky at the horizon, the sun or moon, the ground's light.
_SKIES: dict[str, tuple[Color, Color, Color, float]] = {
    "dawn": ((92, 122, 180), (255, 205, 180), (255, 236, 200), 0.75),
    "day": ((58, 120, 205), (196, 224, 245), (255, 250, 225), 1.0),
    "sunset": ((60, 50, 110), (255, 140, 70), (255, 215, 130), 0.6),
    "night": ((6, 10, 32), (34, 46, 92), (235, 238, 250), 0.28),
}
_EARTH: dict[str, Color] = {
    "mountains": (92, 104, 122),
    "hills": (88, 140, 70),
    "sea": (34, 92, 132),
    "forest": (40, 92, 58),
    "desert": (214, 170, 108),
    "city": (84, 88, 104),
}


@dataclass(frozen=True)
class Scene:
    """What is drawn: the words of the prompt that are known, and chance for the rest."""

    ground: str
    hour: str
    weather: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return ", ".join([self.ground, self.hour, *sorted(self.weather)])


class DrawingModel:
    def __init__(self, *, model: str) -> None:
        self._model = model

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        gallery, count = Gallery(self._model, request, task), count_asked(request)
        size = size_asked(request) or _DEFAULT_SIZE
        prompt: str = request["prompt"]
        first = request.get("seed")
        if first is None:
            first = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:4])
        seeds = [(first + number) % 2**32 for number in range(count)]
        for number, seed in enumerate(seeds):
            task.go_on()
            task.progress(number, count, "images")
            chance = np.random.default_rng(seed)
            scene = imagined(prompt, request.get("negative_prompt") or "", chance)
            image = Image.fromarray(_drawn(scene, size, chance, task.go_on))
            if request.get("style") == "vivid":
                image = ImageEnhance.Color(image).enhance(_VIVID)
            gallery.hang(image, f"procedural, not generative: {scene}; seed {seed}")
        return gallery.result(seeds)


def imagined(prompt: str, without: str, chance: np.random.Generator) -> Scene:
    """The scene of the prompt's words; what they leave open is chance."""
    words = set(_WORD.findall(prompt.lower())) - set(_WORD.findall(without.lower()))

    def named(table: dict[str, tuple[str, ...]]) -> list[str]:
        return [name for name, known in table.items() if words.intersection(known)]

    grounds, hours, weather = named(_GROUNDS), named(_HOURS), named(_WEATHER)
    return Scene(
        ground=grounds[0] if grounds else str(chance.choice([*_GROUNDS])),
        hour=hours[-1] if hours else str(chance.choice(["dawn", "day", "sunset"])),
        weather=frozenset(weather or (["clouds"] if chance.random() < 0.6 else [])),
    )


def _drawn(scene: Scene, size: tuple[int, int], chance: np.random.Generator, go_on: Callable[[], None]) -> Any:
    width, height = size
    horizon = int(height * (0.52 if scene.ground == "sea" else 0.62))
    pixels = _sky(scene, size, horizon, chance)
    go_on()
    if scene.ground == "sea":
        _sea(pixels, scene, horizon, chance)
    elif scene.ground == "city":
        _city(pixels, scene, horizon, chance)
    else:
        _ridges(pixels, scene, horizon, chance)
    go_on()
    if "fog" in scene.weather:
        rows = np.abs(np.arange(height, dtype=np.float32) - horizon) / height
        _lay(pixels, (222, 226, 230), 0.75 * np.exp(-rows * 4)[:, None])
    if "snow" in scene.weather:
        flakes = (chance.random((height, width), dtype=np.float32) > 0.9985).astype(np.float32)
        _lay(pixels, (255, 255, 255), flakes * 0.9)
    grain = chance.normal(0, 2.0, (height, width, 1)).astype(np.float32)
    return np.clip(pixels + grain, 0, 255).astype(np.uint8)


def _sky(scene: Scene, size: tuple[int, int], horizon: int, chance: np.random.Generator) -> Pixels:
    width, height = size
    above, below, disc, light = _SKIES[scene.hour]
    depth = np.clip(np.arange(height, dtype=np.float32) / max(horizon, 1), 0, 1)[:, None, None] ** 1.3
    mixed = np.array(above, np.float32) * (1 - depth) + np.array(below, np.float32) * depth
    pixels: Pixels = np.repeat(mixed, width, axis=1).astype(np.float32)
    if scene.hour == "night":
        stars = chance.random((height, width), dtype=np.float32)
        _lay(pixels, (255, 255, 255), np.where(stars > 0.9985, (stars - 0.9985) / 0.0015, 0))
    x = width * chance.uniform(0.2, 0.8)
    y = horizon * {"day": 0.25, "night": 0.3}.get(scene.hour, chance.uniform(0.7, 0.9))
    radius = min(size) * 0.055
    distance = np.hypot(np.arange(width)[None] - x, np.arange(height)[:, None] - y).astype(np.float32)
    _lay(pixels, disc, 0.55 * np.exp(-distance / (radius * 4)))
    _lay(pixels, disc, np.clip(radius - distance, 0, 1))
    if "clear" not in scene.weather:
        amount = 0.42 if "clouds" in scene.weather else 0.6
        clouds = np.clip((_noise(chance, height, width, stretch=3) - amount) * 3.2, 0, 0.9)
        tint = tuple(int(255 * light + part * (1 - light) * 0.8) for part in below)
        _lay(pixels, (tint[0], tint[1], tint[2]), clouds * (1 - 0.5 * depth[:, :, 0]))
    return pixels


def _ridges(pixels: Pixels, scene: Scene, horizon: int, chance: np.random.Generator) -> None:
    """Four ranges, each nearer than the one before it: lower, rougher, less of the sky in its colour."""
    height, width = pixels.shape[:2]
    _, below, _, light = _SKIES[scene.hour]
    roughness = {"mountains": 0.55, "forest": 0.5, "hills": 0.32, "desert": 0.28}[scene.ground]
    tall = {"mountains": 0.42, "forest": 0.22, "hills": 0.18, "desert": 0.16}[scene.ground] * height
    rows = np.arange(height, dtype=np.float32)[:, None]
    for layer in range(4):
        near = (layer + 1) / 4
        top = horizon + near * (height - horizon) * 0.62 - tall * (1.25 - near) * _profile(chance, width, roughness)
        if scene.ground == "forest":
            top -= _trees(chance, width, height * 0.03 * (0.5 + near))
        color = _mixed(_EARTH[scene.ground], below, 0.75 * (1 - near), light * (1.1 - 0.5 * near))
        below_top = np.clip(rows - top[None], 0, 1)
        _lay(pixels, color, below_top)
        shade = (_noise(chance, height, width) - 0.5) * 0.5 * below_top
        _lay(pixels, (0, 0, 0), np.clip(shade, 0, 1) * light)
        if "snow" in scene.weather or scene.ground == "mountains":
            line = horizon - tall * (0.3 + 0.25 * _profile(chance, width, 0.6))
            cap = np.clip((line[None] - rows) / (tall * 0.06), 0, 1)
            white = _mixed((250, 250, 255), below, 0.2, max(light, 0.4))
            _lay(pixels, white, (1.0 if "snow" in scene.weather else cap) * below_top * 0.85)


def _sea(pixels: Pixels, scene: Scene, horizon: int, chance: np.random.Generator) -> None:
    """The sky upside down, broken by waves that grow towards us."""
    height, width = pixels.shape[:2]
    _, below, _, light = _SKIES[scene.hour]
    water = np.arange(horizon, height)
    if not len(water):
        return
    near = ((water - horizon) / max(height - horizon, 1)).astype(np.float32)[:, None]
    waves = _noise(chance, len(water), width, stretch=6)
    mirrored = np.clip(2 * horizon - water[:, None] + ((waves - 0.5) * 60 * near).astype(int), 0, horizon - 1)
    reflection = pixels[mirrored, np.arange(width)[None]]
    body = np.array(_mixed(_EARTH["sea"], below, 0.25, light), np.float32)
    share = (0.35 + 0.45 * near)[..., None]
    pixels[horizon:] = reflection * (1 - share) + body * share
    crests = np.clip((waves - 0.68) * 4, 0, 1) * (0.25 + 0.5 * near)
    view = pixels[horizon:]
    _lay(view, _mixed((255, 255, 255), below, 0.3, max(light, 0.45)), crests)


def _city(pixels: Pixels, scene: Scene, horizon: int, chance: np.random.Generator) -> None:
    height, width = pixels.shape[:2]
    _, below, _, light = _SKIES[scene.hour]
    for layer in range(3):
        near = (layer + 1) / 3
        color = np.array(_mixed(_EARTH["city"], below, 0.6 * (1 - near), light * (1.05 - 0.35 * near)), np.float32)
        x = 0
        while x < width:
            broad = int(width * chance.uniform(0.03, 0.09) * (0.6 + near))
            top = int(horizon + 0.16 * height * near - height * chance.uniform(0.08, 0.38) * (1.2 - 0.4 * near))
            pixels[max(top, 0) :, x : x + broad] = color * chance.uniform(0.88, 1.1)
            if layer:
                _windows(pixels, (x, max(top, 0), broad), scene.hour, chance)
            x += max(broad, 2)
    pixels[int(horizon + 0.24 * height) :] *= 0.55


def _windows(pixels: Pixels, tower: tuple[int, int, int], hour: str, chance: np.random.Generator) -> None:
    x, top, broad = tower
    step = max(pixels.shape[0] // 90, 4)
    lit = {"night": 0.45, "sunset": 0.3, "dawn": 0.15, "day": 0.0}[hour]
    for row in range(top + step, pixels.shape[0], step):
        for column in range(x + step // 2, x + broad - step // 2, step):
            on = chance.random() < lit
            color = (255, 214, 130) if on else (70, 84, 104)
            pane = pixels[row : row + step // 2, column : column + step // 2]
            pane += (np.array(color, np.float32) - pane) * (0.9 if on else 0.35)


def _trees(chance: np.random.Generator, width: int, tall: float) -> Pixels:
    """The outline of firs, one beside the other."""
    outline = np.zeros(width, np.float32)
    columns = np.arange(width)
    for x in range(0, width, max(int(tall * 0.5), 3)):
        top = tall * chance.uniform(0.5, 1.2)
        outline = np.maximum(outline, top - np.abs(columns - x - chance.uniform(-2, 2)) * 2.4)
    return outline


def _profile(chance: np.random.Generator, width: int, roughness: float) -> Pixels:
    """A line of ups and downs between 0 and 1: octaves, each of twice the frequency and less of the height."""
    line = np.zeros(width, np.float32)
    total, weight, points = 0.0, 1.0, 4
    for _ in range(7):
        knots = chance.random(points + 1)
        line += weight * np.interp(np.linspace(0, points, width), np.arange(points + 1), knots)
        total, weight, points = total + weight, weight * roughness, points * 2
    return line / total


def _noise(chance: np.random.Generator, height: int, width: int, stretch: int = 1) -> Pixels:
    """Clouds of numbers between 0 and 1; with `stretch`, so many times as broad as they are high."""
    total, weight, field_ = 0.0, 1.0, np.zeros((height, width), np.float32)
    for octave in range(2, 8):
        cells = 2**octave
        grid = chance.random((min(cells * (1 if stretch == 1 else 2), height) + 1, max(cells // stretch, 1) + 1))
        small = Image.fromarray(grid.astype(np.float32))
        field_ += weight * np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
        total, weight = total + weight, weight * 0.55
    return field_ / total


def _lay(pixels: Pixels, color: Color, share: Any) -> None:
    """Lays a colour over the pixels, of each so much as `share` says."""
    pixels += (np.array(color, np.float32) - pixels) * np.asarray(share, np.float32)[..., None]


def _mixed(one: Color, other: Color, share: float, light: float) -> Color:
    red, green, blue = (int(min(255, (a + (b - a) * share) * light)) for a, b in zip(one, other, strict=True))
    return red, green, blue
