"""What is frozen of a job's end, from the job's row alone: sizes to the byte, files, and what cannot be said."""

from typing import Any

import orjson
import pytest

from coatcheck.app import load_config
from coatcheck.engine.hooks import Announce
from coatcheck.engine.jobs import SECOND, Hook, Job, State, Ticket
from coatcheck.engine.targets import Target
from coatcheck.schemas.webhooks import announce

from .jobs import MORNING

ID = "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de"
FILE, OTHER = "0d9f7c1e-7f49-4a8b-8a49-1a0f6a6a2b10", "1d9f7c1e-7f49-4a8b-8a49-1a0f6a6a2b11"
HOOK = Hook(None, "https://example.com/")


def told(body: bytes | None, operation: str = "embeddings", state: State = State.COMPLETED, **changes: Any) -> Ticket:
    job = Job(
        seq=1, id=ID, dialect="v3" if "text/" in operation or operation.startswith("image/") else "v1",
        operation=operation, owner="anon", state=state, model="echo/echo", targets=(Target("echo", "echo"),), target=0,
        lane="echo", priority=3, attempt=1, calls=1, tries=1, request_id="r-1", ttl_seconds=60, created_at=MORNING,
        claimed_at=MORNING, started_at=MORNING, run_at=None, completed_at=MORNING + SECOND,
        expires_at=MORNING + 61 * SECOND, status_code=200 if state is State.COMPLETED else 502, resolved_model=None,
        cost=None,
    )  # fmt: skip
    return Ticket(job, body, changes.get("original"))


def made(most: int = 4_194_304) -> Announce:
    config = load_config({"webhooks": {"max_payload_bytes": most}}, {})
    return announce(config, lambda id, index: f"/files/{id}/{index}")


def payload(ticket: Ticket, most: int = 4_194_304, hook: Hook = HOOK) -> Any:
    found = made(most)(ticket, hook).payload
    return orjson.loads(found)


@pytest.mark.parametrize("operation", ["embeddings", "text/embeddings"])
def test_a_payload_is_as_large_as_may_be_and_no_byte_larger(operation: str) -> None:
    def ticket(size: int) -> Ticket:
        return told(b'{"data":"%b"}' % (b"a" * size), operation)

    # Where the limit is met by what is sent with the result, no byte more is.
    whole = len(made()(ticket(4000), HOOK).payload)
    assert len(made(whole)(ticket(4000), HOOK).payload) == whole
    short = made(whole - 1)(ticket(4000), HOOK).payload
    assert b"_omitted" in short
    assert len(short) < 1024


def test_an_error_that_is_too_large_is_left_out() -> None:
    failure = {"message": "no", "type": "provider_error", "upstream": {"text": "a" * 5000}}
    ticket = told(orjson.dumps(failure), state=State.FAILED)
    assert payload(ticket)["data"]["error"]["error"]["message"] == "no"
    data = payload(ticket, 1024)["data"]
    assert (data["status_code"], data["error_omitted"], "error" in data) == (502, True, False)


def test_what_only_looks_like_a_file_stays_where_there_can_be_none() -> None:
    body = orjson.dumps({"text": f"blob:{FILE}", "links": [f"link:{FILE}"]})
    assert payload(told(body, "chat/completions"))["data"]["response"]["text"] == f"blob:{FILE}"
    assert payload(told(body, "text/embeddings"))["output"] == orjson.loads(body)


def test_files_and_their_addresses_are_counted_in_their_order() -> None:
    items = [
        {"image": f"blob:{FILE}", "image_resource_url": f"link:{FILE}"},
        {"image": f"blob:{OTHER}", "image_resource_url": f"link:{OTHER}"},
    ]
    found = payload(told(orjson.dumps({"items": items}), "image/generation"))["output"]["items"]
    assert found == [{"image": None, "image_resource_url": f"/files/{ID}/{index}"} for index in (0, 1)]


def test_the_original_answer_is_left_out_before_the_output_is() -> None:
    ticket = told(b'{"items":[]}', "text/embeddings", original=b'"%b"' % (b"a" * 5000))
    found = payload(ticket, 1024)
    assert found["output"] == {"items": []}
    assert (found["original_response"], found["original_response_omitted"]) == (None, True)
    assert "output_omitted" not in found


def test_with_both_parts_a_payload_is_no_byte_larger_than_it_may_be() -> None:
    ticket = told(b'"%b"' % (b"a" * 2000), "text/embeddings", original=b'"%b"' % (b"b" * 2000))
    whole = len(made()(ticket, HOOK).payload)
    for most in range(whole - 2100, whole + 1):
        found = made(most)(ticket, HOOK).payload
        assert len(found) <= most
        assert (b"_omitted" in found) == (most < whole)


def test_parameters_come_back_as_they_were_given() -> None:
    given = b'{"b":1.0,"a":[1e-7,"\xc3\xa9"]}'
    found = made()(told(b"{}", "text/embeddings"), HOOK._replace(parameters=given)).payload
    assert b'"user_parameters":' + given in found
