"""How a job goes, as its events tell it: what a progress bar shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .events import Event
from .moments import between, brief, clock, lasted, moment, now


@dataclass
class Course:
    status: str = "pending"
    #: The provider and model that it runs at.
    at: str = ""
    #: Why it waits.
    why: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    #: The attempt's answer, as far as it has come.
    text: str = ""
    #: Upstream attempts, from 1.
    attempt: int = 0
    _names: dict[int, str] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        data = event.data
        match event.kind:
            case "claimed":
                self._forget()
                self.status, self.attempt = "processing", data["attempt"]
                self.at = self._names[self.attempt] = f"{data['provider']}/{data['model']}"
            case "progress":
                self.done, self.unit, self.total = data["done"], data["unit"], data.get("total")
                self.text = self.text[: data.get("offset", len(self.text))] + data.get("text", "")
            case "released":
                self._forget()
                self.status, self.at = "pending", ""
                self.why = released(data, self._names.get(data["attempt"]))
            case "completed" | "failed" | "cancelled":
                self.status, self.why = event.kind, ""

    def _forget(self) -> None:
        self.why, self.text = "", ""
        self.done, self.total, self.unit = 0, None, ""

    @property
    def fraction(self) -> float | None:
        """Between 0 and 1; None if it is not known."""
        return min(self.done / self.total, 1.0) if self.total else None

    @property
    def count(self) -> str:
        if not self.unit:
            return ""
        if self.unit == "percent":
            return f"{self.done} %"
        return f"{self.done}{f'/{self.total}' if self.total is not None else ''} {self.unit}"


def standing(queue: Mapping[str, Any] | None) -> str:
    """Why a pending job has not started, and when it will."""
    if queue is None:
        return ""
    starts_at = queue.get("starts_at")
    starts = f", starts in about {brief((moment(starts_at) - now()).total_seconds())}" if starts_at else ""
    lane = queue["lane"]
    match queue["reason"]:
        case "next":
            return f"next in lane {lane}"
        case "held":
            return f"held until {clock(starts_at)}" if starts_at else "held for later"
        case "owner_limit":
            return "its key has as many jobs running as it may"
        case "stopping":
            return "the server stops; it goes on after the next start"
    turn = f"{'' if queue.get('exact', True) else 'more than '}{queue['position']}"
    return f"number {turn} in lane {lane} ({queue['running']} of {queue['concurrency']} run){starts}"


def released(data: Mapping[str, Any], at: str | None) -> str:
    """What a failed attempt means for the job, from the story's step."""
    failure = data.get("failure") or {}
    failed = f"{at or 'the attempt'}: {failure['message']}; " if failure.get("message") else ""
    match data.get("reason"):
        case "retry":
            run_at, ended = data.get("run_at"), data.get("at") or data.get("ended_at")
            pause = f" after {lasted(between(ended, run_at))}" if run_at and ended else ""
            return f"{failed}tried again{pause}"
        case "fallback":
            return f"{failed}the next fallback"
        case "stopped":
            return f"{failed}goes on after the server's next start" if not failed else f"{failed}it goes on"
    return f"{failed}{data.get('reason') or 'waits again'}"
