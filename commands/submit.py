"""`coatcheck submit`: hands a job over and prints its ticket, or waits for its answer."""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coatcheck.engine.errors import CoatcheckError

from .client import NotReached, Server
from .options import EXIT_CODES, Misunderstood, limit_seconds, time_limit, whole_seconds
from .tickets import follow

#: Where an operation's text goes.
_FIELDS = {"chat/completions": "messages", "completions": "prompt", "responses": "input", "embeddings": "input"}

_DESCRIPTION = """\
TEXT becomes the message, prompt or input. @FILE is the text in a file, - the text on standard input, which is also
read when there is no TEXT and it is not a terminal. A file or an input that holds a JSON object is the request."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "submit",
        parents=[time_limit()],
        help="hand a job over",
        description=_DESCRIPTION,
        epilog=EXIT_CODES,
    )
    command.add_argument("operation", metavar="OPERATION", help=", ".join(_FIELDS))
    command.add_argument("text", nargs="?", metavar="TEXT", help="or @FILE, or -")
    command.add_argument("-m", "--model", metavar="MODEL", help="as provider/model")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="KEY=VALUE",
        help="a field of the request, as JSON or else as text; may be given again",
    )
    command.add_argument(
        "--fallback", action="append", metavar="MODEL", help="to try next if the model fails; may be given again"
    )
    command.add_argument("--ttl", type=whole_seconds, metavar="S", help="how long the outcome is kept: 90, 10m, 2d")
    command.add_argument("--priority", type=int, choices=range(8), metavar="N", help="0 first to 7 last; default: 3")
    command.add_argument(
        "--cancel-after", type=whole_seconds, metavar="S", help="cancel it if it has not ended by then: 90s, 10m"
    )
    command.add_argument("--idempotency-key", metavar="K", help="given again with the same request: the same job")
    command.add_argument("--json", action="store_true", help="print JSON: the ticket, with --wait the job")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if isinstance(options.wait, str) and options.text is None:
        options.text, options.wait = options.wait, math.inf
    limit = limit_seconds(options)
    server = Server.configured()
    request = _request(options)
    try:
        answer = server.ask("POST", f"/v1/async/{options.operation}", request, _headers(options))
    except NotReached as error:
        if not error.sent:
            raise
        raise NotReached(f"{error} The job may have been taken: see `coatcheck jobs`.") from error
    return follow(server, answer.json, wait_seconds=limit, as_json=options.json)


def _request(options: argparse.Namespace) -> dict[str, Any]:
    field = _FIELDS.get(options.operation)
    if field is None:
        raise Misunderstood(f"there is no operation {options.operation!r}; there are {', '.join(_FIELDS)}")
    given = dict(options.set)
    request = _content(options, field, given)
    request |= given
    if options.model is not None:
        request["model"] = options.model
    if options.fallback is not None:
        request["fallbacks"] = options.fallback
    if "model" not in request:
        raise Misunderstood("which model? Say -m PROVIDER/MODEL; `coatcheck providers` lists them")
    return request


def _content(options: argparse.Namespace, field: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked: a whole request, or a text in its place."""
    source: str | None = options.text
    if source is None and field in given:
        return {}
    if source is None and sys.stdin.isatty():
        raise Misunderstood("what is to be asked? Give a TEXT, @FILE, or - for standard input")
    if source is None or source == "-":
        text = sys.stdin.read()
        if not text.strip():
            raise Misunderstood("what is to be asked? Standard input is empty, and there is no TEXT and no @FILE")
    elif source.startswith("@"):
        try:
            text = Path(source[1:]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise CoatcheckError(f"{source[1:]} cannot be read: {why}") from error
    else:
        return _filled(options.operation, field, source)
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    return whole if isinstance(whole, dict) else _filled(options.operation, field, text)


def _filled(operation: str, field: str, text: str) -> dict[str, Any]:
    return {field: [{"role": "user", "content": text}] if operation == "chat/completions" else text}


def _headers(options: argparse.Namespace) -> dict[str, str]:
    headers = {}
    if options.ttl is not None:
        headers["x-bf-async-job-result-ttl"] = str(options.ttl)
    if options.priority is not None:
        headers["Priority"] = f"u={options.priority}"
    if options.cancel_after is not None:
        headers["Cancel-After"] = str(options.cancel_after)
    if options.idempotency_key is not None:
        quoted = options.idempotency_key.replace("\\", "\\\\").replace('"', '\\"')
        headers["Idempotency-Key"] = f'"{quoted}"'
    return headers


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
