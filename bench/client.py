"""A bare aiohttp client that holds many requests at once, and what that costs it in memory.

    python bench/client.py PORT COUNT < body

The upstream on that port (see `upstream`) is told to answer once all are held. Prints the bytes that the process has
grown by.
"""

import asyncio
import sys

import aiohttp
import psutil  # type: ignore[import-untyped]

from coatcheck.app import raise_descriptor_limit


async def _hold(port: int, count: int, body: bytes) -> int:
    process = psutil.Process()
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{port}",
        connector=aiohttp.TCPConnector(limit=count),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"Content-Type": "application/json"},
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:

        async def ask() -> bytes:
            async with session.post("/v1/chat/completions", data=body) as response:
                return await response.read()

        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as other:

            async def held() -> int:
                async with other.get("/healthz") as response:
                    counted: dict[str, int] = await response.json()
                return counted["held"]

            await held()
            before = process.memory_full_info().uss
            asking = [asyncio.create_task(ask()) for _ in range(count)]
            # Another process holds them, and it can only be asked.
            while await held() < count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            after = process.memory_full_info().uss
            async with other.post("/answer"):
                pass
        await asyncio.gather(*asking)
    return int(after - before)


def main(port: int, count: int) -> None:
    raise_descriptor_limit()
    print(asyncio.run(_hold(port, count, sys.stdin.buffer.read())))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
