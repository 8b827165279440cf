"""AssemblyAI's transcripts are jobs of their own: launched once, asked after until it ends, given up when told."""

import base64
import io
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from coatcheck.engine.calls import Call, Progress
from coatcheck.engine.errors import CallFailed, Refused
from coatcheck.providers.assemblyai.provider import OPERATION, AssemblyAIOptions, AssemblyAIProvider

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
    refuse_uploads,
    serving,
)
from .vendors.assemblyai import AUDIO, COMPLETED, VENDOR
from .vendors.vendor import Attachment, Case, Seen, calling

KEY = "an-assembly-key"
CASE = VENDOR.cases[0]
DONE = {**COMPLETED}
del DONE["id"]


class AssemblyAI(JobVendor):
    """Each upload has an address of its own, each launch an id."""

    prefix = "t-"

    def __init__(self) -> None:
        super().__init__()
        self.uploads = 0
        #: Transcripts of other people's, the latest first, in its list before its own.
        self.others: list[dict[str, Any]] = []

    async def answer(self, seen: Seen) -> Answer:
        assert seen.headers["Authorization"] == KEY
        match seen.method, seen.segments[1:]:
            case "POST", ["upload"]:
                self.uploads += 1
                if self.on_upload is not None:
                    return self.on_upload()
                return web.json_response({"upload_url": f"https://cdn.assemblyai.com/upload/{self.uploads}"})
            case "POST", ["transcript"]:
                return await self.launch(seen.json, {"id": self.next_id, "status": "queued"})
            case "GET", ["transcript"]:
                return web.json_response({"transcripts": self._page(seen)})
            case "GET", ["transcript", id] if self.knows(id):
                return await self.job(id, {"id": id, "status": "processing"})
            case "DELETE", ["transcript", id] if self.knows(id):
                self.ended.append(id)
                return web.json_response({"id": id, "status": "completed", "text": "Deleted by user."})
        return web.json_response({"error": "Transcript lookup error, transcript id not found"}, status=404)

    def _page(self, seen: Seen) -> list[dict[str, Any]]:
        own = [{"id": f"t-{n + 1}", "audio_url": body["audio_url"]} for n, body in enumerate(self.launched)]
        listed = [*self.others, *reversed(own)]
        if (before := seen.query.get("before_id")) is not None:
            listed = listed[[each["id"] for each in listed].index(before) + 1 :]
        return listed[: int(seen.query["limit"])]


@asynccontextmanager
async def transcribing(
    folder: Path, case: Case = CASE, **changes: Any
) -> AsyncIterator[tuple[AssemblyAI, AssemblyAIProvider, Call, Saves]]:
    """The vendor, a provider at it, a call, and what the call saves."""
    async with AssemblyAI() as vendor:
        options = AssemblyAIOptions(base_url=vendor.url, api_key_env=KEY_ENV, poll_seconds=0.001)
        provider = AssemblyAIProvider("aai", options, {KEY_ENV: KEY})
        await provider.start()
        saves = Saves(vendor)
        try:
            async with calling(folder, case, save=saves, **changes) as (call, _):
                yield vendor, provider, call, saves
        finally:
            await provider.close()


def held(**what: str) -> str:
    return orjson.dumps(what).decode()


UPLOAD = "https://cdn.assemblyai.com/upload/1"


