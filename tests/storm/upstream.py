"""The upstream of a storm: it answers each chat with its own words and counts how often each was asked."""

import asyncio
from collections import Counter
from typing import Any

from aiohttp import web

from ..servers import Upstream

_SECONDS = {"quick": 0.0, "slow": 0.2}


class Counted:
    def __init__(self) -> None:
        #: By the chat's text.
        self.calls: Counter[str] = Counter()
        self.server = Upstream(self._answer)

    async def _answer(self, request: dict[str, Any]) -> web.StreamResponse:
        # What is asked is counted here, and need not be kept.
        self.server.asked.get_nowait()
        text = request["messages"][-1]["content"]
        self.calls[text] += 1
        await asyncio.sleep(_SECONDS[request["model"]])
        message = {"role": "assistant", "content": text}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        return web.json_response({"id": "chatcmpl-1", "object": "chat.completion", "choices": choices})
