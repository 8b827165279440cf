"""Errors in FastAPI's shape: which refusal has which status, and what its detail says."""

from pathlib import Path
from typing import Any

from .clients import client, embedded
from .jobs import Hands
from .universal import JOBS, NOBODYS, PATH, create, detail, embeddings, refused

KEYS = {"keys": [{"name": "alice", "key": "sk-bf-alice", "requests_per_minute": 1}]}


def test_no_key_is_a_403_and_a_wrong_one_a_401(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=KEYS) as c:
            for method, path in (("POST", JOBS), ("POST", PATH), ("GET", JOBS), ("GET", f"{JOBS}/{NOBODYS}")):
                none = await c.ask(method, path, embeddings() if method == "POST" else None)
                assert (none.status, detail(none)) == (403, "Not authenticated")
                assert "WWW-Authenticate" not in none.headers
                wrong = await c.ask(method, path, None, {"Authorization": "Bearer sk-eden-nobody"})
                assert (wrong.status, detail(wrong)) == (401, "Invalid token")
                assert wrong.headers["WWW-Authenticate"].startswith("Bearer")

    run(main())


def test_other_refusals_keep_their_status_and_say_why(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=KEYS, server={"max_json_bytes": 1024}, clock=Hands().clock) as c:
            alice = c.with_key("sk-bf-alice")
            assert "there is nothing at /v3/nothing" in detail(await alice.ask("GET", "/v3/nothing"))
            assert "max_json_bytes" in await refused(alice, embeddings(x="y" * 2000), 413)
            assert "Content-Encoding" in await refused(alice, embeddings(), 415, headers={"Content-Encoding": "gzip"})
            method = await alice.ask("PUT", JOBS)
            assert (method.status, method.headers["Allow"]) == (405, "GET,HEAD,POST".replace(",", ", "))
            assert "does not take PUT" in detail(method)
            strange = await alice.ask("GET", JOBS, headers={"Origin": "https://evil.example"})
            assert (strange.status, detail(strange)[:29]) == (403, "requests from the origin 'htt")
            await create(alice)
            again = await alice.ask("POST", JOBS, embeddings())
            assert (again.status, isinstance(detail(again), str)) == (429, True)
            assert int(again.headers["Retry-After"]) >= 1

    run(main())


def test_the_words_are_those_of_the_path_wherever_it_is_mounted(folder: Path, run: Any) -> None:
    async def main() -> None:
        for number, prefix in enumerate(("", "/ai", "/openai", "/v3")):
            (folder / str(number)).mkdir()
            async with embedded(folder / str(number), prefix) as c:
                for path in ("/v3", "/v3/nothing", f"{PATH}/nothing", f"{JOBS}/{NOBODYS}/nothing"):
                    answer = await c.ask("POST", path, {})
                    assert (answer.status, detail(answer)) == (404, f"there is nothing at {prefix}{path}")
                await refused(c, {}, 422)
                bifrost = await c.ask("POST", "/v1/async/embeddings", {})
                assert bifrost.message == "model is required"

    run(main())


def test_an_answer_never_repeats_what_was_sent_at_a_fault(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            fault = await refused(c, {"model": "text/embeddings/echo", "input": {"texts": {"secret": "s3cr3t"}}}, 422)
            assert fault == {
                "loc": ["body", "input", "texts"],
                "msg": "expected a list of strings, got an object",
                "type": "value_error",
            }

    run(main())
