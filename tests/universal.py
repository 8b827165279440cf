"""What tests ask of the v3 dialect: jobs of features, by their routes."""

from collections.abc import Mapping
from typing import Any

from .clients import Answer, Client

PATH = "/v3/universal-ai"
JOBS = f"{PATH}/async"
NOBODYS = "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de"

#: What the dialect's answers always have, by the route that gives them.
JOB_KEYS = {"public_id", "status", "cost", "provider", "feature", "subfeature", "created_at"}
ANSWER_KEYS = {"status", "cost", "provider", "feature", "subfeature", "output"}
ITEM_KEYS = {"public_id", "status", "feature", "subfeature", "provider", "model", "created_at"}


def embeddings(model: str = "echo", **more: Any) -> dict[str, Any]:
    """A request for embeddings; `model` is what follows the feature."""
    return {"model": f"text/embeddings/{model}", "input": {"texts": ["a coat", "a ticket"]}, **more}


async def create(c: Client, body: Any = None, wait: int = 20, **headers: str) -> Any:
    """The job that was made, as it is after the wait."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if wait:
        given["Prefer"] = f"wait={wait}"
    answer = await c.ask("POST", JOBS, embeddings() if body is None else body, given)
    assert answer.status == 202, answer.text
    return answer.json


async def refused(c: Client, body: Any, status: int, path: str = JOBS, headers: Mapping[str, str] | None = None) -> Any:
    """The detail of a refusal; of one that lists faults, the only fault."""
    answer = await c.ask("POST", path, body, headers)
    assert answer.status == status, answer.text
    return detail(answer)


def detail(answer: Answer) -> Any:
    """What the error says, after checking its shape."""
    error = answer.json
    assert set(error) == {"detail"}
    if answer.status != 422:
        assert isinstance(error["detail"], str)
        return error["detail"]
    (fault,) = error["detail"]
    assert set(fault) == {"loc", "msg", "type"}
    return fault
