"""W3C trace context: what is taken from a submit, and what an upstream is given."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDict

from coatcheck.engine import trace

from .clients import client
from .servers import chat

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def read(parent: str, *states: str) -> str | None:
    return trace.read(CIMultiDict([("TraceParent", parent), *(("TraceState", state) for state in states)]))


@pytest.mark.parametrize(
    ("parent", "kept"),
    [
        (PARENT, PARENT),
        (f" \t{PARENT}\t ", PARENT),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        # A later version: what it adds is not known, what is known is passed on in our version.
        (f"cc-{TRACE}-{SPAN}-01", PARENT),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", PARENT),
        (f"cc-{TRACE}-{SPAN}-01-", PARENT),
        # Flags without a meaning are not passed on.
        (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-03"),
    ],
)
def test_a_valid_parent_is_kept(parent: str, kept: str) -> None:
    assert read(parent) == kept
    assert trace.trace_id(kept) == TRACE


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f".0-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01.",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"cc-{TRACE}-{SPAN}-0",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE[1:]}.-{SPAN}-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{'١' * 32}-{SPAN}-01",
        f"{PARENT},{PARENT}",
    ],
)
def test_an_invalid_parent_is_none_and_takes_its_state_along(parent: str) -> None:
    assert read(parent, "a=1") is None


def test_no_parent_and_two_parents_are_none() -> None:
    assert trace.read({"tracestate": "a=1"}) is None
    assert trace.read(CIMultiDict([("traceparent", PARENT), ("traceparent", PARENT)])) is None


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        (["foo=1,bar=2"], "foo=1,bar=2"),
        (["foo=1 \t , \t bar=2", "", "rojo= 3,,"], "foo=1,bar=2,rojo= 3"),
        (["fw529a3039@dt=FfIy,0-_*/x=!~"], "fw529a3039@dt=FfIy,0-_*/x=!~"),
        ([",".join(f"k{i}=v" for i in range(32))], ",".join(f"k{i}=v" for i in range(32))),
        (["k" * 256 + "=" + "v" * 255], "k" * 256 + "=" + "v" * 255),
        # Too long: the long members go first, and then from the end.
        (["a=1,long=" + "v" * 200, "b=" + "w" * 126, "c=" + "x" * 126, "d=" + "y" * 126], "a=1,b=*,c=*,d=*"),
        ([",".join(f"{k}=" + "v" * 100 for k in "abcdef")], "a=*,b=*,c=*,d=*"),
    ],
)
def test_a_valid_state_is_kept_as_far_as_everyone_carries_it(states: list[str], kept: str) -> None:
    found = read(PARENT, *states)
    assert found is not None
    parent, _, state = found.partition(" ")
    assert parent == PARENT
    if "*," in kept:
        state = ",".join(f"{key}=*" if len(value) > 99 else f"{key}={value}" for key, value in _members(state))
    assert state == kept


def _members(state: str) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (member.partition("=") for member in state.split(","))]


@pytest.mark.parametrize(
    "state",
    [
        "",
        " ,\t, ",
        "foo",
        "foo=",
        "=1",
        "Foo=1",
        "foo=1=2",
        "foo bar=1",
        "foo =1",
        "@foo=1",
        "foo=é",
        "foo=1\x01",
        "foo=1,foo=2",
        "k" * 257 + "=1",
        "k=" + "v" * 257,
        ",".join(f"k{i}=v" for i in range(33)),
        # Too long to be looked at.
        "a=1" + "," * 20_000,
    ],
)
def test_an_invalid_state_is_dropped_and_the_parent_kept(state: str) -> None:
    assert read(PARENT, state) == PARENT


def test_a_call_goes_on_in_the_same_trace_as_it_came() -> None:
    assert trace.headers(f"{PARENT} a=1,b=2 3") == {"traceparent": PARENT, "tracestate": "a=1,b=2 3"}
    assert trace.headers(PARENT) == {"traceparent": PARENT}
    assert trace.headers(None) == {}
    assert trace.trace_id(PARENT) == TRACE
    assert trace.trace_id(None) is None


def test_the_upstream_is_called_in_the_trace_of_the_submit(folder: Path, run: Any) -> None:
    async def main() -> None:
        asked: asyncio.Queue[Mapping[str, str]] = asyncio.Queue()

        async def answer(request: web.Request) -> web.StreamResponse:
            asked.put_nowait(request.headers)
            if len(request.headers.getall("traceparent", [])) and asked.qsize() == 1:
                return web.json_response({"error": {"message": "busy"}}, status=503, headers={"Retry-After": "0"})
            return await chat(await request.json())

        upstream = web.Application()
        upstream.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(upstream, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        up = {
            "kind": "openai",
            "base_url": f"http://127.0.0.1:{runner.addresses[0][1]}/v1",
            "headers": {"traceparent": f"00-{'1' * 32}-{'2' * 16}-00"},
        }
        async with client(folder, providers={"up": up}) as c:
            headers = {"traceparent": PARENT, "tracestate": "congo=t61rcWkgMzE"}
            id = await c.submit("chat/completions", "up/gpt", headers=headers)
            assert (await c.ended(id)).json["status"] == "completed"
            first, second = asked.get_nowait(), asked.get_nowait()
            for seen in (first, second):
                assert seen["tracestate"] == "congo=t61rcWkgMzE"
                assert seen["traceparent"] == PARENT
            id = await c.submit("chat/completions", "up/gpt", headers={"traceparent": "none"})
            assert (await c.ended(id)).json["status"] == "completed"
            assert asked.get_nowait()["traceparent"] == up["headers"]["traceparent"], "without a trace, as configured"
        await runner.cleanup()

    run(main())
