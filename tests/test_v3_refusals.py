"""What a request of the v3 dialect is refused for, and in which words."""

from pathlib import Path
from typing import Any

import pytest

from .clients import ECHO, client
from .universal import JOBS, PATH, create, embeddings, refused

#: What is wrong with a model, and what the refusal says that would do.
MODELS = {
    "tex/embeddings/echo": ("there is no feature 'tex'", "text, translation"),
    "text": ("a subfeature is missing", "embeddings"),
    "text/embedding/echo": ("text has no subfeature 'embedding'", "embeddings"),
    "Text/embeddings/echo": ("there is no feature 'Text'", "text"),
    "text/embeddings": ("a provider is missing", "feature/subfeature/provider[/model]"),
    "text/embeddings/": ("a provider is missing", "feature/subfeature/provider[/model]"),
    "text/embeddings/ecco": ("'ecco' is not a configured provider", "did you mean 'echo'"),
    "text/embeddings/zzz": ("'zzz' is not a configured provider", "for text/embeddings use echo"),
    "text/embeddings/echo/none": ("provider echo has no model 'none'", "echo"),
    "text/embeddings/up": ("provider up needs a model for text/embeddings", "text/embeddings/up/MODEL"),
    "text/embeddings/" + "x" * 500: ("a model's name has at most 400 characters", ""),
    "echo": ("there is no feature 'echo'", "text"),
    "text/language_detection/echo": ("provider echo", "no configured provider has text/language_detection"),
}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_that_cannot_be_is_a_400_that_says_what_would_do(folder: Path, run: Any, model: str) -> None:
    async def main() -> None:
        up = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"}
        async with client(folder, providers={**ECHO, "up": up}) as c:
            for path in (JOBS, PATH):
                said = await refused(
                    c, embeddings() | {"model": model, "input": {"texts": ["a"], "text": "a"}}, 400, path
                )
                wrong, instead = MODELS[model]
                assert said.startswith(wrong)
                assert instead in said
                assert len(said) < 400

    run(main())


def test_fallbacks_that_cannot_be_are_refused_and_null_is_none(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            assert (await create(c, embeddings(fallbacks=None)))["status"] == "success"
            fault = await refused(c, embeddings(fallbacks=["echo"] * 4), 422)
            assert fault["loc"] == ["body", "fallbacks"]
            assert fault["msg"] == "at most 3 fallbacks, got 4"
            fault = await refused(c, embeddings(fallbacks=["echo", 7]), 422)
            assert fault["loc"] == ["body", "fallbacks", 1]
            for name, why in (
                ("nobody", "fallbacks[1]: 'nobody' is not a configured provider"),
                ("text/moderation/echo", "fallbacks[1]: 'text/moderation/echo' is of text/moderation"),
                ("echo/none", "fallbacks[1]: provider echo has no model 'none'"),
                ("", "fallbacks[1]: expected provider, provider/model or text/embeddings/provider/model"),
                ("text/embeddings/", "a provider is missing"),
            ):
                assert (await refused(c, embeddings(fallbacks=["echo", name]), 400)).startswith(why)

    run(main())


#: Bodies that are not valid: where the fault is, and what is said of it.
BODIES: dict[str, tuple[Any, list[Any], str]] = {
    "no JSON": (b"{", ["body"], "invalid request format"),
    "nothing": (b"", ["body"], "the body is empty"),
    "a list": ([], ["body"], "expected a JSON object, got a list"),
    "no model": ({"input": {}}, ["body", "model"], "model is required"),
    "an empty model": ({"model": "", "input": {}}, ["body", "model"], "model is required"),
    "a number for a model": ({"model": 5, "input": {}}, ["body", "model"], "expected a string"),
    "no input": ({"model": "text/embeddings/echo"}, ["body", "input"], "input is required"),
    "a text for an input": (embeddings(input="x"), ["body", "input"], "expected an object, got a string"),
    "an input without its field": (embeddings(input={}), ["body", "input", "texts"], "texts is required"),
    "an input with a wrong field": (
        embeddings(input={"texts": ["a", 5]}),
        ["body", "input", "texts", 1],
        "expected a string, got a number",
    ),
    "parameters that are none": (embeddings(provider_params=[]), ["body", "provider_params"], "expected an object"),
    "a parameter of the wrong type": (
        embeddings(provider_params={"dimensions": "x"}), ["body", "provider_params", "dimensions"], "got a string",
    ),
    "a provider's parameter of the wrong type": (
        embeddings(provider_params={"echo": {"dimensions": "x"}}),
        ["body", "provider_params", "echo", "dimensions"],
        "got a string",
    ),
    "a text that is blank": (
        embeddings(input={"texts": ["a", " "]}), ["body", "input", "texts", 1], "expected a text that is not blank",
    ),
    "a flag that is none": (
        embeddings(show_original_response="yes"), ["body", "show_original_response"], "expected true or false",
    ),
    "a receiver that is none": (
        embeddings(webhook_receiver="ftp://a.example/"), ["body", "webhook_receiver"], "http",
    ),
    "a receiver that is too long": (
        embeddings(webhook_receiver="https://a.example/" + "x" * 2083), ["body", "webhook_receiver"], "2083",
    ),
    "an empty receiver": (embeddings(webhook_receiver=""), ["body", "webhook_receiver"], "2083 characters"),
    "parameters of a webhook that are none": (
        embeddings(user_webhook_parameters="x"), ["body", "user_webhook_parameters"], "expected an object",
    ),
    "tags that are none": (embeddings(tags=["a"]), ["body", "tags"], "expected an object of strings"),
    "a file that is missing": (
        {"model": "audio/speech_to_text_async/echo", "input": {}}, ["body", "input", "file"], "file is required",
    ),
    "a file that names none": (
        {"model": "ocr/ocr/echo", "input": {"file": "abc123", "language": "en"}}, ["body", "input", "file"], "abc123",
    ),
    "a file by its other name": (
        {"model": "ocr/ocr/echo", "input": {"file_id": "abc123"}}, ["body", "input", "file_id"], "abc123",
    ),
    "a file that is no text": (
        {"model": "ocr/ocr/echo", "input": {"file": 5}}, ["body", "input", "file"], "got a number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_is_not_valid_is_a_422_that_says_where(folder: Path, run: Any, what: str) -> None:
    async def main() -> None:
        body, where, why = BODIES[what]
        async with client(folder) as c:
            fault = await refused(c, body, 422)
            assert fault["loc"] == where
            assert why in fault["msg"]
            assert fault["type"] == "value_error"

    run(main())


def test_no_refusal_repeats_a_client_at_length(folder: Path, run: Any) -> None:
    async def main() -> None:
        long = "x" * 5000
        async with client(folder) as c:
            for body in (
                embeddings(tags={long: "a"}),
                embeddings(tags={"a": long}),
                embeddings(long),
                embeddings(fallbacks=[long]),
                embeddings(webhook_receiver=f"gopher://{long}"),
                {"model": f"{long}/{long}", "input": {}},
                {"model": "ocr/ocr/echo", "input": {"file": long}},
            ):
                answer = await c.ask("POST", JOBS, body)
                assert answer.status in (400, 422)
                assert len(answer.text) < 700, answer.text

    run(main())
