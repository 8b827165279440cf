"""Any vendor that the LiteLLM library knows. The library runs in a process of its own, started on the first call."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson

from ...engine.calls import Call, CallPolicy, Offer, Reply, Usage
from ...engine.errors import CallFailed, Interrupted, NotConfigured, Unusable
from ..http import SHORTEST_SECRET
from ..options import ProviderOptions, variable
from ..responses_request import as_chat
from ..responses_result import response
from ..vendor import usual_model
from ..workers.connection import Recipe
from ..workers.process import Worker
from .errors import failure
from .requests import OPERATIONS, arguments, documents

_WORKER = "coatcheck.providers.litellm.worker"
_MISSING = "Providers of kind litellm need the package litellm: run `pip install 'coatcheck[litellm]'`."
_VENDOR = re.compile(r"[a-z0-9_-]+", re.ASCII)
#: What would lead a path elsewhere: the library puts models into addresses as they are.
_ASTRAY = re.compile(r"[?#%\\\x00-\x1f\x7f]|(?:^|/)\.{1,2}(?:/|$)")


@dataclass(frozen=True, kw_only=True)
class LiteLLMOptions(ProviderOptions):
    #: The library's name of the vendor, as it stands before the models in its documents: "cohere", "bedrock".
    vendor: str
    #: The environment variable with the API key; None: the library finds credentials as the vendor's own tools do.
    api_key_env: str | None = None
    #: Another address of the vendor's API.
    base_url: str | None = None
    #: What this vendor can do, of what the library can.
    operations: tuple[str, ...] = OPERATIONS
    #: More for each call, as `aws_region_name`.
    params: Mapping[str, str] = field(default_factory=dict)
    #: As `params`, but each value is the name of the environment variable that holds it.
    params_env: Mapping[str, str] = field(default_factory=dict)
    #: The interpreter of an environment with coatcheck[litellm]; None: this one's.
    python: str | None = None
    #: A larger answer fails the job.
    max_answer_bytes: int = field(default=67_108_864, metadata={"min": 1024})
    #: Seconds without a call after which the library's process is stopped and its memory freed.
    idle_seconds: float = field(default=600.0, metadata={"min": 0})


class LiteLLMProvider:
    def __init__(self, name: str, options: LiteLLMOptions, environ: Mapping[str, str] = os.environ) -> None:
        """Raises `ValueError` if the options cannot be used: an operation unknown, a variable that is not set."""
        self.lanes: Mapping[str, int] = {name: options.concurrency}
        self.policy: CallPolicy = options.policy()
        self.models = options.models
        self._name = name
        self._options = options
        unknown = set(options.operations) - set(OPERATIONS)
        if unknown:
            raise ValueError(f"operations: {', '.join(sorted(unknown))} is not one of {', '.join(OPERATIONS)}")
        if not _VENDOR.fullmatch(options.vendor):
            raise ValueError(f"vendor: {options.vendor!r} is not a vendor's name")
        hidden = {key: variable(f"params_env.{key}", env, environ) for key, env in options.params_env.items()}
        if options.api_key_env is not None:
            hidden["api_key"] = variable("api_key_env", options.api_key_env, environ)
        #: What must not be kept of an error.
        self._secrets = [value for value in hidden.values() if len(value) >= SHORTEST_SECRET]
        # The vendor is asked once: whether it is asked again is for the pool to say.
        self._fixed: dict[str, Any] = {
            **options.params,
            **hidden,
            **({"api_base": options.base_url} if options.base_url is not None else {}),
            "timeout": options.timeout_seconds,
            "max_retries": 0,
        }
        told = {"vendor": options.vendor, "max_answer_bytes": options.max_answer_bytes}
        python = options.python or sys.executable
        recipe = Recipe(model=name, family="litellm", arguments=told, module=_WORKER, python=python)
        self._worker = Worker(recipe, idle_seconds=options.idle_seconds)

    def lane(self, operation: str, model: str) -> str:
        return self._name

    def check(self, operation: str, model: str) -> str | None:
        if operation not in self._options.operations:
            return f"has no operation {operation}; it has {', '.join(self._options.operations)}"
        if not model:
            return "needs the name of a model"
        # Some vendors' models are addresses, to which the library would send the key.
        if "://" in model:
            return "takes no address for a model"
        return f"has no model {model!r}: it is no name" if _ASTRAY.search(model) else None

    def default(self, operation: str) -> str | None:
        operations = self._options.operations
        return usual_model(self.models, (), sole=len(operations) == 1) if operation in operations else None

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        await self._worker.close()

    async def ping(self) -> str:
        """Looks for the library; the vendor could be asked only by calls that cost."""
        options = self._options
        asked = f"{options.vendor} itself is not asked"
        if options.python is not None:
            if not os.access(options.python, os.X_OK):
                raise NotConfigured(f"There is no interpreter {options.python}: see `python`.", code="package_missing")
            return f"has the interpreter {options.python}; {asked}"
        try:
            return f"has litellm {version('litellm')}; {asked}"
        except PackageNotFoundError as error:
            raise NotConfigured(_MISSING, code="package_missing") from error

    async def offers(self) -> Sequence[Offer]:
        return [Offer(id=model, operations=self._options.operations) for model in self.models]

    async def execute(self, call: Call) -> Reply:
        if (why := self.check(call.operation, call.model)) is not None:
            raise NotConfigured(f"The provider {self._name} {why}.")
        if call.operation != "responses":
            return await self._asked(call)
        with as_chat(call.request, "litellm") as chat:
            reply = await self._asked(replace(call, operation="chat/completions", request=chat))
        try:
            made = response(call.request, _detailed(orjson.loads(reply.result)))
        except (IndexError, KeyError, TypeError) as error:
            raise Unusable(f"provider {self._name} answered with a chat that is not one: {error!r}") from error
        return replace(reply, result=orjson.dumps(made))

    async def _asked(self, call: Call) -> Reply:
        request = {
            "arguments": {
                **arguments(call, self._options.vendor),
                **self._fixed,
                "model": f"{self._options.vendor}/{call.model}",
            },
            "documents": documents(call),
        }
        try:
            reply = await self._worker.call(replace(call, request=request))
        except CallFailed as failed:
            if failed.code == "worker_died":
                # What it was at may have been paid for.
                raise Interrupted(f"provider {self._name}: {failed.message}") from failed
            raise
        head, _, result = reply.result.partition(b"\n")
        told = orjson.loads(head)
        if "failure" in told:
            raise failure(self._name, told["failure"], self._secrets)
        usage = Usage(**told["usage"]) if told["usage"] is not None else None
        return replace(
            reply, result=result, model=told["model"] or call.model, cost=self._cost(call, told["cost"]), usage=usage
        )

    def worker_pid(self) -> int | None:
        """The library's process, while one is ready for calls."""
        return self._worker.pid

    def _cost(self, call: Call, picodollars: int | None) -> int | None:
        """What the library says of the cost, unless the configuration has a price for it."""
        priced = any(fnmatchcase(call.model, pattern) for pattern in self._options.prices)
        return None if priced else picodollars


def _detailed(completion: dict[str, Any]) -> dict[str, Any]:
    """The completion, with the parts of its usage that not all vendors count."""
    usage = completion["usage"]
    for name, part in (("prompt_tokens_details", "cached_tokens"), ("completion_tokens_details", "reasoning_tokens")):
        usage[name] = {part: 0, **(usage.get(name) or {})}
    return completion
