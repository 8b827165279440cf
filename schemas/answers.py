"""What clients are answered, but for jobs, declared for the documents: nothing is rendered through it, and tests hold
answers against it.

What is not known is absent, never null. More keys may come with time.
"""

from typing import Any, ClassVar

from marshmallow import fields

from .fields import Examples, Flag, Integer, ListOf, MapOf, Number, Object, Shape, Strict, Text


class Answer(Shape):
    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.allow_none = False


class Anything(Strict):
    """Whatever JSON there is."""

    expected, plural = "anything", "things"
    checks = dict.fromkeys((str, int, float, bool, dict, list, type(None)))


def identifier(about: str, *, required: bool = True) -> Strict:
    return _formatted("uuid", about, required=required)


def moment(about: str, *, required: bool = False) -> Strict:
    return _formatted("date-time", about, required=required)


def decimal(about: str) -> Strict:
    """A number that no float could hold, in plain notation."""
    text = Text(about)
    text.metadata = {**text.metadata, "pattern": r"^[0-9]+(\.[0-9]+)?$"}
    return text


def _formatted(format: str, about: str, *, required: bool) -> Strict:
    text = Text(about, required=required)
    text.metadata = {**text.metadata, "format": format}
    return text


_KEY = {"id": "0b1d", "name": "alice", "admin": False, "created_at": "2026-11-21T09:00:00.000000Z"}


class LaneState(Answer):
    name = Text(required=True)
    concurrency = Integer("Calls that may run at once.", required=True, minimum=0)
    running = Integer(required=True, minimum=0)
    waiting = Integer(required=True, minimum=0)
    seconds_per_job = Number("How long a job took lately; absent where none has ended.")


class ProviderState(Answer):
    name = Text(required=True)
    kind = Text(required=True)
    models = ListOf(Text(), about="Those that may be named without the provider.", required=True)
    operations = ListOf(Text(), required=True)
    lanes = ListOf(Object(LaneState), required=True)


class Providers(Answer):
    data = ListOf(Object(ProviderState), required=True)

    examples: ClassVar[Examples] = {
        "One": {
            "data": [
                {
                    "name": "echo",
                    "kind": "echo",
                    "models": ["echo"],
                    "operations": ["chat/completions", "completions", "embeddings", "responses"],
                    "lanes": [
                        {"name": "echo", "concurrency": 16, "running": 16, "waiting": 3, "seconds_per_job": 1.25}
                    ],
                }
            ]
        }
    }


class KeyLimits(Answer):
    max_concurrency = Integer(minimum=1)
    requests_per_minute = Integer(minimum=1)
    max_pending = Integer(minimum=1)


class Key(Answer):
    id = Text(required=True)
    name = Text(required=True)
    admin = Flag("Whether it sees every owner's jobs and looks after keys.", required=True)
    limits = Object(KeyLimits, "Absent where it has none of its own.")
    created_at = moment("When it was made.", required=True)
    expires_at = moment("When it is no longer valid; absent: never.")
    earlier_tokens_end_at = ListOf(moment("When one ends."), about="Tokens that a rotation has replaced.")


class KeyWithToken(Key):
    key = Text("The token: in this answer and nowhere else.", required=True)

    examples: ClassVar[Examples] = {"Made": {**_KEY, "key": "sk-bf-…"}}


class Keys(Answer):
    data = ListOf(Object(Key), required=True)

    examples: ClassVar[Examples] = {"One": {"data": [_KEY]}}


class Alive(Answer):
    status = Text(required=True, enum=("ok",))

    examples: ClassVar[Examples] = {"Alive": {"status": "ok"}}


class Readiness(Answer):
    status = Text(required=True, enum=("ready", "unavailable"))
    reason = Text("Why it is not ready.")

    examples: ClassVar[Examples] = {
        "Ready": {"status": "ready"},
        "Unavailable": {"status": "unavailable", "reason": "the database cannot be written"},
    }


class RefusalDetails(Answer):
    message = Text("For people: what is wrong, and where it can be said what to do.", required=True)
    code = Text("For programs.", required=True)
    param = Text("The field at fault, as `messages[1].content`.")


class Refusal(Answer):
    """A BifrostError: why the request was refused."""

    type = Text("The code again, where the key is at fault.")
    is_bifrost_error = Flag(required=True)
    status_code = Integer("The answer's own.", required=True, minimum=400, maximum=599)
    error = Object(RefusalDetails, required=True)
    extra_fields = MapOf(Text(), required=True)


class Document(Answer):
    """An OpenAPI document: this one."""

    openapi = Text(required=True)
    info = Object(required=True)
    paths = Object(required=True)

    examples: ClassVar[Examples] = {
        "In short": {"openapi": "3.1.0", "info": {"title": "Coatcheck", "version": "0"}, "paths": {}}
    }
