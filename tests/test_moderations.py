"""Moderations: which model judges where none is named, and what the answers of vendors become."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from .clients import ECHO, client
from .servers import Upstream
from .test_presets import asked
from .vendor_clients import PREFIXES, openai_client

INPUT = {"input": "Your coat is ready."}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_openai_package_is_answered_with_its_own_objects_without_naming_a_model(
    folder: Path, run: Any, prefix: str
) -> None:
    async def main() -> None:
        async with openai_client(folder, prefix=prefix) as (o, c):
            judged = await o.moderations.create(input=["Your coat is ready.", "Violence, and self-harm."])
            calm, harmful = judged.results
            assert (judged.model, calm.flagged, harmful.flagged) == ("echo", False, True)
            assert (harmful.categories.violence, harmful.categories.self_harm, harmful.categories.hate) == (
                True,
                True,
                False,
            )
            assert (harmful.category_scores.violence, calm.category_scores.violence) == (1.0, 0.0)
            (job,) = (await c.ask("GET", "/v1/async/jobs")).json["data"]
            assert (job["operation"], job["model"], job["provider"]) == ("moderations", "echo/echo", "echo")

    run(main())


def test_parts_are_judged_together(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with openai_client(folder) as (o, _):
            parts: Any = [
                {"type": "text", "text": "Hate."},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ]
            judged = await o.moderations.create(model="echo/echo", input=parts)
            assert [result.categories.hate for result in judged.results] == [True]

    run(main())


def test_the_default_is_that_of_the_first_provider_that_has_one(folder: Path, run: Any) -> None:
    """A list of the configuration has an order; one that has no moderations is passed over."""
    silent = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "operations": ["embeddings"], "models": ["m"]}

    async def main() -> None:
        async with client(folder, providers={"silent": silent, "second": {"kind": "echo"}, **ECHO}) as c:
            taken = await c.ask("POST", "/v1/async/moderations", INPUT)
            assert taken.status == 202, taken.text
            job = (await c.ask("GET", f"/v1/async/jobs/{taken.json['id']}")).json
            assert job["model"] == "second/echo"

    run(main())


def test_without_a_default_a_model_is_asked_for(folder: Path, run: Any) -> None:
    other = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["some-model"]}

    async def main() -> None:
        async with client(folder, providers={"other": other}) as c:
            answer = await c.ask("POST", "/v1/async/moderations", INPUT)
            assert (answer.status, answer.json["error"]["param"]) == (400, "model")
            assert answer.message.startswith("model is required: no provider has a default for moderations")
            assert await c.served.gateway.store.backlog() == []

    run(main())


def test_a_repeat_without_a_model_is_the_same_request(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            key = {"Idempotency-Key": "one"}
            first = await c.ask("POST", "/v1/async/moderations", INPUT, key)
            again = await c.ask("POST", "/v1/async/moderations", INPUT, key)
            assert (again.json["id"], again.headers["Idempotency-Replayed"]) == (first.json["id"], "true")
            named = await c.ask("POST", "/v1/async/moderations", {**INPUT, "model": "echo/echo"}, key)
            assert (named.status, named.code) == (422, "idempotency_key_reused")

    run(main())


def test_a_repeat_is_the_same_request_after_the_default_has_changed(folder: Path, run: Any) -> None:
    async def asked(**providers: Any) -> Any:
        async with client(folder, providers=providers) as c:
            answer = await c.ask("POST", "/v1/async/moderations", INPUT, {"Idempotency-Key": "one", "Prefer": "wait=9"})
            return (await c.ask("GET", f"/v1/async/jobs/{answer.json['id']}")).json

    async def main() -> None:
        first = await asked(**ECHO)
        again = await asked(other={"kind": "echo"}, **ECHO)
        assert (again["id"], again["model"]) == (first["id"], "echo/echo")

    run(main())


def test_fallbacks_follow_a_default(folder: Path, run: Any) -> None:
    judging: list[str] = []

    async def answer(body: Mapping[str, Any]) -> web.Response:
        judging.append(body["model"])
        return web.json_response({"error": {"message": "no"}}, status=400)

    async def main() -> None:
        async with Upstream(answer) as upstream:
            up = {"kind": "openai", "base_url": upstream.url, "models": ["judge"], "operations": ["moderations"]}
            async with client(folder, providers={"up": up, **ECHO}) as c:
                body = {**INPUT, "fallbacks": ["echo/echo"]}
                taken = await c.ask("POST", "/v1/async/moderations", body, {"Prefer": "wait=30"})
                assert taken.json["result"]["results"][0]["flagged"] is False, taken.text
                assert taken.json["result"]["extra_fields"]["provider"] == "echo"
                assert judging == ["judge"]

    run(main())


@pytest.mark.parametrize(("flags", "flagged"), [([False, True], True), ([False, False], False)])
def test_mistrals_results_are_summed_up(folder: Path, run: Any, flags: list[bool], flagged: bool) -> None:
    categories = dict(zip(("violence_and_threats", "pii"), flags, strict=True))
    scores = {"violence_and_threats": 0.01, "pii": 0.99}
    result = {"categories": categories, "category_scores": scores}
    told = {"id": "mod-1", "model": "mistral-moderation-2603", "results": [result]}
    sent, done = run(asked("mistral", "moderations", told, folder, **INPUT))
    assert sent == INPUT
    assert done.result == {**told, "results": [{**result, "flagged": flagged}]}
    assert done.reply.model == "mistral-moderation-2603"
