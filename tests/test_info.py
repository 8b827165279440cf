"""`/v3/info`: what it says of features is what requests are held against, and it asks vendors but seldom."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coatcheck.engine.calls import Rate
from coatcheck.engine.errors import Unprocessable
from coatcheck.handlers import catalogue
from coatcheck.schemas import info
from coatcheck.schemas.features.inputs import FileInput, Input
from coatcheck.schemas.features.table import FAMILIES, FEATURES, Feature
from coatcheck.schemas.fields import Flag, Integer, ListOf, MapOf, Number, Object, OneOf, Shape, Text

from .clients import ECHO, client, embedded
from .owners import AUTH
from .test_models_routes import Shop

every_feature = pytest.mark.parametrize("feature", FEATURES.values(), ids=FEATURES)

WORDS = {
    *("string", "int", "float", "bool", "enum", "array", "object", "dict", "any", "uuid", "file_input"),
}


def test_the_list_has_every_feature_with_the_models_that_can_be_named(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            found = (await c.ask("GET", "/v3/info")).json["features"]
            named = {f"{family['name']}/{each['name']}": each for family in found for each in family["subfeatures"]}
            assert set(named) == set(FEATURES)
            for family in found:
                told = (family["fullname"], family["description"])
                assert told == FAMILIES[family["name"]]
                assert (await c.ask("GET", f"/v3/info/{family['name']}")).json == family
            for name, each in named.items():
                assert each["mode"] == ("async" if name.endswith("_async") else "sync")
                assert each["fullname"]
                assert each["description"]
                assert "input_schema" not in each
            free = {"price": "0", "price_unit_quantity": 1, "price_unit_type": "request"}
            model = {"model": "text/embeddings/echo/echo", "pricing": free, "regions": []}
            assert named["text/embeddings"]["models"] == [model]

    run(main())


@every_feature
def test_a_feature_is_told_in_full(folder: Path, run: Any, feature: Feature) -> None:
    async def main() -> None:
        async with client(folder) as c:
            told = (await c.ask("GET", f"/v3/info/{feature.name}")).json
            names = (told["feature"], told["subfeature"], told["subfeature_fullname"], told["mode"])
            assert names == (feature.family, feature.subfeature, feature.fullname, feature.mode)
            assert told["feature_fullname"] == FAMILIES[feature.family].fullname
            assert told["kinds"] == list(feature.kinds)
            assert {each["name"] for each in told["input_schema"]["fields"]} == set(feature.input_schema.load_fields)
            assert {word for _, word in words(told["input_schema"])} <= WORDS
            assert {word for _, word in words(told["output_schema"])} <= WORDS
            files = {name for name, word in words(told["input_schema"]) if word == "file_input"}
            assert files >= {name for name, field in feature.files.items() if field.most == 1}
            listed = (await c.ask("GET", "/v3/info?include=schemas")).json["features"]
            (line,) = [
                each
                for family in listed
                for each in family["subfeatures"]
                if (family["name"], each["name"]) == (feature.family, feature.subfeature)
            ]
            for schema in ("input_schema", "output_schema"):
                assert line[schema] == told[schema]
            assert line["models"] == told["models"]

    run(main())


def words(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each field's name and the word for its type, at every depth; of items, without a name."""
    for field in schema.get("fields", ()):
        yield field["name"], field["type"]
        yield from words(field)
        items = field.get("items", {})
        if items:
            yield "", items["type"]
            yield from words(items)


@every_feature
def test_as_json_schema_it_takes_what_requests_may_say(feature: Feature) -> None:
    input_schema, output_schema = (
        orjson.loads(orjson.dumps(info.json_schema(shape))) for shape in (feature.input_schema, feature.output_schema)
    )
    for schema in (input_schema, output_schema):
        jsonschema.Draft202012Validator.check_schema(schema)
    takes = jsonschema.Draft202012Validator(input_schema)
    for title, example in feature.input_schema.examples.items():
        assert list(takes.iter_errors(example)) == [], title
        files = [name for name in feature.files if name in example]
        feature.load({key: value for key, value in example.items() if key not in files}, files)
    for field in feature.input_schema.required:
        without = {key: value for key, value in example.items() if key != field}
        assert not takes.is_valid(without), field
        with pytest.raises(Unprocessable):
            feature.load({key: value for key, value in without.items() if key not in feature.files})


