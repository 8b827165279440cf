"""`coatcheck serve`: runs the server."""

import argparse
import asyncio

from coatcheck.app import serve

from .options import OK, common, read_config


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("serve", parents=[common()], help="run the server")
    command.add_argument("--host", metavar="H", help="the address to listen on")
    command.add_argument("--port", metavar="N", help="the port; 0 takes a free one")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    given = {"COATCHECK_SERVER_HOST": options.host, "COATCHECK_SERVER_PORT": options.port}
    config = read_config(options, {name: value for name, value in given.items() if value is not None})
    asyncio.run(serve(config, options.data))
    return OK
