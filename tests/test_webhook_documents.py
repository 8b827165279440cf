"""What docs/webhooks.md tells receivers to do, done: its Python is run as it stands there."""

import base64
import os
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from standardwebhooks.webhooks import WebhookVerificationError

from .clients import client
from .documents import document
from .receivers import Got, Receiver

TEXT = (Path(__file__).parent.parent / "docs/webhooks.md").read_text()
HERE = {"allow_private_networks": True}


def said(name: str) -> Any:
    """The function of that name."""
    (block,) = (block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if f"def {name}(" in block)
    found: dict[str, Any] = {}
    exec(block, found)
    return found[name]


async def one(folder: Path, path: str, body: Any, secret: str) -> tuple[Got, str, dict[str, str]]:
    """What is sent of a job's end, what the server answers at `secret`, and the headers by lower-case names."""
    async with Receiver() as receiver, client(folder, webhooks=HERE) as c:
        told = {**body, "webhook_receiver": receiver.url} if path.startswith("/v3") else body
        assert (await c.ask("POST", path, told, {"x-bf-async-webhook": receiver.url})).status == 202
        got, key = await receiver.got(), await c.ask("GET", secret)
        shown = key.json["secret"] if secret.startswith("/v1") else key.text.decode()
        return got, shown, {name.lower(): value for name, value in got.headers.items()}


def test_both_ways_to_check_a_v1_delivery_take_it_and_nothing_else(folder: Path, run: Any) -> None:
    body = {"model": "echo/echo", "input": "a"}
    got, secret, headers = run(one(folder, "/v1/async/embeddings", body, "/v1/webhooks/secret"))
    receive, is_genuine = said("receive"), said("is_genuine")
    assert receive(secret, headers, got.body) == got.json
    assert is_genuine(secret, headers, got.body)
    other = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    old = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 3600)}
    for case in ((other, headers, got.body), (secret, headers, got.body + b" "), (secret, old, got.body)):
        assert not is_genuine(*case)
        with pytest.raises(WebhookVerificationError):
            receive(*case)


def test_the_way_to_check_a_v3_delivery_takes_it_and_nothing_else(folder: Path, run: Any) -> None:
    body = {"model": "text/embeddings/echo/echo", "input": {"texts": ["a"]}}
    got, pem, _ = run(one(folder, "/v3/universal-ai/async", body, "/v3/webhooks/public-key"))
    verify = said("verify")
    assert verify(pem.encode(), got.headers, got.body) == got.json
    with pytest.raises(InvalidSignature):
        verify(pem.encode(), got.headers, got.body.replace(b"success", b"failure"))


@pytest.mark.parametrize("model", ["echo", "status-418"])
@pytest.mark.parametrize("dialect", ["v1", "v3"])
def test_what_is_sent_is_as_the_api_document_says(folder: Path, run: Any, dialect: str, model: str) -> None:
    async def main() -> None:
        async with Receiver() as receiver, client(folder, webhooks=HERE) as c:
            found = await document(c)
            body: dict[str, Any] = {"model": f"echo/{model}", "input": "a"}
            name, path = "jobEnded", "/v1/async/embeddings"
            if dialect == "v3":
                body = {"model": f"text/embeddings/echo/{model}", "input": {"texts": ["a"]}}
                name, path = "universalJobEnded", "/v3/universal-ai/async"
            assert (await c.ask("POST", path, body, {"x-bf-async-webhook": receiver.url})).status == 202
            got = await receiver.got()
            said = found.content["webhooks"][name]["post"]
            found.check(got.json, said["requestBody"]["content"]["application/json"]["schema"])
            assert {parameter["name"].lower() for parameter in said["parameters"]} <= {h.lower() for h in got.headers}

    run(main())


def test_every_setting_and_state_is_explained() -> None:
    for word in ("timeout_seconds", "retry_seconds", "keep_seconds", "max_payload_bytes", "receiver_concurrency"):
        assert f"`{word}`" in TEXT, word
    for word in ("due", "delivered", "dead"):
        assert f"`{word}`" in TEXT, word
