"""Metrics: what is counted, who may read it, and that the documents name all of it."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from coatcheck.engine.deliveries import DeliveryFilter
from coatcheck.engine.jobs import SECOND
from coatcheck.engine.lag import Lag
from coatcheck.engine.meters import Histogram, Meters
from coatcheck.engine.settings import JobSettings
from coatcheck.engine.sweeper import Sweeper

from .clients import ECHO, Client, client
from .jobs import MORNING, Hands, add, back, completed, echo, opened, pooled, rows, submission, take
from .receivers import Receiver
from .servers import Gate, Upstream

DOCUMENT = Path(__file__).parent.parent / "docs/metrics.md"

ADMIN, USER = "sk-bf-admin", "sk-bf-user"
KEYS = {"keys": [{"name": "root", "key": ADMIN, "admin": True}, {"name": "user", "key": USER}]}


async def scraped(c: Client) -> dict[str, float]:
    """Every sample but those of 0, by its name and label values as PromQL would have them."""
    answer = await c.ask("GET", "/metrics")
    assert answer.status == 200, answer.text
    found = {}
    for family in parser.text_string_to_metric_families(answer.text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            if sample.value:
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def only(samples: dict[str, float], *prefixes: str) -> dict[str, float]:
    return {name: value for name, value in samples.items() if name.startswith(prefixes)}


def test_every_metric_is_in_the_document_with_its_type_and_labels(folder: Path, run: Any) -> None:
    async def main() -> None:
        documented = {
            name: (kind, tuple(sorted(re.findall(r"`(\w+)`", labels))))
            for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", DOCUMENT.read_text(), re.M)
        }
        async with client(folder) as c:
            await c.ended(await c.submit("chat/completions", "echo/fail", fallbacks=["echo/echo"]))
            text = (await c.ask("GET", "/metrics")).text.decode()
        types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
        labels: dict[str, tuple[str, ...]] = {}
        for name, found in re.findall(r"^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$", text, re.M):
            labels[name] = tuple(sorted(set(re.findall(r'(\w+)="', found)) - {"le"}))
        assert {name: (kind, labels[name]) for name, kind in types.items()} == documented

    run(main())


def test_deliveries_are_counted_by_what_becomes_of_them(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Receiver(204, 500, 404) as receiver, client(folder, webhooks={"allow_private_networks": True}) as c:
            for _ in range(3):
                await c.ended(await c.submit(headers={"x-bf-async-webhook": receiver.url}))
                await receiver.got()
            outbox, tried = c.served.gateway.store.outbox, 0
            while tried < 3:
                tried = sum(one.tries for one in await outbox.deliveries(DeliveryFilter(), before=None, limit=3))
            assert only(await scraped(c), "coatcheck_deliveries") == {
                "coatcheck_deliveries_total{outcome=delivered}": 1,
                "coatcheck_deliveries_total{outcome=failed}": 1,
                "coatcheck_deliveries_total{outcome=dead}": 1,
                "coatcheck_deliveries_due": 1,
            }

    run(main())


def test_the_life_of_jobs_is_counted_by_operation_and_provider(folder: Path, run: Any) -> None:
    async def main() -> None:
        gate = Gate()
        async with Upstream(gate.answer) as upstream:
            up = {"kind": "openai", "base_url": upstream.url, "concurrency": 1}
            async with client(folder, providers={**ECHO, "up": up}) as c:
                await c.ended(await c.submit("embeddings"), "embeddings")
                id = await c.submit("chat/completions", "echo/status-400", fallbacks=["up/gpt"])
                await upstream.asked.get()
                cancelled = await c.submit("chat/completions", "up/gpt")
                assert only(await scraped(c), "coatcheck_jobs{", "coatcheck_lane_") == {
                    "coatcheck_jobs{operation=chat/completions,provider=up,state=processing}": 1,
                    "coatcheck_jobs{operation=chat/completions,provider=up,state=pending}": 1,
                    "coatcheck_lane_slots{lane=echo}": 1000,
                    "coatcheck_lane_slots{lane=up}": 1,
                    "coatcheck_lane_running_jobs{lane=up}": 1,
                    "coatcheck_lane_waiting_jobs{lane=up}": 1,
                    "coatcheck_lane_oldest_ready_seconds{lane=up}": pytest.approx(0, abs=60),
                }
                await c.ask("POST", f"/v1/async/jobs/{cancelled}/cancel")
                gate.let(1)
                assert (await c.ended(id)).json["status"] == "completed"
                samples = await scraped(c)
        names = ("coatcheck_jobs", "coatcheck_call_failures_total", "coatcheck_attempt_seconds_count")
        assert only(samples, *names) == {
            "coatcheck_jobs_submitted_total{operation=embeddings,provider=echo}": 1,
            "coatcheck_jobs_submitted_total{operation=chat/completions,provider=echo}": 1,
            "coatcheck_jobs_submitted_total{operation=chat/completions,provider=up}": 1,
            "coatcheck_jobs_ended_total{operation=embeddings,provider=echo,state=completed}": 1,
            "coatcheck_jobs_ended_total{operation=chat/completions,provider=up,state=completed}": 1,
            "coatcheck_jobs_ended_total{operation=chat/completions,provider=up,state=cancelled}": 1,
            "coatcheck_jobs_released_total{provider=echo,reason=fallback}": 1,
            "coatcheck_call_failures_total{provider=echo,reason=provider_error,status=400}": 1,
            "coatcheck_attempt_seconds_count{operation=embeddings,provider=echo}": 1,
            "coatcheck_attempt_seconds_count{operation=chat/completions,provider=echo}": 1,
            "coatcheck_attempt_seconds_count{operation=chat/completions,provider=up}": 1,
        }
        assert samples["coatcheck_commit_seconds_count"] == samples["coatcheck_commit_items_count"] >= 5
        assert samples["coatcheck_read_seconds_count"] >= 3
        assert samples["coatcheck_database_wal_bytes"] > 0
        assert samples["process_resident_memory_bytes"] > 10_000_000

    run(main())


def test_nothing_an_upstream_makes_up_is_a_label(folder: Path, run: Any) -> None:
    async def main() -> None:
        async def refuse(request: dict[str, Any]) -> web.StreamResponse:
            return web.json_response({"error": {"message": "m-1", "code": "c-1", "type": "t-1"}}, status=418)

        async with (
            Upstream(refuse) as upstream,
            client(folder, providers={"up": {"kind": "openai", "base_url": upstream.url}}) as c,
        ):
            answer = await c.ended(await c.submit("chat/completions", "up/g-1"))
            assert answer.json["error"]["error"]["code"] == "c-1"
            text = (await c.ask("GET", "/metrics")).text.decode()
        assert 'coatcheck_call_failures_total{provider="up",reason="provider_error",status="418"} 1.0' in text
        assert not re.search(r"[mctg]-1", text)

    run(main())


def test_an_admin_reads_the_metrics_and_nobody_else(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=KEYS) as c:
            answer = await c.ask("GET", "/metrics")
            assert (answer.status, answer.code) == (401, "virtual_key_required")
            answer = await c.with_key(USER).ask("GET", "/metrics")
            assert (answer.status, answer.code) == (403, "forbidden")
            assert (await c.with_key(ADMIN).ask("GET", "/metrics")).status == 200

    run(main())


def test_metrics_can_be_public(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=KEYS, server={"public_metrics": True}) as c:
            assert (await c.ask("GET", "/metrics")).status == 200

    run(main())


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", "application/openmetrics-text; version=1.0.0"),
        ("text/plain; version=0.0.4", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=abc", "text/plain; version=0.0.4"),
    ],
)
def test_the_format_is_the_one_that_is_accepted(accept: str, media_type: str, folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            await c.ended(await c.submit())
            answer = await c.ask("GET", "/metrics", None, {"Accept": accept})
            assert answer.headers["Content-Type"].startswith(media_type)
            text = answer.text.decode()
            parse = parser.text_string_to_metric_families
            if media_type.startswith("application"):
                assert text.endswith("# EOF\n")
                parse = openmetrics_parser.text_string_to_metric_families
            assert {"coatcheck_jobs", "coatcheck_attempt_seconds"} <= {family.name for family in parse(text)}

    run(main())


def test_two_gateways_in_one_process_count_apart(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "other").mkdir()
        async with client(folder) as one, client(folder / "other") as other:
            await one.ended(await one.submit())
            assert only(await scraped(one), "coatcheck_jobs_submitted")
            assert not only(await scraped(other), "coatcheck_jobs_submitted")

    run(main())


def test_jobs_of_an_earlier_start_are_counted_as_they_stand(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            await add(store, *(submission("hang", "far/hang") for _ in range(3)))
            fallen, held, _interrupted = await take(store, count=3)
            await store.release(fallen, back(fallen, reason="fallback", target=1, lane="far"))
            await store.release(held, back(held, run_at=time.time_ns() // 1000 + 600 * SECOND))
            await add(store, submission("hang"))
            await add(store, submission("far/hang"), submission("far/hang"), lane="far")
        async with (
            opened(folder) as store,
            pooled(store, echo(concurrency=1), echo("far", concurrency=1)) as pool,
        ):
            expected = {"pending echo": 2, "processing echo": 1, "pending far": 2, "processing far": 1}
            async with asyncio.timeout(30):
                while standing(store.meters) != expected:
                    await store.alarms()
            assert counted(folder) == expected
            for (id,) in rows(folder / "coatcheck.db", "SELECT id FROM job"):
                await pool.cancel(id, None)
            async with asyncio.timeout(30):
                while standing(store.meters):
                    await store.alarms()
            assert counted(folder) == {}

    run(main())


def standing(meters: Meters) -> dict[str, int]:
    return {f"{state} {provider}": int(count) for (state, _, provider), count in meters.jobs.values.items() if count}


def counted(folder: Path) -> dict[str, int]:
    """The same, as the database has it."""
    found = rows(
        folder / "coatcheck.db",
        "SELECT state, targets ->> ('$[' || target || '][0]'), COUNT(*) FROM job WHERE completed_at IS NULL"
        " GROUP BY 1, 2",
    )
    return {f"{state} {provider}": count for state, provider, count in found}


def test_the_oldest_ready_job_of_a_lane_is_found_among_owners_and_priorities(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with opened(folder) as store:
            assert (await store.survey(["echo"])).oldest == {}
            waits = [("a", 3, 50), ("a", 3, 60), ("a", 0, 90), ("b", 7, 40), ("b", 3, 70), ("c", 3, 80)]
            for owner, priority, second in waits:
                await add(store, submission(owner=owner, priority=priority, created_at=MORNING + second * SECOND))
            await add(store, submission(created_at=MORNING), lane="other")
            survey = await store.survey(["echo", "other", "none"])
            assert survey.oldest == {"echo": MORNING + 40 * SECOND, "other": MORNING}
            for job in await take(store, "b", 2):
                await store.release(job, back(job, run_at=MORNING + 600 * SECOND))
            survey = await store.survey(["echo"])
            assert survey.held == 2
            assert survey.oldest == {"echo": MORNING + 50 * SECOND}, "what is held is not ready"

    run(main())


def test_what_is_swept_is_counted(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with opened(folder, clock=hands.clock) as store:
            await add(store, *(submission() for _ in range(3)))
            for job in (await take(store, count=3))[:2]:
                await store.finish(job, completed())
            hands.pass_(61)
            await Sweeper(store, JobSettings(), hands.clock).sweep()
            assert store.meters.swept.values == {(): 2}

    run(main())


def test_a_bucket_holds_what_is_at_most_its_bound() -> None:
    histogram = Histogram("seconds", "Seconds.", (1, 2.5), "lane")
    for value in (0, 1, 1.001, 2.5, 2.6, 1000):
        histogram.observe(value, "a")
    histogram.observe(2, "b")
    assert histogram.values == {("a",): [2, 2, 2, pytest.approx(1007.101)], ("b",): [0, 1, 0, 2]}


def test_a_loop_that_is_held_up_is_seen(run: Any) -> None:
    async def main() -> None:
        meters = Meters()
        lag = Lag(meters)
        assert lag.worst == 0
        watching = asyncio.create_task(lag.watch())
        await asyncio.sleep(0)
        # What must never happen: the loop stands still.
        time.sleep(0.4)  # noqa: ASYNC251
        async with asyncio.timeout(30):
            while not lag.worst:
                await asyncio.to_thread(int)
        watching.cancel()
        assert 0.1 < lag.worst < 30
        *buckets, total = meters.lag.values[()]
        assert sum(buckets) == 1
        assert total == lag.worst

    run(main())
