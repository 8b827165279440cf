"""The application as a whole: mounted in another, stopped by signals, refused a start, driven by clients of others."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web

from coatcheck.app import create_app
from coatcheck.engine.errors import ConfigurationError
from coatcheck.handlers.gateway import GATEWAY

from .clients import ECHO, client, request
from .servers import Gate, ServerProcess, Upstream

SUBMIT = "/v1/async/embeddings"


def test_another_application_can_mount_it_under_a_prefix(folder: Path, run: Any) -> None:
    async def main() -> None:
        root = web.Application(client_max_size=100)
        root.router.add_get("/", _home)
        inner = create_app({"providers": ECHO}, data=folder)
        root.add_subapp("/ai", inner)
        runner = web.AppRunner(root, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(url) as session:
            async with session.post("/ai" + SUBMIT, json=request("embeddings", input="x" * 1000)) as response:
                assert response.status == 202, "the host's client_max_size is not ours"
                location = response.headers["Location"]
                assert location.startswith("/ai/v1/async/embeddings/")
            status = 202
            while status == 202:
                async with session.get(location) as response:
                    status, job = response.status, await response.json()
            assert (status, job["status"]) == (200, "completed")
            async with session.get("/ai/v1/nowhere") as response:
                assert (response.status, (await response.json())["error"]["code"]) == (404, "not_found")
            async with session.get("/") as response:
                assert await response.text() == "the host's own page"
        await runner.cleanup()
        assert not inner[GATEWAY].pool.accepting, "the host's end is ours too"

    run(main())


async def _home(_request: web.Request) -> web.Response:
    return web.Response(text="the host's own page")


def test_two_gateways_cannot_share_a_database_but_can_share_a_process(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as first:
            with pytest.raises(Exception, match="is owned by another process"):
                async with client(folder):
                    pass
            (folder / "other").mkdir()
            async with client(folder / "other") as second:
                id = await first.submit("embeddings")
                assert (await second.ask("GET", f"{SUBMIT}/{id}")).status == 404

    run(main())


def test_it_does_not_start_open_to_other_machines(folder: Path, run: Any) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match=r"make one with `coatcheck keys add NAME --admin`"):
            async with client(folder, server={"host": "0.0.0.0"}):
                pass
        async with client(folder, server={"host": "0.0.0.0"}, auth={"required": False}) as c:
            await c.submit("embeddings")
        async with client(folder, server={"host": "0.0.0.0"}, auth={"keys": [{"name": "a", "key": "t"}]}) as c:
            assert (await c.ask("POST", SUBMIT, request("embeddings"))).status == 401

    run(main())


def test_on_sigterm_submits_are_refused_polls_go_on_and_running_jobs_end(folder: Path, run: Any) -> None:
    async def main() -> None:
        gate = Gate()
        async with Upstream(gate.answer) as upstream, aiohttp.ClientSession() as session:
            providers = {"up": {"kind": "openai", "base_url": upstream.url}}
            async with ServerProcess(folder, {"providers": providers}) as server:
                url = server.url
                id = await _submitted(session, f"{url}{SUBMIT}", "up/model")
                await upstream.asked.get()
                ending = asyncio.create_task(server.terminate())
                refusal = await _refusal(session, f"{url}{SUBMIT}", "up/model")
                assert "stopping" in refusal["error"]["message"]
                await _until(session, f"{url}{SUBMIT}/{id}", "processing")
                gate.let(1_000)
                assert await ending == 0
                await server.start()
                await _until(session, f"{server.url}{SUBMIT}/{id}", "completed")

    run(main())


def test_a_second_signal_ends_the_grace_time_and_the_job_goes_on_at_the_next_start(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with ServerProcess(folder, {"providers": ECHO}) as server, aiohttp.ClientSession() as session:
            id = await _submitted(session, f"{server.url}{SUBMIT}", "echo/hang")
            await _until(session, f"{server.url}{SUBMIT}/{id}", "processing")
            os.kill(server.pid, signal.SIGTERM)
            await _refusal(session, f"{server.url}{SUBMIT}", "echo/hang")
            assert await server.terminate() == 0
            await server.start()
            await _until(session, f"{server.url}{SUBMIT}/{id}", "processing")
            async with session.get(f"{server.url}/v1/async/jobs/{id}?include=attempts") as response:
                first, second = (await response.json())["attempts"]
            assert (first["status"], first["reason"]) == ("released", "stopped")
            assert second["attempt"] == 2

    run(main())


async def _submitted(session: aiohttp.ClientSession, url: str, model: str) -> str:
    async with session.post(url, json=request("embeddings", model)) as response:
        assert response.status == 202
        return str((await response.json())["id"])


async def _refusal(session: aiohttp.ClientSession, url: str, model: str) -> Any:
    """Submits until the server, which has been told to stop, says that it does."""
    async with asyncio.timeout(30):
        while True:
            async with session.post(url, json=request("embeddings", model)) as response:
                if response.status != 202:
                    assert response.status == 503
                    assert int(response.headers["Retry-After"]) >= 1
                    return await response.json()


async def _until(session: aiohttp.ClientSession, url: str, status: str) -> None:
    async with asyncio.timeout(30):
        while True:
            async with session.get(url) as response:
                if (await response.json())["status"] == status:
                    return


def test_the_openai_package_can_submit_and_poll(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder, auth={"keys": [{"name": "a", "key": "token"}]}) as c:
            base = c.served.url + "/v1/async"
            async with openai.AsyncOpenAI(base_url=base, api_key="token", max_retries=0) as sdk:
                raw = await sdk.chat.completions.with_raw_response.create(
                    model="echo/echo", messages=[{"role": "user", "content": "hello there"}], max_tokens=5
                )
                assert raw.http_response.status_code == 202
                id = raw.http_response.json()["id"]
                job: Any = {}
                while job.get("status") != "completed":
                    job = await sdk.get(f"/chat/completions/{id}", cast_to=object)
                assert job["result"]["choices"][0]["message"]["content"] == "hello there"
                with pytest.raises(openai.BadRequestError, match="stream is not supported for async responses"):
                    await sdk.responses.create(model="echo/echo", input="x", stream=True)
            async with openai.AsyncOpenAI(base_url=base, api_key="wrong", max_retries=0) as sdk:
                with pytest.raises(openai.BadRequestError, match="virtual key not found"):
                    await sdk.embeddings.create(model="echo/echo", input="x")

    run(main())


def test_curl_can_submit_and_poll(folder: Path, run: Any) -> None:
    async def main() -> None:
        async with client(folder) as c:

            async def curl(*arguments: str) -> str:
                process = await asyncio.create_subprocess_exec(
                    "curl", "-s", "-w", "%{http_code}", *arguments, stdout=asyncio.subprocess.PIPE
                )
                out, _ = await process.communicate()
                return out.decode()

            answer = await curl(c.served.url + SUBMIT, "-d", '{"model": "echo", "input": "hi"}')
            assert answer.endswith("}\n202")
            (id,) = re.findall(r'"id":"([^"]+)"', answer)
            while (answer := await curl(f"{c.served.url}{SUBMIT}/{id}")).endswith("202"):
                pass
            assert answer.endswith("}\n200")
            assert '"status":"completed"' in answer

    run(main())


def test_the_wheel_holds_coatcheck_alone(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, root],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"coatcheck"}
    for file in ("app.py", "cli.py", "py.typed", "config.toml", "engine/store.py", "providers/local/worker.py"):
        assert f"coatcheck/{file}" in names
    assert not [name for name in names if "test" in name or "bench" in name]
