"""Rerank: what answers the query comes first, with a score from 0 to 1."""

from typing import Any

import pytest

from coatcheck.engine.errors import CallFailed

from .local_models import EMBEDDINGS, Served

QUERY = "Who plays an instrument?"
DOCUMENTS = [
    {"text": "The stock price fell by ten percent."},
    {"text": "A man is playing the guitar.", "id": "guitar", "meta": {"page": 3}},
    {"text": "The harbour lies in the fog."},
]


def rerank(served: Served, **request: Any) -> dict[str, Any]:
    return served.ask("rerank", EMBEDDINGS, **{"query": QUERY, "documents": DOCUMENTS, **request})


def test_the_documents_come_by_their_relevance(served: Served) -> None:
    result = rerank(served)
    assert result["model"] == EMBEDDINGS
    assert result["results"][0]["index"] == 1
    assert sorted(found["index"] for found in result["results"]) == [0, 1, 2]
    scores = [found["relevance_score"] for found in result["results"]]
    assert scores == sorted(scores, reverse=True)
    assert 0.4 < scores[0] <= 1
    assert 0 <= scores[2] <= scores[1] < 0.2
    assert not any("document" in found for found in result["results"])
    assert result["usage"]["total_tokens"] == result["usage"]["prompt_tokens"] > 20


def test_only_the_best_are_told_and_documents_come_back_whole(served: Served) -> None:
    result = rerank(served, top_n=1, return_documents=True)
    [found] = result["results"]
    assert found["document"] == DOCUMENTS[1]
    assert len(rerank(served, top_n=50)["results"]) == 3


def test_the_same_text_is_wholly_relevant(served: Served) -> None:
    [found] = rerank(served, documents=[{"text": QUERY}])["results"]
    assert found["relevance_score"] == pytest.approx(1, abs=1e-4)


def test_equals_stay_in_their_order(served: Served) -> None:
    result = rerank(served, documents=[{"text": "same"}] * 5)
    assert [found["index"] for found in result["results"]] == [0, 1, 2, 3, 4]


def test_documents_are_cut_where_the_request_says(served: Served) -> None:
    long = [{"text": "word " * 200 + QUERY}]
    assert rerank(served, documents=long, max_tokens_per_doc=16)["usage"]["total_tokens"] < 30
    assert rerank(served, documents=long)["usage"]["total_tokens"] > 200
    with pytest.raises(CallFailed, match="max_tokens_per_doc is at least 3") as caught:
        rerank(served, max_tokens_per_doc=1)
    assert (caught.value.status, caught.value.param) == (400, "max_tokens_per_doc")
