"""Results and failures of jobs as OpenAI's and Anthropic's own clients expect the answer to their request."""

from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from aiohttp import hdrs, web

from ..engine.errors import Refusal
from ..engine.jobs import SECOND, Job, State, Ticket
from ..schemas import message_answers, openai, vendor_errors
from . import bodies, media_types, tickets
from .content import HARMLESS
from .dialects import ANTHROPIC, OPENAI, Dialect
from .gateway import Gateway
from .pieces import Extract, Pieces, spliced
from .requests import present

_TRANSCRIPTION, _SPEECH = "audio/transcriptions", "audio/speech"

#: The vendors' own clients repeat what has failed, but retries and fallbacks are done by then.
_NO_RETRY = {"x-should-retry": "false"}


class NoResult(Refusal):
    """The provider's answer cannot be shown."""

    status = 502
    code = "unusable_answer"


class Vendor(Protocol):
    @property
    def dialect(self) -> Dialect: ...

    def waiting(self, operation: str, id: str, model: str, created_at: int, status: str) -> Mapping[str, Any]:
        """What stands for the result of a job that has not ended."""

    async def completed(self, gateway: Gateway, ticket: Ticket, asked: bytes | None) -> web.Response:
        """The result; `asked` is the job's request, where that is at hand. Raises `NoResult`."""

    def failed(self, ticket: Ticket, request_id: str) -> bytes:
        """The error of a job that has failed or was cancelled."""


class OpenAI:
    dialect = OPENAI

    def waiting(self, operation: str, id: str, model: str, created_at: int, status: str) -> Mapping[str, Any]:
        return openai.waiting(operation, id, model, created_at // SECOND, status)

    async def completed(self, gateway: Gateway, ticket: Ticket, asked: bytes | None) -> web.Response:
        body, files = ticket.body or b"{}", await tickets.files_of(gateway, ticket)
        if ticket.job.operation == _SPEECH:
            if not files:
                raise NoResult("the provider answered without audio", headers=_NO_RETRY)
            audio = Pieces(Extract(path=files[0].path, size_bytes=files[0].size_bytes))
            media_type = media_types.header(files[0].media_type)
            return web.Response(body=audio, headers={**HARMLESS, hdrs.CONTENT_TYPE: media_type})
        if ticket.job.operation == _TRANSCRIPTION and await _wants_text(gateway, ticket.job, asked):
            text = await bodies.off_loop(len(body), _text, body)
            return web.Response(text=text, content_type="text/plain")
        return web.Response(body=spliced(body, files), content_type="application/json")

    def failed(self, ticket: Ticket, request_id: str) -> bytes:
        return vendor_errors.openai_failure(ticket)


class Anthropic:
    dialect = ANTHROPIC

    def waiting(self, operation: str, id: str, model: str, created_at: int, status: str) -> Mapping[str, Any]:
        return message_answers.waiting(id, model, status)

    async def completed(self, gateway: Gateway, ticket: Ticket, asked: bytes | None) -> web.Response:
        job, body = ticket.job, ticket.body or b"{}"
        try:
            message = await bodies.off_loop(len(body), _message, body, job)
        except ValueError as error:
            raise NoResult(str(error), headers=_NO_RETRY) from error
        return web.Response(body=message, content_type="application/json")

    def failed(self, ticket: Ticket, request_id: str) -> bytes:
        return vendor_errors.anthropic_failure(ticket, request_id)


async def answer(
    vendor: Vendor, request: web.Request, gateway: Gateway, ticket: Ticket, asked: bytes | None = None
) -> web.Response:
    """The job as the vendor would answer: its result, its failure with the status of it, or that it has not ended."""
    job = ticket.job
    if job.state is State.COMPLETED:
        return await vendor.completed(gateway, ticket, asked)
    if job.state.ended:
        return web.Response(
            body=vendor.failed(ticket, present(request.headers).request_id),
            status=job.status_code or 500,
            headers=_NO_RETRY,
            content_type="application/json",
        )
    shown = vendor.waiting(job.operation, job.id, job.model, job.created_at, job.state)
    return unended(shown, gateway.pool.forecast.seconds_left(job))


def unended(shown: Mapping[str, Any], seconds: float | None) -> web.Response:
    """The answer that stands for a result, and how long that will probably take."""
    return web.Response(
        body=orjson.dumps(shown) + b"\n",
        headers={hdrs.RETRY_AFTER: tickets.retry_after(seconds)},
        content_type="application/json",
    )


def _message(body: bytes, job: Job) -> bytes:
    return orjson.dumps(message_answers.message(orjson.loads(body), job.id, job.at.model)) + b"\n"


def _text(body: bytes) -> str:
    return str(orjson.loads(body).get("text", ""))


async def _wants_text(gateway: Gateway, job: Job, asked: bytes | None) -> bool:
    """Whether the transcription was asked for as a text. Where the request was not kept, nobody knows."""
    if asked is None:
        asked = await gateway.store.request(job.seq)
    return asked is not None and orjson.loads(asked).get("response_format") in openai.TEXT_FORMATS
