"""What the kinds have in common that speak to a vendor over HTTP: one door, one lane, the same checks."""

from collections.abc import Collection, Mapping

from ..engine.calls import CallPolicy
from .http import Door, HttpOptions


class Vendor:
    """A kind adds `ping`, `offers` and `execute`."""

    def __init__(self, name: str, options: HttpOptions, operations: Collection[str], door: Door) -> None:
        self.lanes: Mapping[str, int] = {name: options.concurrency}
        self.policy: CallPolicy = options.policy()
        self.models = options.models
        #: The way to the vendor.
        self.door = door
        self._name = name
        self._operations = operations

    def lane(self, operation: str, model: str) -> str:
        return self._name

    def check(self, operation: str, model: str) -> str | None:
        if operation not in self._operations:
            return f"has no operation {operation}; it has {', '.join(self._operations)}"
        if not model:
            return "needs the name of a model"
        if not self.door.serves(model):
            return f"has no key for the model {model!r}"
        return None

    async def start(self) -> None:
        await self.door.start()

    async def close(self) -> None:
        await self.door.close()
