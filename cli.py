"""The command `coatcheck`; what it can do is in `commands/`, a file each."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from coatcheck.commands.options import EXIT_CODES, FAILED, INTERRUPTED, MISUNDERSTOOD, Formatter, Misunderstood, Parser
from coatcheck.engine.errors import CoatcheckError

COMMANDS = (
    "serve", "submit", "get", "wait", "jobs", "cancel", "retry", "explain", "providers", "check", "keys", "webhooks",
    "models", "demo",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code is one of `EXIT_CODES`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # What the terminal cannot show must not end a command.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    options = _parser(given).parse_args(given)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is left in the buffer goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except CoatcheckError as error:
        print(f"coatcheck: {error}", file=sys.stderr)
        return MISUNDERSTOOD if isinstance(error, Misunderstood) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Knows the command that is given alone: the others, which it need not import, only where none is."""
    parser = argparse.ArgumentParser(
        prog="coatcheck",
        description="Takes long AI calls as jobs: submit, take a ticket, come back for the result.",
        epilog="The server is the one at COATCHECK_URL, asked with the key in COATCHECK_KEY; by default that of\n"
        f"./config.toml, on this machine.\n\n{EXIT_CODES}",
        formatter_class=Formatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)
    for name in given[:1] if given and given[0] in COMMANDS else COMMANDS:
        import_module(f"coatcheck.commands.{name}").add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
