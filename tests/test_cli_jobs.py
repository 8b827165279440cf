"""Jobs from the command line: listed, explained, ended and done again."""

import re
from pathlib import Path
from typing import Any

from aiohttp import web

from coatcheck.schemas.operations import OPERATIONS

from .jobs import submission
from .shells import Shell, answering, shell, submitted

SLOW = {"echo": {"kind": "echo"}, "slow": {"kind": "echo", "concurrency": 1}}


def test_several_jobs_are_waited_for_with_a_line_each(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            good, bad = await submitted(sh, "echo/wait-0.2"), await submitted(sh, "echo/status-400")
            done = await sh("wait", good, bad)
            assert done.code == 3
            assert re.fullmatch(
                rf"✓ {good[:8]} completed  .*\n✗ {bad[:8]} failed  .*\n", done.out
            ), done.out  # fmt: skip
            assert f"coatcheck: {bad[:8]}: echo was told to answer 400\n" in done.err
            listed = await sh("wait", good, bad, "--json")
            assert [job["id"] for job in listed.json["data"]] == [good, bad]

    run(main())


def test_jobs_are_listed_newest_first_and_filtered(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder, providers=SLOW) as (sh, _):
            first = (await sh("submit", "completions", "-m", "echo/echo", "x", "--wait", "--json")).json["id"]
            second = (await sh("submit", "embeddings", "-m", "echo/fail", "x", "--wait", "--json")).json["id"]
            third = await submitted(sh, "slow/hang")
            lines = (await sh("jobs")).out.splitlines()
            assert lines[0].split() == ["ID", "STATUS", "OPERATION", "MODEL", "AGE", "TOOK"]
            assert [line.split()[0] for line in lines[1:]] == [third[:8], second[:8], first[:8]]
            assert lines[2].split()[1:4] == ["failed", "embeddings", "echo/fail"]
            for filters, expected in (
                (["--status", "completed"], [first]),
                (["--operation", "embeddings"], [second]),
                (["--provider", "slow"], [third]),
                (["--model", "echo/echo"], [first]),
                (["--since", "1h", "--limit", "2"], [third, second]),
            ):
                found = (await sh("jobs", *filters, "--json")).json["data"]
                assert [job["id"] for job in found] == expected, filters
            none = await sh("jobs", "--status", "cancelled")
            assert (none.code, none.out, none.err) == (0, "", "There are no such jobs.\n")

    run(main())


def test_a_list_without_a_limit_goes_over_all_pages(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, served):
            jobs = [submission("hang", owner="anon") for _ in range(130)]
            for job in jobs:
                await served.gateway.pool.submit(job)
            newest = [job.id for job in reversed(jobs)]
            found = (await sh("jobs", "--all", "--json")).json["data"]
            assert [job["id"] for job in found] == newest
            part = await sh("jobs", "--limit", "110")
            assert [line.split()[0] for line in part.out.splitlines()] == ["ID", *(id[:8] for id in newest[:110])]
            assert part.err == "more: --limit N or --all\n"
            assert len((await sh("jobs")).out.splitlines()) == 21
            assert (await sh("jobs", "--json")).err == "more: --limit N or --all\n"
            for whole in ("--all",), ("--limit", "130"):
                assert (await sh("jobs", *whole)).err == ""

    run(main())


def test_jobs_are_cancelled_and_done_again(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            running, ended = await submitted(sh, "echo/hang"), await submitted(sh, "echo/flaky-1", "--wait", "--json")
            done = await sh("cancel", running, ended)
            assert done.code == 1
            assert re.fullmatch(rf"✗ {running[:8]} cancelled  .*\n", done.out)
            assert f"coatcheck: {ended[:8]}: {sh.url} refused: the job has already completed" in done.err
            assert (await sh("wait", running)).code == 3
            again = (await sh("retry", running, "--json")).json
            assert again["parent"] == running
            never = await sh("retry", ended)
            assert (never.code, never.out) == (1, "")
            assert "the job has completed; only one that has failed or was cancelled can be done again" in never.err

    run(main())


def test_a_retry_can_be_waited_for(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            failed = (await sh("submit", "completions", "-m", "echo/fail", "x", "--wait", "--json")).json["id"]
            done = await sh("retry", failed, "--wait", "30")
            assert (done.code, done.out) == (3, "")
            assert done.err.endswith("coatcheck: the job failed: echo was told to fail\n")
            wrong = await sh("retry", failed, "--wait", "long")
            assert wrong.code == 2
            assert "'long' is not a duration" in wrong.err

    run(main())


def test_the_beginning_of_an_id_is_enough_where_it_is_unique(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, served):
            ids = ["abcd1111-0000-4000-8000-000000000001", "abcd2222-0000-4000-8000-000000000002"]
            for id in ids:
                await served.gateway.pool.submit(submission("echo", owner="anon", id=id))
            await sh("wait", *ids)
            assert (await sh("get", "ABCD1", "--json")).json["id"] == ids[0]
            assert (await sh("explain", "abcd2222-00")).out.startswith(ids[1])
            for given, code, reason in (
                ("abcd", 1, f"more than one job has an id that begins with abcd: {ids[1]}, {ids[0]}"),
                ("ffff", 1, "no job of the newest has an id that begins with ffff; `coatcheck jobs` lists them"),
                ("abc", 2, "'abc' is no job's id, and not the beginning of one (4 characters or more)"),
                ("../../v1/keys", 2, "'../../v1/keys' is no job's id"),
                (ids[0].replace("a", "0"), 1, "refused: job not found or expired"),
            ):
                done = await sh("cancel", given)
                assert (done.code, done.out) == (code, ""), given
                assert reason in done.err

    run(main())


def test_the_story_of_a_job_is_told_step_by_step(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder, providers=SLOW) as (sh, _):
            fallback = ("--fallback", "slow/flaky-2")
            done = await sh("submit", "completions", "-m", "echo/status-404", *fallback, "x", "--wait", "--json")
            id = done.json["id"]
            told = (await sh("explain", id)).out
            took = r"\d[\d.]* m?s"
            time = r"\d\d:\d\d:\d\d  "
            assert re.fullmatch(
                rf"{id}  completed\n"
                r"completions, echo/status-404, then slow/flaky-2\n\n"
                rf"{time}submitted   priority 3\n"
                rf"{time}claimed     attempt 1 at echo/status-404 in lane echo, after a wait of {took}\n"
                rf"{time}released    after {took}: echo/status-404: echo was told to answer 404; the next fallback\n"
                rf"{time}claimed     attempt 2 at slow/flaky-2 in lane slow, after a wait of {took}\n"
                rf"{time}released    after {took}: slow/flaky-2: echo was told to fail in call 2; "
                rf"tried again after {took}\n"
                rf"{time}claimed     attempt 3 at slow/flaky-2 in lane slow, after a wait of {took}\n"
                rf"{time}completed   after {took}\n\n"
                rf"It took {took}: waited {took}, ran {took}; 3 calls, cost nothing\.\n"
                rf"Kept until [\d: -]+, .+ from now, then deleted\.\n",
                told,
            ), told

    run(main())


def test_a_job_that_waits_is_explained_by_its_lane_and_its_prospects(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder, providers=SLOW) as (sh, _):
            first = await submitted(sh, "slow/hang", "--cancel-after", "1h")
            second = await submitted(sh, "slow/echo", "--fallback", "echo/echo", "--ttl", "2d")
            told = (await sh("explain", second)).out
            assert "It has not started: number 1 in lane slow (1 of 1 run).\n" in told
            assert "It has 3 tries at slow/echo, then echo/echo; 10 calls at most.\n" in told
            assert "From its end the outcome is kept for 2 d.\n" in told
            assert "number 1 in lane slow (1 of 1 run)" in (await sh("get", second)).err
            running = (await sh("explain", first)).out
            assert re.search(r"It runs at slow/hang for [\d.]+ m?s\.\n", running)
            assert "If that fails: 2 more tries at slow/hang; 9 calls at most.\n" in running
            assert re.search(r"It is cancelled if it has not ended by [\d: -]+\.\n", running)
            await sh("cancel", second)
            gone = (await sh("explain", second)).out
            assert "cancelled   while it waited: the job was cancelled\n" in gone
            assert f"`coatcheck retry {second[:8]}` does it again.\n" in gone

    run(main())


def test_what_a_job_cost_is_told_where_it_is_known(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            id = (await sh("submit", "completions", "-m", "echo/echo", "x", "--wait", "--json")).json["id"]
            told = (await sh("explain", id, "--json")).json
            for cost, words in (("0", "1 call, cost nothing."), ("0.00125", "1 call, cost $0.00125.")):
                told["cost"] = cost

                async def answer(request: web.Request, told: Any = told) -> web.Response:
                    return web.json_response(told)

                async with answering(answer) as url:
                    assert words in (await Shell(folder, url)("explain", id)).out

    run(main())


def test_the_plan_of_a_job_names_its_targets_and_what_is_left(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder, providers=SLOW) as (sh, _):
            id = await submitted(sh, "slow/hang", "--fallback", "echo/echo", "--priority", "0", "--ttl", "60")
            plan = (await sh("explain", id, "--json")).json["plan"]
            assert plan.pop("ends_by").endswith("Z")
            assert plan == {
                "lane": "slow", "priority": 0, "target": 0, "calls": 1, "calls_left": 9, "tries_left": 2,
                "targets": [
                    {"provider": "slow", "model": "hang", "lane": "slow"},
                    {"provider": "echo", "model": "echo", "lane": "echo"},
                ],
                "ttl_seconds": 60,
            }  # fmt: skip

    run(main())


def test_a_held_job_says_until_when(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            id = await submitted(sh, "echo/status-503")
            while (await sh("get", id, "--json")).json.get("queue", {}).get("reason") != "held":
                pass
            told = (await sh("explain", id)).out
            assert re.search(r"It waits to be tried again: held until \d\d:\d\d:\d\d\.\n", told), told

    run(main())


def test_the_providers_are_listed_with_their_lanes(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder, providers=SLOW) as (sh, _):
            for _ in range(2):
                await submitted(sh, "slow/hang")
            lines = (await sh("providers")).out.splitlines()
            assert lines[0].split() == ["PROVIDER", "KIND", "LANE", "RUNNING", "WAITING", "PACE", "MODELS"]
            assert lines[2].split() == ["slow", "echo", "slow", "1/1", "1", "echo"]
            told = (await sh("providers", "--json")).json["data"]
            assert told[1] == {
                "name": "slow", "kind": "echo", "models": ["echo"],
                "operations": [*OPERATIONS],
                "lanes": [{"name": "slow", "concurrency": 1, "running": 1, "waiting": 1}],
            }  # fmt: skip

    run(main())
