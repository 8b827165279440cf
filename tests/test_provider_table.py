"""The table of kinds and operations in the documents says what the code does and what the tests verify."""

import os
import re
from pathlib import Path

import pytest

from coatcheck.providers.kinds import KINDS
from coatcheck.providers.presets import OPERATIONS, PRESETS

from .vendors import VENDORS
from .vendors.vendor import KEY_ENV

DOCUMENT = (Path(__file__).parent.parent / "docs/providers.md").read_text()

#: Kinds whose engine the tests run: `test_local_*`, `test_echo_provider`, `test_llama_server`.
ENGINES = {"local", "echo", "llama.cpp"}

#: Kinds that go through a library, which the tests run: `test_litellm`.
LIBRARIES = {"litellm"}

#: The columns, in the words of their headings.
HEADINGS = {
    "chat/completions": "chat",
    "audio/speech": "speech",
    "audio/transcriptions": "transcriptions",
    "images/generations": "images",
    "images/edits": "edits",
    "images/variations": "variations",
}


def rows(section: str) -> list[list[str]]:
    """The cells of the first table of that section, its head first."""
    text = DOCUMENT.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip().strip("`") for cell in re.split(r"\s*\|", line)[1:-1]] for line in lines]


def claimed(name: str) -> set[str]:
    """The operations that a provider of this kind can be asked for."""
    kind = KINDS[name]
    given = {"base_url": "https://vendor.example/v1", "api_key_env": KEY_ENV, "vendor": "openai"}
    options = kind.options(**{key: given[key] for key in given if key in kind.options.__dataclass_fields__})
    provider = kind.make(name, options)
    models = provider.models or ("any/one",)
    return {op for op in OPERATIONS if any(provider.check(op, model) is None for model in models)}


def verified(name: str, operation: str) -> str:
    if name in ENGINES:
        return "engine"
    if name in LIBRARIES:
        return "library"
    if any(
        vendor.kind == name and operation in {case.operation for case in vendor.cases} for vendor in VENDORS.values()
    ):
        return "format"
    return "shared" if name in PRESETS else "nothing"


def test_the_table_has_a_line_for_each_kind_and_a_cell_for_each_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, KEY_ENV, "a-key-of-no-use")
    head, *lines = rows("Operations")
    columns = {operation: head.index(HEADINGS.get(operation, operation)) for operation in OPERATIONS}
    assert len(head) == len(OPERATIONS) + 1
    told = {line[0]: {operation: line[columns[operation]] for operation in OPERATIONS} for line in lines}
    assert told == {
        name: {op: verified(name, op) if op in has else "—" for op in OPERATIONS}
        for name, has in ((name, claimed(name)) for name in KINDS)
    }


def test_the_table_of_presets_is_that_of_the_code() -> None:
    _, *lines = rows("Presets")
    assert {(line[0], line[1], line[2]) for line in lines} == {
        (name, preset.base_url, preset.key_env or "—")
        for name, preset in PRESETS.items()
        if name not in ("openai", "azure")
    }


def test_the_names_of_a_chats_limit_are_those_of_the_code() -> None:
    told = re.search(r"sent as `max_completion_tokens` to ([^,]*(?:, [^,]*)*?), as `max_tokens`", DOCUMENT)
    assert told is not None
    newer = {name for name, preset in PRESETS.items() if preset.max_tokens_field == "max_completion_tokens"}
    assert set(re.findall(r"`([\w.]+)`", told.group(1))) == newer - {"openai", "azure"}
