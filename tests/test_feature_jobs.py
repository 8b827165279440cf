"""Features as jobs: they are priced as what carries them out, fall back from one way to another, and keep originals."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from coatcheck.engine.calls import Call, Provider, Resumes
from coatcheck.engine.jobs import Attached, State, Submission, Ticket
from coatcheck.engine.targets import Target
from coatcheck.providers.assemblyai.provider import AssemblyAIOptions, AssemblyAIProvider
from coatcheck.providers.features.provider import featured
from coatcheck.providers.openai.provider import OpenAIOptions, OpenAIProvider
from coatcheck.providers.prices import Price, Prices, Seller

from .features import call, kept
from .features import output as output_of
from .files import keep
from .jobs import echo, opened, pooled, submission, told, until
from .local_models import DRAWING, EMBEDDINGS, STYLES
from .pictures import scene
from .servers import Upstream, gateway
from .upstreams import serving

Run = Callable[[Awaitable[Any]], Any]

INPUT = {"texts": ["a coat", "a ticket"]}


async def vectors(request: dict[str, Any]) -> web.StreamResponse:
    data = [{"index": place, "embedding": [0.5]} for place, _ in enumerate(request["input"])]
    usage = {"prompt_tokens": 1000, "total_tokens": 1000}
    return web.json_response({"object": "list", "model": request["model"], "data": data, "usage": usage})


async def failing(_request: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({"error": {"message": "no"}}, status=500)


def remote(url: str, name: str = "up", **options: Any) -> Provider:
    return featured(name, "openai", OpenAIProvider(name, OpenAIOptions(base_url=url, **options), {}))


def job(*targets: str, feature: str = "text/embeddings", **request: Any) -> Submission:
    asked = {"input": INPUT, "provider_params": {}, "show_original_response": False, **request}
    return submission(request=orjson.dumps(asked))._replace(
        dialect="v3",
        operation=feature,
        model=f"{feature}/{targets[0]}",
        targets=tuple(Target(*target.split("/")) for target in targets),
    )


async def ended(pool: Any, store: Any, asked: Submission) -> Ticket:
    await pool.submit(asked)
    return await until(store, asked.id)


def output(ticket: Ticket) -> Any:
    assert ticket.body is not None
    assert ticket.job.state is State.COMPLETED, ticket.body
    return orjson.loads(ticket.body)


@pytest.mark.parametrize(
    "models", [("text-embedding-3-small", None), ("mine", Price(input_tokens=Decimal(3), output_tokens=Decimal(5)))]
)
def test_a_feature_costs_what_its_operation_costs(models: Any, folder: Path, run: Run) -> None:
    model, price = models
    prices = {model: price} if price else {}
    seller = Seller(kind="openai", base_url="https://api.openai.com/v1", prices=prices)

    async def main() -> None:
        async with Upstream(vectors) as upstream, opened(folder) as store:
            up = featured("up", "openai", OpenAIProvider("up", OpenAIOptions(base_url=upstream.url), {}))
            async with pooled(store, up, price=Prices({"up": seller}).of) as pool:
                feature = await ended(pool, store, job(f"up/{model}"))
                plain = submission(request=orjson.dumps({"input": INPUT["texts"]}), provider="up")._replace(
                    operation="embeddings", targets=(Target("up", model),)
                )
                operation = await ended(pool, store, plain)
        assert feature.job.cost is not None
        assert feature.job.cost == operation.job.cost
        assert feature.job.cost > 0
        assert (feature.job.resolved_model, feature.job.operation) == (model, "text/embeddings")

    run(main())


def test_a_provider_that_fails_late_falls_back_to_another_way(models_dir: Path, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(failing) as upstream:
            tables = {
                "up": {"kind": "openai", "base_url": upstream.url, "retries": 0},
                "local": {"kind": "local", "models": [EMBEDDINGS], "models_dir": str(models_dir)},
            }
            async with gateway(folder, providers=tables) as served:
                store = served.gateway.store
                ticket = await ended(served.gateway.pool, store, job("up/small", f"local/{EMBEDDINGS}"))
                story = await told(store, ticket.job.id)
        assert [len(item["embedding"]) for item in output(ticket)["items"]] == [384, 384]
        assert (ticket.job.at, ticket.job.cost) == (Target("local", EMBEDDINGS), 0)
        assert (ticket.job.lane, ticket.job.calls) == ("local/embeddings", 2)
        assert [event.data["reason"] for event in story if event.kind == "released"] == ["fallback"]

    run(main())


def test_a_model_that_is_not_for_what_a_feature_needs_lets_its_default_do_it(
    models_dir: Path, folder: Path, run: Run
) -> None:
    """The default for images draws them; to begin from one is for another model."""

    async def main() -> None:
        tables = {"local": {"kind": "local", "models": [DRAWING, STYLES], "models_dir": str(models_dir)}}
        picture = scene(folder / "scene.png", (96, 96)).read_bytes()
        async with gateway(folder, providers=tables) as served:
            assert served.gateway.providers["local"].default("image/generation") == DRAWING
            blob = await keep(served.gateway.store, picture, "image/png")
            asked = job(f"local/{DRAWING}", feature="image/generation", input={"text": "starry night"})
            files = (Attached("reference_images", 0, blob, "scene.png"),)
            ticket = await ended(served.gateway.pool, served.gateway.store, asked._replace(files=files))
            [item] = output(ticket)["items"]
        assert item["image"].startswith("blob:")
        assert ticket.job.resolved_model == STYLES

    run(main())


@pytest.mark.parametrize("wanted", [True, False])
def test_an_original_is_kept_with_the_job_that_wants_it(wanted: bool, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with Upstream(vectors) as upstream, opened(folder) as store, pooled(store, remote(upstream.url)) as pool:
            ticket = await ended(pool, store, job("up/small", show_original_response=wanted))
        assert output(ticket) == {"items": [{"embedding": [0.5]}] * 2}
        assert (ticket.original is not None) == wanted
        if ticket.original is not None:
            assert orjson.loads(ticket.original)["usage"] == {"prompt_tokens": 1000, "total_tokens": 1000}

    run(main())


@pytest.mark.parametrize("feature", ["text/embeddings", "audio/speech_to_text_async", "ocr/ocr", "text/moderation"])
def test_an_original_of_who_calls_nobody_is_the_operation_s_result(feature: str, folder: Path, run: Run) -> None:
    async def main() -> None:
        async with kept(folder) as blobs:
            made = call(feature, blobs=blobs, model="echo", original=True)
            reply = await featured("up", "echo", echo("up")).execute(made)
            assert reply.original is not None
            assert reply.made is not None
            assert (await echo("up").execute(reply.made)).result == reply.original
            output_of(feature, reply)

    run(main())


def test_a_feature_waits_and_fails_as_its_model_says(folder: Path, run: Run) -> None:
    async def main() -> None:
        async with opened(folder) as store, pooled(store, featured("echo", "echo", echo())) as pool:
            ticket = await ended(pool, store, job("echo/status-422"))
            assert (ticket.job.state, ticket.job.status_code) == (State.FAILED, 422)
            ticket = await ended(pool, store, job("echo/status-400", "echo/wait-0+echo"))
            assert [len(item["embedding"]) for item in output(ticket)["items"]] == [8, 8]

    run(main())


def test_what_the_vendor_runs_for_a_feature_is_ended_with_the_job(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Only a provider whose vendor runs calls as jobs is asked to."""
    monkeypatch.setenv("KEY", "sk-live-0123456789abcdef")
    deleted: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        deleted.append(f"{request.method} {request.path}")
        return web.json_response({})

    async def main() -> None:
        async with serving(handle) as url:
            inner = AssemblyAIProvider("up", AssemblyAIOptions(base_url=url, api_key_env="KEY"))
            up = featured("up", "assemblyai", inner)
            assert isinstance(up, Resumes)
            await up.start()
            given = {"job_id": "j", "operation": "audio/speech_to_text_async", "model": "m", "request": {}}
            await up.abandon(Call(**given, checkpoint='{"id":"t-1"}'))  # type: ignore[arg-type]
            await up.close()
        assert deleted == ["DELETE /api/v1/v2/transcript/t-1"]
        assert not isinstance(featured("echo", "echo", echo()), Resumes)

    run(main())
