"""What a person sees in a terminal, narrow and wide; and what is left out where nobody looks."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from coatcheck.cli import COMMANDS
from coatcheck.commands.options import EXIT_CODES

from .jobs import submission
from .shells import Shell, shell, submitted

TEXT = "The quick brown fox jumps over the lazy dog and then it does so again, since 日本語 takes two columns."


def columns(line: str) -> int:
    return sum(2 if c > "\u2e80" else 1 for c in line)


@pytest.mark.parametrize("width", [30, 60, 120])
def test_a_progress_bar_fits_the_terminal_and_leaves_the_answer_alone(folder: Path, run: Any, width: int) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            screen = await sh.terminal(
                width, "submit", "chat/completions", "-m", "echo/wait-1", "--wait", "hello from afar"
            )
            assert screen.code == 0
            drawn = [frame for frame in screen.frames[:-1] if frame]
            assert all(columns(line) < width for frame in drawn for line in frame.splitlines()), drawn
            running = [frame for frame in drawn if "processing" in frame]
            assert any(re.search(r"  \d+ %  \d\.\d s\n", frame) for frame in running), running
            for full, empty, percent in re.findall(r"echo/wait-1  (━*)(─*)  (\d+) %", "".join(running)):
                assert len(full) == pytest.approx(int(percent) / 100 * len(full + empty), abs=0.5)
                assert len(full + empty) == (17 if width == 60 else 30)
            assert ("━" in "".join(running)) is (width > 30)
            assert any("\n  hello" in frame for frame in drawn), drawn
            head, answer = screen.left.splitlines()
            assert re.match(r"✓ [0-9a-f]{8} completed" + r"  took 1\.\d s" * (width > 30), head)
            assert len(head) <= width
            assert answer == "hello from afar"

    run(main())


def test_the_answer_so_far_is_wrapped_below_the_bar(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            screen = await sh.terminal(40, "submit", "chat/completions", "-m", "echo/wait-1", TEXT, "--wait")
            longest = max(screen.frames[:-1], key=len).splitlines()
            assert len(longest) == 4
            assert all(line.startswith("  ") and columns(line) < 40 for line in longest[1:])
            assert " ".join(line.strip() for line in longest[1:]) in TEXT
            assert screen.left.splitlines()[-1] == TEXT

    run(main())


def test_a_job_that_waits_says_where_it_stands(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder, providers={"slow": {"kind": "echo", "concurrency": 1}}) as (sh, _):
            await submitted(sh, "slow/hang")
            screen = await sh.terminal(80, "submit", "chat/completions", "-m", "slow/echo", "hello", "--wait", "1")
            assert screen.code == 4
            assert any("pending  number 1 in lane slow (1 of 1 run)" in frame for frame in screen.frames)
            assert screen.left.startswith("coatcheck: not ended within 1 s; the job goes on: ")

    run(main())


def test_where_nothing_can_be_drawn_again_there_are_plain_lines(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            arguments = ("submit", "chat/completions", "-m", "echo/flaky-1", "hello", "--wait")
            piped = (await sh(*arguments)).err
            dumb = (await sh.having(TERM="dumb").terminal(200, *arguments)).raw
            for text in (piped, dumb):
                assert "\x1b" not in text
                assert re.match(
                    r"(\S{8}) pending\n\1 processing echo/flaky-1\n"
                    r"\1 pending: echo/flaky-1: echo was told to fail in call 1; tried again after \d\S* m?s\n"
                    r"\1 processing echo/flaky-1\n\1 completed echo/flaky-1\n✓ \1 completed  ",
                    text,
                ), text

    run(main())


def test_a_table_fits_the_terminal_and_is_coloured_unless_that_is_not_wanted(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, served):
            long = "status-500+" * 8 + "echo"
            await served.gateway.pool.submit(submission(long, owner="anon"))
            for width in (30, 60, 100):
                screen = await sh.terminal(width, "jobs")
                head, row = screen.left.splitlines()
                assert columns(row) == columns(head) or columns(row) <= width
                assert "status-50" in row or width == 30
                assert "…" in row
                assert ("OPERATION" in head) is (width >= 72)
                assert "\x1b[33mpending" in screen.raw or "\x1b[36mprocessing" in screen.raw
            assert "\x1b" not in (await sh.having(NO_COLOR="1").terminal(60, "jobs")).raw
            piped = (await sh("jobs")).out
            assert "\x1b" not in piped
            assert f"echo/{long}" in piped

    run(main())


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (45, "PROVIDER LANE RUNNING WAITING"),
        (60, "PROVIDER LANE RUNNING WAITING MODELS"),
        (70, "PROVIDER LANE RUNNING WAITING PACE MODELS"),
        (80, "PROVIDER KIND LANE RUNNING WAITING PACE MODELS"),
    ],
)
def test_a_narrow_terminal_is_shown_less_of_the_providers(folder: Path, run: Any, width: int, head: str) -> None:
    async def main() -> None:
        async with shell(folder, providers={"here": {"kind": "local"}, "échos": {"kind": "echo"}}) as (sh, _):
            shown = (await sh.terminal(width, "providers")).left.splitlines()
            assert shown[0].split() == head.split()
            assert all(columns(line) <= width for line in shown), shown
            assert any("here/embeddings" in line for line in shown)

    run(main())


def test_help_fits_the_terminal(folder: Path, run: Any) -> None:
    async def main() -> None:
        sh = Shell(folder, "", {"COLUMNS": "60"})
        for command in [], *([name] for name in COMMANDS):
            told = (await sh(*command, "--help")).out
            assert all(columns(line) <= 60 for line in told.splitlines()), told
        told = (await sh("--help")).out
        assert "\n  -h, --help  show" in told
        assert "\n  serve       run the server\n" in told
        assert f"\n\n{EXIT_CODES}\n" in told

    run(main())


def test_what_a_model_answers_cannot_control_the_terminal(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            hostile = "\x1b[31mred\x07\x1b]0;title\x07 \u202eback\ttab\nnext"
            id = await submitted(
                sh, "echo/echo", "--set", f'messages=[{{"role":"user","content":{json.dumps(hostile)}}}]'
            )
            await sh("wait", id)
            screen = await sh.terminal(100, "get", id)
            assert "[31mred]0;title back\ttab\nnext\n" in screen.raw
            assert "\x07" not in screen.raw
            assert (await sh("get", id)).out == hostile + "\n"

    run(main())


def test_a_text_is_asked_for_where_a_person_gave_none(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            screen = await sh.terminal(80, "submit", "completions", "-m", "echo/echo")
            assert screen.code == 2
            assert screen.raw == "coatcheck: what is to be asked? Give a TEXT, @FILE, or - for standard input\n"

    run(main())


def test_a_terminal_that_cannot_show_a_sign_ends_no_command(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            plain = sh.having(PYTHONIOENCODING="ascii", PYTHONUTF8="0")
            done = await plain("submit", "completions", "-m", "echo/echo", "--wait", "naïve")
            assert (done.code, done.out) == (0, "na?ve\n")
            whole = await plain("submit", "completions", "-m", "echo/echo", "--wait", "--json", "naïve")
            assert whole.json["result"]["choices"][0]["text"] == "naïve"

    run(main())
