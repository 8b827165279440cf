"""What a client asks of rerank."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ..engine.errors import InvalidRequest
from .fields import Examples, Flag, Integer, ListOf, Object, OneOf, Shape, Text
from .requests import Request


class Document(Shape):
    text = Text(required=True)
    id = Text()
    meta = Object()

    def check(self, sent: dict[str, Any]) -> None:
        # A text that is missing is asked for in the dialect's own words: see `RerankRequest.demand`.
        self.check_types(sent)


class RerankRequest(Request):
    solid: ClassVar[tuple[str, ...]] = ("model", "query")

    query = Text("What the documents are held against.", required="query is required for rerank")
    documents = ListOf(
        OneOf(Object(Document), Text()),
        of="documents",
        about="What is to be put in order: texts, or objects that hold them.",
        required="documents are required for rerank",
    )
    top_n = Integer("How many of the best to answer; all by default.", minimum=1, refusal="top_n must be at least 1")
    max_tokens_per_doc = Integer("Longer documents are cut.", minimum=1)
    priority = Integer("Passed on to the provider; a job's own priority is a header's.")
    return_documents = Flag("Whether the answer repeats the documents.")

    examples: ClassVar[Examples] = {
        "Three texts": {
            "model": "echo/echo",
            "query": "What is the capital of France?",
            "documents": ["Paris is the capital of France.", "Bern is in Switzerland.", "Snow is white."],
        },
        "The best one": {
            "model": "echo/echo",
            "query": "a fox",
            "documents": [{"id": "a", "text": "A quick brown fox."}, {"id": "b", "text": "A lazy dog."}],
            "top_n": 1,
            "return_documents": True,
        },
    }

    def normalise(self, body: dict[str, Any]) -> None:
        if "documents" in body:
            body["documents"] = [{"text": one} if isinstance(one, str) else one for one in body["documents"]]

    def demand(self, body: Mapping[str, Any]) -> None:
        for index, document in enumerate(body["documents"]):
            if not (document.get("text") or "").strip():
                message = f"document text is required for rerank at index {index}"
                raise InvalidRequest(message, param=f"documents[{index}].text")
