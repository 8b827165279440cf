"""Vendors that need no more than their name and a key."""

import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from yarl import URL

from coatcheck.app import load_config, make_providers
from coatcheck.engine.calls import Call, Usage
from coatcheck.engine.errors import ConfigurationError
from coatcheck.providers.kinds import KINDS
from coatcheck.providers.openai.provider import OpenAIOptions, OpenAIProvider
from coatcheck.providers.presets import OPERATIONS, PRESETS
from coatcheck.schemas.operations import OPERATIONS as KNOWN

from .clients import REQUESTS
from .upstreams import SECRET, call, serving
from .vendors.openai import CHAT, encoded
from .vendors.vendor import Case, calling, carried_out, saying

#: Those that are complete without an address of one's own.
COMPLETE = {name: preset for name, preset in PRESETS.items() if preset.base_url}
each_preset = pytest.mark.parametrize("name", COMPLETE)


def made(name: str, environ: dict[str, str] | None = None, **options: Any) -> OpenAIProvider:
    return OpenAIProvider(name, OpenAIOptions(**options), environ or {}, preset=PRESETS[name])


def test_the_vendors_that_are_promised_are_kinds() -> None:
    promised = (
        "openai azure groq mistral deepseek together fireworks openrouter xai perplexity cerebras nebius nvidia "
        "ollama vllm sglang llama.cpp lmstudio"
    )
    assert set(promised.split()) == set(PRESETS)
    assert all(KINDS[name].preset is preset for name, preset in PRESETS.items())


def test_what_a_provider_can_be_asked_for_is_what_clients_can_ask_for() -> None:
    assert set(OPERATIONS) == set(KNOWN)
    assert all(set(preset.operations) <= set(OPERATIONS) for preset in PRESETS.values())


@each_preset
def test_a_kind_and_its_key_suffice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = PRESETS[name]
    for variable in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(variable)
    config = load_config({"providers": {"up": {"kind": name}}}, {})
    if preset.key_env is not None:
        with pytest.raises(ConfigurationError, match=rf"\[providers.up\]: .*variable {preset.key_env} is not set"):
            make_providers(config)
        monkeypatch.setenv(preset.key_env, SECRET)
    provider = make_providers(config)["up"]
    assert {operation for operation in OPERATIONS if provider.check(operation, "m") is None} == set(preset.operations)


@each_preset
def test_keys_of_others_are_not_sent_in_the_clear(name: str) -> None:
    url = URL(PRESETS[name].base_url)
    assert url.scheme == "https" or (PRESETS[name].self_hosted and url.host == "127.0.0.1")
    assert PRESETS[name].self_hosted == (PRESETS[name].key_env is None)


@pytest.mark.parametrize(
    "options",
    [
        {"api_key_env": "MINE"},
        {"headers": {"authorization": "Bearer of my own"}},
    ],
)
def test_a_key_that_is_given_otherwise_takes_the_place_of_the_usual_one(options: Any) -> None:
    provider = made("groq", {"MINE": SECRET}, **options)
    assert provider.door.keyed is ("api_key_env" in options)


def test_another_server_of_the_kind_openai_needs_no_key() -> None:
    assert not made("openai", base_url="http://127.0.0.1:9/v1").door.keyed
    with pytest.raises(ValueError, match="OPENAI_API_KEY is not set"):
        made("openai")


async def asked(
    preset: str, operation: str, answer: Any, folder: Path, *, stream: bool = False, **request: Any
) -> tuple[Any, Any]:
    """What a server of the preset is sent, and the reply."""
    seen: list[Any] = []

    async def handle(sent: web.Request) -> web.StreamResponse:
        seen.append(orjson.loads(await sent.read()))
        return web.json_response(answer)

    case = Case(operation=operation, request=request, answer=saying(answer), check=lambda _seen, _done: None)
    async with serving(handle) as url, calling(folder, case) as (asking, blobs):
        provider = made(preset, {PRESETS[preset].key_env or "": SECRET}, base_url=url, stream=stream)
        await provider.start()
        try:
            done = await carried_out(provider, asking, blobs)
        finally:
            await provider.close()
    del seen[0]["model"]
    return seen[0], done


@each_preset
def test_a_chats_limit_is_sent_under_the_name_that_the_vendor_knows(run: Any, folder: Path, name: str) -> None:
    messages = REQUESTS["chat/completions"]
    request = {**messages, "max_completion_tokens": 5, "reasoning": {"effort": "low"}}
    sent, _ = run(asked(name, "chat/completions", CHAT, folder, **request))
    reasoning = {"reasoning": {"effort": "low"}} if name == "openrouter" else {"reasoning_effort": "low"}
    assert sent == {**messages, PRESETS[name].max_tokens_field: 5, **reasoning}


@pytest.mark.parametrize(
    ("name", "field"), [("mistral", "timestamp_granularities"), ("groq", "timestamp_granularities[]")]
)
def test_the_lists_of_a_form_are_named_as_the_vendor_names_them(run: Any, name: str, field: str) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def handle(sent: web.Request) -> web.StreamResponse:
            seen.append([(key, value) for key, value in (await sent.post()).items() if key != "model"])
            return web.json_response({"text": "Hello."})

        async with serving(handle) as url:
            provider = made(name, {PRESETS[name].key_env or "": SECRET}, base_url=url)
            await provider.start()
            try:
                asked = {"timestamp_granularities": ["segment", "word"]}
                await provider.execute(Call(job_id="j", operation="audio/transcriptions", model="m", request=asked))
            finally:
                await provider.close()
        assert [pair for pair in seen[0] if pair[0].startswith("timestamp")] == [(field, "segment"), (field, "word")]

    run(main())


