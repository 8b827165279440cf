"""The README's requests, as they stand, against a real gateway; on the echo provider, so that they cost nothing."""

import asyncio
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .clients import FORMS, REQUESTS, client, form
from .shells import shell

README = (Path(__file__).parent.parent / "README.md").read_text()
SERVER = "localhost:8080"
#: What stands here for any local model.
STAND_IN = "echo/echo"
#: Where nobody is told of anything.
NOBODY = "http://127.0.0.1:9"
OPERATIONS = (*REQUESTS, *FORMS)


@dataclass
class Curl:
    """A command line of curl, as far as the README uses it."""

    folder: Path
    method: str = "GET"
    path: str = ""
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    output: str | None = None

    @classmethod
    def parse(cls, words: list[str], folder: Path) -> "Curl":
        found, rest = cls(folder), iter(words[1:])
        for word in rest:
            if word == "-X":
                found.method = next(rest)
            elif word == "-H":
                name, _, value = next(rest).partition(": ")
                found.headers[name] = value
            elif word == "-d":
                found.method, found.body = "POST", found.content(next(rest))
            elif word == "-F":
                found.add(*next(rest).split("=", 1))
            elif word == "-o":
                found.output = next(rest)
            elif not word.startswith("-"):
                found.path = word.removeprefix(SERVER)
        return found

    @property
    def sent(self) -> Any:
        return form(self.body) if isinstance(self.body, dict) else self.body

    def content(self, value: str) -> bytes:
        return (self.folder / value[1:]).read_bytes() if value.startswith("@") else value.encode()

    def add(self, name: str, value: str) -> None:
        self.method = "POST"
        self.body = {**(self.body or {}), name: self.content(value) if value.startswith("@") else value}


def commands(document: str = README) -> Iterator[str]:
    """The commands that ask the server or make what it is asked, one after the other, with lines joined that belong
    together."""
    for block in re.findall(r"(?:^    .*\n(?:^\n(?=    ))?)+", document, re.MULTILINE):
        text = re.sub(r"^    ", "", block, flags=re.MULTILINE)
        yield from re.findall(r"^(?:curl|echo) (?:\\\n|[^\n']|'[^']*')*", text, re.MULTILINE)


def test_every_request_of_the_readme_is_answered_as_it_says(folder: Path, run: Any) -> None:
    page = folder / "coatcheck-demo" / "page.png"
    page.parent.mkdir()
    page.write_bytes(b"a page")
    asked_for: set[str] = set()

    async def main() -> None:
        async with client(folder) as c:
            id = file = ""
            for command in commands():
                command = re.sub(r"\blocal/[\w.-]+", STAND_IN, command).replace("https://example.com", NOBODY)
                if command.startswith("echo "):
                    made = await asyncio.create_subprocess_exec("bash", "-c", command, cwd=folder)
                    assert await made.wait() == 0
                    continue
                command = re.sub(r"\bID\b", id, command.replace("FILE_ID", file))
                curl = Curl.parse(shlex.split(command.replace("\\\n", " ")), folder)
                answer = await c.ask(curl.method, curl.path, curl.sent, curl.headers)
                if "/events" in command:
                    assert b"event: completed" in answer.text
                elif "/cancel" in command or "/retry" in command:
                    assert answer.status == 409, "it has completed"
                elif "DELETE" in command:
                    assert answer.status == 204
                else:
                    assert answer.status in (200, 202), (command, answer.text)
                if curl.output is not None:
                    (folder / curl.output).write_bytes(answer.text)
                elif curl.method == "POST" and curl.path.removeprefix("/v1/async/") in OPERATIONS:
                    asked_for.add(curl.path.removeprefix("/v1/async/"))
                    id = answer.json["id"]
                elif curl.method == "POST" and curl.path == "/v3/universal-ai/async":
                    id = answer.json["public_id"]
                elif curl.path == "/v3/upload":
                    file = answer.json["file_id"]

    run(main())
    assert asked_for == set(OPERATIONS), "it shows each operation"


def test_the_python_of_the_readme_runs(folder: Path, run: Any) -> None:
    (script,) = re.findall(r"^(    from openai .*?\n)\n", README, re.MULTILINE | re.DOTALL)
    script = re.sub(r"\blocal/[\w.-]+", STAND_IN, textwrap.dedent(script))

    async def main() -> None:
        async with client(folder) as c:
            ran = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script.replace(f"http://{SERVER}", c.served.url), cwd=folder
            )
            assert await ran.wait() == 0

    run(main())
    assert (folder / "ready.mp3").stat().st_size > 0


def test_the_commands_of_the_readme_that_ask_a_server_succeed(folder: Path, run: Any) -> None:
    lines = re.findall(r"^    (coatcheck (?:submit|jobs|explain) .*|coatcheck jobs)$", README, re.MULTILINE)

    async def main() -> None:
        async with shell(folder) as (sh, _):
            id = ""
            for line in lines:
                line = re.sub(r"\blocal/[\w.-]+", STAND_IN, line)
                done = await sh(*shlex.split(re.sub(r"\bID\b", id, line))[1:])
                assert done.code == 0, (line, done.err)
                id = (await sh("jobs", "--json")).json["data"][0]["id"]

    run(main())
    assert (folder / "ready.mp3").stat().st_size > 0


def test_every_command_line_of_the_readme_is_understood() -> None:
    known = set(re.findall(r"^\s+(?:\.venv/bin/)?coatcheck (\w+)", README, re.MULTILINE))
    assert {"submit", "jobs", "explain", "check", "keys", "models", "serve"} <= known
    targets = set(re.findall(r"^\s+make ([\w-]+)", README, re.MULTILINE))
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()
