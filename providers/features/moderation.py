"""Moderation, by the operation `moderations`: the provider's categories as those of the feature."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ...engine.calls import Call, Reply
from ...engine.errors import Unusable
from .ways import Asked

_OTHER = ("Other", "Other")
#: The feature's category and subcategory, by the name that OpenAI or Mistral has for it.
_CATEGORIES: Mapping[str, tuple[str, str]] = {
    "harassment": ("HateAndExtremism", "Harassment"),
    "harassment/threatening": ("HateAndExtremism", "Threatening"),
    "hate": ("HateAndExtremism", "Hate"),
    "hate/threatening": ("HateAndExtremism", "Threatening"),
    "hate_and_discrimination": ("HateAndExtremism", "Hate"),
    "illicit": ("Content", "Legal"),
    "illicit/violent": ("Violence", "Violence"),
    "dangerous_and_criminal_content": ("Content", "PublicSafety"),
    "dangerous": ("Content", "PublicSafety"),
    "criminal": ("Content", "Legal"),
    "self-harm": ("Content", "Health"),
    "self-harm/intent": ("Content", "Health"),
    "self-harm/instructions": ("Content", "Health"),
    "selfharm": ("Content", "Health"),
    "health": ("Content", "Medical"),
    "financial": ("Finance", "Finance"),
    "law": ("Content", "Legal"),
    "sexual": ("Sexual", "Sexual"),
    "sexual/minors": ("Sexual", "Sexual"),
    "violence": ("Violence", "Violence"),
    "violence/graphic": ("Violence", "GraphicViolenceOrGore"),
    "violence_and_threats": ("Violence", "Violence"),
}


class Moderation:
    operations: ClassVar[tuple[str, ...]] = ("moderations",)

    async def ask(self, call: Call, kind: str, own: Mapping[str, Any]) -> Asked:
        return Asked(operation="moderations", request={"input": call.request["input"]["text"]})

    def answer(self, made: Call, result: dict[str, Any], reply: Reply) -> dict[str, Any]:
        results = result.get("results")
        told = results[0] if isinstance(results, list) and results else None
        scores = told.get("category_scores") if isinstance(told, dict) else None
        if not isinstance(scores, dict) or not scores:
            raise Unusable("the provider answered without scores")
        items = [_item(label, score) for label, score in scores.items() if _is_score(score)]
        items.sort(key=lambda item: -item["likelihood_score"])
        most = items[0] if items else {"likelihood": 0, "likelihood_score": 0.0}
        return {
            "nsfw_likelihood": most["likelihood"],
            "nsfw_likelihood_score": most["likelihood_score"],
            "items": items,
        }


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _item(label: str, score: float) -> dict[str, Any]:
    score = min(max(float(score), 0.0), 1.0)
    category, subcategory = _CATEGORIES.get(label, _OTHER)
    return {
        "label": label,
        "likelihood": min(int(score * 5) + 1, 5),
        "likelihood_score": score,
        "category": category,
        "subcategory": subcategory,
    }
