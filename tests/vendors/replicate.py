"""A server that speaks Replicate's API."""

import base64
from collections.abc import Callable
from typing import Any

from aiohttp import web

from coatcheck.engine.calls import Usage

from .vendor import Attachment, Case, Done, Seen, Vendor, bearer, saying

ID = "gm3qorzdhgbfurvjtvhg6dckhu"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
OUTPUT = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
SMALL = Attachment(name="cat.png", media_type="image/png", content=PNG)
LARGE = Attachment(name="", media_type="image/jpeg", content=b"\xff\xd8" + bytes(300 * 1024))
UPLOADED = "https://api.replicate.com/v1/files/ZTc5"


def prediction(status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "model": "acme/painter",
        "version": "hidden",
        "input": {},
        "logs": "",
        "output": None,
        "error": None,
        "data_removed": False,
        "status": status,
        "created_at": "2026-03-01T12:00:00.000Z",
        "urls": {"get": "https://elsewhere.invalid/", "cancel": "https://elsewhere.invalid/cancel"},
        **more,
    }


def model_object(**inputs: Any) -> dict[str, Any]:
    """A model whose latest version has these inputs; one that has words names them in a part of its own."""
    parts = {
        name: {"enum": words, "type": "string"} for name, said in inputs.items() if (words := said.pop("words", None))
    }
    properties = {
        name: {"allOf": [{"$ref": f"#/components/schemas/{name}"}], **said} if name in parts else said
        for name, said in inputs.items()
    }
    schemas = {"Input": {"type": "object", "properties": properties}, **parts}
    return {
        "owner": "acme",
        "name": "painter",
        "latest_version": {"openapi_schema": {"components": {"schemas": schemas}}},
    }


def answering(model: dict[str, Any], output: Any = OUTPUT) -> Callable[[Seen], web.StreamResponse]:
    """Has every prediction ready when it is first asked after."""

    def answer(seen: Seen) -> web.StreamResponse:
        match seen.method, seen.segments[1:]:
            case "GET", ["models", *_]:
                return saying(model)(seen)
            case "POST", ["files"]:
                return saying({"id": "ZTc5", "urls": {"get": UPLOADED}}, 201)(seen)
            case "POST", ["predictions"] | ["deployments", _, _, "predictions"]:
                return saying(prediction("starting"), 201)(seen)
            case "GET", ["predictions", id] if id == ID:
                return saying(prediction("succeeded", output=output))(seen)
        return saying({"detail": f"no such route: {seen.method} {seen.raw_path}"}, 404)(seen)

    return answer


def launched(seen: list[Seen]) -> Any:
    """The body of the request that launched the prediction, after checking that it was the only one."""
    (launch,) = (each for each in seen if each.method == "POST" and each.raw_path.endswith("/predictions"))
    assert launch.headers["Cancel-After"] == "600s"
    assert "Prefer" not in launch.headers
    return launch.json


def check_generation(seen: list[Seen], done: Done) -> None:
    assert [each.raw_path for each in seen] == [
        *("/v1/models/acme/painter", "/v1/predictions", f"/v1/predictions/{ID}"),
    ]
    assert launched(seen) == {
        "version": "acme/painter",
        "input": {
            "prompt": "a cat",
            "num_outputs": 2,
            "aspect_ratio": "3:2",
            "output_format": "jpg",
            "output_quality": 80,
            "seed": 7,
            "go_fast": True,
        },
    }
    (entry, other) = done.result["data"]
    assert entry == {"index": 0, "b64_json": done.reply.files[0].placeholder}
    assert other["index"] == 1
    assert done.files == [PNG, PNG]
    assert {file.media_type for file in done.reply.files} == {"image/png"}
    assert done.result["created"] == 1772366400
    assert done.reply.usage == Usage(images=2)
    assert done.reply.model == "acme/painter"


def check_edit(seen: list[Seen], done: Done) -> None:
    upload = seen[1]
    assert upload.raw_path == "/v1/files"
    (part,) = upload.parts
    assert (part.name, part.file_name, part.media_type) == ("content", "file.jpg", "image/jpeg")
    assert part.content == LARGE.content
    assert launched(seen) == {
        "version": "acme/painter",
        "input": {"prompt": "a hat", "input_images": [UPLOADED, OUTPUT], "mask": OUTPUT},
    }
    assert done.files == [PNG]


def check_variation(seen: list[Seen], done: Done) -> None:
    assert launched(seen) == {"version": "5c7d5dc6", "input": {"image": OUTPUT}}
    assert done.files == [PNG]


def model(seen: Seen) -> str | None:
    return str(seen.json["version"]) if seen.method == "POST" and seen.segments[1:] == ["predictions"] else None


VENDOR = Vendor(
    kind="replicate",
    cases=(
        Case(
            operation="images/generations",
            model="acme/painter",
            request={
                "prompt": "a cat",
                "n": 2,
                "size": "1536x1024",
                "output_format": "jpeg",
                "output_compression": 80,
                "seed": 7,
                "go_fast": True,
                "user": "me",
            },
            answer=answering(
                model_object(
                    prompt={"type": "string"},
                    num_outputs={"type": "integer"},
                    aspect_ratio={"words": ["1:1", "3:2", "16:9"]},
                    output_format={"words": ["webp", "jpg", "png"]},
                    output_quality={"type": "integer"},
                    seed={"type": "integer"},
                ),
                [OUTPUT, OUTPUT],
            ),
            check=check_generation,
        ),
        Case(
            operation="images/edits",
            model="acme/painter",
            request={"prompt": "a hat", "n": 1, "response_format": "b64_json", "size": "auto"},
            files={"image": (LARGE, SMALL), "mask": (SMALL,)},
            answer=answering(
                model_object(prompt={"type": "string"}, input_images={"type": "array"}, mask={"type": "string"})
            ),
            check=check_edit,
        ),
        Case(
            operation="images/variations",
            model="5c7d5dc6",
            request={},
            files={"image": (SMALL,)},
            answer=answering({}),
            check=check_variation,
        ),
    ),
    error=lambda message: {"title": "No", "detail": message},
    model=model,
    key=bearer,
    path="/v1",
    options={"poll_seconds": 0.001},
)
