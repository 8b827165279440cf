"""Replicate: images, which the vendor makes as predictions: launched, asked after, and their files fetched in time.

What an attempt saves, as JSON: `{}` while files of the request are uploaded, since nothing is launched yet, and the
prediction's id once there is one. Between the launch and its answer nothing is saved: the vendor has no way to find a
prediction whose id was not heard of.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from ...engine.calls import Call, Offer, Progress, Reply, Usage
from ...engine.errors import CallFailed, Refused, TimedOut, Unusable
from ..http import Door, HttpOptions
from ..moments import seconds
from ..polling import ANSWER_SECONDS, GONE, poll, unlaunched
from ..upstream import brief
from ..vendor import Vendor
from .files import DELIVERY_HOSTS, Deliveries, attached, needs_upload
from .inputs import Schema, percent, prediction_input

OPERATIONS = ("images/generations", "images/edits", "images/variations")
_ENDS = frozenset({"succeeded", "failed", "canceled", "aborted"})
#: What the vendor takes for a deadline at the least.
_SHORTEST_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class ReplicateOptions(HttpOptions):
    base_url: str = "https://api.replicate.com/v1"
    #: Seconds until a prediction is first asked after; they grow tenfold.
    poll_seconds: float = field(default=0.5, metadata={"min": 0.001})
    #: By model: the names of its inputs for fields of our requests; "" leaves a field out.
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: Whence files of predictions are fetched: host names, "*." before one for those below it.
    delivery_hosts: tuple[str, ...] = DELIVERY_HOSTS


class ReplicateProvider(Vendor):
    def __init__(self, name: str, options: ReplicateOptions, environ: Mapping[str, str] = os.environ) -> None:
        """Raises `ValueError` if the options cannot be used: a bad URL, a key not set."""
        door = Door(name, options, environ=environ, default_env="REPLICATE_API_TOKEN")
        super().__init__(name, options, OPERATIONS, door)
        self._options = options
        self._deliveries = Deliveries(self.door, options.delivery_hosts, options.max_answer_bytes)
        self._schemas: dict[str, Schema] = {}

    async def start(self) -> None:
        await super().start()
        await self._deliveries.start()

    async def close(self) -> None:
        await self._deliveries.close()
        await super().close()

    async def ping(self) -> str:
        account = await self.door.ask("GET", self.door.url("account"), timeout_seconds=ANSWER_SECONDS)
        return f"answers, as {account.get('username') or 'an account without a name'}"

    async def offers(self) -> Sequence[Offer]:
        return [Offer(id=model, operations=OPERATIONS) for model in self.models]

    async def execute(self, call: Call) -> Reply:
        known = _held(call)
        id = known or await self._launched(call)
        if known is None:
            await call.save(orjson.dumps({"prediction": id}).decode())
        ask = partial(self._asked, call, id)
        prediction = await poll(ask, poll_seconds=self._options.poll_seconds, at_once=known is not None)
        if prediction["status"] != "succeeded":
            await call.save(None)
            raise self._failed(prediction)
        return await self._reply(call, prediction)

    async def abandon(self, call: Call) -> None:
        if (id := _held(call)) is None:
            return
        try:
            await self.door.ask("POST", self.door.url("predictions", id, "cancel"), call=call)
        except CallFailed as failed:
            if failed.status not in GONE:
                raise

    async def _launched(self, call: Call) -> str:
        schema = await self._schema(call)
        if uploads := needs_upload(call):
            await call.save("{}")
            async with unlaunched(call):
                files = await attached(self.door, call)
        else:
            files = await attached(self.door, call)
        given = prediction_input(call, schema, self._options.inputs.get(call.model, {}), files)
        # The vendor ends what this process may have lost sight of.
        deadline = max(math.ceil(self.policy.timeout_seconds), _SHORTEST_SECONDS)
        body = {"version": call.model, "input": given}
        url = self.door.url("predictions")
        if (owner := call.model.split("/"))[0] == "deployments" and len(owner) == 3:
            url, body = self.door.url(*owner, "predictions"), {"input": given}
        if uploads or call.checkpoint is not None:
            await call.save(None)
        launched = await self.door.ask("POST", url, call=call, json=body, headers={"Cancel-After": f"{deadline}s"})
        id = launched.get("id")
        if not isinstance(id, str) or not id:
            raise Unusable(f"provider {self._name} answered without the id of a prediction")
        return id

    async def _schema(self, call: Call) -> Schema:
        """What the model takes, as it says itself; asked once."""
        if (known := self._schemas.get(call.model)) is not None:
            return known
        name, _, version = call.model.partition(":")
        owner = name.split("/")
        if len(owner) != 2 or not all(owner):
            return Schema()
        where = ("models", *owner, *(("versions", version) if version else ()))
        said = await self.door.ask("GET", self.door.url(*where), call=call)
        schema = self._schemas[call.model] = Schema.of(said if version else said.get("latest_version"))
        return schema

    async def _asked(self, call: Call, id: str) -> dict[str, Any] | None:
        """The prediction once it has ended, in whatever way."""
        try:
            prediction = await self.door.ask(
                "GET", self.door.url("predictions", id), call=call, timeout_seconds=ANSWER_SECONDS
            )
        except CallFailed as failed:
            if failed.status in GONE:
                await call.save(None)
            raise
        if prediction.get("status") in _ENDS:
            return prediction
        if (done := percent(prediction.get("logs"))) is not None:
            call.progress(Progress(done=done, total=100, unit="percent"))
        return None

    def _failed(self, prediction: dict[str, Any]) -> CallFailed:
        status = prediction["status"]
        said = brief(str(prediction.get("error") or "no text"), self.door.secrets)
        upstream = {"status": 200, "body": {"status": status, "error": said}}
        if status == "aborted":
            return TimedOut(f"provider {self._name} did not begin the prediction in time", upstream=upstream)
        message = f"provider {self._name} ended the prediction as {status}: {said}"
        # It has worked, and may have charged for it: the same would come of the same again.
        return Refused(message, code=f"prediction_{status}", upstream=upstream)

    async def _reply(self, call: Call, prediction: dict[str, Any]) -> Reply:
        if prediction.get("data_removed"):
            raise Unusable(f"provider {self._name} no longer has the prediction's output", code="result_gone")
        images = await self._deliveries.images(call, prediction.get("output"))
        result = {
            "created": seconds(prediction.get("created_at")),
            "model": call.model,
            "data": [image.shown for image in images],
        }
        return Reply(
            result=orjson.dumps(result),
            model=call.model,
            usage=Usage(images=len(images)),
            files=tuple(image.blob for image in images if image.blob is not None),
        )


def _held(call: Call) -> str | None:
    """The id of the prediction that an earlier attempt launched."""
    held: dict[str, str] = orjson.loads(call.checkpoint) if call.checkpoint is not None else {}
    return held.get("prediction")
