"""Images, by generations, or by edits where there are images to begin from."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ...engine.calls import Call, Reply
from ...engine.errors import Unusable
from .ways import Asked


class Generation:
    operations: ClassVar[tuple[str, ...]] = ("images/generations", "images/edits")

    async def ask(self, call: Call, kind: str, own: Mapping[str, Any]) -> Asked:
        given = call.request["input"]
        request: dict[str, Any] = {"prompt": given["text"], "response_format": "b64_json"}
        if "resolution" in given:
            request["size"] = given["resolution"]
        if "num_images" in given:
            request["n"] = given["num_images"]
        if not call.files.get("reference_images"):
            return Asked(operation="images/generations", request=request)
        files = {"image": call.files["reference_images"]}
        if "mask" in call.files:
            files["mask"] = call.files["mask"]
        return Asked(operation="images/edits", request=request, files=files)

    def answer(self, made: Call, result: dict[str, Any], reply: Reply) -> dict[str, Any]:
        data = result.get("data")
        links = {file.placeholder: file.link for file in reply.files}
        items: list[dict[str, Any]] = []
        for image in data if isinstance(data, list) else ():
            told = image if isinstance(image, dict) else {}
            placeholder, url = told.get("b64_json"), told.get("url")
            if placeholder in links:
                items.append({"image": placeholder, "image_resource_url": links[placeholder]})
            elif isinstance(url, str):
                items.append({"image": None, "image_resource_url": url})
            else:
                raise Unusable("the provider answered with an image that is neither a file nor an address")
        if not items:
            raise Unusable("the provider answered without images")
        return {"items": items}
