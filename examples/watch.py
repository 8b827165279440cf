"""Submits a chat and prints its text as it is generated.

python examples/watch.py http://localhost:8080 local/qwen2.5-coder-0.5b-instruct "Tell me a short story."
"""

import asyncio
import json
import sys

import aiohttp


async def main(url: str, model: str, question: str) -> None:
    request = {"model": model, "messages": [{"role": "user", "content": question}]}
    async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=None)) as session:
        async with session.post("/v1/async/chat/completions", json=request) as answer:
            answer.raise_for_status()
            job = (await answer.json())["id"]
        printed = ""
        async with session.get(f"/v1/async/jobs/{job}/events") as events:
            event = ""
            async for line in events.content:
                name, _, value = line.decode().strip().partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "progress":
                    progress = json.loads(value)
                    if "text" in progress:
                        print(progress["text"], end="", flush=True)
                        printed = printed[: progress["offset"]] + progress["text"]
                elif name == "data" and event in ("completed", "failed", "cancelled"):
                    outcome = json.loads(value)
    if event != "completed":
        sys.exit(f"\nThe job has {event}: {outcome['error']['error']['message']}")
    text = outcome["result"]["choices"][0]["message"]["content"]
    print(text.removeprefix(printed))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
