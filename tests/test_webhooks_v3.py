"""Webhooks of the v3 dialect: Eden AI's payload, headers and signature, checked by code that is not the server's."""

import hashlib
import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .clients import Client, client
from .receivers import Got, Receiver
from .servers import Upstream, never

EMBEDDINGS: Mapping[str, Any] = {"model": "text/embeddings/echo/echo", "input": {"texts": ["a coat"]}}
#: What is always there.
KEYS = {
    "event", "job_id", "status", "feature", "subfeature", "provider", "model", "created_at", "finished_at",
}  # fmt: skip
JOBS = "/v3/universal-ai/async"


@asynccontextmanager
async def told(folder: Path, **tables: Any) -> AsyncIterator[tuple[Client, Receiver]]:
    async with Receiver() as receiver:
        webhooks = {
            "allow_private_networks": True,
            "endpoints": [{"name": "orders", "url": f"{receiver.url}/orders"}],
            **tables.pop("webhooks", {}),
        }
        async with client(folder, webhooks=webhooks, **tables) as c:
            yield c, receiver


async def tell(c: Client, receiver: Receiver, headers: Mapping[str, str] | None = None, **body: Any) -> tuple[Got, Any]:
    """What is sent of a job's end, and the job as a poll shows it then."""
    asked = await c.ask("POST", JOBS, {**EMBEDDINGS, "webhook_receiver": receiver.url, **body}, headers)
    assert asked.status == 202, asked.text
    got = await receiver.got()
    poll = (await c.ask("GET", f"{JOBS}/{asked.json['public_id']}")).json
    assert got.json["job_id"] == poll["public_id"]
    same = {key: value for key, value in got.json.items() if key in poll and f"{key}_omitted" not in got.json}
    assert same == {key: poll[key] for key in same}
    return got, poll


def verify(folder: Path, public_key: bytes, got: Got) -> bool:
    """Whether the signature is right, by the standard library's JSON and by openssl."""
    pem, signature = folder / "public.pem", folder / "signature"
    pem.write_bytes(public_key)
    signature.write_bytes(bytes.fromhex(got.headers["X-Edenai-Signature"]))
    canonical = json.dumps(json.loads(got.body), sort_keys=True, indent=2, ensure_ascii=False)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", str(pem), "-signature", str(signature)],
        input=digest.encode(), capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode == 0


