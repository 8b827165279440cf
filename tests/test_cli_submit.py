"""Jobs from the command line: handed over, and waited for."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from .shells import Shell, shell, submitted


@pytest.mark.parametrize("operation", ["chat/completions", "completions", "responses"])
def test_a_text_is_submitted_and_its_answer_printed_alone(folder: Path, run: Any, operation: str) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            done = await sh("submit", operation, "-m", "echo/echo", "Where is it?", "--wait")
            assert (done.code, done.out) == (0, "Where is it?\n")
            assert re.search(rf"✓ [0-9a-f]{{8}} completed  took [\d.]+ m?s  {operation} at echo/echo  kept ", done.err)

    run(main())


def test_of_an_embedding_only_the_size_is_printed(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            done = await sh("submit", "embeddings", "-m", "echo/echo", "--set", 'input=["a", "b"]', "--wait")
            assert (done.code, done.out) == (0, "2 vectors of 8 numbers; --json has them\n")
            whole = (await sh("submit", "embeddings", "-m", "echo/echo", "a", "--wait", "--json")).json
            assert len(whole["result"]["data"][0]["embedding"]) == 8

    run(main())


def test_what_is_asked_comes_from_a_file_from_standard_input_or_as_a_whole_request(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            (folder / "text.txt").write_text("from a file")
            request = {"model": "echo/echo", "messages": [{"role": "user", "content": "a whole request"}]}
            (folder / "request.json").write_text(json.dumps(request))
            ask = ("submit", "chat/completions", "--wait")
            model = ("-m", "echo/echo")
            assert (await sh(*ask, *model, "@text.txt")).out == "from a file\n"
            assert (await sh(*ask, "@request.json")).out == "a whole request\n"
            assert (await sh(*ask, *model, stdin="piped")).out == "piped\n"
            assert (await sh(*ask, *model, "-", stdin="asked for")).out == "asked for\n"
            assert (await sh(*ask, stdin=json.dumps(request))).out == "a whole request\n"
            assert (await sh(*ask, *model, stdin="[1, 2]")).out == "[1, 2]\n"
            other = await sh(*ask, "-m", "echo/nothing", "@request.json")
            assert "has no model 'nothing'" in other.err

    run(main())


def test_the_text_may_stand_before_or_after_the_options(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            for arguments in (
                ["chat/completions", "hello", "-m", "echo/echo", "--wait"],
                ["chat/completions", "-m", "echo/echo", "hello", "--wait", "30"],
                ["-m", "echo/echo", "chat/completions", "--wait", "hello"],
                ["--wait=30", "-m", "echo/echo", "chat/completions", "hello"],
            ):
                assert (await sh("submit", *arguments)).out == "hello\n", arguments

    run(main())


def test_the_options_of_a_submit_reach_the_job(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, served):
            id = await submitted(
                sh, "echo/hang", "--fallback", "echo/echo", "--fallback", "echo/fail", "--ttl", "1h30m",
                "--priority", "1", "--cancel-after", "1d", "--set", "temperature=0.5", "--set", "user=me",
            )  # fmt: skip
            ticket = await served.gateway.store.ticket(id, None)
            assert ticket is not None
            job = ticket.job
            assert [f"{target.provider}/{target.model}" for target in job.targets] == [
                "echo/hang", "echo/echo", "echo/fail",
            ]  # fmt: skip
            assert (job.ttl_seconds, job.priority) == (5400, 1)
            assert job.cancel_at == job.created_at + 86_400_000_000
            request = json.loads(await served.gateway.store.request(job.seq) or b"")
            assert (request["temperature"], request["user"]) == (0.5, "me")

    run(main())


def test_an_idempotency_key_makes_one_job_of_two_submits(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            first = await submitted(sh, "echo/echo", "--idempotency-key", 'a "quoted" key')
            assert await submitted(sh, "echo/echo", "--idempotency-key", 'a "quoted" key') == first
            other = await sh("submit", "completions", "-m", "echo/echo", "x", "--idempotency-key", 'a "quoted" key')
            assert other.code == 1
            assert "refused: " in other.err

    run(main())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["dance", "x"], "there is no operation 'dance'; there are chat/completions, completions, responses, "),
        (["completions", "x"], "which model? Say -m PROVIDER/MODEL; `coatcheck providers` lists them"),
        (["completions", "-m", "echo/echo"], "what is to be asked? Standard input is empty"),
        (["completions", "-m", "echo/echo", "x", "--wait", "soon"], "--wait: 'soon' is not a duration like 90, 10m"),
        (["completions", "-m", "echo/echo", "x", "--ttl", "1y"], "argument --ttl: '1y' is not a duration like 90"),
        (["completions", "-m", "echo/echo", "x", "--set", "n"], "argument --set: 'n' is not of the form KEY=VALUE"),
        (["completions", "-m", "echo/echo", "x", "--priority", "8"], "argument --priority: invalid choice: 8"),
        (["completions", "-m", "echo/echo", "x", "--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_what_is_not_understood_is_exit_code_2_and_asks_nobody(
    folder: Path, run: Any, arguments: list[str], reason: str
) -> None:
    async def main() -> None:
        done = await Shell(folder, "http://127.0.0.1:9")("submit", *arguments, stdin="")
        assert (done.code, done.out) == (2, "")
        assert reason in done.err

    run(main())


def test_a_failed_job_is_exit_code_3_with_its_reason(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            done = await sh("submit", "chat/completions", "-m", "echo/status-404", "x", "--wait")
            assert (done.code, done.out) == (3, "")
            assert done.err.endswith("coatcheck: the job failed: echo was told to answer 404\n")
            id = re.findall(r"✗ ([0-9a-f]{8}) failed", done.err)[0]
            assert (await sh("get", id)).code == 3
            assert (await sh("get", id, "--json")).json["status_code"] == 404

    run(main())


def test_a_job_that_has_not_ended_is_exit_code_4_and_goes_on(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            done = await sh("submit", "chat/completions", "-m", "echo/hang", "x", "--wait", "0.2")
            assert (done.code, done.out) == (4, "")
            assert "coatcheck: not ended within 0.2 s; the job goes on: `coatcheck get " in done.err
            id = re.findall(r"coatcheck cancel (\S+)`", done.err)[0]
            waited = await sh("wait", id, "--timeout", "0.2")
            assert (waited.code, waited.out) == (4, "")
            assert f"coatcheck: {id} has not ended within 0.2 s; it goes on" in waited.err
            shown = await sh("get", id)
            assert (shown.code, shown.out) == (4, "")
            assert f"· {id[:8]} processing  chat/completions at echo/hang  submitted " in shown.err

    run(main())


def test_ctrl_c_leaves_the_job_running_and_says_how_to_go_on(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            pipe = asyncio.subprocess.PIPE
            process = await sh.start(
                "submit", "chat/completions", "-m", "echo/hang", "x", "--wait", stdout=pipe, stderr=pipe
            )
            assert process.stderr is not None
            while b"processing" not in await process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
            assert process.returncode == 130
            said = re.fullmatch(
                r"coatcheck: the job goes on: `coatcheck get (\S+)` shows it, `coatcheck cancel \1` ends it\n",
                err.decode(),
            )
            assert said is not None, err
            assert (await sh("get", said[1], "--json")).json["status"] == "processing"

    run(main())
