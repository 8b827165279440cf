"""Several keys of one provider, against a real server that likes some of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from coatcheck.app import load_config
from coatcheck.engine.calls import Reply
from coatcheck.engine.errors import CallFailed, Refused
from coatcheck.engine.retries import describe
from coatcheck.providers.http import KeyOptions
from coatcheck.providers.openai.provider import OpenAIOptions, OpenAIProvider

from .upstreams import call, failed, serving

ENVIRON = {"A": "first-key-aaaa", "B": "second-key-bbbb", "C": "third-key-cccc"}
#: The first in the table is the first to be asked.
FIRST = 1e9


def keys(*names: str, **more: Any) -> tuple[KeyOptions, ...]:
    return tuple(KeyOptions(env=name, weight=FIRST ** (len(names) - i), **more) for i, name in enumerate(names))


@asynccontextmanager
async def liking(
    likes: dict[str, Any], api_keys: tuple[KeyOptions, ...]
) -> AsyncIterator[tuple[OpenAIProvider, list[str]]]:
    """A provider of a server that answers each key so: a status, or a status and headers; and the keys it was asked
    with."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        await request.read()
        key = request.headers["Authorization"].removeprefix("Bearer ")
        asked.append(key)
        status, headers = likes[key] if isinstance(likes[key], tuple) else (likes[key], {})
        error = {"error": {"message": f"about {' '.join(ENVIRON.values())}"}}
        return web.json_response({} if status == 200 else error, status=status, headers=headers)

    async with serving(handle) as url:
        provider = OpenAIProvider("up", OpenAIOptions(base_url=url, api_keys=api_keys), ENVIRON)
        await provider.start()
        try:
            yield provider, asked
        finally:
            await provider.close()


A, B, C = ENVIRON.values()


def test_a_key_is_sent_without_the_end_of_its_line(run: Any) -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers["Authorization"])
        return web.json_response({})

    async def main() -> None:
        async with serving(handle) as url:
            options = OpenAIOptions(base_url=url, api_key_env="A")
            provider = OpenAIProvider("up", options, {"A": f"{A}\r\n"})
            await provider.start()
            try:
                await provider.execute(call())
            finally:
                await provider.close()
            assert (asked, provider.door.secrets) == ([f"Bearer {A}"], [A])
            with pytest.raises(ValueError, match="the environment variable A is not set"):
                OpenAIProvider("up", options, {"A": "\n"})

    run(main())


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_a_key_that_will_not_do_never_fails_a_call_that_another_can_make(run: Any, status: int) -> None:
    async def main() -> None:
        async with liking({A: status, B: status, C: 200}, keys("A", "B", "C")) as (provider, asked):
            assert isinstance(await provider.execute(call()), Reply)
            assert asked == [A, B, C]
            await provider.execute(call())
            assert asked[3:] == [C]

    run(main())


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_what_is_not_about_the_key_is_not_asked_with_another(run: Any, status: int) -> None:
    async def main() -> None:
        async with liking({A: status, B: 200}, keys("A", "B")) as (provider, asked):
            assert (await failed(provider, call())).status == status
        assert asked == [A]

    run(main())


def test_of_a_refusal_and_a_limit_the_limit_is_what_the_job_hears(run: Any) -> None:
    async def main() -> None:
        for order in ("AB", "BA"):
            async with liking({A: 401, B: 429}, keys(*order)) as (provider, _):
                assert (await failed(provider, call())).status == 429

    run(main())


def test_keys_that_are_all_refused_are_the_gateways_trouble(run: Any) -> None:
    async def main() -> None:
        async with liking({A: 401, B: 403}, keys("A", "B")) as (provider, asked):
            error = await failed(provider, call())
            assert isinstance(error, Refused)
            assert (error.status, error.type) == (502, "provider_authentication_error")
            # One is tried all the same, and works again as soon as the vendor lets it.
            await failed(provider, call())
        assert asked == [A, B, A]

    run(main())


def test_a_key_that_works_again_is_as_good_as_any(run: Any) -> None:
    async def main() -> None:
        likes: dict[str, Any] = {A: 401, B: 401}
        async with liking(likes, keys("A", "B")) as (provider, _):
            await failed(provider, call())
            likes[A] = 200
            await provider.execute(call())
            first, second = provider.door._keys._credentials
        assert (first.until, first.refusals) == (0, 0)
        assert second.refusals == 1

    run(main())


def test_keys_that_are_all_limited_are_waited_for_as_long_as_the_first_to_be_free(run: Any) -> None:
    async def main() -> None:
        likes = {A: (429, {"Retry-After": "9"}), B: (429, {"Retry-After": "300"})}
        async with liking(likes, keys("A", "B")) as (provider, _):
            error = await failed(provider, call())
        assert error.status == 429
        assert error.retry_after == pytest.approx(9, abs=2)

    run(main())


def test_a_key_for_other_models_is_not_waited_for(run: Any) -> None:
    async def main() -> None:
        likes = {A: (429, {"Retry-After": "9"}), B: (429, {"Retry-After": "300"}), C: (429, {"Retry-After": "400"})}
        others = (*keys("A", models=("big",)), *keys("B", "C"))
        async with liking(likes, others) as (provider, asked):
            assert (await failed(provider, call())).retry_after == pytest.approx(300, abs=2)
        assert asked == [B, C]

    run(main())


def test_a_single_key_is_asked_again_whatever_became_of_it(run: Any) -> None:
    async def main() -> None:
        async with liking({A: (429, {"Retry-After": "9"})}, keys("A")) as (provider, asked):
            assert (await failed(provider, call())).retry_after == 9
            await failed(provider, call())
        assert asked == [A, A]

    run(main())


def test_a_model_without_a_key_is_refused_before_the_ticket(run: Any) -> None:
    async def main() -> None:
        async with liking({A: 200}, keys("A", models=("big",))) as (provider, asked):
            assert provider.check("embeddings", "small") == "has no key for the model 'small'"
            assert provider.check("embeddings", "big") is None
            assert isinstance(await failed(provider, call()), Refused)
        assert asked == []

    run(main())


def test_of_an_error_all_keys_are_redacted(run: Any) -> None:
    async def main() -> None:
        async with liking({A: 500}, keys("A", "B", "C")) as (provider, _):
            error: CallFailed = await failed(provider, call())
        told = repr(describe(error)) + str(error)
        assert [key for key in ENVIRON.values() if key in told] == []
        assert error.message.endswith("about [redacted] [redacted] [redacted]")

    run(main())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"api_keys": keys("A", "NOT_SET")}, r"api_keys\.1\.env: the environment variable NOT_SET is not set"),
        ({"api_keys": keys("A"), "api_key_env": "A"}, "api_key_env: it is given, and so is api_keys"),
        ({"api_key_env": "NOT_SET"}, "api_key_env: the environment variable NOT_SET is not set"),
    ],
)
def test_keys_that_cannot_be_used_are_named(options: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        OpenAIProvider("up", OpenAIOptions(base_url="http://127.0.0.1:9/v1", **options), ENVIRON)


def test_keys_are_a_list_of_tables_in_the_configuration() -> None:
    table = {"kind": "groq", "api_keys": [{"env": "A", "weight": 2}, {"env": "B", "models": ["big"]}]}
    options = load_config({"providers": {"groq": table}}, {}).providers["groq"].options
    assert options.api_keys == (KeyOptions(env="A", weight=2), KeyOptions(env="B", models=("big",)))
