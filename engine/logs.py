"""Log lines: what each is about, and how it is written.

What a line is about is known where the work begins, at a request or at an attempt, and is needed where something goes
wrong, far below. So it is left in a context variable, and taken from there only when a line is written.
"""

import logging
import re
import time
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import orjson

from .trace import trace_id

_ROOT = __name__.partition(".")[0]
#: What would begin a line, move a terminal's cursor, or turn round the text that follows.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Subject(Protocol):
    """What lines are about."""

    @property
    def request_id(self) -> str: ...

    @property
    def job_id(self) -> str | None: ...

    @property
    def trace(self) -> str | None:
        """The trace context, as `trace.read` gives it."""


@dataclass(frozen=True, slots=True)
class About:
    """A subject that is known from the beginning."""

    request_id: str
    job_id: str | None = None
    trace: str | None = None


#: Set at the beginning of a request or an attempt, for what runs in the same task and for the tasks it starts.
ABOUT: ContextVar[Subject | None] = ContextVar("coatcheck_about", default=None)


class Context(logging.Filter):
    """Gives each record `request_id`, `job_id` and `trace_id`: None where that is not known. What the line itself names
    by `extra` counts first. To be added to a handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        about = ABOUT.get()
        known: dict[str, str | None] = {"request_id": None, "job_id": None, "trace_id": None}
        if about is not None:
            known = {"request_id": about.request_id, "job_id": about.job_id, "trace_id": trace_id(about.trace)}
        for name, value in known.items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


class _Formatter(logging.Formatter):
    """What both formats have in common."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """RFC 3339, in UTC, to the millisecond."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"

    def known(self, record: logging.LogRecord) -> dict[str, str]:
        names = ("request_id", "job_id", "trace_id")
        return {name: value for name in names if (value := getattr(record, name, None)) is not None}

    def trouble(self, record: logging.LogRecord) -> str:
        """The traceback that came with the record; empty if none did."""
        parts = [self.formatException(record.exc_info)] if record.exc_info else []
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(parts)


class TextFormatter(_Formatter):
    """A line a record, and below it, set in, the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{self.formatTime(record)} {record.levelname} {record.name}: {_harmless(record.getMessage())}"
        if known := self.known(record):
            line += f" [{' '.join(f'{name}={value}' for name, value in known.items())}]"
        # Set in: what an error quotes begins no line.
        return "\n".join([line, *(f"  {_harmless(part)}" for part in self.trouble(record).splitlines())])


class JsonFormatter(_Formatter):
    """One JSON object a line, whatever the record holds."""

    def format(self, record: logging.LogRecord) -> str:
        shown = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self.known(record),
        }
        trouble = self.trouble(record)
        if trouble:
            shown["exception"] = trouble
        try:
            return orjson.dumps(shown).decode()
        except orjson.JSONEncodeError:
            # A lone surrogate, as a file's name may hold one.
            return orjson.dumps({key: _encodable(value) for key, value in shown.items()}).decode()


def configure(log_format: LogFormat, level: LogLevel) -> None:
    """Writes what every logger of this process says to stderr. For a process that is ours alone.

    "debug" is for our own loggers: aiosqlite's, for one, would write the bodies of requests.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else TextFormatter())
    handler.addFilter(Context())
    ours = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(ours, logging.INFO), handlers=[handler], force=True)
    logging.getLogger(_ROOT).setLevel(ours)


def _harmless(text: str) -> str:
    """A path or an upstream's message must not be able to write a line of its own."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
