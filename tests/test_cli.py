"""The command line, as a person in a terminal meets it."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from coatcheck.cli import COMMANDS
from coatcheck.commands.options import (
    EXIT_CODES,
    FAILED,
    INTERRUPTED,
    JOB_FAILED,
    MISUNDERSTOOD,
    OK,
    UNFINISHED,
)
from coatcheck.schemas.operations import OPERATIONS

from .clients import ECHO
from .servers import ServerProcess, render_toml


def coatcheck(
    folder: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coatcheck.cli", *arguments],
        cwd=folder, env={**os.environ, **(environ or {})}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_without_a_command_it_says_what_there_is(folder: Path) -> None:
    done = coatcheck(folder)
    assert done.returncode == 2
    assert "COMMAND" in done.stderr
    assert "serve" in coatcheck(folder, "--help").stdout


def test_every_command_option_and_exit_code_is_in_the_documents(folder: Path) -> None:
    written = (Path(__file__).parent.parent / "docs/cli.md").read_text()
    for command in COMMANDS:
        assert f"| `{command} " in written or f"| `{command}` " in written, command
    for command in ("submit", "get", "wait", "jobs", "cancel", "retry", "explain", "providers", "check"):
        told = coatcheck(folder, command, "--help").stdout
        for option in re.findall(r"--[a-z][a-z-]+", told):
            assert option == "--help" or f"{option}" in written, f"{command} {option}"
    codes = re.findall(r"^  (\d+) ", EXIT_CODES, re.MULTILINE)
    assert [*map(int, codes)] == [OK, FAILED, MISUNDERSTOOD, JOB_FAILED, UNFINISHED, INTERRUPTED]
    assert re.findall(r"^\| (\d+) \|", written, re.MULTILINE) == codes
    assert EXIT_CODES in coatcheck(folder, "--help").stdout


@pytest.mark.parametrize("command", ["submit", "get", "wait", "jobs", "cancel", "retry", "explain", "providers"])
def test_a_command_that_asks_a_server_imports_none(folder: Path, command: str) -> None:
    """A person waits for each of them; the server's libraries take several times as long to import."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "coatcheck.cli", command, "--help"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "coatcheck.commands.client" in imported
    assert imported.isdisjoint({"aiohttp", "asyncio", "marshmallow", "orjson", "coatcheck.app"})


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["serve", "--config", "nowhere.toml"], "coatcheck: nowhere.toml cannot be read: No such file or directory"),
        (["serve", "--host", "0.0.0.0", "--port", "0"], "coatcheck: 0.0.0.0 can be reached from other machines"),
        (["serve", "--host", "192.0.2.1"], "coatcheck: cannot listen on 192.0.2.1:8080: "),
        (["serve", "--port", "99999"], "coatcheck: [server]: port: Must be greater than or equal to 0"),
        (["keys", "remove", "alice?x"], "coatcheck: a key's name is 1 to 64 letters"),
        (["keys", "add", "alice"], "coatcheck: admin: the first key must be an admin's"),
        (["models", "pull", "gpt-5"], "coatcheck: there is no model gpt-5; there are qwen2.5-coder-0.5b-instruct"),
        (["keys", "add", "a b"], "coatcheck: a key's name is 1 to 64 letters"),
        (["keys", "remove", "nobody"], "coatcheck: there is no key of the name 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(folder: Path, arguments: list[str], reason: str) -> None:
    done = coatcheck(folder, *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(reason)
    assert "Traceback" not in done.stderr


def test_a_typing_error_in_the_configuration_stops_the_start(folder: Path) -> None:
    (folder / "config.toml").write_text("[jobs]\nmax_pendin = 5\n")
    done = coatcheck(folder, "serve")
    assert done.returncode == 1
    assert done.stderr == "coatcheck: [jobs]: unknown key 'max_pendin'; did you mean 'max_pending'?\n"


def test_a_port_that_is_taken_is_one_line(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server:
            (folder / "other").mkdir()
            (folder / "other/config.toml").write_text(render_toml({"providers": ECHO}))
            port = (server.url or "").rpartition(":")[2]
            done = await asyncio.to_thread(coatcheck, folder / "other", "serve", "--port", port)
            assert done.returncode == 1
            assert done.stderr.splitlines()[-1].startswith(f"coatcheck: cannot listen on 127.0.0.1:{port}: ")

    run(main())


def test_the_models_are_listed_with_their_licences(folder: Path) -> None:
    listed = coatcheck(folder, "models", "list").stdout
    assert re.search(r"qwen2\.5-coder-0\.5b-instruct +\d+ MB +Apache-2\.0", listed)
    assert "not here" in coatcheck(folder, "models", "list", environ={"COATCHECK_MODELS_DIR": str(folder)}).stdout


def test_the_demo_runs_a_real_job_of_each_operation(folder: Path) -> None:
    small = ("--chat-model", "smollm2-135m-instruct", "--transcription-model", "whisper-tiny.en")
    done = subprocess.run(
        [sys.executable, "-m", "coatcheck.cli", "demo", *small],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # No model from a package moderates.
    for operation in set(OPERATIONS) - {"moderations"}:
        # A line when it is submitted, one when it has ended, and its answer.
        assert len(re.findall(rf"^  POST /v1/async/{operation} +202 ", done.stdout, re.MULTILINE)) == 1
        assert len(re.findall(rf"^  {operation} .* → completed after ", done.stdout, re.MULTILINE)) == 1
        assert re.search(rf"^{operation}\n  asked .*(\n .*)*\n  answered  \S", done.stdout, re.MULTILINE)
    assert "3 vectors of 384 numbers; the first is like the second (0.6" in done.stdout
    assert "answered  The cloakroom closes at midnight." in done.stdout
    assert "Umbrella\t1\t$1.25\t$1.25" in done.stdout
    assert "All completed; what they made is in coatcheck-demo. Next" in done.stdout
    made = {"page.png", "speech.mp3", "landscape.png", "painted.png", "variation.png"}
    assert {path.name for path in (folder / "coatcheck-demo").iterdir()} == made
    assert all(path.stat().st_size > 10_000 for path in (folder / "coatcheck-demo").iterdir())


def test_the_demo_fails_when_a_job_does_not_complete(folder: Path) -> None:
    done = coatcheck(folder, "demo", environ={"COATCHECK_MODELS_DIR": str(folder)})
    assert done.returncode == 1
    assert "Not completed: chat/completions, completions, responses, embeddings, rerank\n" in done.stdout
    assert "coatcheck models pull" in done.stdout
