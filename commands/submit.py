"""`coatcheck submit`: hands a job over and prints its ticket, or waits for its answer."""

import argparse
import json
import math
from typing import Any

from . import downloads
from .client import NotReached, Server
from .options import EXIT_CODES, limit_seconds, time_limit, whole_seconds
from .requests import TEXTS, request
from .tickets import follow
from .uploads import Form

_DESCRIPTION = """\
TEXT becomes the message, prompt, input or query. @FILE is the text in a file, - the text on standard input, which is
also read when there is no TEXT and it is not a terminal. A file or an input that holds a JSON object is the request. \
For audio/transcriptions, images/variations and ocr, @FILE is the recording, the image or the document."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "submit",
        parents=[time_limit()],
        help="hand a job over",
        description=_DESCRIPTION,
        epilog=EXIT_CODES,
    )
    command.add_argument("operation", metavar="OPERATION", help=", ".join(TEXTS))
    command.add_argument("text", nargs="?", metavar="TEXT", help="or @FILE, or -")
    command.add_argument("-m", "--model", metavar="MODEL", help="as provider/model")
    command.add_argument(
        "-f",
        "--file",
        action="append",
        default=[],
        metavar="[FIELD=]FILE",
        help="a file of the request, such as image=photo.png or mask=hole.png; may be given again",
    )
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
    command.add_argument("-o", "--output", metavar="FILE", help=f"wait, and {downloads.HELP}")
    command.add_argument("--json", action="store_true", help="print JSON: the ticket, with --wait the job")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if isinstance(options.wait, str) and options.text is None:
        options.text, options.wait = options.wait, math.inf
    limit = limit_seconds(options)
    if options.output is not None and limit is None:
        limit = math.inf
    server = Server.configured()
    asked = _request(options)
    try:
        answer = server.ask("POST", f"/v1/async/{options.operation}", asked, _headers(options))
    except NotReached as error:
        if not error.sent:
            raise
        raise NotReached(f"{error} The job may have been taken: see `coatcheck jobs`.") from error
    return follow(server, answer.json, wait_seconds=limit, as_json=options.json, output=options.output)


def _request(options: argparse.Namespace) -> dict[str, Any] | Form:
    given = dict(options.set)
    if options.model is not None:
        given["model"] = options.model
    if options.fallback is not None:
        given["fallbacks"] = options.fallback
    return request(options.operation, options.text, given, options.file)


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
