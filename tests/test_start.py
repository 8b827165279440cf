"""What a start imports: the rest can wait until somebody asks for it."""

import subprocess
import sys

import pytest

from coatcheck.providers.kinds import KINDS
from coatcheck.schemas.operations import OPERATIONS

from .test_house import OWNERS

START = "from coatcheck.commands import serve; from coatcheck.app import create_app; create_app()"


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules of a new process that has an application of the packaged configuration."""
    code = f"import sys; {START}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_start_imports_only_the_libraries_that_every_start_needs(loaded: set[str]) -> None:
    assert loaded & {*OWNERS, "importlib.metadata"} == {"aiohttp.web", "aiosqlite", "marshmallow"}


def test_a_start_imports_the_kinds_that_the_configuration_names(loaded: set[str]) -> None:
    kinds = {f"coatcheck.providers.{kind.folder}.{kind.module}" for kind in KINDS.values()}
    assert loaded & kinds == {"coatcheck.providers.echo.provider", "coatcheck.providers.local.provider"}


def test_a_start_imports_nothing_that_only_the_document_needs(loaded: set[str]) -> None:
    document = ("handlers.descriptions", "handlers.sdk_descriptions", "handlers.openapi", "schemas.answers")
    assert loaded & {f"coatcheck.{name}" for name in document} == set()


def test_a_start_imports_no_schema_of_a_request(loaded: set[str]) -> None:
    requests = {operation.request.partition(".")[0] for operation in OPERATIONS.values()}
    assert loaded & {f"coatcheck.schemas.{name}" for name in requests} == set()
