"""The Prefer header: what is understood of it, and what is granted at once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from coatcheck.handlers.prefer import Preference, preference

from .clients import client, request

Run = Callable[[Awaitable[Any]], Any]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        (["wait=5"], Preference(5)),
        (["WAIT=5"], Preference(5)),
        (['wait="5"'], Preference(5)),
        ([" wait = 5 ; strict"], Preference(5)),
        (["respond-async, wait=10"], Preference(10, True)),
        (["respond-async", "wait=10"], Preference(10, True)),
        (["handling=lenient, wait=10"], Preference(10)),
        (["wait=61"], Preference(60)),
        (["wait=999999"], Preference(60)),
        (["wait=0"], Preference(0)),
        (["wait=3, wait=7"], Preference(3)),
        (["wait=3", "wait=7"], Preference(3)),
        (["wait=x, wait=7"], Preference()),
        (["wait"], Preference()),
        (["wait="], Preference()),
        (["wait=-1"], Preference()),
        (["wait=1.5"], Preference()),
        (["wait=9999999"], Preference()),
        (["wait=٥"], Preference()),
        (["wait=5s"], Preference()),
        (["await=5"], Preference()),
        ([""], Preference()),
        ([",;=,,"], Preference()),
        (["a," * 99 + "wait=5"], Preference(5)),
        # No client means as many as that, and to look at them all would take as long as the header is.
        (["a," * 100 + "wait=5"], Preference()),
    ],
)
def test_the_prefer_header_is_that_of_rfc_7240(values: list[str], expected: Preference | None) -> None:
    headers = CIMultiDictProxy(CIMultiDict([("Prefer", value) for value in values]))
    assert preference(headers, 60) == expected


@pytest.mark.parametrize(
    ("most", "prefer", "applied"),
    [
        (0, "wait=30", "wait=0"),
        (60, "wait=0", "wait=0"),
        (60, "respond-async", "respond-async"),
        (60, "respond-async, wait=0", "respond-async, wait=0"),
        (60, "wait=soon", None),
        (60, "return=minimal", None),
        (60, "x" * 4000, None),
    ],
)
def test_what_grants_no_wait_is_answered_at_once(
    folder: Path, run: Run, most: int, prefer: str, applied: str | None
) -> None:
    async def main() -> None:
        async with client(folder, server={"max_wait_seconds": most}) as c:
            async with asyncio.timeout(20):
                answer = await c.ask(
                    "POST", "/v1/async/embeddings", request("embeddings", "echo/hang"), {"Prefer": prefer}
                )
                polls = [answer.headers["Location"], f"/v1/async/jobs/{answer.json['id']}"]
                answers = [answer, *[await c.ask("GET", poll, headers={"Prefer": prefer}) for poll in polls]]
            for answer in answers:
                assert answer.status == 202
                assert answer.headers["Vary"] == "Prefer"
                assert answer.headers.get("Preference-Applied") == applied

    run(main())
