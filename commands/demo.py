"""`coatcheck demo`: one real job of each operation, on local models, through a real server, watched to its end."""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from coatcheck.app import create_app
from coatcheck.providers.local import LocalOptions

from .answers import reason, text
from .options import FAILED, OK
from .terminal import Region, Terminal, fitted

_POLL_SECONDS = 0.2
#: After that long something is wrong, even on a slow machine.
_PATIENCE_SECONDS = 600.0

DEFAULT_CHAT, DEFAULT_EMBEDDING = LocalOptions().models

_ANSWERED = {"completed", "failed"}


@dataclass
class _Job:
    operation: str
    question: str
    request: dict[str, Any]
    id: str = ""
    began: float = 0.0
    story: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.shown.get("status") in _ANSWERED

    def line(self) -> str:
        """The job on one line: its ticket and the states it has been through."""
        progress = self.shown.get("progress")
        how_far = ""
        if progress and not self.ended:
            total = f"/{progress['total']}" if "total" in progress else ""
            how_far = f" ({progress['done']}{total} {progress['unit']})"
        return f"  {self.operation:<17} {self.id[:8]}  {' → '.join(self.story)}{how_far}"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("demo", help="run one real job of each operation on local models")
    command.add_argument(
        "--chat-model",
        default=DEFAULT_CHAT,
        metavar="NAME",
        help=f"see `coatcheck models list`; default: {DEFAULT_CHAT}",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_demo(options.chat_model))


async def _demo(chat_model: str) -> int:
    with tempfile.TemporaryDirectory(prefix="coatcheck-demo-") as folder:
        app = create_app(
            {"providers": {"local": {"kind": "local", "models": [chat_model, DEFAULT_EMBEDDING]}}}, data=Path(folder)
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                return await _show(session, _jobs(chat_model))
        finally:
            await runner.cleanup()


def _jobs(chat_model: str) -> list[_Job]:
    chat = f"local/{chat_model}"
    question = "What is the capital of France? Answer in one short sentence."
    opening = "def fibonacci(n):\n    "
    texts = ["A man is playing a guitar.", "Someone plays an instrument.", "The stock price fell."]
    return [
        _Job(
            "chat/completions",
            question,
            {"model": chat, "messages": [{"role": "user", "content": question}], "max_tokens": 48, "temperature": 0},
        ),
        _Job(
            "completions",
            opening.rstrip(),
            {"model": chat, "prompt": opening, "max_tokens": 40, "temperature": 0, "stop": ["\n\n"]},
        ),
        _Job(
            "responses",
            "Name three colours.",
            {"model": chat, "input": "Name three colours.", "max_output_tokens": 48, "temperature": 0},
        ),
        _Job("embeddings", " | ".join(texts), {"model": f"local/{DEFAULT_EMBEDDING}", "input": texts}),
    ]


async def _show(session: aiohttp.ClientSession, jobs: list[_Job]) -> int:
    print("Submitting one job of each operation; each is answered at once with a ticket:\n")
    for job in jobs:
        async with session.post(f"/v1/async/{job.operation}", json=job.request) as response:
            answer = await response.json()
        print(f"  POST /v1/async/{job.operation:<17} {response.status}  {answer.get('id', answer)}")
        if response.status != 202:
            return FAILED
        job.id, job.began, job.story, job.shown = answer["id"], time.monotonic(), [answer["status"]], answer
    print("\nCollecting the results:\n")
    await _watch(session, jobs)
    print()
    for job in jobs:
        print(f"{job.operation}\n  asked     {_indented(job.question)}\n  answered  {_indented(_answer(job))}\n")
    failed = [job.operation for job in jobs if job.shown.get("status") != "completed"]
    if failed:
        print(f"Not completed: {', '.join(failed)}")
        return FAILED
    print(_NEXT % jobs[0].request["model"])
    return OK


async def _watch(session: aiohttp.ClientSession, jobs: list[_Job]) -> None:
    """Polls every job to its end; on a terminal each line is redrawn, elsewhere each change is a line."""
    terminal = Terminal(sys.stdout)
    region = Region(sys.stdout) if terminal.live else None
    if region:
        region.draw([fitted(job.line(), terminal.width - 1).rstrip() for job in jobs])
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not all(job.ended for job in jobs) and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        for job in jobs:
            if job.ended:
                continue
            async with session.get(f"/v1/async/jobs/{job.id}") as response:
                job.shown = await response.json()
            status = job.shown["status"]
            if status != job.story[-1]:
                took = f" after {time.monotonic() - job.began:.1f} s" if status in _ANSWERED else ""
                job.story.append(status + took)
                if region is None:
                    print(job.line(), flush=True)
        if region:
            region.draw([fitted(job.line(), terminal.width - 1).rstrip() for job in jobs])


def _answer(job: _Job) -> str:
    if "error" in job.shown:
        return reason(job.shown)
    if "result" not in job.shown:
        return ""
    if job.operation != "embeddings":
        return text(job.operation, job.shown["result"])
    first, second, third = (item["embedding"] for item in job.shown["result"]["data"])
    return (
        f"3 vectors of {len(first)} numbers; the first is like the second ({_cosine(first, second):.2f}), "
        f"not like the third ({_cosine(first, third):.2f})"
    )


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _indented(text: str) -> str:
    return text.strip().replace("\n", "\n            ")


_NEXT = """\
All completed. Next, in one terminal:

  make serve

and in another:

  curl -s localhost:8080/v1/async/chat/completions \\
    -d '{"model": "%s", "messages": [{"role": "user", "content": "Tell me a short joke."}]}'

then ask for the result with the id that it prints:

  curl -s localhost:8080/v1/async/chat/completions/ID"""
