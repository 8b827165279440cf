"""What calls cost by the vendors' published prices: which are found, and what is left unknown."""

import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from coatcheck.app import load_config, make_prices
from coatcheck.engine.calls import Call, Reply, Usage
from coatcheck.providers.kinds import KINDS
from coatcheck.providers.price_table import PriceTable
from coatcheck.providers.prices import FREE, VENDORS, Prices, Seller

Run = Callable[[Awaitable[Any]], Any]

#: Kinds that the table knows nothing of: their jobs cost what the vendor says or what the configuration does.
UNPRICED = {"assemblyai", "litellm", "nebius", "nvidia", "replicate"}

OPENAI = Seller(kind="openai", base_url="https://api.openai.com/v1")


@pytest.fixture
def cost(run: Run) -> Callable[..., int | None]:
    """What a call costs at a provider of this kind."""
    prices = Prices({"openai": OPENAI, **{kind: Seller(kind=kind) for kind in VENDORS}})

    def ask(
        kind: str,
        model: str,
        operation: str = "chat/completions",
        *,
        resolved: str | None = None,
        request: dict[str, Any] | None = None,
        **usage: Any,
    ) -> int | None:
        call = Call(job_id="j", operation=operation, model=model, request=request or {})
        answer: int | None = run(prices.of(kind, call, Reply(result=b"{}", model=resolved, usage=Usage(**usage))))
        return answer

    return ask


Cost = Callable[..., int | None]


def test_every_kind_of_provider_has_its_prices_or_is_known_to_have_none() -> None:
    # "openai" is any server: its address says whose it is.
    assert set(KINDS) <= {*VENDORS, *FREE, *UNPRICED, "openai"}
    table = PriceTable()
    known = {
        "anthropic": "claude-sonnet-4-5-20250929",
        "azure": "gpt-4o-2024-08-06",
        "cerebras": "llama3.1-8b",
        "deepseek": "deepseek-chat",
        "fireworks": "accounts/fireworks/models/deepseek-v3-0324",
        "gemini": "gemini-2.5-flash",
        "groq": "llama-3.3-70b-versatile",
        "mistral": "mistral-small-latest",
        "openrouter": "openai/gpt-4o",
        "perplexity": "sonar",
        "together": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "xai": "grok-4",
    }
    assert known.keys() == VENDORS.keys()
    for kind, model in known.items():
        assert table.find(VENDORS[kind], None, model) is not None, kind


def test_published_prices_are_found_by_a_models_dated_name(cost: Cost) -> None:
    told = {"input_tokens": 1000, "output_tokens": 100}
    assert cost("openai", "gpt-4o-2024-08-06", **told) == 3_500_000_000
    assert cost("openai", "gpt-4o-2024-08-06", cached_input_tokens=400, **told) == 3_000_000_000
    assert cost("openai", "text-embedding-3-small", "embeddings", input_tokens=1000) == 20_000_000
    assert cost("openai", "tts-1", "audio/speech", characters=1000) == 15_000_000_000
    assert cost("openai", "whisper-1", "audio/transcriptions", seconds=60.5) == 6_050_000_000


def test_a_deployment_costs_what_it_stands_for(cost: Cost) -> None:
    told = {"input_tokens": 1000, "output_tokens": 100}
    assert cost("azure", "our-deployment", **told) is None
    assert cost("azure", "our-deployment", resolved="gpt-4o-2024-08-06", **told) == 3_500_000_000
    # What the reply names need not be in the table.
    assert cost("openai", "gpt-4o-2024-08-06", resolved="something", **told) == 3_500_000_000


def test_what_was_kept_in_a_cache_for_an_hour_is_dearer(cost: Cost) -> None:
    told = {"input_tokens": 1000, "output_tokens": 10, "cache_write_tokens": 400}
    model = "claude-sonnet-4-5-20250929"
    assert cost("anthropic", model, **told) == (600 * 3 + 400 * 3.75 + 10 * 15) * 10**6
    assert cost("anthropic", model, long_cache_write_tokens=400, **told) == (600 * 3 + 400 * 6 + 10 * 15) * 10**6