def test_what_is_reached_is_saved_before_the_next_step(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with transcribing(folder) as (vendor, provider, call, saves):
            vendor.end = DONE
            reply = await provider.execute(call)
        assert orjson.loads(reply.result)["text"] == COMPLETED["text"]
        assert vendor.told == ["POST /v2/upload", "POST /v2/transcript", "GET /v2/transcript/t-1"]
        assert saves.values == ["{}", held(upload=UPLOAD), held(id="t-1")]
        # Each stood before the request that it is to be remembered for.
        assert saves.after == [0, 1, 2]

    run(main())


def test_questions_that_go_wrong_are_put_again_and_nothing_is_launched_anew(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with transcribing(folder) as (vendor, provider, call, _):
            await ask_in_trouble(vendor, provider, call, DONE, "GET /v2/transcript/t-1")

    run(main())


def test_a_key_that_is_refused_meanwhile_ends_the_asking(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with transcribing(folder) as (vendor, provider, call, saves):
            vendor.blips = [lambda: web.json_response({"error": "bad key"}, status=401)]
            with pytest.raises(Refused, match="bad key"):
                await provider.execute(call)
        # The transcript is still there for whoever has a key.
        assert saves.values[-1] == held(id="t-1")

    run(main())


def test_a_transcript_that_was_launched_is_only_asked_after(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with transcribing(folder, checkpoint=held(id="t-1")) as (vendor, provider, call, saves):
            vendor.launched, vendor.end = [{"audio_url": UPLOAD}], DONE
            await provider.execute(call)
        assert vendor.told == ["GET /v2/transcript/t-1"]
        assert saves.values == []

    run(main())


def test_a_launch_whose_answer_was_never_heard_is_found_again(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with transcribing(folder, checkpoint=held(upload=UPLOAD)) as (vendor, provider, call, saves):
            vendor.launched, vendor.end = [{"audio_url": UPLOAD}, {"audio_url": "another"}], DONE
            vendor.others = [{"id": f"o-{number}", "audio_url": "x"} for number in range(300)]
            await provider.execute(call)
        assert vendor.told == ["GET /v2/transcript", "GET /v2/transcript", "GET /v2/transcript/t-1"]
        assert vendor.seen[1].query == {"limit": "200", "before_id": "o-199"}
        assert saves.values == [held(id="t-1")]
        assert len(vendor.launched) == 2

    run(main())


def test_an_upload_that_was_not_launched_is_launched_and_not_made_again(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with transcribing(folder, checkpoint=held(upload=UPLOAD)) as (vendor, provider, call, saves):
            vendor.others, vendor.end = [{"id": "o-1", "audio_url": "x"}], DONE
            await provider.execute(call)
        assert (vendor.uploads, [body["audio_url"] for body in vendor.launched]) == (0, [UPLOAD])
        assert saves.values == [held(id="t-1")]

    run(main())


@pytest.mark.parametrize(("how", "raised"), BAD_UPLOADS)
def test_an_upload_that_fails_has_launched_nothing(
    run: Any, folder: Path, how: Callable[[], Answer], raised: type[CallFailed]
) -> None:
    async def main() -> None:
        async with transcribing(folder) as (vendor, provider, call, saves):
            await refuse_uploads(vendor, provider, call, saves, how, raised)

    run(main())


def test_a_vendor_that_is_not_there_is_left_for_the_fallback(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with AssemblyAI() as vendor:
            gone = providers(vendor, retries=1)
        async with serving(folder, gone, KEY) as (server, session):
            id = await submitted(session, server, fallbacks="echo/echo")
            job = await ended(session, server, OPERATION, id)
            assert job["status"] == "completed", job
            assert job["result"]["text"].startswith(AUDIO.name), "it is the echo's"

    run(main())


def test_a_launch_that_is_refused_forgets_its_upload_and_one_in_doubt_does_not(run: Any, folder: Path) -> None:
    async def failing(status: int | None) -> list[str | None]:
        async with transcribing(folder) as (vendor, provider, call, saves):

            async def launch(_body: Any, _launched: Any) -> Answer:
                return None if status is None else web.json_response({"error": "no"}, status=status)

            vendor.launch = launch  # type: ignore[method-assign]
            with pytest.raises(CallFailed):
                await provider.execute(call)
        return saves.values

    async def main() -> None:
        for status in (400, 403):
            assert await failing(status) == ["{}", held(upload=UPLOAD), None]
        for status in (None, 500):
            assert await failing(status) == ["{}", held(upload=UPLOAD)]

    run(main())


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Audio file could not be decoded.", 422),
        ("Server error, developers have been alerted.", 502),
        (None, 422),
    ],
)
def test_a_transcript_that_ends_in_an_error_is_forgotten_and_says_why(
    run: Any, folder: Path, said: str | None, status: int
) -> None:
    async def main() -> None:
        async with transcribing(folder) as (vendor, provider, call, saves):
            vendor.end = {"status": "error", "error": said}
            with pytest.raises(CallFailed, match="aai could not transcribe the file: ") as caught:
                await provider.execute(call)
        assert (caught.value.status, caught.value.code) == (status, "transcription_failed")
        assert caught.value.message.endswith(said or "no text")
        assert saves.values[-1] is None

    run(main())


def test_a_transcript_that_is_gone_is_forgotten(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with transcribing(folder, checkpoint=held(id="t-9")) as (vendor, provider, call, saves):
            with pytest.raises(CallFailed, match="404: Transcript lookup error"):
                await provider.execute(call)
        assert (saves.values, vendor.launched) == ([None], [])

    run(main())


def test_a_cancel_of_the_call_leaves_the_transcript_alone(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with transcribing(folder) as (vendor, provider, call, _):
            await cancel_while_asked(vendor, provider, call)

    run(main())


@pytest.mark.parametrize(
    ("checkpoint", "deleted"),
    [
        (held(id="t-1"), ["t-1"]),
        (held(upload=UPLOAD), ["t-1"]),
        (held(upload="https://cdn.assemblyai.com/upload/9"), []),
        (held(id="t-9"), []),
        ("{}", []),
    ],
)
def test_a_transcript_that_is_not_wanted_is_deleted(
    run: Any, folder: Path, checkpoint: str, deleted: list[str]
) -> None:
    async def main() -> None:
        async with transcribing(folder, checkpoint=checkpoint) as (vendor, provider, call, _):
            vendor.launched = [{"audio_url": UPLOAD}]
            await provider.abandon(call)
        assert vendor.ended == deleted

    run(main())


def test_raw_samples_are_uploaded_as_a_wave_file(run: Any, folder: Path) -> None:
    samples = bytes(range(200)) * 8

    async def main() -> None:
        raw = Attachment(name="talk.pcm", media_type="application/octet-stream", content=samples)
        case = Case(
            operation=CASE.operation,
            request={"file_format": "pcm_s16le_16"},
            files={"file": (raw,)},
            answer=CASE.answer,
            check=CASE.check,
        )
        async with transcribing(folder, case) as (vendor, provider, call, _):
            vendor.end = DONE
            await provider.execute(call)
        with wave.open(io.BytesIO(vendor.seen[0].body)) as heard:
            assert heard.getparams()[:4] == (1, 2, 16_000, len(samples) // 2)
            assert heard.readframes(10_000) == samples

    run(main())


def test_an_upload_tells_how_far_it_has_come(run: Any, folder: Path) -> None:
    heard: list[Progress] = []

    async def main() -> None:
        async with transcribing(folder, progress=heard.append) as (vendor, provider, call, _):
            vendor.end = DONE
            await provider.execute(call)

    run(main())
    size = len(AUDIO.content)
    assert [(each.done, each.total, each.unit) for each in heard] == [(size, size, "bytes")]


def test_speakers_that_were_asked_for_are_told_apart(run: Any, folder: Path) -> None:
    utterances = [
        {"text": "Good morning.", "start": 80, "end": 700, "speaker": "A", "words": []},
        {"text": "How are you?", "start": 1250, "end": 2000, "speaker": "B", "words": []},
    ]

    async def main() -> None:
        async with transcribing(folder) as (vendor, provider, call, _):
            vendor.end = {**DONE, "utterances": utterances}
            reply = await provider.execute(call)
        assert orjson.loads(reply.result)["segments"] == [
            {"id": 0, "start": 0.08, "end": 0.7, "text": "Good morning.", "speaker": "A"},
            {"id": 1, "start": 1.25, "end": 2.0, "text": "How are you?", "speaker": "B"},
        ]

    run(main())


@pytest.mark.parametrize(
    ("field", "value"),
    [("include", ["logprobs"]), ("audio_url", "https://x.invalid/"), ("webhook_url", "https://x.invalid/")],
)
def test_what_cannot_be_done_or_is_not_for_a_client_is_refused_before_the_upload(
    run: Any, folder: Path, field: str, value: Any
) -> None:
    async def main() -> None:
        async with transcribing(folder) as (vendor, provider, call, saves):
            call.request[field] = value
            with pytest.raises(CallFailed) as caught:
                await provider.execute(call)
        assert (caught.value.status, caught.value.code, caught.value.param) == (400, "unsupported_parameter", field)
        assert (vendor.seen, saves.values) == ([], [])

    run(main())


def providers(vendor: AssemblyAI, **more: Any) -> dict[str, Any]:
    at = {"kind": "assemblyai", "base_url": vendor.url, "api_key_env": KEY_ENV}
    return {"aai": {**at, "poll_seconds": 0.01, "on_interrupt": "fail", **more}, "echo": {"kind": "echo"}}


async def submitted(session: aiohttp.ClientSession, server: ServerProcess, **fields: str) -> str:
    form = aiohttp.FormData(fields)
    form.add_field("model", "aai/universal-2")
    form.add_field("file", AUDIO.content, filename=AUDIO.name, content_type=AUDIO.media_type)
    async with session.post(f"{server.url}/v1/async/{OPERATION}", data=form) as response:
        assert response.status == 202, await response.text()
        return str((await response.json())["id"])


@pytest.mark.parametrize("how", ["kill9", "terminate"])
def test_a_server_that_ends_meanwhile_goes_on_asking_and_pays_once(run: Any, folder: Path, how: str) -> None:
    async def main() -> None:
        async with AssemblyAI() as vendor, serving(folder, providers(vendor), KEY) as (server, session):
            id = await submitted(session, server)
            await vendor.asked.get()
            await getattr(server, how)()
            assert vendor.ended == []
            await server.start()
            vendor.end = DONE
            job = await ended(session, server, OPERATION, id)
            assert job["status"] == "completed", job
            assert job["result"]["text"] == COMPLETED["text"]
            assert (vendor.uploads, len(vendor.launched)) == (1, 1)

    run(main())


def test_a_server_that_is_killed_before_it_hears_of_its_launch_finds_it(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with AssemblyAI() as vendor, serving(folder, providers(vendor), KEY) as (server, session):
            launched, vendor.end = vendor.hold(), DONE
            id = await submitted(session, server)
            await launched.wait()
            await server.kill9()
            await server.start()
            job = await ended(session, server, OPERATION, id)
            assert job["status"] == "completed", job
            assert (vendor.uploads, len(vendor.launched)) == (1, 1)

    run(main())


def test_a_cancelled_job_has_its_transcript_deleted(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with AssemblyAI() as vendor, serving(folder, providers(vendor), KEY) as (server, session):
            id = await submitted(session, server)
            await vendor.asked.get()
            async with session.post(f"{server.url}/v1/async/jobs/{id}/cancel") as response:
                assert response.status == 200
            job = await ended(session, server, OPERATION, id)
            assert job["error"]["error"]["code"] == "job_cancelled"
            # A stop waits until the vendor has been told.
            await server.terminate()
            assert vendor.ended == ["t-1"]

    run(main())


async def heard(session: aiohttp.ClientSession, server: ServerProcess) -> str:
    """The id of a job of a feature, the same for each repeat."""
    file = f"data:audio/mpeg;base64,{base64.b64encode(AUDIO.content).decode()}"
    body = {"model": "audio/speech_to_text_async/aai", "input": {"file": file}, "fallbacks": ["echo"]}
    headers = {"Idempotency-Key": "one"}
    async with session.post(f"{server.url}/v3/universal-ai/async", json=body, headers=headers) as response:
        assert response.status == 202, await response.text()
        return str((await response.json())["public_id"])


def test_a_job_of_a_feature_goes_on_after_a_kill_and_pays_once(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with AssemblyAI() as vendor, serving(folder, providers(vendor), KEY) as (server, session):
            id = await heard(session, server)
            await vendor.asked.get()
            await server.kill9()
            await server.start()
            assert await heard(session, server) == id
            spoken = {"text": COMPLETED["text"], "start": 80, "end": 2000, "confidence": 0.9, "speaker": "A"}
            vendor.end = {**DONE, "utterances": [spoken]}
            url = f"{server.url}/v3/universal-ai/async/{id}"
            async with session.get(url, headers={"Prefer": "wait=30"}) as response:
                job = await response.json()
            assert (job["status"], job["provider"], job["output"]["text"]) == ("success", "aai", COMPLETED["text"])
            assert (vendor.uploads, len(vendor.launched), vendor.ended) == (1, 1, [])

    run(main())


def test_a_job_of_a_feature_that_is_cancelled_after_a_kill_has_its_transcript_deleted(run: Any, folder: Path) -> None:
    async def main() -> None:
        async with AssemblyAI() as vendor, serving(folder, providers(vendor), KEY) as (server, session):
            id = await heard(session, server)
            await vendor.asked.get()
            await server.kill9()
            await server.start()
            async with session.post(f"{server.url}/v3/universal-ai/async/{id}/cancel") as response:
                assert response.status == 200, await response.text()
            # The vendor is told when the client has its answer.
            while not vendor.ended:
                async with session.get(f"{server.url}/healthz"):
                    pass
            await server.terminate()
            assert (len(vendor.launched), vendor.ended) == (1, ["t-1"])

    run(main())
