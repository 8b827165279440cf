"""Servers that speak OpenAI's API, by the word that a `[providers.NAME]` table names them with.

Where a vendor's API lives, the variable its key is usually kept in, and what of the API it has, as its own client
library or documents say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

CHAT = "chat/completions"
TEXT = "completions"
RESPONSES = "responses"
EMBEDDINGS = "embeddings"
SPEECH = "audio/speech"
TRANSCRIPTIONS = "audio/transcriptions"
IMAGES = "images/generations"
EDITS = "images/edits"
VARIATIONS = "images/variations"
RERANK = "rerank"
OCR = "ocr"
MODERATIONS = "moderations"

#: All that a server of this kind can be asked for.
OPERATIONS = (
    CHAT, TEXT, RESPONSES, EMBEDDINGS, SPEECH, TRANSCRIPTIONS, IMAGES, EDITS, VARIATIONS, RERANK, OCR, MODERATIONS,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Preset:
    #: Empty: the configuration must give it.
    base_url: str
    #: The environment variable of the key; None: none is needed.
    key_env: str | None
    operations: tuple[str, ...]
    #: The name under which a chat's token limit is sent.
    max_tokens_field: str = "max_tokens"
    #: Whether it runs on a machine of one's own, where a call has no price.
    self_hosted: bool = False
    #: Whether it knows what other vendors' APIs have beyond OpenAI's, as cache marks, signed thoughts and `reasoning`.
    extras: bool = False
    #: Where it does not: more keys that it refuses in a chat's messages, though others take them.
    refused: frozenset[str] = frozenset()
    #: Whether it is to be asked for the counts of a stream of chat; others tell them unasked.
    stream_options: bool = True
    #: Fields of a request that have other names here, by operation; "" for those that it refuses, and nothing lacks.
    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: Whether a form's lists are fields `name[]`, and not `name` several times.
    brackets: bool = True
    #: What "b64_json" is called among the formats of images.
    b64_json: str = "b64_json"
    #: Models that it is known to have for an operation, the default first.
    usual: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Where a result's `usage` says what the call cost in US dollars, if it does.
    cost: tuple[str, ...] = ()


def _own(port: int, *operations: str, max_tokens_field: str = "max_tokens") -> Preset:
    return Preset(
        base_url=f"http://127.0.0.1:{port}/v1",
        key_env=None,
        operations=operations,
        max_tokens_field=max_tokens_field,
        self_hosted=True,
    )


_NEWER = "max_completion_tokens"
_GPT_IMAGES = (
    *("gpt-image-2.5-flare", "gpt-image-2.5-sunburst", "gpt-image-2", "gpt-image-1.5", "gpt-image-1-mini"),
    "chatgpt-image-latest",
)
_THOUGHTS = frozenset({"reasoning", "reasoning_content"})

PRESETS: Mapping[str, Preset] = {
    "openai": Preset(
        base_url="https://api.openai.com/v1",
        key_env="OPENAI_API_KEY",
        operations=(CHAT, TEXT, RESPONSES, EMBEDDINGS, SPEECH, TRANSCRIPTIONS, IMAGES, EDITS, VARIATIONS, MODERATIONS),
        max_tokens_field=_NEWER,
        refused=_THOUGHTS,
        usual={
            EMBEDDINGS: ("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"),
            SPEECH: ("gpt-4o-mini-tts", "tts-1", "tts-1-hd"),
            TRANSCRIPTIONS: ("gpt-transcribe", "whisper-1", "gpt-4o-mini-transcribe", "gpt-4o-transcribe"),
            IMAGES: _GPT_IMAGES,
            EDITS: _GPT_IMAGES,
            MODERATIONS: ("omni-moderation-latest",),
        },
    ),
    "azure": Preset(
        base_url="",
        key_env="AZURE_OPENAI_API_KEY",
        operations=(CHAT, TEXT, RESPONSES, EMBEDDINGS, SPEECH, TRANSCRIPTIONS, IMAGES, EDITS),
        max_tokens_field=_NEWER,
        refused=_THOUGHTS,
    ),
    "groq": Preset(
        base_url="https://api.groq.com/openai/v1",
        key_env="GROQ_API_KEY",
        operations=(CHAT, RESPONSES, EMBEDDINGS, SPEECH, TRANSCRIPTIONS),
        max_tokens_field=_NEWER,
        usual={
            SPEECH: ("canopylabs/orpheus-v1-english",),
            TRANSCRIPTIONS: ("whisper-large-v3-turbo", "whisper-large-v3"),
        },
    ),
    "mistral": Preset(
        base_url="https://api.mistral.ai/v1",
        key_env="MISTRAL_API_KEY",
        operations=(CHAT, RESPONSES, EMBEDDINGS, SPEECH, TRANSCRIPTIONS, OCR, MODERATIONS),
        refused=frozenset({"reasoning", "reasoning_content", "refusal", "annotations", "audio"}),
        stream_options=False,
        brackets=False,
        usual={
            EMBEDDINGS: ("mistral-embed",),
            TRANSCRIPTIONS: ("voxtral-mini-latest",),
            OCR: ("mistral-ocr-latest",),
            MODERATIONS: ("mistral-moderation-latest",),
        },
        names={
            CHAT: {"seed": "random_seed", "user": "", "safety_identifier": ""},
            SPEECH: {"voice": "voice_id"},
        },
    ),
    "deepseek": Preset(base_url="https://api.deepseek.com/v1", key_env="DEEPSEEK_API_KEY", operations=(CHAT,)),
    "together": Preset(
        base_url="https://api.together.ai/v1",
        key_env="TOGETHER_API_KEY",
        operations=(CHAT, TEXT, EMBEDDINGS, SPEECH, TRANSCRIPTIONS, IMAGES, RERANK),
        b64_json="base64",
        usual={TRANSCRIPTIONS: ("openai/whisper-large-v3",), IMAGES: ("black-forest-labs/FLUX.1-schnell",)},
    ),
    "fireworks": Preset(
        base_url="https://api.fireworks.ai/inference/v1",
        key_env="FIREWORKS_API_KEY",
        operations=(CHAT, TEXT, RESPONSES, EMBEDDINGS, RERANK),
    ),
    "openrouter": Preset(
        base_url="https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        operations=(CHAT, TEXT, RESPONSES, EMBEDDINGS),
        extras=True,
        usual={EMBEDDINGS: ("openai/text-embedding-3-small",)},
        cost=("cost",),
    ),
    "xai": Preset(
        base_url="https://api.x.ai/v1",
        key_env="XAI_API_KEY",
        operations=(CHAT, RESPONSES, IMAGES),
        max_tokens_field=_NEWER,
        usual={IMAGES: ("grok-imagine-image",)},
    ),
    "perplexity": Preset(
        base_url="https://api.perplexity.ai",
        key_env="PERPLEXITY_API_KEY",
        operations=(CHAT,),
        cost=("cost", "total_cost"),
    ),
    "cerebras": Preset(
        base_url="https://api.cerebras.ai/v1",
        key_env="CEREBRAS_API_KEY",
        operations=(CHAT, TEXT),
        max_tokens_field=_NEWER,
    ),
    "nebius": Preset(
        base_url="https://api.tokenfactory.nebius.com/v1",
        key_env="NEBIUS_API_KEY",
        operations=(CHAT, TEXT, EMBEDDINGS, IMAGES),
    ),
    "nvidia": Preset(
        base_url="https://integrate.api.nvidia.com/v1",
        key_env="NVIDIA_API_KEY",
        operations=(CHAT, TEXT, EMBEDDINGS),
    ),
    "ollama": _own(11434, CHAT, TEXT, RESPONSES, EMBEDDINGS),
    "vllm": _own(8000, CHAT, TEXT, RESPONSES, EMBEDDINGS, TRANSCRIPTIONS, RERANK, max_tokens_field=_NEWER),
    "sglang": _own(30000, CHAT, TEXT, RESPONSES, EMBEDDINGS, RERANK, max_tokens_field=_NEWER),
    "llama.cpp": _own(8080, CHAT, TEXT, RESPONSES, EMBEDDINGS, RERANK),
    "lmstudio": _own(1234, CHAT, TEXT, RESPONSES, EMBEDDINGS),
}
