"""Uploads a file, has a feature of the v3 dialect take it, and prints its output.

python examples/universal.py http://127.0.0.1:8080 audio/speech_to_text_async/local/whisper-base ticket.mp3
"""

import asyncio
import json
import sys
from pathlib import Path

import aiohttp


async def main(server: str, model: str, name: str, content: bytes) -> None:
    async with aiohttp.ClientSession(server, raise_for_status=True) as session:
        form = aiohttp.FormData()
        form.add_field("file", content, filename=name)
        async with session.post("/v3/upload", data=form) as answer:
            file = (await answer.json())["file_id"]
        async with session.post("/v3/universal-ai/async", json={"model": model, "input": {"file": file}}) as answer:
            job = await answer.json()
        while job["status"] == "processing":
            await asyncio.sleep(1)
            async with session.get(f"/v3/universal-ai/async/{job['public_id']}") as answer:
                job = await answer.json()
    if job["status"] == "fail":
        sys.exit(job["error"]["message"])
    print(json.dumps(job["output"], ensure_ascii=False))


if __name__ == "__main__":
    path = Path(sys.argv[3])
    asyncio.run(main(sys.argv[1], sys.argv[2], path.name, path.read_bytes()))
