"""`/v3/models`: open to everyone, in Eden AI's keys, and with prices where they are known."""

from pathlib import Path
from typing import Any

import pytest

from .clients import ECHO, client
from .owners import owners
from .test_models_routes import Shop

CHAT = "chat/completions"


def test_the_list_needs_no_key_and_a_single_model_does(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with owners(folder) as own:
            nobody = own.alice.with_key("")
            for path in ("/v3/models", "/v3/llm/models"):
                assert (await nobody.ask("GET", path)).status == 200
            for path in ("/v1/models", "/openai/v1/models", "/v3/models/echo/echo"):
                refused = await nobody.ask("GET", path)
                assert (refused.status, refused.code) == (401, "invalid_api_key")
            found = await own.alice.ask("GET", "/v3/models/echo/echo")
            assert (found.status, found.json["id"]) == (200, "echo/echo")
            unknown = await own.alice.ask("GET", "/v3/models/echo/other")
            assert (unknown.status, unknown.code) == (404, "model_not_found")

    run(main())


def test_each_surface_has_a_list_of_its_own(folder: Path, run: Any) -> None:
    async def main() -> None:
        chats = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "models": ["m"], "operations": [CHAT]}
        async with client(folder, providers={"chats": chats, **ECHO}) as c:
            for surface in ("embeddings", "images", "audio/speech", "audio/transcriptions", "moderations"):
                listed = (await c.ask("GET", f"/v3/{surface}/models")).json["data"]
                assert [model["id"] for model in listed] == ["echo/echo"], surface
            listed = (await c.ask("GET", "/v3/llm/models")).json["data"]
            assert [model["id"] for model in listed] == ["chats/m", "echo/echo"]

    run(main())


def test_what_is_known_is_told_and_nothing_else(folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "a-key-of-no-use")

    async def main() -> None:
        async with Shop("mistral-embed", "mistral-nobody-knows").served() as url:
            providers = {
                "up": {"kind": "mistral", "base_url": url},
                "own": {
                    "kind": "openai",
                    "base_url": url,
                    "prices": {"*": {"input_tokens": "0.15", "output_tokens": "1.2"}},
                },
                **ECHO,
            }
            async with client(folder, providers=providers) as c:
                listed = (await c.ask("GET", "/v3/models?view=endpoints")).json
                assert listed["object"] == "list"
                found = {model["id"]: model for model in listed["data"]}
                priced = {name: model.get("pricing") for name, model in found.items()}
                assert priced == {
                    "up/mistral-embed": prices("0.0000001", "0.0000001"),
                    "up/mistral-nobody-knows": None,
                    "own/mistral-embed": prices("0.00000015", "0.0000012"),
                    "own/mistral-nobody-knows": prices("0.00000015", "0.0000012"),
                    "echo/echo": prices("0", "0"),
                }
                embed = found["up/mistral-embed"]
                assert (embed["object"], embed["created"], embed["owned_by"]) == ("model", 1_700_000_000, "up")
                assert (embed["model_name"], embed["aliases"]) == ("mistral-embed", [])
                assert "embeddings" in embed["operations"]
                keys = {"id", "object", "created", "owned_by", "model_name", "operations", "aliases"}
                assert set(found["up/mistral-nobody-knows"]) == keys
                assert found["echo/echo"]["description"] == "answers with what it was asked"

    run(main())


def prices(asked: str, answered: str) -> dict[str, str]:
    return {"input_cost_per_token": asked, "output_cost_per_token": answered}
