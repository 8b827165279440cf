"""What requests say outside of their body, declared for the documents; the handlers read it themselves."""

from typing import Any

from marshmallow import fields

from .answers import identifier
from .fields import Integer, Shape, Text


class Parameters(Shape):
    """Absent or a value, never null."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.allow_none = False


def _patterned(pattern: str, about: str) -> Text:
    text = Text(about)
    text.metadata = {**text.metadata, "pattern": pattern}
    return text


#: Headers have names that no attribute can have.
_SUBMIT: dict[str, Any] = {
    "Prefer": Text(
        "`wait=N`: the answer is held back for up to N seconds, until the job has ended. `respond-async`: it is "
        "not, which is the default (RFC 7240)."
    ),
    "Idempotency-Key": _patterned(
        r'^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-~]{1,255})$',
        "1 to 255 characters of your choice. The same key with the same request is answered as the first time and "
        "makes no other job.",
    ),
    "Priority": Text("`u=0` to `u=7` (RFC 9218): the order among your own waiting jobs; 0 first, 3 by default."),
    "Cancel-After": _patterned(
        r"^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,9}s?)?$",
        "When the job is cancelled if it has not ended: `90`, `90s`, `1m30s`, `1h`.",
    ),
    "x-bf-async-webhook": Text("Who is told of the end: a configured endpoint's name, or an http(s) address."),
    "x-bf-async-job-result-ttl": Text(
        "Seconds that the outcome is kept, from the job's end. What is not a positive integer means the default."
    ),
    "x-request-id": Text("Comes back as `request_id`; made up if it is absent."),
    "traceparent": Text("The W3C trace context, which goes on to the provider."),
    "tracestate": Text("Goes on with `traceparent`."),
}

_ON_DISCONNECT = _patterned(
    "^(cancel|continue)$",
    "What becomes of the job when its client goes before the answer: `cancel`, the default, or `continue`.",
)

SubmitHeaders = Parameters.from_dict(_SUBMIT, name="SubmitHeaders")

AskHeaders = Parameters.from_dict(
    {
        **_SUBMIT,
        "Prefer": Text("`wait=N`, where the answer is to come at once: it is held back for up to N seconds instead."),
        "x-bf-async": Text("The answer comes at once; `0`, `false`, `no` and `off` mean no."),
        "x-bf-async-id": Text("The job to collect; the body says nothing then."),
        "x-bf-on-disconnect": _ON_DISCONNECT,
    },
    name="AskHeaders",
)

#: What Eden AI's clients say there.
_EDEN: dict[str, Any] = {
    "X-EdenAI-Tags": Text("`key=value,key=value`: the tags, where the body has none."),
    "x-edenai-metadata": Text("`enabled` adds how the answer came about."),
}

UniversalSubmitHeaders = Parameters.from_dict({**_SUBMIT, **_EDEN}, name="UniversalSubmitHeaders")

UniversalAskHeaders = Parameters.from_dict(
    {
        **{name: field for name, field in _SUBMIT.items() if name != "Prefer"},
        **_EDEN,
        "x-bf-on-disconnect": _ON_DISCONNECT,
    },
    name="UniversalAskHeaders",
)

PollHeaders = Parameters.from_dict(
    {
        "Prefer": Text("`wait=N`: the answer is held back for up to N seconds, until the job has ended (RFC 7240)."),
        "If-None-Match": Text("The `ETag` of the answer you have: 304 if it is still the same."),
    },
    name="PollHeaders",
)

ContentHeaders = Parameters.from_dict(
    {
        "Range": Text("One part of the bytes, as `bytes=0-1023` (RFC 9110)."),
        "If-Range": Text("The `ETag` of what you have a part of: the range counts if it is still the same."),
        "If-None-Match": Text("The `ETag` of what you have: 304 if it is still the same."),
    },
    name="ContentHeaders",
)

ContentQuery = Parameters.from_dict(
    {"index": _patterned("^[0-9]{1,4}$", "Which of the result's files, from 0, which is the default.")},
    name="ContentQuery",
)

LinkQuery = Parameters.from_dict(
    {
        "index": _patterned("^[0-9]{1,4}$", "Which of the result's files, from 0, which is the default."),
        "signature": Text("What the address in the output has: it stands for a key."),
    },
    name="LinkQuery",
)

EventHeaders = Parameters.from_dict(
    {"Last-Event-ID": Text("The last event you have seen: the stream goes on after it.")}, name="EventHeaders"
)

JobPath = Parameters.from_dict({"job_id": identifier("The job's id.")}, name="JobPath")

DeliveryPath = Parameters.from_dict({"delivery_id": identifier("The delivery's id.")}, name="DeliveryPath")

EndpointPath = Parameters.from_dict({"name": Text("The endpoint's name.", required=True)}, name="EndpointPath")

KeyPath = Parameters.from_dict({"name": Text("The key's name.", required=True)}, name="KeyPath")


AssetPath = Parameters.from_dict({"asset": Text("The file's name.", required=True)}, name="AssetPath")

JobQuery = Parameters.from_dict(
    {"include": Text("`attempts` adds how the job came to where it is, `plan` what may become of it yet; or both.")},
    name="JobQuery",
)

ModelPath = Parameters.from_dict({"model": Text("As the list names it.", required=True)}, name="ModelPath")

AnthropicModelsQuery = Parameters.from_dict(
    {
        "limit": Integer("Models on a page at most.", minimum=1, maximum=1000),
        "after_id": Text("The last model of the page before."),
        "before_id": Text("The first model of the page after."),
    },
    name="AnthropicModelsQuery",
)
