"""Files in the output of a feature: in base64, and at addresses that need no key."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .clients import Client, client, embedded
from .jobs import Hands
from .universal import JOBS, NOBODYS, PATH, create, detail

KEYS = {"keys": [{"name": "alice", "key": "sk-bf-alice"}, {"name": "bob", "key": "sk-bf-bob"}]}
SPOKEN = {"model": "audio/tts/echo", "input": {"text": "hello"}}
DRAWN = {"model": "image/generation/echo", "input": {"text": "hello", "num_images": 2}}


def path_of(c: Client, link: str) -> str:
    """What the client asks for to follow the link, which leads to its server."""
    assert link.startswith(c.served.url + "/v3/")
    return link.removeprefix(c.served.url)


def test_a_file_is_in_the_output_and_at_an_address_that_needs_no_key(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=KEYS) as c:
            job = await create(c.with_key("sk-bf-alice"), SPOKEN)
            audio = base64.b64decode(job["output"]["audio"])
            link = job["output"]["audio_resource_url"]
            assert urlsplit(link).path == f"{JOBS}/{job['public_id']}/content"
            nobody = c.with_key("")
            answer = await nobody.ask("GET", path_of(c, link))
            assert (answer.status, answer.text) == (200, audio)
            assert answer.headers["Content-Security-Policy"] == "sandbox"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="audio-tts-0.')
            part = await nobody.ask("GET", path_of(c, link), headers={"Range": "bytes=1-2"})
            assert (part.status, part.text) == (206, audio[1:3])
            # From a page of another site too: the address says who may read the file.
            other = await nobody.ask("GET", path_of(c, link), headers={"Sec-Fetch-Site": "cross-site"})
            assert other.status == 200

    run(main())


def test_each_file_has_an_address_of_its_own(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            job = await create(c, DRAWN)
            items = job["output"]["items"]
            assert len({item["image_resource_url"] for item in items}) == 2
            for item in items:
                answer = await c.ask("GET", path_of(c, item["image_resource_url"]))
                assert answer.text == base64.b64decode(item["image"])

    run(main())


def test_an_answer_that_was_waited_for_has_the_same_addresses(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            answer = await c.ask("POST", PATH, SPOKEN)
            output = answer.json["output"]
            seen = await c.ask("GET", path_of(c, output["audio_resource_url"]))
            assert seen.text == base64.b64decode(output["audio"])
            looked = (await c.ask("GET", f"{JOBS}/{answer.headers['x-bf-job-id']}")).json["output"]
            assert looked == output

    run(main())


@pytest.mark.parametrize("change", ["index", "job", "signature", "empty", "none"])
def test_an_address_is_of_one_file_alone(folder: Path, run: Any, change: str) -> None:
    async def main() -> None:
        async with client(folder, auth=KEYS) as c:
            alice = c.with_key("sk-bf-alice")
            mine, other = await create(alice, DRAWN), await create(alice, DRAWN)
            link = path_of(c, mine["output"]["items"][0]["image_resource_url"])
            start, _, signature = link.partition("&signature=")
            changed, status, why = {
                "index": (f"{start.replace('index=0', 'index=1')}&signature={signature}", 403, "the signature is not"),
                "job": (link.replace(mine["public_id"], other["public_id"]), 403, "the signature is not"),
                "signature": (f"{start}&signature={'0' * 64}", 403, "the signature is not"),
                "empty": (f"{start}&signature=", 403, "the signature is not"),
                "none": (start, 403, "Not authenticated"),
            }[change]
            answer = await c.with_key("").ask("GET", changed)
            assert answer.status == status
            assert detail(answer).startswith(why)
            # Beside a signature no key counts: a page of another site could have made the request.
            beside = await alice.ask("GET", changed)
            assert beside.status == (200 if change == "none" else 403)

    run(main())


def test_the_owner_has_the_file_with_a_key_and_nobody_else_has(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth=KEYS) as c:
            alice, bob = c.with_key("sk-bf-alice"), c.with_key("sk-bf-bob")
            id = (await create(alice, SPOKEN))["public_id"]
            assert (await alice.ask("GET", f"{JOBS}/{id}/content")).status == 200
            foreign = await bob.ask("GET", f"{JOBS}/{id}/content")
            assert (foreign.status, detail(foreign)) == (404, "Job not found")
            beyond = await alice.ask("GET", f"{JOBS}/{id}/content?index=1")
            assert (beyond.status, detail(beyond)) == (404, "the result has 1 file, counted from 0; there is no 1")
            none = await alice.ask("GET", f"{JOBS}/{NOBODYS}/content")
            assert (none.status, detail(none)) == (404, "Job not found")
            running = (await create(alice, {**SPOKEN, "model": "audio/tts/echo/hang"}, wait=0))["public_id"]
            early = await alice.ask("GET", f"{JOBS}/{running}/content")
            assert early.status == 409

    run(main())


def test_an_address_is_good_as_long_as_its_job_is(folder: Path, run: Any) -> None:
    async def main() -> None:
        hands = Hands()
        async with client(folder, clock=hands.clock) as c:
            links = [path_of(c, (await create(c, SPOKEN))["output"]["audio_resource_url"]) for _ in range(2)]
            assert [(await c.ask("GET", link)).status for link in links] == [200, 200]
            assert (await c.ask("DELETE", links[0].partition("/content")[0])).status == 200
            assert [(await c.ask("GET", link)).status for link in links] == [404, 200]
            hands.pass_(7 * 86_400)
            assert (await c.ask("GET", links[1])).status == 404

    run(main())


def test_addresses_outlive_the_process(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            link = path_of(c, (await create(c, SPOKEN))["output"]["audio_resource_url"])
        async with client(folder) as c:
            assert (await c.ask("GET", link)).status == 200

    run(main())


def test_an_address_leads_to_where_the_server_is(folder: Path, run: Any) -> None:
    async def main() -> None:
        (folder / "a").mkdir()
        async with embedded(folder / "a", "/ai") as c:
            job = await create(c, SPOKEN)
            link = job["output"]["audio_resource_url"]
            assert (await c.ask("GET", path_of(c, link))).status == 200
        (folder / "b").mkdir()
        async with client(folder / "b", server={"base_url": "https://ai.example.com/jobs/"}) as c:
            job = await create(c, SPOKEN)
            start = f"https://ai.example.com/jobs{JOBS}/{job['public_id']}/content?index=0&signature="
            assert job["output"]["audio_resource_url"].startswith(start)

    run(main())
