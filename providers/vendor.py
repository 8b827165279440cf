"""What the kinds have in common that speak to a vendor over HTTP: one door, one lane, the same checks."""

from collections.abc import Collection, Mapping, Sequence, Sized
from typing import Any

from yarl import URL

from ..engine.calls import CallPolicy
from ..engine.errors import Unusable
from .http import Door, HttpOptions

PING_SECONDS = 10.0


def told(models: Sized) -> str:
    """What a ping tells of a vendor that lists its models."""
    return f"answers, {len(models)} model{'' if len(models) == 1 else 's'}"


def usual_model(declared: Sequence[str], known: Sequence[str], *, sole: bool) -> str | None:
    """The default for an operation: a declared model that is known to be for it, or any declared one where there is no
    other operation (`sole`), else the first of the known."""
    named = [model for model in declared if sole or model in known]
    return next(iter((*named, *known)), None)


class Vendor:
    """A kind adds `ping`, `offers` and `execute`."""

    def __init__(
        self,
        name: str,
        options: HttpOptions,
        operations: Collection[str],
        door: Door,
        usual: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`usual` are models that the vendor is known to have for an operation, the default first."""
        self.lanes: Mapping[str, int] = {name: options.concurrency}
        self.policy: CallPolicy = options.policy()
        self.models = options.models
        #: The way to the vendor.
        self.door = door
        self._name = name
        self._operations = operations
        self._usual = usual or {}

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

    def default(self, operation: str) -> str | None:
        if operation not in self._operations:
            return None
        model = usual_model(self.models, self._usual.get(operation, ()), sole=len(self._operations) == 1)
        return model if model and self.door.serves(model) else None

    async def start(self) -> None:
        await self.door.start()

    async def close(self) -> None:
        await self.door.close()

    async def listing(self, url: URL, where: str, name: str) -> list[dict[str, Any]]:
        """The models that the vendor lists at that place of its answer; those without a name are left out.

        Raises `Unusable` if there is no list, and what `Door.ask` raises.
        """
        models = (await self.door.ask("GET", url, timeout_seconds=PING_SECONDS)).get(where)
        if not isinstance(models, list):
            raise Unusable(f"provider {self._name} answered with something that is not a list of models")
        return [model for model in models if isinstance(model, dict) and isinstance(model.get(name), str)]