def test_mistrals_voices_and_togethers_images_have_other_names(run: Any, folder: Path) -> None:
    speech = {"audio_data": encoded(b"sound")}
    sent, done = run(asked("mistral", "audio/speech", speech, folder, input="Hello", voice="c69964a6"))
    assert sent == {"input": "Hello", "voice_id": "c69964a6"}
    assert done.files == [b"sound"]
    images = {"data": [{"b64_json": encoded(b"image")}]}
    sent, _ = run(asked("together", "images/generations", images, folder, prompt="a cat", response_format="b64_json"))
    assert sent == {"prompt": "a cat", "response_format": "base64"}


#: An answer of Claude's, given back as it came.
SAID: dict[str, Any] = {
    "role": "assistant",
    "content": "Hello.",
    "refusal": None,
    "reasoning": "A greeting.",
    "reasoning_details": [{"type": "reasoning.text", "text": "A greeting.", "signature": "c2lnbmVk"}],
    "citations": [],
    "content_blocks": [{"type": "text", "text": "Hello."}],
}
EXTRAS = ("reasoning_details", "citations", "content_blocks")


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("openrouter", ()),
        ("vllm", EXTRAS),
        ("groq", EXTRAS),
        ("azure", (*EXTRAS, "reasoning")),
        ("openai", (*EXTRAS, "reasoning")),
        ("mistral", (*EXTRAS, "reasoning", "refusal")),
    ],
)
def test_a_conversation_with_another_vendor_goes_on_without_what_this_one_refuses(name: str, gone: Any) -> None:
    base_url = "https://mine.openai.azure.com" if name == "azure" else ""
    provider = made(name, {PRESETS[name].key_env or "": SECRET}, base_url=base_url)
    sent = provider._request(call("chat/completions", messages=[SAID]))
    assert sent["messages"] == [{key: value for key, value in SAID.items() if key not in gone}]


def test_mistral_is_sent_nothing_that_it_does_not_know(run: Any, folder: Path) -> None:
    request = {**REQUESTS["chat/completions"], "user": "u-1", "safety_identifier": "s", "seed": 7}
    sent, _ = run(asked("mistral", "chat/completions", CHAT, folder, stream=True, **request))
    assert sent == {**REQUESTS["chat/completions"], "random_seed": 7, "stream": True}


@pytest.mark.parametrize(
    ("name", "usage", "cost"),
    [
        ("openrouter", {"cost": 0.00014}, 140_000_000),
        ("openrouter", {"cost": 1e-12}, 1),
        ("openrouter", {"cost": 0}, 0),
        ("openrouter", {"cost": "0.1"}, None),
        ("openrouter", {"cost": -1}, None),
        ("openrouter", {"cost": True}, None),
        ("openrouter", {}, None),
        ("perplexity", {"cost": {"input_tokens_cost": 0.0001, "total_cost": 0.0051}}, 5_100_000_000),
        ("perplexity", {"cost": 5}, None),
        ("openai", {"cost": 5}, None),
    ],
)
def test_what_a_vendor_says_that_a_call_cost_is_what_it_cost(
    run: Any, folder: Path, name: str, usage: Any, cost: int | None
) -> None:
    answer = {**CHAT, "usage": {"prompt_tokens": 9, "completion_tokens": 3, **usage}}
    _, done = run(asked(name, "chat/completions", answer, folder, **REQUESTS["chat/completions"]))
    assert done.reply.cost == cost
    assert (done.reply.usage.input_tokens, done.reply.usage.output_tokens) == (9, 3)


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        # Thoughts among the rest, beside it, and without a sum.
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 30,
                "total_tokens": 40,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            Usage(input_tokens=10, output_tokens=30),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 30,
                "total_tokens": 60,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            Usage(input_tokens=10, output_tokens=50),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 20}},
            Usage(input_tokens=10, output_tokens=30),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2},
            Usage(input_tokens=10, cached_input_tokens=8, output_tokens=1),
        ),
        (
            {
                "prompt_tokens": 10,
                "prompt_tokens_details": {"audio_tokens": 7, "cached_tokens": 0},
                "completion_tokens": 5,
                "completion_tokens_details": {"audio_tokens": 4},
            },
            Usage(input_tokens=10, cached_input_tokens=0, audio_input_tokens=7, output_tokens=5, audio_output_tokens=4),
        ),
        ({"prompt_tokens": "ten", "completion_tokens": -1, "total_tokens": True}, Usage()),
        ({"prompt_tokens": "ten", "completion_tokens": 5, "total_tokens": 15}, Usage(output_tokens=5)),
        ({"prompt_tokens_details": 5, "completion_tokens_details": [], "completion_tokens": 5}, Usage(output_tokens=5)),
        (None, None),
        ([], None),
    ],
)
def test_usage_is_read_as_vendors_write_it(run: Any, folder: Path, said: Any, usage: Usage | None) -> None:
    answer = {**CHAT, "usage": said}
    _, done = run(asked("xai", "chat/completions", answer, folder, **REQUESTS["chat/completions"]))
    assert done.reply.usage == usage


def test_an_image_that_another_model_had_a_part_in_has_no_usage_that_could_be_priced(run: Any, folder: Path) -> None:
    used = {"input_tokens": 9, "output_tokens": 90, "total_tokens": 99}
    drawn = {"data": [{"b64_json": encoded(b"<svg/>")}], "usage": used}
    _, done = run(asked("openai", "images/generations", drawn, folder, prompt="a cat"))
    assert done.reply.usage == Usage(input_tokens=9, output_tokens=90, image_output_tokens=90)
    _, done = run(asked("openai", "images/generations", {**drawn, "svg_usage": used}, folder, prompt="a cat"))
    assert done.reply.usage is None