#: What clients put into a field, right or wrong: of each type, at and beside the limits that there are.
SAID = st.recursive(
    st.one_of(
        st.sampled_from([None, True, "", " ", "512x512", "0x0", "mp3", "en", 0.25, 4.5, -100, 11, 2**70]),
        st.integers(-2, 12),
        st.text(max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.text(max_size=2), max_size=3),
        st.dictionaries(st.text(max_size=2), inner),
    ),
    max_leaves=4,
)
DATA = "data:text/plain,hi"


@every_feature
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_what_the_schema_allows_is_taken_and_nothing_else_is(feature: Feature, data: st.DataObject) -> None:
    schema = feature.input_schema
    sent = {
        name: data.draw(st.sampled_from([DATA] if field.most == 1 else [[DATA], [{"file": DATA}]]))
        if isinstance(field, FileInput)
        else data.draw(SAID)
        for name, field in schema.load_fields.items()
        if data.draw(st.integers(0, 4))
    }
    allowed = jsonschema.Draft202012Validator(info.json_schema(schema)).is_valid(sent)
    plain = {name: said for name, said in sent.items() if name not in feature.files}
    why = None
    try:
        feature.load(plain, sent.keys() & feature.files)
    except Unprocessable as refusal:
        why = refusal.message
    assert (why is None) == allowed, (sent, why)


