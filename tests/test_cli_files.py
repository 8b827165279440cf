"""Files from the command line: those that are sent, and those that answers are."""

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from coatcheck.commands import requests
from coatcheck.commands.answers import size, text
from coatcheck.schemas.operations import OPERATIONS

from .shells import Shell, answering, shell

MODEL = ("-m", "echo/echo")


def test_the_command_knows_every_operation_with_its_files() -> None:
    assert set(requests.TEXTS) == set(OPERATIONS)
    forms = {name: tuple(operation.files) for name, operation in OPERATIONS.items() if operation.files}
    assert {name: files for name, files in requests.FILES.items() if name != "ocr"} == forms
    for name, field in requests.TEXTS.items():
        assert field is None or field in OPERATIONS[name].schema.fields, name


def test_a_recording_is_sent_as_a_file_and_its_transcript_printed(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, served):
            (folder / 'what "he" said.txt').write_text("Good morning.\n")
            done = await sh(
                "submit", "audio/transcriptions", *MODEL, '@what "he" said.txt', "--set", "language=en",
                "--set", "temperature=0.5", "--set", 'timestamp_granularities=["word", "segment"]',
                "--set", "response_format=verbose_json", "--fallback", "echo/fail", "--wait",
            )  # fmt: skip
            assert (done.code, done.out) == (0, "Good morning.\n"), done.err
            (id,) = [job["id"] for job in (await sh("jobs", "--json")).json["data"]]
            work = await served.gateway.store.work((await served.gateway.store.ticket(id, None)).job.seq)
            request = json.loads(work.request)
            assert (request["language"], request["temperature"]) == ("en", 0.5)
            assert request["timestamp_granularities"] == ["word", "segment"]
            assert [file.name for file in work.files["file"]] == ['what "he" said.txt']

    run(main())


def test_several_files_go_into_their_fields(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, served):
            for name in ("a.png", "b.png", "hole.png"):
                (folder / name).write_bytes(name.encode())
            done = await sh(
                "submit", "images/edits", *MODEL, "a red hat", "-f", "a.png", "-f", "image=@b.png", "-f",
                "mask=hole.png", "--set", "n=2", "--wait", "--json",
            )  # fmt: skip
            assert done.code == 0, done.err
            work = await served.gateway.store.work((await served.gateway.store.ticket(done.json["id"], None)).job.seq)
            assert json.loads(work.request)["prompt"] == "a red hat"
            sent = {field: [file.path.read_bytes() for file in files] for field, files in work.files.items()}
            assert sent == {"image": [b"a.png", b"b.png"], "mask": [b"hole.png"]}

    run(main())


