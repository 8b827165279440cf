"""Embeddings: vectors that mean something, in both encodings, and counts of what was used."""

import base64
import math
import struct
from typing import Any

import pytest

from coatcheck.engine.calls import Progress
from coatcheck.engine.errors import CallFailed

from .local_models import EMBEDDINGS, Served


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def vectors(served: Served, *texts: str) -> list[list[float]]:
    return [datum["embedding"] for datum in served.ask("embeddings", EMBEDDINGS, input=list(texts))["data"]]


def test_embeddings_have_openais_shape(served: Served) -> None:
    result = served.ask("embeddings", EMBEDDINGS, input=["one", "two", ""])
    assert (result["object"], result["model"]) == ("list", EMBEDDINGS)
    assert [(datum["object"], datum["index"]) for datum in result["data"]] == [("embedding", n) for n in range(3)]
    for datum in result["data"]:
        assert len(datum["embedding"]) == 384
        assert math.isclose(cosine(datum["embedding"], datum["embedding"]), 1, abs_tol=1e-4)
    # Each text has a token at each end.
    assert result["usage"] == {"prompt_tokens": 3 + 3 + 2, "total_tokens": 3 + 3 + 2}


def test_what_means_the_same_is_nearer(served: Served) -> None:
    guitar, instrument, stock = vectors(
        served, "A man plays the guitar.", "Somebody plays an instrument.", "The stock price fell by ten percent."
    )
    assert cosine(guitar, instrument) > 0.5
    assert cosine(guitar, stock) < 0.2


def test_vectors_stand_in_the_order_of_their_texts(served: Served) -> None:
    texts = [f"{'word ' * (number % 7 * 20)}number {number}" for number in range(40)]
    together = vectors(served, *texts)
    for index in (0, 17, 39):
        [alone] = vectors(served, texts[index])
        assert alone == together[index]


def test_base64_holds_the_same_numbers(served: Served) -> None:
    plain = served.ask("embeddings", EMBEDDINGS, input="hello")["data"][0]["embedding"]
    packed = served.ask("embeddings", EMBEDDINGS, input="hello", encoding_format="base64")["data"][0]["embedding"]
    assert struct.unpack("<384f", base64.b64decode(packed)) == pytest.approx(plain, abs=1e-7)


def test_a_text_beyond_256_tokens_is_cut_and_counted_as_cut(served: Served) -> None:
    result = served.ask("embeddings", EMBEDDINGS, input=["word " * 1000, "word"])
    assert result["usage"]["prompt_tokens"] == 256 + 3


def test_progress_counts_inputs(served: Served) -> None:
    heard: list[Progress] = []
    served.ask("embeddings", EMBEDDINGS, heard.append, input=["a"] * 40)
    assert heard[0] == Progress(done=0, total=40, unit="inputs")


@pytest.mark.parametrize(
    ("request_", "param", "reason"),
    [
        ({"input": "a", "dimensions": 256}, "dimensions", "have 384 dimensions and cannot be shortened"),
        ({"input": [1, 2, 3]}, "input[0]", "send the texts themselves"),
        ({"input": ["a", [1]]}, "input[1]", "send the texts themselves"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "float or base64"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    served: Served, request_: dict[str, Any], param: str, reason: str
) -> None:
    with pytest.raises(CallFailed, match=reason) as caught:
        served.ask("embeddings", EMBEDDINGS, **request_)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_384_dimensions_may_be_asked_for(served: Served) -> None:
    assert len(served.ask("embeddings", EMBEDDINGS, input="a", dimensions=384)["data"][0]["embedding"]) == 384
