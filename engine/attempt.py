"""What is known in memory of an attempt while it goes on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from .blobs import Blob
from .calls import Progress
from .jobs import Job

#: Pieces of an answer that are kept apart: of a few letters each, they take ten times the room of their text.
_PIECES = 256


@dataclass(slots=True)
class Attempt:
    job: Job
    task: asyncio.Task[None] | None = None
    #: Whether the task may be cancelled: it awaits the provider, and does not yet write what came of it.
    calling: bool = False
    #: Whether the provider was asked: until then, ending costs nothing.
    dialled: bool = False
    #: The call is to end, or not to begin.
    interrupted: bool = False
    #: The job has been cancelled: nothing is left to write.
    cancelled: bool = False
    #: How far the call has come, as its provider last said.
    progress: Progress | None = None
    #: Of the job that the provider runs for this attempt, as it was saved last.
    checkpoint: str | None = None
    #: Whether the checkpoint is on disk.
    saved: bool = False
    #: The files that the call has made.
    files: list[Blob] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What the provider has answered so far, where it says so."""
        if len(self._said) > 1:
            self._said = ["".join(self._said)]
        return self._said[0] if self._said else ""

    def report(self, tell: Callable[[str], None], progress: Progress) -> None:
        """The call has come further; `tell` tells whoever watches the job."""
        self.progress = progress
        if progress.delta:
            self._said.append(progress.delta)
            if len(self._said) > _PIECES:
                self._said = ["".join(self._said)]
        tell(self.job.id)

    def interrupt(self) -> None:
        """Ends the call under way, or keeps it from beginning."""
        self.interrupted = True
        if self.calling and self.task is not None:
            self.task.cancel()
