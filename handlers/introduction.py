"""What the document says before and beside its routes: how to begin, tags, ways to give a key, headers of answers."""

from collections.abc import Mapping
from typing import Any

INTRODUCTION = """Hand over the slow AI call, take a ticket, come back for the result.

Submit with one of the `POST` routes below: the answer is **202** and an id, and the job is on disk. Collect with the
`GET` route of the same name: 202 while the job is pending or processing, 200 when it has ended. A failed job is also a
200: its error and real status are in the body.

A server on this machine needs no key until the first one exists. Then one of the ways under *Authorize* is enough.

Or ask as OpenAI's and Anthropic's own clients do: their routes answer with the result itself.

Every error is a BifrostError (`Refusal`), in JSON; on the vendors' routes it has the vendor's shape. Whatever is not a
route is answered 404, and another method 405 with `Allow`. Every `GET` route but the stream of events takes `HEAD`.
Answers may come to have more keys; requests may have keys that are not listed, which go on to providers of kind
`openai`."""

TAGS: Mapping[str, str] = {
    "submit": "Hand over a call, take a ticket.",
    "poll": "Come back for the result.",
    "jobs": "Jobs of whatever operation: watch, list, cancel, repeat, delete.",
    "vendors": "For OpenAI's and Anthropic's own clients: the answer is the result.",
    "universal": "Features in the words of Eden AI's v3, as jobs or at once, and what there is of them.",
    "webhooks": "Who was told of a job's end, and how that went.",
    "keys": "Virtual keys, for admins.",
    "server": "The server itself.",
}

#: The page opens its dialogue at the last one.
SECURITY: Mapping[str, Mapping[str, Any]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A virtual key, or a JWT where they are configured."},
    "basic": {"type": "http", "scheme": "basic", "description": "An admin's key as the password, with any name."},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "A virtual key."},
    "x-goog-api-key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key", "description": "A virtual key."},
    "x-bf-vk": {
        "type": "apiKey",
        "in": "header",
        "name": "x-bf-vk",
        "description": "A virtual key. It counts before all others.",
    },
}

_TEXT = {"type": "string"}

HEADERS: Mapping[str, Mapping[str, Any]] = {
    "Location": {
        "description": "Where to poll.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": {
        "description": "Seconds after which it is worth to ask again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Content-Disposition": {"description": "The name for the file.", "required": True, "schema": _TEXT},
    "Accept-Ranges": {"description": "A part may be asked for.", "schema": {"type": "string", "enum": ["bytes"]}},
    "Content-Range": {"description": "Which part it is, of how many bytes.", "required": True, "schema": _TEXT},
    "ETag": {"description": "For `If-None-Match`.", "schema": _TEXT},
    "Cache-Control": {"description": "Who may keep the answer.", "schema": _TEXT},
    "Vary": {"description": "What else the answer depends on.", "schema": _TEXT},
    "Preference-Applied": {"description": "What of `Prefer` was granted, as `wait=20`.", "schema": _TEXT},
    "Idempotency-Replayed": {
        "description": "The answer is that of an earlier request.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "RateLimit": {"description": 'What is left of the limit: `"submits";r=12;t=30`.', "schema": _TEXT},
    "RateLimit-Policy": {"description": 'The limit on requests a minute: `"submits";q=60;w=60`.', "schema": _TEXT},
    "x-request-id": {
        "description": "The request's own, or one made up for a submit or an error: the log has it too.",
        "schema": _TEXT,
    },
    "x-bf-job-id": {"description": "The job behind the request.", "schema": _TEXT},
    "x-should-retry": {
        "description": "`false` where retries and fallbacks are done: the vendors' clients heed it.",
        "schema": {"type": "string", "enum": ["false"]},
    },
    "request-id": {"description": "`x-request-id` again, where Anthropic's clients look for it.", "schema": _TEXT},
    "WWW-Authenticate": {"description": "How to give a key.", "required": True, "schema": _TEXT},
    "Allow": {"description": "The methods that the path takes.", "required": True, "schema": _TEXT},
}