@pytest.mark.parametrize(
    ("kind", "model", "operation", "usage"),
    [
        ("openai", "gpt-nobody-knows", "chat/completions", {"input_tokens": 1, "output_tokens": 1}),
        ("openai", "gpt-4o-2024-08-06", "chat/completions", {}),
        ("openai", "gpt-4o-2024-08-06", "chat/completions", {"input_tokens": 1}),
        ("openai", "gpt-4o-2024-08-06", "chat/completions", {"output_tokens": 1}),
        # Contradictions.
        (
            "openai",
            "gpt-4o-2024-08-06",
            "chat/completions",
            {"input_tokens": 1, "output_tokens": 1, "cached_input_tokens": 2},
        ),
        ("openai", "gpt-4o-2024-08-06", "chat/completions", {"input_tokens": -1, "output_tokens": 1}),
        # Sound, pictures and searches for which the table has no price.
        (
            "openai",
            "gpt-4o-audio-preview",
            "chat/completions",
            {"input_tokens": 9, "output_tokens": 1, "audio_input_tokens": 5},
        ),
        (
            "openai",
            "gpt-4o-2024-08-06",
            "chat/completions",
            {"input_tokens": 9, "output_tokens": 9, "audio_output_tokens": 5},
        ),
        (
            "openai",
            "gpt-4o-2024-08-06",
            "chat/completions",
            {"input_tokens": 9, "output_tokens": 9, "image_output_tokens": 5},
        ),
        ("openai", "gpt-4o-2024-08-06", "images/generations", {"input_tokens": 9, "output_tokens": 9, "images": 1}),
        ("mistral", "mistral-small-latest", "chat/completions", {"input_tokens": 9, "output_tokens": 9, "searches": 1}),
        # Counted in something else than what is charged.
        ("openai", "gpt-4o-mini-tts", "audio/speech", {"characters": 100}),
        ("openai", "whisper-1", "audio/transcriptions", {"input_tokens": 10, "output_tokens": 10}),
        ("openai", "gpt-4o-transcribe", "audio/transcriptions", {"input_tokens": 10, "output_tokens": 10}),
        ("gemini", "gemini-2.5-flash-image", "images/generations", {"input_tokens": 10, "output_tokens": 10}),
        ("openai", "gpt-image-1", "images/edits", {"input_tokens": 10, "output_tokens": 10, "images": 1}),
        ("mistral", "mistral-ocr-latest", "ocr", {"input_tokens": 10, "output_tokens": 10}),
        ("openai", "text-embedding-3-small", "responses", {"input_tokens": 10, "output_tokens": 10}),
        # Charged by what nobody tells: how much was looked up.
        ("perplexity", "sonar", "chat/completions", {"input_tokens": 10, "output_tokens": 10}),
        # In the table without any price.
        ("openrouter", "meta-llama/llama-3.3-70b-instruct:free", "chat/completions", {"input_tokens": 1}),
    ],
)
def test_what_the_table_cannot_say_is_unknown(kind: str, model: str, operation: str, usage: Any, cost: Cost) -> None:
    assert cost(kind, model, operation, **usage) is None


def test_pictures_are_charged_by_their_tokens(cost: Cost) -> None:
    told = {"input_tokens": 100, "output_tokens": 1000, "images": 1}
    drawn = cost("openai", "gpt-image-1", "images/generations", **told)
    edited = cost("openai", "gpt-image-1", "images/edits", image_input_tokens=50, **told)
    assert drawn is not None
    assert edited is not None
    assert 0 < drawn < edited


def test_pages_that_are_annotated_have_another_price(cost: Cost) -> None:
    plain = cost("mistral", "mistral-ocr-latest", "ocr", pages=3)
    assert plain is not None
    assert plain > 0
    request = {"document_annotation_format": {"type": "json_schema"}}
    assert cost("mistral", "mistral-ocr-latest", "ocr", request=request, pages=3) is None


def test_the_rate_that_was_charged_is_the_one_that_holds(cost: Cost) -> None:
    told = {"input_tokens": 1000, "output_tokens": 100}
    plain = cost("openai", "gpt-5", **told)
    assert plain is not None
    assert cost("openai", "gpt-5", tier="default", **told) == plain
    assert cost("openai", "gpt-5", tier="flex", **told) == plain // 2
    assert cost("openai", "gpt-5", tier="a-new-one", **told) is None
    # Asked for, but whether it was granted is not told.
    assert cost("openai", "gpt-5", request={"service_tier": "flex"}, **told) is None
    assert cost("openai", "gpt-5", request={"service_tier": "auto"}, **told) == plain
    assert cost("openai", "gpt-5", request={"service_tier": "flex"}, tier="default", **told) == plain
    # Another seller's rates are not those of the model's maker.
    assert cost("azure", "gpt-5", tier="flex", **told) is None
    assert cost("anthropic", "claude-opus-4-6", tier="standard", **told) is not None
    assert cost("anthropic", "claude-opus-4-6", tier="inference_geo=us", **told) is None