def test_a_document_is_read_from_a_file_or_an_address(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            (folder / "page.txt").write_text("Once upon a time.")
            done = await sh("submit", "ocr", *MODEL, "@page.txt", "--wait")
            assert (done.code, done.out) == (0, "Once upon a time.\n"), done.err

    run(main())
    png, pdf = "https://example.com/a.png", "https://example.com/a.pdf"
    assert requests.request("ocr", png, {"model": "m"}, []) == {
        "model": "m", "document": {"type": "image_url", "image_url": png},
    }  # fmt: skip
    assert requests.request("ocr", pdf, {"model": "m"}, []) == {
        "model": "m", "document": {"type": "document_url", "document_url": pdf},
    }  # fmt: skip
    (folder / "b.png").write_bytes(b"png")
    url = f"data:image/png;base64,{base64.b64encode(b'png').decode()}"
    assert requests.request("ocr", None, {"model": "m"}, [str(folder / "b.png")]) == {
        "model": "m", "document": {"type": "image_url", "image_url": url},
    }  # fmt: skip


def test_speech_is_saved_as_the_bytes_it_is(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            speak = ("submit", "audio/speech", *MODEL, "Hello.", "--set", "voice=alloy")
            told = await sh(*speak, "--wait")
            assert told.out.endswith(" of sound; -o FILE saves it\n"), told.err
            done = await sh(*speak, "-o", "hello.wav", "--json")
            assert done.code == 0, done.err
            assert "saved hello.wav (" in done.err
            sound = base64.b64decode(done.json["result"]["audio"])
            assert (folder / "hello.wav").read_bytes() == sound
            again = await sh("get", done.json["id"], "-o", "again.wav")
            assert (again.code, again.out) == (0, "")
            assert (folder / "again.wav").read_bytes() == sound
            process = await sh.start("get", done.json["id"], "-o", "-", stdout=asyncio.subprocess.PIPE)
            assert (await process.communicate())[0] == sound
            assert sorted(name for name in os.listdir(folder) if "wav" in name) == ["again.wav", "hello.wav"]

    run(main())


def test_several_images_are_saved_with_numbers(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            draw = ("submit", "images/generations", *MODEL, "a hat", "--set", "n=2")
            done = await sh(*draw, "-o", "hat.png", "--json")
            assert done.code == 0, done.err
            for number, image in enumerate(done.json["result"]["data"], 1):
                assert (folder / f"hat-{number}.png").read_bytes() == base64.b64decode(image["b64_json"])
            piped = await sh("get", done.json["id"], "-o", "-")
            assert (piped.code, piped.out) == (1, "")
            assert "there are 2 images, and standard output takes one: say -o FILE" in piped.err

    run(main())


def test_a_text_is_saved_as_well(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            done = await sh("submit", "completions", *MODEL, "Where is it?", "-o", "answer.txt")
            assert (done.code, done.out) == (0, "")
            assert (folder / "answer.txt").read_text() == "Where is it?\n"
            piped = await sh("submit", "completions", *MODEL, "Where is it?", "-o", "-")
            assert piped.out == "Where is it?\n"
            failed = await sh("submit", "completions", "-m", "echo/fail", "x", "-o", "none.txt")
            assert (failed.code, (folder / "none.txt").exists()) == (3, False)

    run(main())


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["audio/transcriptions", "speech.wav"], 2, "audio/transcriptions takes a file: say @FILE"),
        (["audio/transcriptions"], 2, "which file? Say @FILE"),
        (["ocr", "page.png"], 2, "ocr takes a file: say @FILE"),
        (["completions", "x", "-f", "a.txt"], 2, "completions takes no files; those that do: audio/transcriptions, "),
        (["audio/transcriptions", "@nowhere.wav"], 1, "nowhere.wav cannot be sent: there is no such file"),
        (["images/variations", "-f", "."], 1, ". cannot be sent: it is no file"),
        (["ocr", "@nowhere.png"], 1, "nowhere.png cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_sent_is_said_before_anybody_is_asked(
    folder: Path, run: Any, arguments: list[str], code: int, reason: str
) -> None:
    async def main() -> None:
        done = await Shell(folder, "http://127.0.0.1:9")("submit", *arguments, *MODEL)
        assert (done.code, done.out) == (code, "")
        assert reason in done.err

    run(main())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere/answer.txt", "nowhere/answer.txt cannot be written: No such file"),
        (".", "'.' is not the name of a file"),
        ("", "'' is not the name of a file"),
    ],
)
def test_a_place_that_cannot_be_written_is_said(folder: Path, run: Any, name: str, reason: str) -> None:
    async def main() -> None:
        async with shell(folder) as (sh, _):
            done = await sh("submit", "completions", *MODEL, "x", "-o", name)
            assert done.code == 1
            assert reason in done.err

    run(main())


def test_what_is_no_file_is_written_to_and_not_replaced(folder: Path, run: Any) -> None:
    os.mkfifo(folder / "pipe")

    async def main() -> None:
        async with shell(folder) as (sh, _):
            reading = asyncio.create_task(asyncio.to_thread((folder / "pipe").read_bytes))
            done = await sh("submit", "completions", *MODEL, "through it", "-o", "pipe")
            assert (done.code, await reading) == (0, b"through it\n")
            assert (folder / "pipe").is_fifo()

    run(main())


def test_a_file_that_breaks_off_leaves_what_was_there(folder: Path, run: Any) -> None:
    (folder / "hello.wav").write_bytes(b"before")
    job = {
        "id": "3c90c3cc-0d44-4b50-8888-8dd25736052a", "request_id": "r", "status": "completed", "status_code": 200,
        "created_at": "2030-01-01T00:00:00.000000Z", "completed_at": "2030-01-01T00:00:01.000000Z",
        "expires_at": "2030-01-02T00:00:00.000000Z", "operation": "audio/speech", "model": "echo/echo",
        "result": {"audio": "AAAA"},
    }  # fmt: skip

    async def answer(request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("/content"):
            return web.json_response(job)
        response = web.StreamResponse(headers={"Content-Type": "audio/wav"})
        response.content_length = 1_000_000
        await response.prepare(request)
        await response.write(b"half of it")
        assert request.transport is not None
        request.transport.close()
        return response

    async def main() -> None:
        async with answering(answer) as url:
            done = await Shell(folder, url)("get", job["id"], "-o", "hello.wav")
            assert done.code == 1
            assert "broke off its answer" in done.err
        assert os.listdir(folder) == ["hello.wav"]
        assert (folder / "hello.wav").read_bytes() == b"before"

    run(main())


def test_a_refusal_that_comes_before_all_is_sent_is_told(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with shell(folder, server={"max_upload_bytes": 1_000_000}) as (sh, _):
            with (folder / "large.wav").open("wb") as file:
                file.truncate(50_000_000)
            done = await sh("submit", "audio/transcriptions", *MODEL, "@large.wav")
            assert done.code == 1
            assert "refused: the file is larger than 1000000 bytes" in done.err

    run(main())


@pytest.mark.parametrize(
    ("operation", "result", "expected"),
    [
        ("audio/transcriptions", {"text": "1\n00:00 --> 00:01\nHello.\n"}, "1\n00:00 --> 00:01\nHello."),
        ("audio/speech", {"audio": "AAAA" * 500}, "1.5 kB of sound; -o FILE saves it"),
        ("images/edits", {"data": [{"b64_json": "AAA="}]}, "1 image (2 bytes); -o FILE saves it"),
        (
            "images/generations",
            {"data": [{"b64_json": "AAAA"}, {"b64_json": "AA=="}, {"url": "https://x/y.png"}]},
            "2 images (3 bytes, 1 byte); -o FILE saves them\nhttps://x/y.png",
        ),
        (
            "rerank",
            {"results": [
                {"index": 1, "relevance_score": 0.91234, "document": {"text": "Paris."}},
                {"index": 0, "relevance_score": 0.1},
            ]},
            "0.9123  1  Paris.\n0.1000  0",
        ),
        (
            "moderations",
            {"results": [
                {"flagged": False, "categories": {"hate": False}, "category_scores": {"hate": 0.1}},
                {
                    "flagged": True,
                    "categories": {"hate": True, "sexual": False, "violence": True, "law": True},
                    "category_scores": {"hate": 0.61234, "sexual": 0.3, "violence": 0.9},
                },
            ]},
            "harmless\nharmful: violence 0.9000, hate 0.6123, law",
        ),
        ("ocr", {"pages": [{"markdown": "# One"}, {"markdown": "Two"}]}, "# One\n\nTwo"),
    ],
)  # fmt: skip
def test_answers_with_files_are_put_into_words(operation: str, result: dict[str, Any], expected: str) -> None:
    assert text(operation, result) == expected


def test_a_size_is_as_exact_as_it_is_of_use() -> None:
    assert [size(n) for n in (0, 999, 1000, 53_700, 2_500_000)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "53.7 kB",
        "2.5 MB",
    ]
