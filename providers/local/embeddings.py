"""Embedding models in a worker: sentences become vectors by onnxruntime and our own tokenizer, and are compared."""

import base64
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson

from ..refusals import refusal
from ..workers.task import Task
from .wordpiece import WordPiece

_DIMENSIONS = 384
_MAX_TOKENS = 256
#: The two that mark the ends, and one between them.
_MIN_TOKENS = 3

Vector = np.ndarray[Any, np.dtype[np.float32]]


class EmbeddingModel:
    def __init__(self, *, model: str, path: str) -> None:
        self._name = model
        self._tokenizer = WordPiece.load(Path(path).with_name("tokenizer.json"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) - 1)
        options.log_severity_level = 3
        # Memory that a long text took is given back after it.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        return self._rerank(request, task) if operation == "rerank" else self._embed(request, task)

    def _embed(self, request: dict[str, Any], task: Task) -> bytes:
        texts = _texts(request)
        if request.get("dimensions") not in (None, _DIMENSIONS):
            raise refusal(
                f"The vectors of {self._name} have {_DIMENSIONS} dimensions and cannot be shortened: leave dimensions "
                f"away, or shorten the vectors yourself.",
                "dimensions",
            )
        encoding = request.get("encoding_format") or "float"
        if encoding not in ("float", "base64"):
            raise refusal("encoding_format is float or base64.", "encoding_format")
        vectors, used = self._vectors(texts, _MAX_TOKENS, task)
        result = {
            "object": "list",
            "model": self._name,
            "data": [
                {"object": "embedding", "index": index, "embedding": _rendered(vector, encoding)}
                for index, vector in enumerate(vectors)
            ],
            "usage": {"prompt_tokens": used, "total_tokens": used},
        }
        return orjson.dumps(result, option=orjson.OPT_SERIALIZE_NUMPY)

    def _rerank(self, request: dict[str, Any], task: Task) -> bytes:
        """Query and documents are embedded by themselves and compared: quicker than a model that reads them
        together, and less sharp."""
        documents = request["documents"]
        limit = min(request.get("max_tokens_per_doc") or _MAX_TOKENS, _MAX_TOKENS)
        if limit < _MIN_TOKENS:
            raise refusal(f"max_tokens_per_doc is at least {_MIN_TOKENS}.", "max_tokens_per_doc", "invalid_value")
        texts = [request["query"], *(document["text"] for document in documents)]
        [query, *vectors], used = self._vectors(texts, limit, task)
        likeness = [float(vector @ query) for vector in vectors]
        best = sorted(range(len(documents)), key=lambda index: (-likeness[index], index))[: request.get("top_n")]
        results = [
            {
                "index": index,
                # What points away from the query is as irrelevant as what has nothing to do with it.
                "relevance_score": round(min(max(likeness[index], 0.0), 1.0), 6),
                **({"document": documents[index]} if request.get("return_documents") else {}),
            }
            for index in best
        ]
        usage = {"prompt_tokens": used, "total_tokens": used}
        return orjson.dumps({"model": self._name, "results": results, "usage": usage})

    def _vectors(self, texts: list[str], limit: int, task: Task) -> tuple[list[Vector], int]:
        """The texts' vectors, and the tokens that they have together; each is cut after so many."""
        vectors: list[Vector] = []
        used = 0
        task.progress(0, len(texts), "inputs")
        # One text a run: a batch gains nothing on a CPU, and costs memory and padding.
        for text in texts:
            task.go_on()
            tokens = self._tokenizer.encode(text, limit=limit)
            used += len(tokens)
            vectors.append(self._vector(tokens))
            task.progress(len(vectors), len(texts), "inputs")
        return vectors, used

    def _vector(self, tokens: list[int]) -> Vector:
        ids = np.array([tokens], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        [hidden] = self._session.run(["last_hidden_state"], inputs)
        mean: Vector = np.asarray(hidden, dtype=np.float32)[0].mean(axis=0)
        return mean / np.linalg.norm(mean)


def _texts(request: dict[str, Any]) -> list[str]:
    texts = request["input"]
    if isinstance(texts, str):
        return [texts]
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise refusal(
                "Token arrays belong to the tokenizer of another model: send the texts themselves.", f"input[{index}]"
            )
    return list(texts)


def _rendered(vector: Vector, encoding: str) -> Any:
    if encoding == "float":
        return vector
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
