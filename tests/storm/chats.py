"""What the clients of a storm ask for, and how it must end."""

import random
from dataclasses import dataclass
from typing import Any

#: Models and how often each is chosen. "echo" calls again after a kill, "once" fails rather than call twice.
_MODELS = {
    "echo/echo": 10,
    "echo/wait-0.05": 4,
    "echo/wait-0.3": 3,
    "echo/flaky-1": 2,
    "echo/status-400": 2,
    "echo/hang": 1,
    "once/quick": 4,
    "once/slow": 2,
}
#: Error codes of a call that was cut off and must not be made again.
_CUT_OFF = frozenset({"server_stopped", "interrupted"})


@dataclass(frozen=True, kw_only=True)
class Chat:
    """One chat, perhaps sent several times: its text is no other's."""

    model: str
    text: str
    #: The Idempotency-Key; None: it is sent once.
    key: str | None = None
    #: Seconds; None: never.
    cancel_after: int | None = None
    #: Who is told of the end; None: nobody.
    receiver: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        return {"model": self.model, "messages": [{"role": "user", "content": self.text}]}

    @property
    def headers(self) -> dict[str, str]:
        found = {}
        if self.key is not None:
            found["Idempotency-Key"] = f'"{self.key}"'
        if self.cancel_after is not None:
            found["Cancel-After"] = str(self.cancel_after)
        if self.receiver is not None:
            found["x-bf-async-webhook"] = self.receiver
        return found

    def misfit(self, shown: dict[str, Any], *, cancelled: bool) -> str | None:
        """What is wrong with the end of a job for this chat, as a poll shows it; None if it may end so. `cancelled`:
        someone has asked for its cancel."""
        code = shown.get("error", {}).get("error", {}).get("code")
        if shown.get("state") == "cancelled":
            wanted = cancelled or self.cancel_after is not None
            return None if wanted and shown["status_code"] == 499 else "it was cancelled, and nobody had asked for it"
        if self.model == "echo/hang":
            return "it can only end by a cancel"
        if self.model == "echo/status-400":
            return None if shown["status_code"] == 400 else "its upstream answers 400"
        if shown["status"] == "failed":
            cut_off = self.model.startswith("once/") and code in _CUT_OFF
            return None if cut_off else "its upstream answers"
        if "result" in shown and shown["result"]["choices"][0]["message"]["content"] != self.text:
            return "it has another job's result"
        return None


def chosen(chance: random.Random, receiver: str) -> Chat:
    """A new chat; a third of them have a key, and of the ends of a third the receiver is told."""
    model = chance.choices(list(_MODELS), list(_MODELS.values()))[0]
    hangs = model == "echo/hang"
    number = chance.getrandbits(60)
    return Chat(
        model=model,
        text=f"question {number:x} of a storm, which is answered word for word",
        key=f"key-{number:x}" if chance.random() < 0.35 else None,
        cancel_after=1 if hangs or chance.random() < 0.03 else None,
        receiver=receiver if chance.random() < 0.35 else None,
    )
