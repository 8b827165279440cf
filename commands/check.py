"""`coatcheck check`: looks for what would keep a server from working, and says what to do."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from dataclasses import asdict

from coatcheck.app import blobs_path, database_path
from coatcheck.engine.errors import ConfigurationError

from .answers import print_json
from .client import Server
from .database import database
from .files import files
from .findings import Finding, Level, configuration, keys, tokens, unusable
from .options import FAILED, OK, common, config_path, read_config
from .pings import providers
from .receivers import webhooks
from .running import look, told_keys
from .terminal import Terminal, fitted

_MARKS = {Level.OK: ("✓", "green"), Level.WARNING: ("!", "yellow"), Level.FAILED: ("✗", "red")}

_SUBJECT_COLUMNS = 16
_INDENT = _SUBJECT_COLUMNS + 3


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "check",
        parents=[common()],
        help="look for what would keep a server from working",
        description="Looks at the configuration, the server if one runs, the database and its files, the keys and the "
        "issuer of tokens, and asks each provider whether it is there, at no cost. Exit code 1 if anything fails.",
    )
    command.add_argument("--json", action="store_true", help='print JSON: {"ok": …, "findings": […]}')
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    out = Terminal(sys.stdout)
    found = []
    for finding in _findings(options):
        found.append(finding)
        if not options.json:
            _say(out, finding)
    ok = all(finding.level is not Level.FAILED for finding in found)
    if options.json:
        print_json({"ok": ok, "findings": [_shown(finding) for finding in found]})
    return OK if ok else FAILED


def _findings(options: argparse.Namespace) -> Iterator[Finding]:
    path = config_path(options.config)
    try:
        config = read_config(options)
        file = database_path(config, options.data).resolve()
        folder = blobs_path(config, options.data)
    except ConfigurationError as error:
        yield unusable(error, path)
        return
    yield from configuration(config, path)
    server = Server.configured(options.config)
    running = look(server)
    yield running.finding
    stored = database(file, running)
    yield from stored.findings
    yield files(folder, file)
    found, known = told_keys(server) if running.ready and (running.named or stored.owned) else ([], stored.keys)
    yield from found
    yield from keys(config, known)
    yield from asyncio.run(tokens(config, options.data, path))
    yield from webhooks(config, path)
    yield from asyncio.run(providers(config, path))


def _say(out: Terminal, finding: Finding) -> None:
    mark, colour = _MARKS[finding.level]
    out.hang(f"{out.paint(mark, colour)} {fitted(finding.subject, _SUBJECT_COLUMNS)} ", _INDENT, finding.message)
    if finding.cure:
        out.hang(" " * _INDENT + "→ ", _INDENT + 2, finding.cure)


def _shown(finding: Finding) -> dict[str, str]:
    return {key: value for key, value in asdict(finding).items() if value is not None}
