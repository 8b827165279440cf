"""Every provider that speaks HTTP through the same cases, each against a local server of its vendor's format."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.engine.errors import CallFailed, Refused, Unusable
from coatcheck.providers.http import KeyOptions
from coatcheck.providers.kinds import KINDS
from coatcheck.schemas.operations import OPERATIONS

from .vendor_cases import each_case, each_operation, each_vendor
from .vendors import VENDORS
from .vendors.vendor import (
    KEY,
    KEY_ENV,
    OTHER,
    OTHER_ENV,
    Case,
    Seen,
    Vendor,
    calling,
    carried_out,
    made,
    saying,
    served,
)

#: Kinds that call no server of a vendor, or only through a library that does.
ELSEWHERE = {"echo", "local", "litellm"}

#: As a client may name a model.
ODD_MODEL = "team/a model:v1?x=1#é%2F..;"

TRACE = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "x=1"}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    monkeypatch.setenv(OTHER_ENV, OTHER)


def test_every_kind_that_calls_a_vendor_is_driven_through_the_cases() -> None:
    """The presets are the kind `openai` with other words: see `test_presets`."""
    driven = {vendor.kind for vendor in VENDORS.values()}
    of_their_own = {name for name, kind in KINDS.items() if kind.preset is None or name in ("openai", "azure")}
    assert of_their_own - ELSEWHERE <= driven


@each_vendor
def test_every_operation_that_a_kind_has_is_among_its_cases(vendor: Vendor, run: Any) -> None:
    async def main() -> None:
        async with made(vendor, "http://127.0.0.1:9/v1") as provider:
            has = {operation for operation in OPERATIONS if provider.check(operation, "small") is None}
        assert has == {case.operation for case in vendor.cases}

    run(main())


@each_case
def test_an_operation_is_carried_out(vendor: Vendor, case: Case, run: Any, folder: Path) -> None:
    async def main() -> None:
        async with served(vendor, case.answer) as (provider, seen, _), calling(folder, case) as (call, blobs):
            assert provider.check(case.operation, case.model) is None
            done = await carried_out(provider, call, blobs)
        case.check(seen, done)
        assert {vendor.key(each) for each in seen} == {KEY}
        assert {each.headers["Accept-Encoding"] for each in seen} == {"identity"}

    run(main())


@each_operation
def test_an_answer_that_comes_bit_by_bit_is_the_same(vendor: Vendor, case: Case, run: Any, folder: Path) -> None:
    async def main() -> None:
        async def handle(request: web.Request, seen: Seen) -> web.StreamResponse:
            whole = case.answer(seen)
            assert isinstance(whole, web.Response)
            assert isinstance(whole.body, bytes)
            response = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.headers["Content-Type"]})
            await response.prepare(request)
            step = max(len(whole.body) // 50, 1)
            for start in range(0, len(whole.body), step):
                await response.write(whole.body[start : start + step])
                await asyncio.sleep(0)
            return response

        async with served(vendor, handle) as (provider, seen, _), calling(folder, case) as (call, blobs):
            done = await carried_out(provider, call, blobs)
        case.check(seen, done)

    run(main())


@each_operation
def test_a_trace_goes_along_and_nothing_else_with_it(vendor: Vendor, case: Case, run: Any, folder: Path) -> None:
    async def main() -> None:
        trace = {**TRACE, "X-Forged": "1", "Authorization": "Bearer forged"}
        async with (
            served(vendor, case.answer) as (provider, seen, _),
            calling(folder, case, trace=trace) as (call, blobs),
        ):
            await carried_out(provider, call, blobs)
        for each in seen:
            assert {name: each.headers.get(name) for name in TRACE} == TRACE
            assert "X-Forged" not in each.headers
            assert vendor.key(each) == KEY

    run(main())


@each_operation
@pytest.mark.parametrize("model", [ODD_MODEL, "..", "."])
def test_a_models_name_stays_in_its_place(vendor: Vendor, case: Case, model: str, run: Any, folder: Path) -> None:
    """It is the client's to choose, and must not become a path or a query of its own."""

    async def main() -> None:
        async with (
            served(vendor, case.answer) as (provider, seen, _),
            calling(folder, case, model=model) as (call, blobs),
        ):
            refusal = None
            try:
                await carried_out(provider, call, blobs)
            except CallFailed as failed:
                refusal = failed
            if refusal is not None:
                assert (refusal.status, refusal.code, seen) == (400, "invalid_model", []), refusal.message
            else:
                told = {name for each in seen if (name := vendor.model(each)) is not None}
                assert told == {model}

    run(main())


@each_operation
def test_a_key_that_is_refused_gives_way_to_another(vendor: Vendor, case: Case, run: Any, folder: Path) -> None:
    async def main() -> None:
        used: list[str | None] = []

        def answer(seen: Seen) -> web.StreamResponse:
            used.append(vendor.key(seen))
            return saying(vendor.error("no"), 401)(seen) if used[-1] == KEY else case.answer(seen)

        keys = (KeyOptions(env=KEY_ENV, weight=1e9), KeyOptions(env=OTHER_ENV, weight=0.001))
        async with (
            served(vendor, answer, api_keys=keys) as (provider, _, _),
            calling(folder, case) as (call, blobs),
        ):
            await carried_out(provider, call, blobs)
            await carried_out(provider, call, blobs)
        # It was asked once, and then rested.
        assert used[0] == KEY
        assert set(used[1:]) == {OTHER}

    run(main())


@each_vendor
def test_its_models_are_those_that_the_vendor_lists(vendor: Vendor, run: Any) -> None:
    if vendor.models is None:
        return
    body, ids = vendor.models

    async def main() -> None:
        async with served(vendor, saying(body)) as (provider, seen, _):
            assert [offer.id for offer in await provider.offers()] == ids
            assert await provider.ping() == f"answers, {len(ids)} models"
        assert {each.method for each in seen} == {"GET"}
        async with served(vendor, saying(vendor.error("no"), 401)) as (provider, _, _):
            for ask in (provider.ping, provider.offers):
                with pytest.raises(Refused):
                    await ask()
        async with served(vendor, saying(b"<html>")) as (provider, _, _):
            with pytest.raises(Unusable):
                await provider.offers()

    run(main())
