"""Embeddings, by the operation of that name."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ...engine.calls import Call, Reply
from ...engine.errors import Unusable
from .ways import Asked


class Embeddings:
    operations: ClassVar[tuple[str, ...]] = ("embeddings",)

    async def ask(self, call: Call, kind: str, own: Mapping[str, Any]) -> Asked:
        given = call.request["input"]
        request: dict[str, Any] = {"input": given["texts"], "encoding_format": "float"}
        if "dimensions" in given:
            request["dimensions"] = given["dimensions"]
        return Asked(operation="embeddings", request=request)

    def answer(self, made: Call, result: dict[str, Any], reply: Reply) -> dict[str, Any]:
        data = result.get("data")
        texts = made.request["input"]
        if not isinstance(data, list) or len(data) != len(texts):
            raise Unusable("the provider did not answer with one vector for each text")
        found: dict[int, list[float]] = {}
        for place, item in enumerate(data):
            vector = item.get("embedding") if isinstance(item, dict) else None
            if not isinstance(vector, list):
                raise Unusable("the provider answered with a vector that is no list of numbers")
            index = item.get("index")
            found[index if isinstance(index, int) else place] = vector
        if found.keys() != set(range(len(texts))):
            raise Unusable("the provider did not say which vector is which text's")
        return {"items": [{"embedding": found[place]} for place in range(len(texts))]}
