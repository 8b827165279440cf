"""Replicate's predictions are jobs of their own: launched once, asked after until they end, cancelled when told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from coatcheck.engine.calls import Call, Progress
from coatcheck.engine.errors import CallFailed, Interrupted, Refused, TimedOut, Unusable
from coatcheck.providers.replicate.provider import ReplicateOptions, ReplicateProvider

from .servers import ServerProcess
from .vendor_jobs import (
    BAD_UPLOADS,
    KEY_ENV,
    Answer,
    JobVendor,
    Saves,
    ask_in_trouble,
    cancel_while_asked,
    ended,
    lost,
    refuse_uploads,
    serving,
)
from .vendors.replicate import LARGE, OUTPUT, PNG, UPLOADED, prediction
from .vendors.vendor import Attachment, Case, Done, Seen, calling, carried_out, failing, left_in

KEY = "r8_0123456789abcdef"
DONE = {"status": "succeeded", "output": [OUTPUT]}


class Replicate(JobVendor):
    """Has models without a schema, and delivers what is under /delivery/."""

    path = "/v1"
    prefix = "p-"

    def __init__(self) -> None:
        super().__init__()
        #: Files that it delivers, by name; one that is missing is gone.
        self.files: dict[str, Answer] = {}

    async def answer(self, seen: Seen) -> Answer:
        if seen.segments[0] == "delivery":
            assert "Authorization" not in seen.headers
            return self.files.get(seen.segments[1], web.Response(status=404))
        assert seen.headers["Authorization"] == f"Bearer {KEY}"
        match seen.method, seen.segments[1:]:
            case "GET", ["models", *_]:
                return web.json_response({"latest_version": None})
            case "POST", ["files"] if self.on_upload is not None:
                return self.on_upload()
            case "POST", ["files"]:
                return web.json_response({"urls": {"get": UPLOADED}}, status=201)
            case "POST", ["predictions"]:
                return await self.launch(seen.json, {**prediction("starting"), "id": self.next_id})
            case "GET", ["predictions", id] if self.knows(id):
                return await self.job(id, {**prediction("processing"), "id": id})
            case "POST", ["predictions", id, "cancel"] if self.knows(id):
                self.ended.append(id)
                return web.json_response({**prediction("canceled"), "id": id})
        return web.json_response({"detail": "The requested resource could not be found."}, status=404)

    def delivering(self, *names: str) -> dict[str, Any]:
        """The end of a prediction whose output is those files."""
        return {"status": "succeeded", "output": [f"{self.origin}/delivery/{name}" for name in names]}


def case(operation: str = "images/generations", files: Any = None, **request: Any) -> Case:
    request = {"prompt": "a cat", **request}
    return Case(
        operation=operation,
        request=request,
        files=files or {},
        model="acme/painter",
        answer=lambda _: web.Response(),
        check=lambda _seen, _done: None,
    )


@asynccontextmanager
async def painting(**options: Any) -> AsyncIterator[tuple[Replicate, ReplicateProvider]]:
    async with Replicate() as vendor:
        table = {"base_url": vendor.url, "api_key_env": KEY_ENV, "poll_seconds": 0.001}
        provider = ReplicateProvider(
            "rep", ReplicateOptions(**{**table, "delivery_hosts": (vendor.origin,), **options}), {KEY_ENV: KEY}
        )
        await provider.start()
        try:
            yield vendor, provider
        finally:
            await provider.close()


@asynccontextmanager
async def predicting(
    folder: Path, of: Case | None = None, **changes: Any
) -> AsyncIterator[tuple[Replicate, ReplicateProvider, Call, Saves]]:
    """The vendor, a provider at it, a call, and what the call saves."""
    async with painting() as (vendor, provider):
        saves = Saves(vendor)
        async with calling(folder, of or case(), save=saves, **changes) as (call, _):
            yield vendor, provider, call, saves


HELD = '{"prediction":"p-1"}'


def test_the_prediction_is_saved_before_it_is_asked_after(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with predicting(folder) as (vendor, provider, call, saves):
            vendor.end = DONE
            await provider.execute(call)
        assert vendor.told == ["GET /models/acme/painter", "POST /predictions", "GET /predictions/p-1"]
        assert (saves.values, saves.after) == ([HELD], [2])

    run(main())


def test_nothing_is_saved_while_a_launch_is_in_doubt(run: Any, folder: Path) -> None:
    """An upload may be made again; a launch whose answer was lost must not be taken for one that never was."""

    async def main() -> None:
        edit = case("images/edits", {"image": (LARGE,)})
        async with predicting(folder, edit) as (vendor, provider, call, saves):
            vendor.launch = lambda _body, _launched: lose()  # type: ignore[method-assign]
            with pytest.raises(Interrupted):
                await provider.execute(call)
        assert vendor.told == ["GET /models/acme/painter", "POST /files", "POST /predictions"]
        assert (saves.values, saves.after) == (["{}", None], [1, 2])

    async def lose() -> Answer:
        return lost()

    run(main())


@pytest.mark.parametrize(("how", "raised"), BAD_UPLOADS)
def test_an_upload_that_fails_has_launched_nothing(
    run: Any, folder: Path, how: Callable[[], Answer], raised: type[CallFailed]
) -> None:
    async def main() -> None:
        edit = case("images/edits", {"image": (LARGE,)})
        async with predicting(folder, edit) as (vendor, provider, call, saves):
            await refuse_uploads(vendor, provider, call, saves, how, raised)

    run(main())


def test_an_upload_that_was_cut_off_is_made_again(run: Any, folder: Path) -> None:
    async def main() -> None:
        edit = case("images/edits", {"image": (LARGE,)})
        async with predicting(folder, edit, checkpoint="{}") as (vendor, provider, call, saves):
            vendor.end = DONE
            await provider.execute(call)
        assert len(vendor.launched) == 1
        assert saves.values == ["{}", None, HELD]

    run(main())


def test_questions_that_go_wrong_are_put_again_and_nothing_is_launched_anew(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with predicting(folder) as (vendor, provider, call, _):
            await ask_in_trouble(vendor, provider, call, DONE, "GET /predictions/p-1")

    run(main())


def test_a_prediction_that_was_launched_is_only_asked_after(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with predicting(folder, checkpoint=HELD) as (vendor, provider, call, saves):
            vendor.launched, vendor.end = [{}], DONE
            await provider.execute(call)
        assert (vendor.told, saves.values) == (["GET /predictions/p-1"], [])

    run(main())


def test_a_prediction_that_is_gone_is_forgotten(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with predicting(folder, checkpoint=HELD) as (vendor, provider, call, saves):
            with pytest.raises(CallFailed, match="404: The requested resource could not be found"):
                await provider.execute(call)
        assert (saves.values, vendor.launched) == ([None], [])

    run(main())


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        ("failed", Refused, "prediction_failed"),
        ("canceled", Refused, "prediction_canceled"),
        ("aborted", TimedOut, "timeout"),
    ],
)
def test_a_prediction_without_success_is_forgotten_and_says_why(
    run: Any, folder: Path, status: str, kind: type[CallFailed], code: str
) -> None:
    async def main() -> None:
        async with predicting(folder) as (vendor, provider, call, saves):
            vendor.end = {"status": status, "error": f"CUDA out of memory {KEY}"}
            with pytest.raises(kind) as caught:
                await provider.execute(call)
        assert caught.value.code == code
        assert caught.value.upstream["body"] == {"status": status, "error": "CUDA out of memory [redacted]"}
        assert KEY not in caught.value.message
        assert saves.values == [HELD, None]

    run(main())


def test_an_output_that_the_vendor_has_removed_is_an_end(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with painting() as (vendor, provider):
            vendor.end = {"status": "succeeded", "output": None, "data_removed": True}
            error = await failing(provider, folder, case())
        assert isinstance(error, Unusable)
        assert error.code == "result_gone"

    run(main())


def test_what_a_prediction_logs_is_told_as_percent(run: Any, folder: Path) -> None:
    heard: list[Progress] = []
    logs = "Using seed: 7\n  0%|          | 0/4 [00:00<?, ?it/s]\n 75%|███████▌  | 3/4 [00:01<00:00,  2.5it/s]"

    def running() -> Answer:
        return web.json_response({**prediction("processing"), "logs": logs})

    async def main() -> None:
        async with predicting(folder, progress=heard.append) as (vendor, provider, call, _):
            vendor.blips, vendor.end = [running], DONE
            await provider.execute(call)

    run(main())
    assert [(each.done, each.total, each.unit) for each in heard] == [(75, 100, "percent")]


def test_a_cancel_of_the_call_leaves_the_prediction_alone_and_abandoning_ends_it(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with predicting(folder) as (vendor, provider, call, _):
            await cancel_while_asked(vendor, provider, call)
        for checkpoint, cancelled in ((HELD, ["p-1"]), ('{"prediction":"p-9"}', []), ("{}", [])):
            async with predicting(folder, checkpoint=checkpoint) as (vendor, provider, call, _):
                vendor.launched = [{}]
                await provider.abandon(call)
            assert vendor.ended == cancelled

    run(main())


def test_a_deployment_is_asked_at_an_address_of_its_own(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with predicting(folder, model="deployments/acme/live") as (vendor, provider, call, _):
            with pytest.raises(CallFailed, match="404"):
                await provider.execute(call)
        assert vendor.told == ["POST /deployments/acme/live/predictions"]
        assert vendor.seen[0].json == {"input": {"prompt": "a cat"}}

    run(main())


async def delivered(folder: Path, wanted: str | None, *names: str, **options: Any) -> Done:
    async with painting(**options) as (vendor, provider):
        vendor.files = {
            "a.png": web.Response(body=PNG, content_type="application/octet-stream"),
            "b.webp": web.Response(body=b"RIFFwebp", content_type="image/webp"),
            "led": web.Response(status=302, headers={"Location": f"{vendor.origin}/delivery/a.png"}),
            "broken": web.Response(status=503),
            "huge": web.Response(body=bytes(5000), content_type="image/png"),
        }
        vendor.end = vendor.delivering(*names)
        request = {} if wanted is None else {"response_format": wanted}
        async with calling(folder, case(**request)) as (call, blobs):
            done = await carried_out(provider, call, blobs)
        for entry in done.result["data"]:
            assert entry.get("url", "").removeprefix(f"{vendor.origin}/delivery/") in ("", *names)
        return done


@pytest.mark.parametrize(
    ("wanted", "shown"), [("b64_json", {"b64_json"}), ("url", {"url"}), (None, {"url", "b64_json"})]
)
def test_images_come_as_they_were_asked_for(run: Any, folder: Path, wanted: str | None, shown: set[str]) -> None:
    async def main() -> None:
        done = await delivered(folder, wanted, "a.png", "b.webp")
        assert [set(entry) for entry in done.result["data"]] == [{"index"} | shown] * 2
        kept = [] if wanted == "url" else [PNG, b"RIFFwebp"]
        assert done.files == kept
        assert [file.media_type for file in done.reply.files] == ["image/png", "image/webp"][: len(kept)]

    run(main())


@pytest.mark.parametrize(
    ("names", "kind", "says"),
    [
        (("a.png", "gone"), Unusable, "no longer has a file of the prediction"),
        (("a.png", "led"), CallFailed, "delivered no file: 302"),
        (("a.png", "broken"), CallFailed, "delivered no file: 503"),
        (("a.png", "huge"), Unusable, "larger than 4096 bytes"),
        ((), Unusable, "without an image"),
    ],
)
def test_a_delivery_that_fails_leaves_nothing(
    run: Any, folder: Path, names: tuple[str, ...], kind: type[CallFailed], says: str
) -> None:
    async def main() -> None:
        with pytest.raises(kind, match=says) as caught:
            await delivered(folder, "b64_json", *names, max_answer_bytes=4096)
        assert type(caught.value) is kind
        assert left_in(folder) == []

    run(main())


@pytest.mark.parametrize(
    ("address", "fetched"),
    [
        ("https://replicate.delivery/x/y.png", True),
        ("https://pbxt.replicate.delivery/y.png", True),
        ("https://replicate.delivery.evil.invalid/y.png", False),
        ("https://evilreplicate.delivery/y.png", False),
        ("http://replicate.delivery/y.png", False),
        ("https://replicate.delivery:8443/y.png", False),
        ("https://me@replicate.delivery/y.png", False),
        ("https://169.254.169.254/y.png", False),
    ],
)
def test_files_are_fetched_only_from_hosts_that_are_known(address: str, fetched: bool) -> None:
    from yarl import URL

    provider = ReplicateProvider("rep", ReplicateOptions(api_key_env=KEY_ENV), {KEY_ENV: KEY})
    assert provider._deliveries._known(URL(address)) is fetched


def test_an_output_from_elsewhere_is_not_fetched(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with painting(delivery_hosts=("replicate.delivery",)) as (vendor, provider):
            vendor.end = vendor.delivering("a.png")
            error = await failing(provider, folder, case())
            assert [told for told in vendor.told if "delivery" in told] == []
        assert isinstance(error, Unusable)
        assert "delivers from 127.0.0.1, which is not among delivery_hosts" in error.message

    run(main())


def test_a_file_is_named_for_the_vendor(run: Any, folder: Path) -> None:
    async def main() -> None:
        odd = Attachment(name='a"\r\nb.jpg', media_type=LARGE.media_type, content=LARGE.content)
        async with predicting(folder, case("images/variations", {"image": (odd,)})) as (vendor, provider, call, _):
            vendor.end = DONE
            await provider.execute(call)
        (part,) = vendor.seen[1].parts
        assert (part.name, part.file_name, part.content) == ("content", "file.jpg", LARGE.content)

    run(main())


def providers(vendor: Replicate) -> dict[str, Any]:
    at = {"kind": "replicate", "base_url": vendor.url, "api_key_env": KEY_ENV, "delivery_hosts": [vendor.origin]}
    return {"rep": {**at, "poll_seconds": 0.01, "on_interrupt": "fail"}}


@asynccontextmanager
async def submitted(folder: Path) -> AsyncIterator[tuple[Replicate, ServerProcess, aiohttp.ClientSession, str]]:
    """A real server with a job whose prediction has been asked after."""
    async with Replicate() as vendor, serving(folder, providers(vendor), KEY) as (server, session):
        body = {"model": "rep/acme/painter", "prompt": "a cat", "response_format": "b64_json"}
        async with session.post(f"{server.url}/v1/async/images/generations", json=body) as response:
            assert response.status == 202, await response.text()
            id = str((await response.json())["id"])
        await vendor.asked.get()
        yield vendor, server, session, id


@pytest.mark.parametrize("how", ["kill9", "terminate"])
def test_a_server_that_ends_meanwhile_goes_on_asking_and_pays_once(run: Any, folder: Path, how: str) -> None:
    async def main() -> None:
        async with submitted(folder) as (vendor, server, session, id):
            await getattr(server, how)()
            assert vendor.ended == []
            await server.start()
            vendor.files, vendor.end = {"a.png": web.Response(body=PNG)}, vendor.delivering("a.png")
            job = await ended(session, server, "images/generations", id)
            assert job["status"] == "completed", job
            (entry,) = job["result"]["data"]
            assert entry["b64_json"] == OUTPUT.partition(",")[2]
            assert len(vendor.launched) == 1

    run(main())


def test_a_cancelled_job_has_its_prediction_cancelled(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with submitted(folder) as (vendor, server, session, id):
            async with session.post(f"{server.url}/v1/async/jobs/{id}/cancel") as response:
                assert response.status == 200
            # A stop waits until the vendor has been told.
            await server.terminate()
            assert vendor.ended == ["p-1"]

    run(main())


def test_a_launch_that_was_cut_off_is_not_made_again_where_that_is_forbidden(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with Replicate() as vendor, serving(folder, providers(vendor), KEY) as (server, session):
            launched = vendor.hold()
            body = {"model": "rep/acme/painter", "prompt": "a cat"}
            async with session.post(f"{server.url}/v1/async/images/generations", json=body) as response:
                id = str((await response.json())["id"])
            await launched.wait()
            await server.kill9()
            await server.start()
            job = await ended(session, server, "images/generations", id)
            assert job["error"]["error"]["code"] == "server_stopped", orjson.dumps(job)
            assert len(vendor.launched) == 1

    run(main())
