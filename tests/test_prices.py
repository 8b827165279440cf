"""What calls cost by the configuration's prices: the arithmetic, and which price holds."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coatcheck.app import load_config, make_prices
from coatcheck.engine.calls import Call, Rate, Reply, Usage
from coatcheck.engine.errors import ConfigurationError
from coatcheck.providers.prices import FREE, Price, Prices, Seller, picodollars

Run = Callable[[Awaitable[Any]], Any]

AMOUNTS = st.decimals(min_value=0, max_value=1_000_000, places=9)
COUNTS = st.integers(min_value=0, max_value=10_000_000)


def call(model: str = "m", operation: str = "chat/completions", **request: Any) -> Call:
    return Call(job_id="j", operation=operation, model=model, request=request)


def reply(model: str | None = None, **usage: Any) -> Reply:
    return Reply(result=b"{}", model=model, usage=Usage(**usage))


def dollars(text: str) -> int:
    return int(Decimal(text) * 10**12)


@given(AMOUNTS, AMOUNTS, COUNTS, COUNTS)
def test_tokens_are_charged_by_the_million_and_rounded_once(a: Decimal, b: Decimal, heard: int, said: int) -> None:
    cost = Price(input_tokens=a, output_tokens=b).of("chat/completions", Usage(input_tokens=heard, output_tokens=said))
    exact = (Fraction(a) * heard + Fraction(b) * said) * 10**6
    assert cost is not None
    assert abs(cost - exact) <= Fraction(1, 2)


@given(AMOUNTS, AMOUNTS, COUNTS, COUNTS)
def test_tokens_from_a_cache_are_part_of_all_and_have_their_own_price(
    plain: Decimal, cached: Decimal, some: int, more: int
) -> None:
    usage = Usage(input_tokens=some + more, cached_input_tokens=some)
    cost = Price(input_tokens=plain, cached_input_tokens=cached).of("chat/completions", usage)
    assert cost == picodollars((Fraction(plain) * more + Fraction(cached) * some) / 10**6)
    # Without a price of their own they are as dear as the others.
    assert Price(input_tokens=plain).of("chat/completions", usage) == picodollars(
        Fraction(plain) * (some + more) / 10**6
    )


@given(st.fractions(min_value=0, max_value=1000))
def test_a_cost_is_the_nearest_whole_picodollar(amount: Fraction) -> None:
    cost = picodollars(amount)
    assert cost is not None
    assert abs(cost - amount * 10**12) <= Fraction(1, 2)


def test_a_half_picodollar_goes_to_the_even_one() -> None:
    assert [picodollars(Fraction(halves, 2 * 10**12)) for halves in (1, 3, 5)] == [0, 2, 2]


def test_a_cost_that_no_database_can_hold_is_unknown() -> None:
    assert picodollars(Fraction(9_223_372)) == 9_223_372 * 10**12
    assert picodollars(Fraction(9_223_373)) is None
    assert Price(images=Decimal(1_000_000)).of("images/generations", Usage(images=10)) is None


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        ({"characters": "15"}, {"characters": 1000}, "0.015"),
        ({"minutes": "0.006"}, {"seconds": 60.5}, "0.00605"),
        ({"minutes": "0.006"}, {"seconds": 0.1}, "0.00001"),
        ({"images": "0.04"}, {"images": 3}, "0.12"),
        ({"pages": "0.001"}, {"pages": 12}, "0.012"),
        ({"searches": "0.002"}, {"searches": 2}, "0.004"),
        ({"requests": "0.5"}, {}, "0.5"),
        ({"requests": "0"}, {"input_tokens": 7}, "0"),
        ({"images": "0.04"}, {"images": 1, "input_tokens": 500, "output_tokens": 1000}, "0.04"),
        ({"input_tokens": "1", "audio_input_tokens": "9"}, {"input_tokens": 10, "audio_input_tokens": 4}, "0.000042"),
        (
            {"output_tokens": "1", "image_output_tokens": "9"},
            {"output_tokens": 9, "image_output_tokens": 9},
            "0.000081",
        ),
        ({"input_tokens": "1", "cache_write_tokens": "2"}, {"input_tokens": 9, "cache_write_tokens": 9}, "0.000018"),
    ],
)
def test_whatever_a_vendor_counts_can_be_priced(price: Any, usage: Any, cost: str) -> None:
    assert Price(**{k: Decimal(v) for k, v in price.items()}).of("responses", Usage(**usage)) == dollars(cost)


@pytest.mark.parametrize(
    ("price", "usage"),
    [
        ({"input_tokens": 1}, {}),
        ({"output_tokens": 1}, {"input_tokens": 5}),
        ({"characters": 1}, {"input_tokens": 5}),
        ({"minutes": 1}, {"input_tokens": 5}),
        ({"images": 1}, {"input_tokens": 5, "output_tokens": 5}),
        ({"pages": 1}, {}),
        # More from the cache than in all.
        ({"input_tokens": 1, "cached_input_tokens": 1}, {"input_tokens": 5, "cached_input_tokens": 6}),
        # Whether it was sound or text that came from the cache.
        (
            {"input_tokens": 1, "cached_input_tokens": 1, "audio_input_tokens": 1},
            {"input_tokens": 9, "cached_input_tokens": 2, "audio_input_tokens": 2},
        ),
        ({"images": 1}, {"images": -1}),
    ],
)
def test_what_is_not_told_is_not_guessed(price: Any, usage: Any) -> None:
    assert Price(**{k: Decimal(v) for k, v in price.items()}).of("chat/completions", Usage(**usage)) is None


def test_what_an_answer_cannot_have_need_not_be_told() -> None:
    both = Price(input_tokens=Decimal(1), output_tokens=Decimal(1))
    assert both.of("embeddings", Usage(input_tokens=3)) == dollars("0.000003")
    assert both.of("chat/completions", Usage(input_tokens=3)) is None
    assert Price(searches=Decimal(1)).of("chat/completions", Usage()) == 0
    assert Price(searches=Decimal(1)).of("rerank", Usage()) is None


def test_a_name_stands_above_a_pattern_and_the_first_pattern_above_the_next() -> None:
    one, two, three = (Price(requests=Decimal(n)) for n in (1, 2, 3))
    seller = Seller(kind="openai", prices={"gpt-*": one, "gpt-4": two, "*": three})
    assert seller.price("gpt-4", None) is two
    assert seller.price("gpt-5", None) is one
    assert seller.price("llama", None) is three
    # An alias is priced by its own name, or by what it stands for.
    assert seller.price("mine", "gpt-4") is two
    assert Seller(kind="openai", prices={"gpt-*": one}).price("llama", "gpt-9") is one
    assert Seller(kind="openai", prices={"gpt-*": one}).price("llama", None) is None


def test_the_configurations_price_stands_above_all_tables(run: Run) -> None:
    config = {
        "kind": "openai",
        "prices": {"gpt-4o": {"input_tokens": 0.15, "output_tokens": "0.60"}, "free-*": {"requests": 0}},
    }
    prices = make_prices(load_config({"providers": {"up": config, "echo": {"kind": "echo"}}}, {}))

    async def main() -> None:
        told = reply(input_tokens=1000, output_tokens=100)
        assert await prices.of("up", call("gpt-4o"), told) == dollars("0.00021")
        assert await prices.of("up", call("free-1"), told) == 0
        # It says per token, and none are told: the published price is not asked then.
        assert await prices.of("up", call("gpt-4o"), reply(characters=3)) is None
        assert await prices.of("up", call("nobody-knows-this"), told) is None
        assert await prices.of("gone", call("gpt-4o"), told) is None

    run(main())


def test_what_runs_on_machines_of_ones_own_costs_nothing(run: Run) -> None:
    prices = Prices({kind: Seller(kind=kind, base_url="http://127.0.0.1:1/v1") for kind in (*FREE, "openai")})

    async def main() -> None:
        for kind in FREE:
            assert await prices.of(kind, call("gpt-4o"), Reply(result=b"{}")) == 0
        # Anything may be behind such an address.
        assert await prices.of("openai", call("gpt-4o"), reply(input_tokens=1, output_tokens=1)) is None

    run(main())


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"m": {"input_tokens": -0.1}}, "prices.m.input_tokens: Must be greater than or equal to 0"),
        ({"m": {"requests": 1_000_001}}, "prices.m.requests: Must be greater than or equal to 0 and less than"),
        ({"m": {"pages": "nan"}}, "prices.m.pages: expected a decimal number, got 'nan'."),
        ({"m": {"pages": float("inf")}}, "prices.m.pages: expected a decimal number, got inf."),
        ({"m": {"pages": True}}, "prices.m.pages: expected a decimal number, got True."),
        ({"m": {"pages": "1_0"}}, "prices.m.pages: expected a decimal number, got '1_0'."),
        ({"m": {"input_token": 1}}, "prices.m.input_token: unknown; did you mean 'input_tokens'?"),
        ({"m": 1}, "prices.m: Invalid input type."),
        (1, "prices: Not a valid mapping type."),
    ],
)
def test_a_price_that_cannot_be_one_is_refused_with_its_place(table: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config({"providers": {"up": {"kind": "openai", "prices": table}}}, {})
    assert f"[providers.up]: {reason}" in caught.value.message


@given(st.decimals(min_value=0, max_value=1000, places=12))
def test_a_price_is_read_exactly_as_it_is_written(amount: Decimal) -> None:
    document = {"providers": {"up": {"kind": "openai", "prices": {"m": {"images": format(amount, "f")}}}}}
    assert load_config(document, {}).providers["up"].options.prices["m"].images == amount


def test_every_price_is_in_the_documents() -> None:
    text = (Path(__file__).parent.parent / "docs/providers.md").read_text()
    for name in Price.__dataclass_fields__:
        assert f"`{name}`" in text, name
    for kind in FREE:
        assert f"`{kind}`" in text, kind


def rate(price: str, quantity: int, unit: str) -> Rate:
    return Rate(Decimal(price), quantity, unit)


@pytest.mark.parametrize(
    ("provider", "model", "rates"),
    [
        ("mistral", "mistral-embed", {name: rate("0.1", 10**6, "token") for name in ("input_tokens", "output_tokens")}),
        ("openai", "tts-1", {"characters": rate("15", 10**6, "char")}),
        ("openai", "whisper-1", {"seconds": rate("0.36", 3600, "second")}),
        # Its price depends on how much is asked at once.
        ("gemini", "gemini-2.5-pro", None),
        # The table has it, and no price for it.
        ("openai", "omni-moderation-latest", None),
        ("openai", "nobody-knows-this", None),
        ("local", "whatever", {}),
        ("assemblyai", "universal", None),
        ("nobody", "m", None),
        ("mine", "a", {"input_tokens": rate("1.5", 10**6, "token"), "minutes": rate("0.2", 1, "minute")}),
    ],
)
def test_what_a_model_costs_can_be_asked_before_it_is_called(
    run: Run, provider: str, model: str, rates: dict[str, Rate] | None
) -> None:
    own = Price(input_tokens=Decimal("1.5"), minutes=Decimal("0.2"), pages=Decimal(0))
    sellers = {
        "mistral": Seller(kind="mistral"),
        "openai": Seller(kind="openai", base_url="https://api.openai.com/v1"),
        "gemini": Seller(kind="gemini"),
        "local": Seller(kind="local"),
        "assemblyai": Seller(kind="assemblyai"),
        "mine": Seller(kind="openai", base_url="https://api.openai.com/v1", prices={"*": own}),
    }
    assert run(Prices(sellers).rates(provider, model)) == rates
