"""`coatcheck serve`: runs the server."""

import argparse
import asyncio
import sys
from dataclasses import replace

from coatcheck.app import serve

from .options import FAILED, OK, common, read_config


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("serve", parents=[common()], help="run the server")
    command.add_argument("--host", metavar="H", help="the address to listen on")
    command.add_argument("--port", type=int, metavar="N", help="the port; 0 takes a free one")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    config = read_config(options)
    server = config.server
    if options.host is not None:
        server = replace(server, host=options.host)
    if options.port is not None:
        server = replace(server, port=options.port)
    try:
        asyncio.run(serve(replace(config, server=server), options.data))
    except OSError as error:
        print(f"coatcheck: cannot listen on {server.host}:{server.port}: {error.strerror}", file=sys.stderr)
        return FAILED
    return OK