def test_the_address_of_the_form_is_checked(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            told = (await c.ask("GET", "/v3/info/text/embeddings?format=json_schema")).json
            assert told["input_schema"]["required"] == ["texts"]
            refused = await c.ask("GET", "/v3/info/text/embeddings?format=xml")
            assert refused.status == 422
            (fault,) = refused.json["detail"]
            assert fault["loc"] == ["query", "format"]
            assert fault["msg"] == "expected 'simplified' or 'json_schema', got 'xml'"

    run(main())


@pytest.mark.parametrize(
    ("path", "message", "available"),
    [
        ("nothing", "there is no feature 'nothing'", "available_features"),
        ("nothing/at_all", "there is no feature 'nothing'", "available_features"),
        ("text/sentiment", "text has no subfeature 'sentiment'", "available_subfeatures"),
    ],
)
def test_what_there_is_not_is_a_400_with_what_there_is(
    folder: Path, run: Any, path: str, message: str, available: str
) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("GET", f"/v3/info/{path}")
            assert answer.status == 400
            detail = answer.json["detail"]
            assert detail["message"] == message
            known = {name.partition("/")[0] for name in FEATURES}
            if available == "available_subfeatures":
                known = {name.partition("/")[2] for name in FEATURES if name.startswith("text/")}
            assert set(detail[available]) == known

    run(main())


def test_it_needs_no_key_and_minds_no_slash(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=AUTH) as c:
            for path in ("/v3/info", "/v3/info/text", "/v3/info/text/embeddings"):
                plain, slashed = await c.ask("GET", path), await c.ask("GET", f"{path}/")
                assert (plain.status, slashed.status) == (200, 200)
                assert plain.text == slashed.text

    run(main())


def test_the_endpoints_are_where_the_application_is_mounted(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with embedded(folder, "/ai") as c:
            endpoints = (await c.ask("GET", "/v3/info/text/embeddings")).json["endpoints"]
            assert endpoints["create"] == {"method": "POST", "url": "/ai/v3/universal-ai"}
            assert endpoints["create_async"] == {"method": "POST", "url": "/ai/v3/universal-ai/async"}
            assert set(endpoints) == {"create", "create_async", "get", "list", "delete"}
            body = {"model": "text/embeddings/echo/echo", "input": {"texts": ["a"]}}
            made = await c.ask("POST", endpoints["create_async"]["url"].removeprefix("/ai"), body)
            assert made.status == 202, made.text
            shown = endpoints["get"]["url"].removeprefix("/ai").format(job_id=made.json["public_id"])
            assert (await c.ask("GET", shown)).status == 200

    run(main())


def test_the_default_stands_first_and_what_is_for_something_else_is_left_out(folder: Path, run: Any) -> None:
    """Of a provider that says nothing of what its models are for, its default is all, or all where it has none."""

    async def main() -> None:
        shop = Shop("one", "two")
        async with shop.served() as url:
            providers = {
                "vectors": {"kind": "openai", "base_url": url, "models": ["two"], "operations": ["embeddings"]},
                "many": {"kind": "openai", "base_url": url},
                "voices": {"kind": "openai", "base_url": url, "operations": ["audio/speech"]},
                "echo": {"kind": "echo", "models": ["wait-1", "echo"]},
            }
            async with client(folder, providers=providers) as c:
                told = (await c.ask("GET", "/v3/info/text/embeddings")).json
                assert [model["model"] for model in told["models"]] == [
                    "text/embeddings/vectors/two",
                    "text/embeddings/many/one",
                    "text/embeddings/many/two",
                    "text/embeddings/echo/echo",
                    "text/embeddings/echo/wait-1",
                ]

    run(main())


def test_however_many_ask_a_vendor_is_asked_once(folder: Path, run: Any) -> None:
    async def main() -> None:
        shop = Shop("one")
        async with shop.served() as url, client(folder, providers={"up": {"kind": "openai", "base_url": url}}) as c:
            gateway, priced = c.served.gateway, 0
            tariff = gateway.tariff

            async def counted(provider: str, model: str) -> Mapping[str, Rate] | None:
                nonlocal priced
                priced += 1
                return await tariff(provider, model)

            gateway.tariff = counted
            paths = ("/v3/info", "/v3/info/text", "/v3/info/text/embeddings", "/v3/models", "/v3/info?include=schemas")
            first = [(await c.ask("GET", path)).text for path in paths]
            once = priced
            assert [(await c.ask("GET", path)).text for path in paths] == first
            assert (shop.asked, priced) == (1, once)

    run(main())


def test_what_a_vendor_says_later_is_told_then(folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        shop = Shop("one")
        async with shop.served() as url, client(folder, providers={"up": {"kind": "openai", "base_url": url}}) as c:

            async def told() -> tuple[list[str], list[str]]:
                models = (await c.ask("GET", "/v3/info/text/embeddings")).json["models"]
                listed = (await c.ask("GET", "/v3/models")).json["data"]
                return [model["model"] for model in models], [model["id"] for model in listed]

            monkeypatch.setattr(catalogue, "_KEPT_SECONDS", 0.0)
            assert await told() == (["text/embeddings/up/one"], ["up/one"])
            shop.ids = ("two",)
            assert await told() == (["text/embeddings/up/two"], ["up/two"])

    run(main())


def test_a_provider_that_hangs_is_not_waited_for(folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_PATIENCE_SECONDS", 0.1)

    async def main() -> None:
        shop = Shop("late")
        shop.open.clear()
        async with shop.served() as url:
            slow = {"kind": "openai", "base_url": url, "models": ["declared"]}
            async with client(folder, providers={"slow": slow, **ECHO}) as c:
                told = (await c.ask("GET", "/v3/info/text/embeddings")).json["models"]
                models = [model["model"] for model in told]
                assert models == ["text/embeddings/slow/declared", "text/embeddings/echo/echo"]

    run(main())


def test_where_nothing_is_configured_the_kinds_are_told(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, providers={}) as c:
            told = (await c.ask("GET", "/v3/info/text/embeddings")).json
            assert told["models"] == []
            assert {"local", "openai", "echo"} <= set(told["kinds"])

    run(main())


@pytest.mark.parametrize(
    ("options", "model", "pricing"),
    [
        ({}, "mistral-embed", ("0.1", 1_000_000, "token")),
        ({"prices": {"*": {"requests": "0.5"}}}, "mistral-embed", ("0.5", 1, "request")),
        ({"prices": {"*": {"input_tokens": "0"}}}, "mistral-embed", ("0", 1, "request")),
        ({"prices": {"*": {"input_tokens": "1", "requests": "1"}}}, "mistral-embed", None),
        ({}, "nobody-knows-this", None),
    ],
)
def test_prices_are_those_by_which_jobs_are_charged(
    folder: Path,
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
    options: Any,
    model: str,
    pricing: tuple[str, int, str] | None,
) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "a-key-of-no-use")

    async def main() -> None:
        async with Shop(model).served() as url:
            vendor = {"kind": "mistral", "base_url": url, "models": [model], "operations": ["embeddings"], **options}
            async with client(folder, providers={"up": vendor}) as c:
                (told,) = (await c.ask("GET", "/v3/info/text/embeddings")).json["models"]
                keys = ("price", "price_unit_quantity", "price_unit_type")
                assert told["pricing"] == (dict(zip(keys, pricing, strict=True)) if pricing else None)

    run(main())


def test_voices_are_those_that_providers_tell(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, providers={"mine": {"kind": "local"}, **ECHO}) as c:
            voice = {"voice": "heart", "provider": "mine", "model": "audio/tts/mine/hibari-heart"}
            assert (await c.ask("GET", "/v3/info/audio/tts/voices")).json == {"voices": [voice]}

    run(main())


def test_one_price_is_that_of_the_main_thing() -> None:
    page = Rate(Decimal(4), 1000, "page")
    extra = Rate(Decimal(5), 1000, "page")
    shown = {"price": "4", "price_unit_quantity": 1000, "price_unit_type": "page"}
    assert info.pricing(["ocr"], {"pages": page, "input_annotated_document_kpages": extra}) == shown
    assert info.pricing(["ocr"], {"input_annotated_document_kpages": extra}) is None
    assert info.pricing(["ocr"], None) is None


class Inner(Shape):
    words = ListOf(Text(), required=True)
    of = MapOf(Number())


class Odd(Input):
    """One of each kind of field."""

    file = FileInput("A file.", media_types=("audio/*", "video/mp4"), required=True)
    images = FileInput("Images.", media_types=("image/*",), most=4)
    kind = Text("Which.", enum=("a", "b"))
    count = Integer(minimum=1, maximum=5)
    share = Number()
    loud = Flag()
    inner = Object(Inner, required=True)
    open = Object()
    either = OneOf(Text(), Integer())
    several = ListOf(Text(), Integer())


def test_each_kind_of_field_has_its_simple_word() -> None:
    told = {field.pop("name"): field for field in info.simplified(Odd())["fields"]}
    optional = {"required": False}
    assert told == {
        "file": {
            "type": "file_input",
            "allowed_mime_types": ["audio/*", "video/mp4"],
            "required": True,
            "description": "A file.",
        },
        "images": {
            "type": "array",
            "items": {"type": "file_input", "allowed_mime_types": ["image/*"]},
            "max_items": 4,
            "required": False,
            "description": "Images.",
        },
        "kind": {"type": "enum", "enum": ("a", "b"), "required": False, "description": "Which."},
        "count": {"type": "int", "minimum": 1, "maximum": 5, **optional},
        "share": {"type": "float", **optional},
        "loud": {"type": "bool", **optional},
        "inner": {
            "type": "object",
            "fields": [
                {"name": "words", "type": "array", "items": {"type": "string"}, "required": True},
                {"name": "of", "type": "dict", "values": {"type": "float"}, "required": False},
            ],
            "required": True,
        },
        "open": {"type": "dict", **optional},
        "either": {"type": "any", **optional},
        "several": {"type": "array", "items": {"type": "any"}, **optional},
    }
