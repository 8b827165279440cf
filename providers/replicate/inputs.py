"""Between the fields of our image requests and the inputs of Replicate's models, of which each has its own."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...engine.calls import Call
from ..refusals import invalid, unsupported

#: What models call our fields, the usual name first.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "n": ("num_outputs", "number_of_images", "num_images", "n"),
    "image": (
        *("image", "input_image", "image_input", "input_images", "images", "image_prompt", "init_image"),
        *("reference_images", "redux_image"),
    ),
    "mask": ("mask", "mask_image", "inpaint_mask"),
    "num_inference_steps": ("num_inference_steps", "steps"),
    "output_compression": ("output_quality", "output_compression"),
}
#: Fields that say how the result is to come, or to whom.
_OURS = frozenset({"model", "fallbacks", "response_format", "stream", "user", "image", "mask", "size"})
#: The ratios that models usually know.
_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", re.ASCII)
_CREDENTIAL = re.compile(r"(^|_)(api_?keys?|(api|access|auth|hf|replicate_api)_token|token|secret|password)$", re.I)
#: A line of tqdm's, by which most models tell how far they have come.
_PERCENT = re.compile(r"^\s*(\d{1,3})%\s*\|", re.MULTILINE | re.ASCII)


@dataclass(frozen=True)
class Schema:
    """What a model says of its inputs, by their names; empty where it does not."""

    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, version: object) -> "Schema":
        """From the vendor's object of a model's version."""
        parts = _at(version, "openapi_schema", "components", "schemas")
        inputs = {}
        for name, said in _at(parts, "Input", "properties").items():
            if isinstance(said, dict):
                # The words of an input stand in a part of their own.
                referred = [str(each.get("$ref")) for each in said.get("allOf") or () if isinstance(each, dict)]
                more = [_at(parts, reference.rpartition("/")[2]) for reference in referred]
                inputs[name] = {**said, **(more[0] if more else {})}
        return cls(inputs)

    def name(self, asked: str, param: str) -> str:
        """What the model calls our field. Raises `CallFailed` with status 400 if it has nothing of the kind."""
        names = _NAMES.get(asked, (asked,))
        if not self.inputs:
            return names[0]
        found = next((name for name in names if name in self.inputs), None)
        if found is None:
            raise unsupported(f"The model has no input for {asked!r}; it has {', '.join(self.inputs)}.", param)
        return found

    def words(self, name: str) -> Sequence[str]:
        """Those that an input takes; empty: any."""
        words = self.inputs.get(name, {}).get("enum")
        return [str(word) for word in words] if isinstance(words, list) else ()


def prediction_input(
    call: Call, schema: Schema, renamed: Mapping[str, str], files: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """The model's inputs: those fields that models name otherwise are translated, all others are theirs already.

    `renamed` has the last word on names, `files` the addresses of the request's files by their fields. Raises
    `CallFailed` with status 400 for what the model has no input for, and for what looks like a credential.
    """
    given: dict[str, Any] = {}
    for asked, value in call.request.items():
        if asked in _OURS or value is None or (asked == "n" and value == 1):
            continue
        if _CREDENTIAL.search(asked):
            raise unsupported(f"{asked} looks like a credential, which is not for a request to hold.", asked)
        name = renamed[asked] if asked in renamed else schema.name(asked, asked) if asked in _NAMES else asked
        if name:
            given[name] = _format(schema, name, value) if asked == "output_format" else value
    for asked, addresses in files.items():
        name = renamed[asked] if asked in renamed else schema.name(asked, asked)
        if not name:
            continue
        several = schema.inputs.get(name, {}).get("type") == "array"
        if len(addresses) > 1 and not several and schema.inputs:
            raise unsupported(f"The model takes one file as {name!r}, not {len(addresses)}.", asked)
        given[name] = list(addresses) if several or len(addresses) > 1 else addresses[0]
    return {**given, **_size(call.request.get("size"), schema, renamed)}


def percent(logs: object) -> int | None:
    """How far a prediction says that it has come; None if it does not."""
    found = _PERCENT.findall(logs) if isinstance(logs, str) else []
    return min(int(found[-1]), 100) if found else None


def _size(size: object, schema: Schema, renamed: Mapping[str, str]) -> dict[str, Any]:
    if size is None or size == "auto":
        return {}
    if "size" in renamed:
        return {renamed["size"]: size} if renamed["size"] else {}
    found = _SIZE.fullmatch(str(size))
    if found is None:
        raise invalid(f"{size!r} is not a width and a height.", "size")
    width, height = int(found[1]), int(found[2])
    inputs = schema.inputs
    exact = {"width": width, "height": height}
    if exact.keys() <= inputs.keys():
        # Some heed these only where another input says so.
        chosen = next((name for name in ("aspect_ratio", "size") if "custom" in schema.words(name)), None)
        if chosen is not None:
            return {chosen: "custom", **exact}
        if "aspect_ratio" not in inputs:
            return exact
    if str(size) in schema.words("size"):
        return {"size": size}
    if inputs and "aspect_ratio" not in inputs:
        raise unsupported(f"The model has no input for a size; it has {', '.join(inputs)}.", "size")
    ratios = [word for word in schema.words("aspect_ratio") or _RATIOS if re.fullmatch(r"[1-9]\d*:[1-9]\d*", word)]
    return {"aspect_ratio": min(ratios or _RATIOS, key=lambda word: abs(math.log(_ratio(word) * height / width)))}


def _ratio(word: str) -> float:
    width, _, height = word.partition(":")
    return int(width) / int(height)


def _format(schema: Schema, name: str, value: object) -> object:
    return "jpg" if value == "jpeg" and "jpeg" not in schema.words(name) else value


def _at(value: object, *keys: str) -> dict[str, Any]:
    """The object at the end of that path; an empty one if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
