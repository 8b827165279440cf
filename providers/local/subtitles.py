"""Subtitles of what was heard: SubRip, and WebVTT as the W3C has it."""

from collections.abc import Iterable, Mapping
from typing import Any


def srt(segments: Iterable[Mapping[str, Any]]) -> str:
    return "".join(
        f"{number}\n{_time(segment['start'], ',')} --> {_time(segment['end'], ',')}\n{segment['text'].strip()}\n\n"
        for number, segment in enumerate(segments, 1)
    )


def vtt(segments: Iterable[Mapping[str, Any]]) -> str:
    return "WEBVTT\n\n" + "".join(
        f"{_time(segment['start'], '.')} --> {_time(segment['end'], '.')}\n{_escaped(segment['text'].strip())}\n\n"
        for segment in segments
    )


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
