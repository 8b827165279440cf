"""The command `coatcheck`; what it can do is in `commands/`."""

import argparse
import logging
import sys
from collections.abc import Sequence

from coatcheck.commands import demo, keys, models, serve
from coatcheck.commands.options import FAILED
from coatcheck.engine.errors import CoatcheckError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code: 0 done, 1 it could not, 2 it was not understood."""
    parser = argparse.ArgumentParser(
        prog="coatcheck", description="Takes long AI calls as jobs: submit, take a ticket, come back for the result."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (serve, demo, keys, models):
        command.add(commands)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        code: int = options.run(options)
    except CoatcheckError as error:
        print(f"coatcheck: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
