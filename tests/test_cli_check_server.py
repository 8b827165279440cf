"""`coatcheck check` where a server runs, or should, or something else has its port."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from .clients import ECHO
from .servers import ServerProcess, gateway, render_toml
from .shells import Shell, answering
from .test_cli_check import TOKEN, check, lines

KEYS = {"keys": [{"name": "me", "key": TOKEN, "admin": True}]}


def port(url: str | None) -> str:
    return (url or "").rpartition(":")[2]


def test_a_server_that_runs_is_asked_where_the_configuration_has_it(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO, "auth": KEYS}) as server:
            sh = Shell(folder, "", {"COATCHECK_KEY": TOKEN, "COATCHECK_SERVER_PORT": port(server.url)})
            done = await sh("check")
            found = lines(done)
            assert done.code == 0
            assert found["server"] == f"✓ {server.url} is ready"
            assert found["database"] == f"✓ {folder / 'coatcheck.db'} is owned by another process (pid {server.pid})"
            assert found["keys"] == "✓ 1, an admin's"
            without = await sh.having(COATCHECK_KEY="")("check")
            assert without.code == 0
            cure = "set COATCHECK_KEY to an admin's key"
            assert lines(without)["keys"] == f"! {server.url} refused: virtual key is required; {cure}"
            other = lines(await sh("check", "--data", str(folder / "elsewhere")))["database"]
            assert other.endswith(f"elsewhere/coatcheck.db is not there yet; the first start makes it | "
                                  f"! the server at {server.url} has another one")  # fmt: skip

    run(main())


def test_a_server_that_is_named_and_not_there_is_a_fault(folder: Path, run: Any) -> None:
    async def main() -> None:
        done = await check(folder, {"providers": ECHO}, COATCHECK_URL="http://127.0.0.1:9")
        assert done.code == 1
        assert lines(done)["server"] == "✗ no server answers at http://127.0.0.1:9 (Connection refused)"
        assert "→ is COATCHECK_URL right, and does `coatcheck serve` run there?\n" in done.out

    run(main())


def test_a_database_whose_server_listens_elsewhere_is_a_fault(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server:
            done = await check(folder, {"providers": ECHO})
            assert done.code == 1
            assert lines(done)["server"] == "✓ no server runs at http://127.0.0.1:9"
            assert lines(done)["database"].endswith(f"is owned by another process (pid {server.pid})")
            assert "→ set COATCHECK_URL to where that server listens, or end the process\n" in done.out

    run(main())


def test_a_database_that_was_removed_under_its_server_is_a_fault(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server:
            (folder / "coatcheck.db").unlink()
            done = await check(folder, {"providers": ECHO}, COATCHECK_SERVER_PORT=port(server.url))
            assert done.code == 1
            found = lines(done)
            path = folder / "coatcheck.db"
            reason = f"the database {path} was removed or replaced while the server runs"
            assert found["server"] == f"✗ {server.url} is not ready: {reason}"
            gone = f"(pid {server.pid}), but the file is gone: what that process takes now is lost with it"
            assert found["database"] == f"✗ {path} is owned by another process {gone}"

    run(main())


def test_a_server_that_stops_is_not_ready(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with gateway(folder, providers=ECHO) as served:
            (folder / "config.toml").write_text(render_toml({"providers": ECHO}))
            await served.gateway.pool.drain(0)
            done = await Shell(folder, served.url)("check")
            assert done.code == 1
            reason = "the server is stopping or has not started yet"
            assert lines(done)["server"] == f"✗ {served.url} is not ready: {reason}"

    run(main())


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="<html>", content_type="text/html"),
        web.Response(status=204),
        web.Response(body=b'{"status": "green"}'),
        web.Response(status=404, body=b'{"error": {"code": 404, "message": "File Not Found"}}'),
    ],
    ids=["page", "nothing", "health", "api"],
)
def test_a_port_that_something_else_has_is_a_fault(folder: Path, run: Any, answer: web.Response) -> None:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type})

    async def main() -> None:
        async with answering(handle) as url:
            done = await check(folder, {"providers": ECHO}, COATCHECK_SERVER_PORT=port(url))
            assert done.code == 1
            assert lines(done)["server"] == f"✗ what answers at {url} is no Coatcheck server"
            assert "→ end what has that port, or set another [server] port\n" in done.out

    run(main())


def test_a_port_where_no_http_is_spoken_is_a_fault(folder: Path, run: Any) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            number = server.sockets[0].getsockname()[1]
            done = await check(folder, {"providers": ECHO}, COATCHECK_SERVER_PORT=str(number))
            assert done.code == 1
            url = f"http://127.0.0.1:{number}"
            assert lines(done)["server"].startswith(f"✗ what answers at {url} does not speak HTTP (")

    run(main())
