"""Sound as bytes and as numbers: what a worker hears in a file, and how it writes what it speaks."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from ..refusals import refusal

Samples = np.ndarray[Any, np.dtype[np.float32]]

#: By the name of the format: its container and its codec.
FORMATS = {
    "mp3": ("mp3", "libmp3lame"),
    "opus": ("ogg", "libopus"),
    "aac": ("adts", "aac"),
    "flac": ("flac", "flac"),
    "wav": ("wav", "pcm_s16le"),
    "pcm": ("s16le", "pcm_s16le"),
}

#: What is opened as sound. Playlists and the like are not: they would name other files and addresses.
_CONTAINERS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "ogg", "mp3", "wav", "w64", "flac", "aac", "aiff"),
    *("amr", "au", "caf", "ac3", "eac3", "asf", "avi", "flv", "mpeg", "mpegts", "ape", "wv", "tta", "dts", "opus"),
)
_FRAME_SAMPLES = 4800


class Encoder:
    """Writes mono samples into a file in one of `FORMATS`: `with Encoder(file, "mp3", 24_000) as out: out.write(…)`."""

    def __init__(self, file: BinaryIO, name: str, rate: int) -> None:
        container, codec = FORMATS[name]
        self._rate = rate
        self._container = av.open(file, "w", format=container)
        self._stream: Any = self._container.add_stream(codec, rate=rate, layout="mono")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._container:
            if kind is None:
                self._container.mux(self._stream.encode(None))

    def write(self, samples: Samples) -> None:
        for start in range(0, len(samples), _FRAME_SAMPLES):
            frame = _frame(samples[start : start + _FRAME_SAMPLES], self._rate)
            self._container.mux(self._stream.encode(frame))


def stretched(samples: Samples, tempo: float, rate: int) -> Samples:
    """The same voice at another tempo, from 0.5 to 2."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono", time_base=Fraction(1, rate))
    graph.link_nodes(source, graph.add("atempo", f"{tempo:.4f}"), graph.add("abuffersink")).configure()
    graph.push(_frame(samples, rate))
    graph.push(None)
    pieces = []
    while True:
        try:
            pieces.append(_samples(graph.pull()))
        except (av.error.EOFError, av.error.BlockingIOError):
            return np.concatenate(pieces) if pieces else samples[:0]


def _frame(samples: Samples, rate: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.clip(samples, -1, 1)[None], format="flt", layout="mono")
    frame.sample_rate = rate
    return frame


def _samples(frame: Any) -> Samples:
    samples: Samples = frame.to_ndarray().reshape(-1)
    return samples


class Recording:
    """The sound of a file, whatever container holds it, as mono samples at the given rate."""

    def __init__(self, path: Path, rate: int, *, raw: bool = False) -> None:
        """`raw`: the file is nothing but 16-bit little-endian mono samples at that rate.

        Raises `CallFailed` if there is no sound in it.
        """
        self._rate = rate
        self._file = path.open("rb")
        self._container: Any
        try:
            if raw:
                self._container = av.open(self._file, format="s16le", options={"sample_rate": str(rate)})
            else:
                # Without a protocol, nothing that the file names can be opened.
                options = {"format_whitelist": ",".join(_CONTAINERS), "protocol_whitelist": "none"}
                self._container = av.open(self._file, options=options)
        except (av.error.FFmpegError, ValueError) as error:
            self._file.close()
            raise _unreadable(error) from error
        if not self._container.streams.audio:
            self.close()
            raise refusal("There is no sound in the file.", "file", "invalid_file")

    @property
    def seconds(self) -> float | None:
        """How long it is, if it says so."""
        duration = self._container.duration
        return duration / av.time_base if duration and duration > 0 else None

    def pieces(self) -> Iterator[Samples]:
        """The sound from beginning to end. Raises `CallFailed` if none of it can be read."""
        resampler = AudioResampler(format="flt", layout="mono", rate=self._rate)
        heard = False
        for frame in self._frames():
            heard = True
            for resampled in resampler.resample(frame):
                yield _samples(resampled)
        if not heard:
            raise _unreadable(None)
        for resampled in resampler.resample(None):
            yield _samples(resampled)

    def _frames(self) -> Iterator[AudioFrame]:
        """What cannot be decoded is passed over, as players do; a file that is cut off ends where it ends."""
        stream = self._container.streams.audio[0]
        try:
            for packet in self._container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue
                for frame in frames:
                    # Some containers tell times that the resampler would refuse.
                    frame.pts = None
                    yield frame
        except av.error.FFmpegError:
            return

    def close(self) -> None:
        self._container.close()
        self._file.close()


def _unreadable(error: Exception | None) -> Exception:
    why = f" ({error.strerror})" if isinstance(error, av.error.FFmpegError) and error.strerror else ""
    return refusal(f"The file cannot be read as sound{why}.", "file", "invalid_file")