def test_tools_that_the_vendor_runs_are_charged_if_they_are_counted(cost: Cost) -> None:
    told = {"input_tokens": 1000, "output_tokens": 100}
    model = "claude-sonnet-4-5-20250929"
    search, code = {"type": "web_search_20250305", "name": "web_search"}, {"type": "code_execution_20250825"}
    plain = cost("anthropic", model, **told)
    assert plain is not None
    assert cost("anthropic", model, request={"tools": [search]}, searches=2, **told) == plain + 20_000_000_000
    assert cost("anthropic", model, request={"tools": [search]}, **told) is None
    assert cost("anthropic", model, request={"tools": [search, code]}, searches=0, **told) is None
    assert cost("anthropic", model, request={"tools": [{"type": "function", "function": {}}]}, **told) == plain
    assert cost("openai", "gpt-4o-2024-08-06", request={"web_search_options": {}}, **told) is None
    # So many a day are free, and nobody tells how many are left.
    assert cost("gemini", "gemini-2.5-flash", searches=1, **told) is None
    assert cost("gemini", "gemini-2.5-flash", request={"tools": [{"type": "google_search"}]}, **told) is None
    assert cost("gemini", "gemini-2.5-flash", **told) is not None
    # It searches unasked.
    assert cost("openai", "gpt-4o-search-preview", **told) is None


def test_a_server_is_known_by_its_address(run: Run) -> None:
    def ask(base_url: str | None, model: str) -> Any:
        call = Call(job_id="j", operation="chat/completions", model=model, request={})
        reply = Reply(result=b"{}", usage=Usage(input_tokens=1000, output_tokens=100))
        return run(Prices({"up": Seller(kind="openai", base_url=base_url)}).of("up", call, reply))

    assert ask("https://api.openai.com/v1", "gpt-4o-2024-08-06") == 3_500_000_000
    assert ask("https://api.mistral.ai/v1", "mistral-small-latest") is not None
    assert ask("https://api.mistral.ai/v1", "gpt-4o-2024-08-06") is None
    assert ask("http://127.0.0.1:8081/v1", "gpt-4o-2024-08-06") is None
    assert ask(None, "gpt-4o-2024-08-06") is None


def test_without_an_address_it_is_that_of_the_kind(run: Run) -> None:
    config = load_config({"providers": {"up": {"kind": "openai"}, "g": {"kind": "groq"}, "e": {"kind": "echo"}}}, {})
    prices = make_prices(config)
    reply = Reply(result=b"{}", usage=Usage(input_tokens=1000, output_tokens=100))

    def ask(provider: str, model: str) -> Any:
        return run(prices.of(provider, Call(job_id="j", operation="completions", model=model, request={}), reply))

    assert ask("up", "gpt-4o-2024-08-06") == 3_500_000_000
    assert ask("g", "llama-3.3-70b-versatile") is not None
    assert ask("e", "gpt-4o-2024-08-06") == 0


def python(code: str) -> str:
    """What a new process prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_table_is_not_imported_before_a_cost_is_asked_for() -> None:
    assert python("import coatcheck.app, sys; print('genai_prices' in sys.modules, 'pydantic' in sys.modules)") == (
        "False False"
    )


def test_the_table_is_read_in_a_thread_and_nothing_is_fetched() -> None:
    told = python(
        """
import asyncio, sys, threading
seen = set()
def watch(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__",):
        seen.add((event, str(arguments)))
    if event == "import" and arguments[0].startswith("genai_prices"):
        seen.add(("imported in the loop", threading.current_thread() is threading.main_thread()))

from coatcheck.engine.calls import Call, Reply, Usage
from coatcheck.providers.prices import Prices, Seller

async def main():
    prices = Prices({"openai": Seller(kind="openai", base_url="https://api.openai.com/v1")})
    call = Call(job_id="j", operation="embeddings", model="text-embedding-3-small", request={})
    sys.addaudithook(watch)
    asked = [prices.of("openai", call, Reply(result=b"{}", usage=Usage(input_tokens=1000))) for _ in range(5)]
    print(await asyncio.gather(*asked), seen)

asyncio.run(main())
"""
    )
    assert told == "[20000000, 20000000, 20000000, 20000000, 20000000] {('imported in the loop', False)}"
