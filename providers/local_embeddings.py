"""Embedding models in a worker: sentences become vectors by onnxruntime and our own tokenizer."""

import base64
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson

from ..engine.errors import CallFailed
from .local_task import Task
from .wordpiece import WordPiece

_DIMENSIONS = 384
_MAX_TOKENS = 256
#: Texts of one run of the network; more would cost memory and gain nothing.
_BATCH = 16


class EmbeddingModel:
    def __init__(self, *, model: str, path: str) -> None:
        self._name = model
        self._tokenizer = WordPiece.load(Path(path).with_name("tokenizer.json"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, len(os.sched_getaffinity(0)) - 1)
        options.log_severity_level = 3
        # Memory that one long batch took is given back after it.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(self, operation: str, request: dict[str, Any], task: Task) -> bytes:
        texts = _texts(request)
        if request.get("dimensions") not in (None, _DIMENSIONS):
            raise _refusal(
                f"The vectors of {self._name} have {_DIMENSIONS} dimensions and cannot be shortened: leave dimensions "
                f"away, or shorten the vectors yourself.",
                "dimensions",
            )
        encoding = request.get("encoding_format") or "float"
        if encoding not in ("float", "base64"):
            raise _refusal("encoding_format is float or base64.", "encoding_format")
        tokens = []
        for number, text in enumerate(texts):
            if number % _BATCH == 0:
                task.go_on()
            tokens.append(self._tokenizer.encode(text, limit=_MAX_TOKENS))
        vectors = self._vectors(tokens, task)
        used = sum(map(len, tokens))
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

    def _vectors(self, tokens: list[list[int]], task: Task) -> np.ndarray[Any, np.dtype[np.float32]]:
        vectors = np.empty((len(tokens), _DIMENSIONS), dtype=np.float32)
        # Texts of similar length share a batch, so that little is computed for padding.
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
        task.progress(0, len(tokens), "inputs")
        for start in range(0, len(order), _BATCH):
            task.go_on()
            batch = order[start : start + _BATCH]
            vectors[batch] = self._run([tokens[index] for index in batch])
            task.progress(start + len(batch), len(tokens), "inputs")
        return vectors

    def _run(self, tokens: list[list[int]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        width = max(map(len, tokens))
        ids = np.zeros((len(tokens), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)
        weights = mask[..., None].astype(np.float32)
        mean = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        normal: np.ndarray[Any, np.dtype[np.float32]] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return normal


def _texts(request: dict[str, Any]) -> list[str]:
    texts = request["input"]
    if isinstance(texts, str):
        return [texts]
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise _refusal(
                "Token arrays belong to the tokenizer of another model: send the texts themselves.", f"input[{index}]"
            )
    return list(texts)


def _rendered(vector: np.ndarray[Any, np.dtype[np.float32]], encoding: str) -> Any:
    if encoding == "float":
        return vector
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _refusal(message: str, param: str) -> CallFailed:
    return CallFailed(message, status=400, type="invalid_request_error", code="unsupported_parameter", param=param)
