"""A person, or a script, with the command `coatcheck` at hand: real processes, with pipes or in a terminal.

async with shell(folder) as sh:
    done = await sh("submit", "completions", "-m", "echo/echo", "hello", "--wait")
    done.code, done.out, done.err
    screen = await sh.terminal(80, "jobs")
"""

import asyncio
import fcntl
import json
import os
import re
import struct
import sys
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from .clients import ECHO
from .servers import Served, gateway, listening

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REDRAWN = re.compile(r"(?:\x1b\[\d+A)?\r\x1b\[J")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Screen:
    code: int
    #: All that was written, with what controls a terminal.
    raw: str

    @property
    def frames(self) -> list[str]:
        """What stood in the place that is drawn again, each time; the last is what is left when it is over."""
        return _REDRAWN.split(_COLOURS.sub("", self.raw))

    @property
    def left(self) -> str:
        return self.frames[-1]


class Shell:
    def __init__(self, folder: Path, url: str, environ: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.folder = folder
        plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "COATCHECK_KEY")}
        self._environ = {**plain, "COATCHECK_URL": url, "TERM": "xterm", **(environ or {})}

    def having(self, **environ: str) -> "Shell":
        """The same with other variables of the environment."""
        return Shell(self.folder, self.url, {**self._environ, **environ})

    async def start(self, *arguments: str, **streams: Any) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "coatcheck.cli", *arguments, cwd=self.folder, env=self._environ, **streams
        )

    async def __call__(self, *arguments: str, stdin: str | None = None) -> Done:
        pipe = asyncio.subprocess.PIPE
        source = asyncio.subprocess.DEVNULL if stdin is None else pipe
        process = await self.start(*arguments, stdin=source, stdout=pipe, stderr=pipe)
        out, err = await process.communicate(None if stdin is None else stdin.encode())
        assert process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return Done(process.returncode, out.decode(), err.decode())

    async def terminal(self, columns: int, *arguments: str) -> Screen:
        """Runs the command in a terminal of its own, that many columns wide."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        try:
            process = await self.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs)
        finally:
            os.close(theirs)
        written = await asyncio.to_thread(_read, ours)
        os.close(ours)
        code = await process.wait()
        assert "Traceback" not in written, written
        return Screen(code, written.replace("\r\n", "\n"))


async def submitted(sh: Shell, model: str, *more: str) -> str:
    """The id of a chat that was handed over."""
    done = await sh("submit", "chat/completions", "-m", model, "hello", *more)
    assert done.code == 0, done.err
    id = str(done.json["id"]) if "--json" in more else done.out.rstrip("\n")
    assert _ID.fullmatch(id), done.out
    return id


@asynccontextmanager
async def shell(folder: Path, **tables: Any) -> AsyncIterator[tuple[Shell, Served]]:
    """A shell and the gateway that its commands ask; without a `providers` table it has the echo provider."""
    tables = {"providers": ECHO, **tables, "jobs": {"shutdown_grace_seconds": 0, **tables.get("jobs", {})}}
    async with gateway(folder, **tables) as served:
        yield Shell(folder, served.url), served


@asynccontextmanager
async def answering(handler: Any) -> AsyncIterator[str]:
    """The address of a server that answers everything so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with listening(app, shutdown_timeout=0.01) as url:
        yield url


def _read(terminal: int) -> str:
    """All that is written until nobody has the other end open."""
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:
        # Linux says so when the last writer has gone.
        pass
    return b"".join(parts).decode()
