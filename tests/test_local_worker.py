"""Worker processes: started once, stopped when idle, replaced when they die, quick to drop what nobody waits for."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from coatcheck.engine.errors import CallFailed, NotConfigured
from coatcheck.providers.local.provider import LocalOptions, LocalProvider

from .local_models import CHAT, EMBEDDINGS, ENDLESS, Watch, call, has_ended, local, make

#: More than a test could wait for.
LONG: dict[str, Any] = {"prompt": "Once upon a time", "max_tokens": 7000, **ENDLESS}
SHORT: dict[str, Any] = {"prompt": "Once upon a time", "max_tokens": 1}
MIB = 1 << 20


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Cancels it; it must end at once, without an answer from the worker."""
    task.cancel()
    async with asyncio.timeout(0.5):
        with pytest.raises(asyncio.CancelledError):
            await task


def test_a_cancel_stops_the_answer_at_the_next_token(models_dir: Path) -> None:
    async def scene() -> None:
        async with local(models_dir, parallel=1) as provider:
            watch = Watch()
            task = asyncio.create_task(provider.execute(call("completions", CHAT, watch, **LONG)))
            progress = await watch.unit("tokens")
            assert progress.total == 7000
            await cancelled(task)
            # With one slot, this can only be answered once the other has stopped.
            async with asyncio.timeout(5):
                await provider.execute(call("completions", CHAT, **SHORT))

    asyncio.run(scene())


def test_a_cancel_stops_the_reading_of_a_long_prompt(models_dir: Path) -> None:
    async def scene() -> None:
        async with local(models_dir, parallel=1) as provider:
            watch = Watch()
            request: dict[str, Any] = {"prompt": "word " * 7500, "max_tokens": 1}
            task = asyncio.create_task(provider.execute(call("completions", CHAT, watch, **request)))
            progress = await watch.until(lambda progress: progress.unit == "prompt tokens" and progress.done > 0)
            assert progress.total is not None
            assert progress.done < progress.total / 4
            await cancelled(task)
            async with asyncio.timeout(10):
                await provider.execute(call("completions", CHAT, **SHORT))
            assert {progress.unit for progress in watch.heard} == {"prompt tokens"}

    asyncio.run(scene())


def test_a_call_cancelled_while_it_waits_for_a_slot_never_starts(models_dir: Path) -> None:
    async def scene() -> None:
        async with local(models_dir, parallel=1) as provider:
            first, second = Watch(), Watch()
            running = asyncio.create_task(provider.execute(call("completions", CHAT, first, **LONG)))
            await first.unit("tokens")
            waiting = asyncio.create_task(provider.execute(call("completions", CHAT, second, **LONG)))
            heard = len(first.heard)
            await first.until(lambda progress: first.heard.index(progress) > heard)
            await cancelled(waiting)
            await cancelled(running)
            async with asyncio.timeout(5):
                await provider.execute(call("completions", CHAT, **SHORT))
            assert second.heard == []

    asyncio.run(scene())


def test_cancelled_calls_leave_neither_memory_nor_slots_taken(models_dir: Path) -> None:
    async def scene() -> None:
        async with local(models_dir) as provider:

            async def begin_and_cancel() -> None:
                watch = Watch()
                task = asyncio.create_task(provider.execute(call("completions", CHAT, watch, **LONG)))
                await watch.unit("tokens")
                await cancelled(task)

            for _ in range(3):
                await begin_and_cancel()
            pid = provider.worker_pid(CHAT)
            assert pid is not None
            worker = psutil.Process(pid)
            before = worker.memory_info().rss
            for _ in range(20):
                await begin_and_cancel()
            await provider.execute(call("completions", CHAT, **SHORT))
            assert worker.memory_info().rss - before < 20 * MIB
            assert provider.worker_pid(CHAT) == pid

    asyncio.run(scene())


def test_two_calls_are_answered_at_once(models_dir: Path) -> None:
    async def scene() -> None:
        async with local(models_dir) as provider:
            watches = [Watch(), Watch()]
            tasks = [
                asyncio.create_task(provider.execute(call("completions", CHAT, watch, **LONG))) for watch in watches
            ]
            # Both have begun to answer, and neither can have ended.
            for watch in watches:
                await watch.unit("tokens")
            for task in tasks:
                await cancelled(task)

    asyncio.run(scene())


