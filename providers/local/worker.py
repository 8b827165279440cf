"""The worker process: loads one model, then carries out calls, one thread each, until its input ends.

Run as `python -m coatcheck.providers.local.worker FAMILY ARGUMENTS`; `workers/frames.py` says what is spoken.
A native abort ends this process and not the gateway, and its memory comes back when it goes.
"""

import os
import platform
import sys
from pathlib import Path
from typing import Any

import orjson

from ...engine.errors import NotConfigured
from ..workers.gateway import Model, run
from .weights import Family

_CPU_FLAGS = frozenset({"avx2", "bmi2", "f16c", "fma"})


def load(family: str, arguments: dict[str, Any]) -> Model:
    """Raises `NotConfigured` where this machine cannot run the model, and says what would help."""
    model = arguments["model"]
    try:
        return _loaded(Family(family), arguments)
    except ImportError as error:
        raise NotConfigured(
            f"Local models need the package {error.name or error}: run `pip install 'coatcheck[local]'`.",
            code="package_missing",
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise NotConfigured(
            f"The model {model} cannot be loaded ({error}). Is there memory enough, and is its file whole? If not, "
            f"delete it and run `coatcheck models pull {model}`.",
            code="model_not_loaded",
        ) from error


def _loaded(family: Family, arguments: dict[str, Any]) -> Model:
    """Imports what this family needs, and nothing else."""
    match family:
        case Family.CHAT:
            _check_cpu()
            from .chat import ChatModel

            return ChatModel(**arguments)
        case Family.EMBEDDINGS:
            from .embeddings import EmbeddingModel

            return EmbeddingModel(**arguments)
        case Family.SPEECH:
            from .speech import SpeechModel

            return SpeechModel(**arguments)
        case Family.TRANSCRIPTION:
            from .transcription import TranscriptionModel

            return TranscriptionModel(**arguments)
        case Family.OCR:
            from .ocr import OcrModel

            return OcrModel(**arguments)
        case Family.IMAGES if arguments["model"] == "procedural-1":
            from .drawing import DrawingModel

            return DrawingModel(**arguments)
        case Family.IMAGES:
            from .styles import StyleModel

            return StyleModel(**arguments)
        case Family.LANGUAGES:
            from .languages import LanguageModel

            return LanguageModel(**arguments)


def _check_cpu() -> None:
    """The chat library is built for these instructions and would end the process on a CPU without them."""
    if platform.machine() != "x86_64":
        return
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), None)
    if flags is not None and (lacking := _CPU_FLAGS - flags):
        raise NotConfigured(
            f"Local chat models need a CPU with {', '.join(sorted(lacking)).upper()}: use another provider.",
            code="cpu_not_supported",
        )


def main(family: str, arguments: str) -> None:
    # What is to be downloaded is pulled, by `coatcheck models pull`; no library goes looking for it.
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Else ONNX Runtime tells its makers of every session that it opens.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    run(lambda _: load(family, orjson.loads(arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
