"""The README's requests, as they stand, against a real gateway; on the echo provider, so that they cost nothing."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .clients import Client, client

README = (Path(__file__).parent.parent / "README.md").read_text()
SERVER = "localhost:8080"
#: Models of the README, and what stands for them here.
MODELS = {"local/qwen2.5-coder-0.5b-instruct": "echo/echo"}


@dataclass
class Curl:
    """A command line of curl, as far as the README uses it."""

    method: str = "GET"
    path: str = ""
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, words: list[str]) -> "Curl":
        found, rest = cls(), iter(words[1:])
        for word in rest:
            if word == "-X":
                found.method = next(rest)
            elif word == "-H":
                name, _, value = next(rest).partition(": ")
                found.headers[name] = value
            elif word == "-d":
                found.method, found.body = "POST", next(rest).encode()
            elif not word.startswith("-"):
                found.path = word.removeprefix(SERVER)
        return found


def commands() -> Iterator[str]:
    """The commands that ask the server, one after the other, with lines joined that belong together."""
    for block in re.findall(r"(?:^    .*\n(?:^\n(?=    ))?)+", README, re.MULTILINE):
        text = re.sub(r"^    ", "", block, flags=re.MULTILINE)
        yield from re.findall(r"^curl (?:\\\n|[^\n']|'[^']*')*", text, re.MULTILINE)


async def asked(c: Client, command: str, id: str) -> Any:
    for model, stand_in in MODELS.items():
        command = command.replace(model, stand_in)
    curl = Curl.parse(shlex.split(re.sub(r"\bID\b", id, command.replace("\\\n", " "))))
    assert curl.path.startswith("/v1/async/"), command
    return await c.ask(curl.method, curl.path, curl.body, curl.headers)


def test_every_request_of_the_readme_is_answered_as_it_says(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            id = ""
            requests = [*commands()]
            assert len(requests) >= 10
            for command in requests:
                answer = await asked(c, command, id)
                if "/events" in command:
                    assert b"event: completed" in answer.text
                elif "/cancel" in command or "/retry" in command:
                    assert answer.status == 409, "it has completed"
                elif "DELETE" in command:
                    assert answer.status == 204
                else:
                    assert answer.status in (200, 202), (command, answer.text)
                if answer.status == 202:
                    id = answer.json["id"]

    run(main())


def test_every_command_line_of_the_readme_is_understood() -> None:
    known = set(re.findall(r"^\s+(?:\.venv/bin/)?coatcheck (\w+)", README, re.MULTILINE))
    assert {"submit", "jobs", "explain", "check", "keys", "models", "serve"} <= known
    targets = set(re.findall(r"^\s+make ([\w-]+)", README, re.MULTILINE))
    makefile = (Path(__file__).parent.parent / "Makefile").read_text()
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()
