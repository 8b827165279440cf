"""The files that the input of a feature names: where they may stand, and that they come to its job."""

from pathlib import Path
from typing import Any

import pytest

from .clients import Client, client
from .universal import JOBS, create, detail

HELLO, PICTURE = "data:text/plain;base64,aGVsbG8=", "data:image/png;base64,iVBORw0KGgo="
DRAW = "image/generation/echo/hang"


async def files(c: Client, input: dict[str, Any], model: str = DRAW) -> dict[str, list[bytes]]:
    """The files of the job that was made, by their roles."""
    id = (await create(c, {"model": model, "input": input}, wait=0))["public_id"]
    ticket = await c.served.gateway.store.ticket(id, None)
    assert ticket is not None
    work = await c.served.gateway.store.work(ticket.job.seq)
    assert work is not None
    return {role: [file.path.read_bytes() for file in found] for role, found in work.files.items()}


@pytest.mark.parametrize("field", ["file", "file_id", "file_url"])
def test_a_file_has_three_names(folder: Path, run: Any, field: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            assert await files(c, {field: HELLO}, "ocr/ocr/echo/hang") == {"file": [b"hello"]}
            # What is null is not there.
            found = await files(c, {"file": None, field: HELLO}, "ocr/ocr/echo/hang")
            assert found == {"file": [b"hello"]}
            read = await create(c, {"model": "audio/speech_to_text/echo", "input": {field: HELLO}})
            assert read["output"]["text"] == "hello"

    run(main())


def test_pictures_to_go_by_are_texts_or_objects_in_a_list(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            given = {"text": "a coat", "reference_images": [PICTURE, {"file": HELLO, "kind": "style"}], "mask": PICTURE}
            found = await files(c, given)
            assert {role: len(images) for role, images in found.items()} == {"reference_images": 2, "mask": 1}
            assert found["reference_images"][1] == b"hello"
            for wrong, where in (
                ({"reference_images": [PICTURE, 5]}, ["reference_images", 1]),
                ({"reference_images": [{"kind": "style"}]}, ["reference_images", 0, "file"]),
                ({"reference_images": ["abc123"]}, ["reference_images", 0]),
                ({"reference_images": [PICTURE] * 100}, ["reference_images"]),
                ({"mask": [PICTURE], "reference_images": [PICTURE]}, ["mask"]),
                ({"mask": PICTURE}, ["mask"]),
            ):
                answer = await c.ask("POST", JOBS, {"model": DRAW, "input": {"text": "a coat", **wrong}})
                assert answer.status == 422, wrong
                assert detail(answer)["loc"] == ["body", "input", *where]

    run(main())


def test_an_upload_is_used_and_one_that_is_not_there_is_a_404(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            gone = {"model": "ocr/ocr/echo", "input": {"file": "7f0c2d5e-4b1a-4e0f-9c39-51c0a7a3f1de"}}
            answer = await c.ask("POST", JOBS, gone)
            assert answer.status == 404
            assert "file not found or expired" in detail(answer)

    run(main())


def test_what_is_refused_leaves_no_file(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, jobs={"max_pending": 1}) as c:
            kept = list((folder / "blobs").rglob("*"))
            for body in (
                {"model": "ocr/ocr/echo/none", "input": {"file": HELLO}},
                {"model": "ocr/ocr/echo", "input": {"file": HELLO, "language": 5}},
                {"model": "image/generation/echo", "input": {"text": "a", "reference_images": [HELLO, "abc123"]}},
            ):
                assert (await c.ask("POST", JOBS, body)).status in (400, 422)
            assert list((folder / "blobs").rglob("*")) == kept

    run(main())
