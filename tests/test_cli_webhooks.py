"""Webhooks from the command line: deliveries listed, shown and sent again, endpoints and secrets."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from .receivers import Receiver
from .shells import Shell, shell, submitted


@asynccontextmanager
async def house(folder: Path, *answers: Any, **tables: Any) -> AsyncIterator[tuple[Shell, Receiver, Any]]:
    async with Receiver(*answers) as receiver:
        orders = {"name": "orders", "url": receiver.url}
        webhooks = {"allow_private_networks": True, "endpoints": [orders]}
        async with shell(folder, webhooks=webhooks, **tables) as (sh, served):
            yield sh, receiver, served


async def told(sh: Shell, receiver: Receiver, served: Any, where: str = "orders") -> str:
    """The id of the delivery of a job that has ended, once it was tried."""
    body = {"model": "echo/echo", "input": "a"}
    async with ClientSession() as session:
        await session.post(f"{sh.url}/v1/async/embeddings", json=body, headers={"x-bf-async-webhook": where})
    id = (await receiver.got()).headers["webhook-id"]
    while (await served.gateway.store.outbox.delivery(id, None)).attempts == 0:
        pass
    return id


def test_a_person_finds_a_dead_letter_and_sends_it_again(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with house(folder, 418) as (sh, receiver, served):
            none = await sh("webhooks", "list")
            assert (none.code, none.out, none.err) == (0, "", "There are no deliveries.\n")
            dead, fine = await told(sh, receiver, served), await told(sh, receiver, served, receiver.url)
            listed = (await sh("webhooks", "list")).out.splitlines()
            assert listed[0].split() == ["ID", "STATE", "RECEIVER", "JOB", "TRIES", "AGE", "LAST"]
            assert re.fullmatch(rf"{fine[:8]}  delivered  {receiver.url} +[0-9a-f]{{8}}  1 +\d+ s  204", listed[1])
            assert re.fullmatch(rf"{dead[:8]}  dead +orders +[0-9a-f]{{8}}  1 +\d+ s  418", listed[2])
            only = await sh("webhooks", "list", "--state", "dead", "--endpoint", "orders", "--since", "1h")
            assert [line[:8] for line in only.out.splitlines()[1:]] == [dead[:8]]
            nothing = await sh("webhooks", "list", "--state", "due")
            assert (nothing.out, nothing.err) == ("", "There are no such deliveries.\n")
            one = await sh("webhooks", "list", "--limit", "1")
            assert (len(one.out.splitlines()), one.err) == (2, "more: --limit N or --all\n")

            shown = await sh("webhooks", "show", dead[:8])
            assert shown.out.startswith(f"delivery  {dead}\njob       ")
            assert "\nstate     dead, after 1 attempt\n" in shown.out
            assert "\nlast      the receiver answered 418\n" in shown.out
            payload = json.loads(shown.out[shown.out.index("{") :])
            assert payload["event"] == "async_job.completed"
            assert (await sh("webhooks", "show", dead, "--json")).json["payload"] == payload

            again = await sh("webhooks", "replay", dead[:8])
            assert (again.code, again.out) == (0, f"{dead} is sent again\n")
            assert (await receiver.got()).headers["webhook-id"] == dead

    run(main())


def test_a_narrow_terminal_is_shown_a_table_that_fits(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with house(folder, 418) as (sh, receiver, served):
            await told(sh, receiver, served, f"{receiver.url}/{'a' * 100}")
            screen = await sh.terminal(60, "webhooks", "list")
            head, line = screen.left.splitlines()
            assert head.split() == ["ID", "STATE", "RECEIVER", "TRIES", "AGE", "LAST"]
            assert len(line) <= 60
            assert "…" in line
            assert "\x1b[31mdead" in screen.raw
            plain = await sh.having(NO_COLOR="1").terminal(60, "webhooks", "list")
            assert "\x1b[" not in plain.raw

    run(main())


def test_a_range_is_sent_again_and_nothing_is_by_accident(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with house(folder, 418, 418) as (sh, receiver, served):
            ids = {await told(sh, receiver, served) for _ in range(2)}
            bare = await sh("webhooks", "replay")
            assert bare.code == 2
            assert "name deliveries, or say which: --state dead, --endpoint NAME, --since 2h" in bare.err
            both = await sh("webhooks", "replay", "--state", "dead", next(iter(ids)))
            assert both.code == 2
            done = await sh("webhooks", "replay", "--endpoint", "orders", "--since", "1h")
            assert (done.code, done.out) == (0, "2 deliveries are sent again\n")
            assert {(await receiver.got()).headers["webhook-id"] for _ in ids} == ids
            nothing = await sh("webhooks", "replay", "--state", "dead", "--json")
            assert nothing.json == {"replayed": 0}

    run(main())


def test_endpoints_are_listed_and_switched_on(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with house(folder, 410) as (sh, receiver, served):
            listed = (await sh("webhooks", "endpoints")).out.splitlines()
            assert listed[1].split() == ["orders", "on", receiver.url, "made", "here"]
            await told(sh, receiver, served)
            while not await served.gateway.store.outbox.endpoints_off():
                pass
            (off,) = (await sh("webhooks", "endpoints", "--json")).json["data"]
            assert off["state"] == "off"
            assert "off: the receiver answered 410" in (await sh("webhooks", "endpoints")).out
            on = await sh("webhooks", "enable", "orders")
            assert on.code == 0
            assert on.err == "orders is on; `coatcheck webhooks replay --endpoint orders` sends again what is dead\n"
            assert (await sh("webhooks", "endpoints")).out.splitlines()[1].split()[1] == "on"
            nowhere = await sh("webhooks", "enable", "nowhere")
            assert nowhere.code == 1
            assert "there is no endpoint 'nowhere' in [[webhooks.endpoints]]" in nowhere.err

    run(main())


def test_secrets_are_printed_alone_so_that_they_can_be_piped(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with house(folder) as (sh, _receiver, _served):
            mine, its = await sh("webhooks", "secret"), await sh("webhooks", "secret", "orders")
            for done in (mine, its):
                assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", done.out)
                assert done.err == ""
            assert mine.out != its.out
            rotated = await sh("webhooks", "rotate", "--overlap", "12h")
            assert rotated.out == (await sh("webhooks", "secret")).out != mine.out
            assert re.match(r"The one before is signed with as well until \d{4}-", rotated.err)
            at_once = await sh("webhooks", "rotate", "orders", "--overlap", "0")
            assert (at_once.out != its.out, at_once.err) == (True, "")

    run(main())


def test_what_is_an_endpoints_needs_an_admins_key(folder: Path, run: Any) -> None:
    async def main() -> None:
        keys = [{"name": "alice", "key": "sk-bf-alice"}, {"name": "root", "key": "sk-bf-root", "admin": True}]
        async with house(folder, auth={"keys": keys}) as (sh, _receiver, _served):
            alice, root = sh.having(COATCHECK_KEY="sk-bf-alice"), sh.having(COATCHECK_KEY="sk-bf-root")
            assert (await root("webhooks", "secret", "orders")).code == 0
            refused = await alice("webhooks", "secret", "orders")
            assert refused.code == 1
            assert refused.err.endswith("refused: This needs an admin key; set COATCHECK_KEY to an admin's key\n")
            assert (await alice("webhooks", "secret")).code == 0
            none = await sh("webhooks", "list")
            assert none.err.endswith("set COATCHECK_KEY to a key\n")

    run(main())


def test_an_id_that_is_none_is_said_to_be_none(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with house(folder) as (sh, _receiver, _served):
            await submitted(sh, "echo/echo")
            wrong = await sh("webhooks", "show", "xyz!")
            assert (wrong.code, "is no delivery's id" in wrong.err) == (2, True)
            unknown = await sh("webhooks", "show", "abcd")
            assert (unknown.code, "begins with abcd" in unknown.err) == (1, True)
            gone = await sh("webhooks", "show", "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de")
            assert (gone.code, "delivery not found or forgotten" in gone.err) == (1, True)

    run(main())
