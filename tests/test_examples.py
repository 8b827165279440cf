"""The examples run as they stand."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

from .clients import client

EXAMPLES = Path(__file__).parent.parent / "examples"


async def output(folder: Path, name: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLES / name, *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


def test_submit_and_poll_prints_the_answer(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await output(folder, "submit_and_poll.py", c.served.url, "echo/wait-0.1", "What is this?")
            assert answer == "What is this?\n"

    run(main())


def test_the_embedding_application_serves_the_gateway_below_its_prefix(folder: Path, run: Any) -> None:
    async def main() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-u", EXAMPLES / "embed.py", "0", cwd=folder, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        answer = await output(folder, "submit_and_poll.py", f"{found[0]}/ai", "echo/echo", "Mounted?")
        process.terminate()
        await process.communicate()
        assert answer == "Mounted?\n"

    run(main())


def test_watch_prints_the_text_as_it_comes(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            text = await output(folder, "watch.py", c.served.url, "echo/wait-0.3", "A story of three words.")
            assert text == "A story of three words.\n"

    run(main())
