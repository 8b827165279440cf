"""An Azure OpenAI resource, by both of its surfaces."""

from dataclasses import replace
from typing import Any

from . import openai
from .vendor import Case, Done, Seen, Vendor

VERSION = "2024-10-21"


def key(seen: Seen) -> str | None:
    assert "Authorization" not in seen.headers
    return seen.headers.get("api-key")


def deployment(seen: Seen) -> str | None:
    """The model of the older surface: of the path, but for responses."""
    if "deployments" in seen.segments:
        # What the path says and what the body says must not contradict each other.
        model = seen.segments[seen.segments.index("deployments") + 1]
        assert openai.VENDOR.model(seen) == model
        return model
    return openai.VENDOR.model(seen)


def at(path: str, query: dict[str, str], case: Case) -> Case:
    """The case of OpenAI's, at another path."""

    def check(seen: list[Seen], done: Done) -> None:
        (asked,) = seen
        assert asked.raw_path == path
        assert dict(asked.query) == query
        case.check([replace(asked, raw_path=f"/api/v1/{case.operation}")], done)

    return replace(case, check=check)


def cases(path: str, query: dict[str, str]) -> tuple[Case, ...]:
    has = ("ocr", "rerank", "images/variations", "moderations")
    return tuple(
        at(path.format(case.operation, model=case.model), query, case)
        for case in openai.VENDOR.cases
        if case.operation not in has
    )


def older() -> tuple[Case, ...]:
    version = {"api-version": VERSION}
    deployed = cases("/openai/deployments/{model}/{0}", version)
    at_root = cases("/openai/responses", version)
    return tuple(
        plain if plain.operation == "responses" else case for case, plain in zip(deployed, at_root, strict=True)
    )


SHARED: dict[str, Any] = {
    "kind": "azure",
    "error": openai.error,
    "key": key,
}

VENDORS = (
    Vendor(path="", cases=cases("/openai/v1/{0}", {}), model=openai.VENDOR.model, **SHARED),
    Vendor(
        path="/",
        face="versioned",
        options={"api_version": VERSION},
        cases=older(),
        model=deployment,
        **SHARED,
    ),
)
