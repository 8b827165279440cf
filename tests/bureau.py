"""A provider in this process whose vendor runs calls as jobs, which tests look at and end."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from coatcheck.engine.calls import Call, CallPolicy, Offer, Reply
from coatcheck.engine.errors import CallFailed


class Bureau:
    """Stays when gateways come and go: begun jobs are those of the vendor, whoever asks after them."""

    models = ()

    def __init__(self, name: str = "bureau", **policy: Any) -> None:
        self.lanes: Mapping[str, int] = {name: 100}
        self.policy = CallPolicy(**policy)
        self._name = name
        #: The ids of the vendor's jobs, as they were begun.
        self.begun: list[str] = []
        #: Calls that wait for their end, as they come.
        self.asked: asyncio.Queue[Call] = asyncio.Queue()
        #: The checkpoints of jobs that are not wanted, as that is told.
        self.abandoned: asyncio.Queue[str | None] = asyncio.Queue()
        #: What `abandon` raises.
        self.refusal: Exception | None = None
        #: Until it is set, `abandon` does not return.
        self.patient = asyncio.Event()
        self.patient.set()
        self._ends: dict[str, asyncio.Future[Reply]] = {}

    def lane(self, operation: str, model: str) -> str:
        return self._name

    def check(self, operation: str, model: str) -> str | None:
        return None

    def default(self, operation: str) -> str | None:
        return None

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def ping(self) -> str:
        return "is there"

    async def offers(self) -> Sequence[Offer]:
        return ()

    async def execute(self, call: Call) -> Reply:
        id = call.checkpoint
        if id is None:
            id = await self.begin(call)
            await call.save(id)
        self.asked.put_nowait(call)
        return await asyncio.shield(self._ends.setdefault(id, asyncio.get_running_loop().create_future()))

    async def begin(self, call: Call) -> str:
        """Begins a job at the vendor."""
        self.begun.append(f"{self._name}-{len(self.begun) + 1}")
        return self.begun[-1]

    async def abandon(self, call: Call) -> None:
        self.abandoned.put_nowait(call.checkpoint)
        await self.patient.wait()
        if self.refusal is not None:
            raise self.refusal

    def complete(self, id: str, result: bytes = b'{"done":true}') -> None:
        """The vendor's job ends well."""
        self._end(id).set_result(Reply(result=result))

    def lose(self, id: str, failure: CallFailed) -> None:
        """Who asks after the job fails so, once."""
        self._end(id).set_exception(failure)
        del self._ends[id]

    def _end(self, id: str) -> asyncio.Future[Reply]:
        return self._ends.setdefault(id, asyncio.get_running_loop().create_future())
