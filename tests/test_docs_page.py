"""The page of the API: all of it comes from this server, and nothing that it did not bring may run."""

import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from coatcheck.app import create_app

from .clients import ECHO, client

#: Addresses of a page or a style that a browser would load.
LOADED = re.compile(r"""(?:src|href)="([^"]+)"|url\(["']?([^"')]+)""")


def test_the_page_loads_from_this_server_alone(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            page = await c.ask("GET", "/docs")
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            loaded = [address for found in LOADED.findall(page.text.decode()) for address in found if address]
            assert len(loaded) >= 5
            for address in loaded:
                file = await c.ask("GET", f"/{address}")
                assert file.status == 200, address
                assert file.headers["X-Content-Type-Options"] == "nosniff"
                if file.headers["Content-Type"].startswith("text/css"):
                    inner = [found for pair in LOADED.findall(file.text.decode()) for found in pair if found]
                    assert [address for address in inner if not address.startswith("data:")] == []

    run(main())


def test_the_page_may_run_nothing_but_its_own(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            page = await c.ask("GET", "/docs")
            policy = page.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'self';")
            assert "unsafe" not in policy
            assert "http" not in policy
            assert "frame-ancestors 'none'" in policy
            text = page.text.decode()
            assert "<style" not in text
            assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
            assert re.findall(r"\son\w+=", text) == []

    run(main())


def test_a_file_is_kept_for_good_under_the_address_that_the_page_has_for_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            page = (await c.ask("GET", "/docs")).text.decode()
            named = re.search(r"docs/swagger-ui-bundle\.js\?v=\w+", page)
            assert named is not None
            file = await c.ask("GET", f"/{named[0]}")
            assert "immutable" in file.headers["Cache-Control"]
            for address in ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui-bundle.js?v=old"):
                other = await c.ask("GET", address)
                assert (other.text, other.headers["Cache-Control"]) == (file.text, "no-cache")
                same = await c.ask("GET", address, headers={"If-None-Match": other.headers["ETag"]})
                assert (same.status, same.text) == (304, b"")

    run(main())


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_files_are_sent_compressed_to_those_who_can_read_them(folder: Path, run: Any, accepted: str) -> None:
    async def main() -> None:
        async with client(folder) as c:
            file = await c.ask("GET", "/docs/swagger-ui.css", headers={"Accept-Encoding": accepted})
            assert b".swagger-ui" in file.text
            assert file.headers.get("Content-Encoding", "identity") == accepted
            assert file.headers["Vary"] == "Accept-Encoding"

    run(main())


def test_a_client_that_does_not_read_a_file_costs_a_piece_of_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        runner = web.AppRunner(create_app({"providers": ECHO}, data=folder))
        await runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        # What the kernel would take is not ours to bound.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        await web.SockSite(runner, listening).start()
        loop, idle = asyncio.get_running_loop(), socket.socket()
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        idle.setblocking(False)
        try:
            await loop.sock_connect(idle, listening.getsockname())
            await loop.sock_sendall(idle, b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
            held = 0
            async with asyncio.timeout(30):
                while not held:
                    await asyncio.sleep(0)
                    assert runner.server is not None
                    transports = [connection.transport for connection in runner.server.connections]
                    held = max((t.get_write_buffer_size() for t in transports if t is not None), default=0)
            assert held < 200_000
        finally:
            idle.close()
            await runner.cleanup()

    run(main())


def test_what_is_no_file_of_the_page_is_not_found(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:
            for name in ("index.html", "..%2fdocs.py", "page.html", "", "%00"):
                answer = await c.ask("GET", f"/docs/{name}")
                assert (answer.status, answer.code) == (404, "not_found"), name

    run(main())


def test_where_it_is_mounted_the_page_finds_its_files(folder: Path, run: Any) -> None:
    async def main() -> None:
        root = web.Application()
        root.add_subapp("/ai", create_app({"providers": ECHO}, data=folder))
        runner = web.AppRunner(root)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/ai"
            async with aiohttp.ClientSession() as session, session.get(f"{url}/docs") as page:
                addresses = re.findall(r'(?:src|href)="([^"]+)"', await page.text())
                assert "openapi.json" in addresses
                for address in addresses:
                    async with session.get(page.url.join(page.url.__class__(address))) as file:
                        assert file.status == 200, file.url
        finally:
            await runner.cleanup()

    run(main())