def test_a_killed_worker_fails_its_calls_and_is_replaced(models_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with local(models_dir) as provider:
            watch = Watch()
            task = asyncio.create_task(provider.execute(call("completions", CHAT, watch, **LONG)))
            await watch.unit("tokens")
            pid = provider.worker_pid(CHAT)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(CallFailed, match="was ended by SIGKILL during the call") as caught:
                await task
            assert (caught.value.status, caught.value.code) == (503, "worker_died")
            await provider.execute(call("completions", CHAT, **SHORT))
            assert provider.worker_pid(CHAT) not in (None, pid)

    asyncio.run(scene())


def test_many_first_callers_share_one_start(models_dir: Path) -> None:
    async def scene() -> None:
        async with local(models_dir) as provider:
            calls = [call("embeddings", EMBEDDINGS, input=f"text {number}") for number in range(4)]
            tasks = [asyncio.create_task(provider.execute(each)) for each in calls]
            # Whoever came first and leaves does not take the start along.
            await asyncio.sleep(0)
            await cancelled(tasks.pop(0))
            await asyncio.gather(*tasks)
            workers = [child for child in psutil.Process().children() if EMBEDDINGS in " ".join(child.cmdline())]
            assert [worker.pid for worker in workers] == [provider.worker_pid(EMBEDDINGS)]

    asyncio.run(scene())


def test_an_idle_worker_goes_and_comes_back(models_dir: Path) -> None:
    async def scene() -> None:
        async with local(models_dir, idle_seconds=0.1) as provider:
            watch = Watch()
            task = asyncio.create_task(provider.execute(call("embeddings", EMBEDDINGS, watch, input="a")))
            await watch.unit("inputs")
            pid = provider.worker_pid(EMBEDDINGS)
            assert pid is not None
            pidfd = os.pidfd_open(pid)
            await task
            assert await asyncio.to_thread(has_ended, pidfd)
            assert provider.worker_pid(EMBEDDINGS) is None
            await provider.execute(call("embeddings", EMBEDDINGS, input="a"))

    asyncio.run(scene())


def test_a_model_that_is_not_there_is_named_with_its_cure(folder: Path) -> None:
    async def scene() -> None:
        async with local(folder) as provider:
            with pytest.raises(NotConfigured, match=f"run `coatcheck models pull {CHAT}`") as caught:
                await provider.execute(call("completions", CHAT, **SHORT))
            assert caught.value.code == "model_not_pulled"

    asyncio.run(scene())


def test_a_damaged_file_is_a_clear_failure_each_time(models_dir: Path, folder: Path) -> None:
    async def scene() -> None:
        path = folder / "mine.gguf"
        path.write_bytes(os.urandom(1000))
        async with local(models_dir, path=str(path)) as provider:
            for _ in range(2):
                with pytest.raises(NotConfigured, match="mine cannot be loaded") as caught:
                    await provider.execute(call("completions", "mine", **SHORT))
                assert caught.value.code == "model_not_loaded"

    asyncio.run(scene())


def test_a_file_of_ones_own_is_served_under_its_name(models_dir: Path, folder: Path) -> None:
    async def scene() -> None:
        path = folder / "my-own.gguf"
        path.symlink_to(next((models_dir / CHAT).glob("*.gguf")))
        async with local(models_dir, path=str(path)) as provider:
            assert provider.models == (CHAT, EMBEDDINGS, "my-own")
            reply = await provider.execute(call("completions", "my-own", **SHORT))
            assert orjson.loads(reply.result)["model"] == "my-own"

    asyncio.run(scene())


def test_a_missing_package_is_named_with_its_cure(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    async def scene() -> None:
        # A package that stands in front of the real one and is not there in truth.
        (folder / "onnxruntime.py").write_text("raise ModuleNotFoundError('no', name='onnxruntime')")
        monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
        async with local(models_dir) as provider:
            with pytest.raises(
                NotConfigured, match=r"need the package onnxruntime: run `pip install 'coatcheck\[local\]'`"
            ):
                await provider.execute(call("embeddings", EMBEDDINGS, input="a"))

    asyncio.run(scene())


def test_a_worker_keeps_no_report_for_the_makers_of_its_libraries(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    async def scene() -> None:
        # ONNX Runtime makes up an id of this machine and collects its events there.
        monkeypatch.setenv("HOME", str(folder))
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
        async with local(models_dir) as provider:
            await provider.execute(call("embeddings", EMBEDDINGS, input="a"))

    asyncio.run(scene())
    assert list(folder.rglob("*")) == []


GATEWAY = """
import asyncio, sys
from pathlib import Path
from tests.local_models import CHAT, ENDLESS, Watch, call, make

async def main():
    provider = make(Path(sys.argv[1]))
    watch = Watch()
    request = {"prompt": "Once upon a time", "max_tokens": 7000, **ENDLESS}
    task = asyncio.create_task(provider.execute(call("completions", CHAT, watch, **request)))
    await watch.unit("tokens")
    print(provider.worker_pid(CHAT), flush=True)
    await task

asyncio.run(main())
"""


def test_a_worker_does_not_outlive_a_killed_gateway(models_dir: Path) -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", GATEWAY, str(models_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as gateway:
        assert gateway.stdout is not None
        pidfd = os.pidfd_open(int(gateway.stdout.readline()))
        gateway.kill()
    assert has_ended(pidfd)


@pytest.mark.parametrize(
    ("operation", "model", "reason"),
    [
        ("chat/completions", CHAT, None),
        ("embeddings", EMBEDDINGS, None),
        ("embeddings", CHAT, f"has no operation embeddings for the model {CHAT}; for that it has {EMBEDDINGS}"),
        ("responses", "gpt-4", f"has no model gpt-4 for responses; it has {CHAT}"),
        (
            "audio/speech",
            CHAT,
            "has no operation audio/speech; it has chat/completions, completions, responses, embeddings, rerank",
        ),
    ],
)
def test_what_it_cannot_do_is_refused_before_a_job_is_taken(
    folder: Path, operation: str, model: str, reason: str | None
) -> None:
    assert make(folder).check(operation, model) == reason


def test_chat_and_embeddings_have_lanes_of_their_own(folder: Path) -> None:
    provider = make(folder, concurrency=3)
    assert provider.lanes == {"local/chat": 3, "local/embeddings": 3}
    assert provider.lane("responses", CHAT) == "local/chat"
    assert provider.lane("embeddings", EMBEDDINGS) == "local/embeddings"


def test_a_model_that_the_manifest_does_not_know_is_a_configuration_error() -> None:
    with pytest.raises(ValueError, match="there is no model gpt-4; there are qwen"):
        LocalProvider("local", LocalOptions(models=("gpt-4",)))
