"""What the commands have in common: how they end, how they read durations, and where the configuration is."""

import argparse
import math
import os
import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coatcheck.engine.errors import CoatcheckError

if TYPE_CHECKING:
    from coatcheck.schemas.config import Config

#: Exit codes; argparse adds 2 for a command that was not understood, the shell knows 130 for Ctrl-C.
OK, FAILED, MISUNDERSTOOD, JOB_FAILED, UNFINISHED, INTERRUPTED = 0, 1, 2, 3, 4, 130

EXIT_CODES = """\
exit codes:
  0    done
  1    could not: refused, not reachable, or a check failed
  2    the command was not understood
  3    the job failed or was cancelled
  4    the job has not ended, or not within the time given
  130  ended by Ctrl-C; a job that was submitted goes on"""

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", re.ASCII)
_UNIT_SECONDS = (86_400, 3600, 60, 1)


class Misunderstood(CoatcheckError):
    """The command was not understood."""


class Formatter(argparse.HelpFormatter):
    """Wraps paragraphs, but for those that are laid out; commands stand as far in as options do."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            part if "\n  " in part else super(Formatter, self)._fill_text(part, width, indent)
            for part in text.split("\n\n")
        )

    def _iter_indented_subactions(self, action: argparse.Action) -> Generator[argparse.Action, None, None]:
        yield from getattr(action, "_get_subactions", tuple)()


class Parser(argparse.ArgumentParser):
    """Takes options between positional arguments, also where one of these may be left out."""

    _nested = False
    _mixing = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": Formatter, **kwargs})

    def add_subparsers(self, **kwargs: Any) -> Any:
        self._nested = True
        return super().add_subparsers(**kwargs)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._nested or self._mixing:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False


def duration(text: str) -> float:
    """Seconds, from `90`, `1.5s`, `10m`, `1h30m` or `2d`."""
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration like 90, 1.5s, 10m, 1h30m or 2d")
    return sum(float(part) * unit for part, unit in zip(found.groups(), _UNIT_SECONDS, strict=True) if part)


def whole_seconds(text: str) -> int:
    """A duration of a second or more, rounded up."""
    return max(math.ceil(duration(text)), 1)


def time_limit() -> argparse.ArgumentParser:
    """The option of commands that may wait for the end of the job they make."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--wait",
        nargs="?",
        const=math.inf,
        type=_limit,
        metavar="S",
        help="watch the job and print its answer; with S for so long at most: 90, 10m, 1h",
    )
    return parser


def limit_seconds(options: argparse.Namespace) -> float | None:
    """What `--wait` says; None without it, infinite without S."""
    if isinstance(options.wait, str):
        raise Misunderstood(f"--wait: {options.wait!r} is not a duration like 90, 10m or 1h; put --wait last")
    found: float | None = options.wait
    return found


def _limit(text: str) -> float | str:
    """A duration, or the text as it is: it may be the next argument, which `--wait` without S takes for its own."""
    try:
        return duration(text)
    except argparse.ArgumentTypeError:
        return text


def common() -> argparse.ArgumentParser:
    """The options of every command that needs the configuration."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: ./config.toml, else the packaged one")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of relative paths; default: this one")
    return parser


def config_path(given: Path | None = None) -> Path:
    """The configuration's file: the one given, else that of the working directory, else the packaged one."""
    here = Path("config.toml")
    return given or (here if here.exists() else Path(__file__).parent.parent / "config.toml")


def read_config(options: argparse.Namespace, overrides: Mapping[str, str] | None = None) -> "Config":
    """The configuration that the options name; `overrides` stand above the environment, in its form."""
    # Not above: the application takes longer to import than a command takes that asks a running server.
    from coatcheck.app import load_config

    return load_config(config_path(options.config), {**os.environ, **(overrides or {})})