def test_success_is_told_with_the_output_and_nothing_that_was_not_asked_for(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            got, poll = await tell(c, receiver)
            assert set(got.json) == KEYS | {"output"}
            assert got.json["event"] == "async_job_completed"
            assert (got.json["status"], got.json["feature"], got.json["subfeature"]) == (
                "success",
                "text",
                "embeddings",
            )
            assert got.json["output"] == poll["output"]
            assert got.json["finished_at"].endswith("+00:00")
            assert got.json["created_at"] < got.json["finished_at"]
            assert b": " not in got.body, "compact"

    run(main())


def test_failure_is_told_by_the_same_event_with_an_error_and_no_output(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            got, poll = await tell(c, receiver, model="text/embeddings/echo/status-418")
            assert set(got.json) == KEYS | {"error"}
            assert (got.json["event"], got.json["status"]) == ("async_job_completed", "fail")
            assert got.json["error"]["message"] == poll["error"]["message"] == "echo was told to answer 418"

    run(main())


def test_a_cancelled_job_is_told_as_one_that_failed(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with Upstream(never) as upstream:
            providers = {"slow": {"kind": "openai", "base_url": upstream.url, "models": ["any"]}}
            async with told(folder, providers=providers) as (c, receiver):
                body = {**EMBEDDINGS, "model": "text/embeddings/slow/any", "webhook_receiver": receiver.url}
                id = (await c.ask("POST", JOBS, body)).json["public_id"]
                await upstream.asked.get()
                assert (await c.ask("POST", f"{JOBS}/{id}/cancel")).status == 200
                told_of = (await receiver.got()).json
                assert (told_of["job_id"], told_of["status"], told_of["error"]) == (
                    id,
                    "fail",
                    {"message": "cancelled"},
                )

    run(main())


def test_parameters_and_the_original_answer_come_where_they_were_asked_for(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            parameters = {"order": 7, "note": "Größe 1.0 ✓", "rate": 1.0, "tiny": 1e-5, "deep": {"b": [], "a": None}}
            got, poll = await tell(c, receiver, user_webhook_parameters=parameters, show_original_response=True)
            assert set(got.json) == KEYS | {"output", "user_parameters", "original_response"}
            assert got.json["user_parameters"] == parameters
            assert got.json["original_response"] == poll["original_response"]
            got, _ = await tell(c, receiver, user_webhook_parameters={})
            assert got.json["user_parameters"] == {}
            got, _ = await tell(c, receiver, user_webhook_parameters=None)
            assert "user_parameters" not in got.json

    run(main())


def test_the_model_is_null_where_none_was_named_and_a_fallbacks_where_it_served(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            got, _ = await tell(c, receiver, model="text/embeddings/echo")
            assert (got.json["provider"], got.json["model"]) == ("echo", None)
            got, _ = await tell(c, receiver, model="text/embeddings/echo/status-418", fallbacks=["echo/echo"])
            assert (got.json["status"], got.json["model"]) == ("success", "echo")

    run(main())


def test_openssl_finds_the_signature_right_and_that_of_anything_else_wrong(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            parameters = {"z": 1.0, "a": 'é\u2028\n"', "m": {"y": 2, "x": [1, {"q": 0.5, "p": []}]}}
            got, _ = await tell(c, receiver, user_webhook_parameters=parameters)
            assert got.headers["Content-Type"] == "application/json"
            assert got.headers["User-Agent"] == "EdenAI/Ai-Features"
            assert got.headers["X-Edenai-Webhook"] == "true"
            assert got.headers["X-Edenai-Hash-Algorithm"] == "SHA256"
            key = await c.ask("GET", "/v3/webhooks/public-key")
            assert key.status == 200
            assert verify(folder, key.text, got)
            for forged in (got.body.replace(b"success", b"failure"), got.body.replace(b'"z":1.0', b'"z":1.5')):
                assert forged != got.body
                assert not verify(folder, key.text, Got(got.path, got.headers, forged))

    run(main())


def test_files_are_null_and_their_addresses_are_links_that_need_no_key(folder: Path, run: Any) -> None:
    async def main() -> None:
        auth = {"keys": [{"name": "alice", "key": "sk-bf-alice"}]}
        async with told(folder, auth=auth) as (nobody, receiver):
            c = nobody.with_key("sk-bf-alice")
            body = {
                "model": "image/generation/echo/echo",
                "input": {"text": "a coat", "num_images": 2, "resolution": "256x256"},
                "webhook_receiver": receiver.url,
            }
            asked = await c.ask("POST", JOBS, body)
            assert asked.status == 202, asked.text
            got = await receiver.got()
            items = got.json["output"]["items"]
            assert [item["image"] for item in items] == [None, None]
            assert b"blob:" not in got.body
            assert b"link:" not in got.body
            seen = []
            for item in items:
                link = item["image_resource_url"]
                assert link.startswith(f"{JOBS}/{asked.json['public_id']}/content?")
                image = await nobody.ask("GET", link)
                assert (image.status, image.headers["Content-Type"]) == (200, "image/png")
                seen.append(image.text)
                # Of the other file, with the signature of this one.
                other = "1" if "index=0" in link else "0"
                stolen = link.replace("index=" + "01"[other == "0"], "index=" + other)
                assert (await nobody.ask("GET", stolen)).status in (401, 403, 404)
            contents = [
                (await c.ask("GET", f"{JOBS}/{asked.json['public_id']}/content?index={n}")).text for n in (0, 1)
            ]
            assert seen == contents

    run(main())


def test_links_lead_to_where_clients_reach_the_server(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder, server={"base_url": "https://ai.example.com/coatcheck/"}) as (c, receiver):
            body = {
                "model": "audio/tts/echo/echo", "input": {"text": "hello"}, "webhook_receiver": receiver.url,
            }  # fmt: skip
            asked = await c.ask("POST", JOBS, body)
            assert asked.status == 202, asked.text
            link = (await receiver.got()).json["output"]["audio_resource_url"]
            assert link.startswith(f"https://ai.example.com/coatcheck{JOBS}/{asked.json['public_id']}/content?")
            spoken = await c.ask("GET", link.removeprefix("https://ai.example.com/coatcheck"))
            assert (spoken.status, spoken.headers["Content-Type"].partition("/")[0]) == (200, "audio")

    run(main())


def test_what_is_too_large_is_null_and_says_that_it_was_left_out(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder, webhooks={"max_payload_bytes": 1024}) as (c, receiver):
            got, poll = await tell(c, receiver, input={"texts": ["a"] * 20}, show_original_response=True)
            assert len(got.body) <= 1024
            assert {key: got.json[key] for key in got.json if key not in KEYS} == {
                "output": None,
                "output_omitted": True,
                "original_response": None,
                "original_response_omitted": True,
            }
            assert len(poll["output"]["items"]) == 20
            got, _ = await tell(c, receiver, input={"texts": ["a"]})
            assert got.json["output"] is not None
            assert "output_omitted" not in got.json
            key = await c.ask("GET", "/v3/webhooks/public-key")
            assert verify(folder, key.text, got)

    run(main())


def test_an_endpoint_can_be_named_and_the_body_goes_before_the_header(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            named = {"x-bf-async-webhook": "orders"}
            got, _ = await tell(c, receiver, named, webhook_receiver=None)
            assert got.path == "/hook/orders"
            assert "X-Edenai-Signature" in got.headers
            assert "webhook-signature" not in got.headers
            got, _ = await tell(c, receiver, named)
            assert got.path == "/hook"

    run(main())


def test_a_retry_of_a_v3_job_tells_in_the_words_of_v3(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with told(folder) as (c, receiver):
            parameters = {"order": 7}
            got, _ = await tell(
                c, receiver, model="text/embeddings/echo/status-418", user_webhook_parameters=parameters
            )
            again = await c.ask("POST", f"/v1/async/jobs/{got.json['job_id']}/retry")
            assert again.status == 202, again.text
            second = await receiver.got()
            assert second.json["job_id"] != got.json["job_id"]
            assert (second.json["event"], second.json["user_parameters"]) == ("async_job_completed", parameters)

    run(main())
