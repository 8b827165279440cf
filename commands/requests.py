"""What a submit asks for, as its arguments say it: JSON, or a form with files."""

import base64
import json
import mimetypes
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coatcheck.engine.errors import CoatcheckError

from .options import Misunderstood
from .uploads import Form

#: Where an operation's text goes; None: it is asked with a file alone.
TEXTS: Mapping[str, str | None] = {
    "chat/completions": "messages",
    "completions": "prompt",
    "responses": "input",
    "embeddings": "input",
    "audio/speech": "input",
    "audio/transcriptions": None,
    "images/generations": "prompt",
    "images/edits": "prompt",
    "images/variations": None,
    "rerank": "query",
    "ocr": None,
    "moderations": "input",
}

#: The fields of an operation that are files, the usual one first.
FILES: Mapping[str, tuple[str, ...]] = {
    "audio/transcriptions": ("file",),
    "images/edits": ("image", "mask"),
    "images/variations": ("image",),
    "ocr": ("document",),
}
#: Whose request is JSON all the same, with the file in it.
_INLINE = ("ocr",)


def request(operation: str, source: str | None, given: Mapping[str, Any], attached: list[str]) -> dict[str, Any] | Form:
    """The request of this operation. `source` is a text, @FILE, - or None; `given` are fields, `attached` files as
    PATH or FIELD=PATH. Raises `Misunderstood` or `CoatcheckError`."""
    if operation not in TEXTS:
        raise Misunderstood(f"there is no operation {operation!r}; there are {', '.join(TEXTS)}")
    if attached and operation not in FILES:
        raise Misunderstood(f"{operation} takes no files; those that do: {', '.join(FILES)}")
    files = [_file(operation, one) for one in attached]
    field = TEXTS[operation]
    asked = _pointed(operation, source, given, files) if field is None else _content(operation, field, source, given)
    asked |= given
    if "model" not in asked:
        raise Misunderstood("which model? Say -m PROVIDER/MODEL; `coatcheck providers` lists them")
    if operation in FILES and operation not in _INLINE:
        return Form(_texts(asked), files)
    for name, path in files:
        asked[name] = _document(path)
    return asked


def _file(operation: str, attached: str) -> tuple[str, Path]:
    """The field, and the file that goes in it."""
    fields = FILES[operation]
    name, equals, path = attached.partition("=")
    if not equals or name not in fields:
        name, path = fields[0], attached
    return name, Path(path.removeprefix("@"))


def _pointed(
    operation: str, source: str | None, given: Mapping[str, Any], files: list[tuple[str, Path]]
) -> dict[str, Any]:
    """The request of an operation that has no text: its file may stand in the place of one, and is added to `files`."""
    field = FILES[operation][0]
    if source is not None and source.startswith("@"):
        files.insert(0, (field, Path(source[1:])))
    elif source is not None and operation == "ocr" and source.startswith(("https://", "http://", "data:")):
        return {field: _address(source, mimetypes.guess_type(source)[0])}
    elif source is not None:
        raise Misunderstood(f"{operation} takes a file: say @FILE")
    elif field not in given and field not in (name for name, _ in files):
        raise Misunderstood("which file? Say @FILE")
    return {}


def _content(operation: str, field: str, source: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked: a whole request, or a text in its place."""
    if source is None and field in given:
        return {}
    if source is None and sys.stdin.isatty():
        raise Misunderstood("what is to be asked? Give a TEXT, @FILE, or - for standard input")
    if source is None or source == "-":
        text = sys.stdin.read()
        if not text.strip():
            raise Misunderstood("what is to be asked? Standard input is empty, and there is no TEXT and no @FILE")
    elif source.startswith("@"):
        try:
            text = Path(source[1:]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise CoatcheckError(f"{source[1:]} cannot be read: {why}") from error
    else:
        return _filled(operation, field, source)
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    return whole if isinstance(whole, dict) else _filled(operation, field, text)


def _filled(operation: str, field: str, text: str) -> dict[str, Any]:
    return {field: [{"role": "user", "content": text}] if operation == "chat/completions" else text}


def _texts(asked: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fields of a request as those of a form: lists are repeated."""
    found = []
    for name, value in asked.items():
        if isinstance(value, list):
            found += [(f"{name}[]", _text(item)) for item in value]
        else:
            found.append((name, _text(value)))
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _document(path: Path) -> dict[str, str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CoatcheckError(f"{path} cannot be read: {error.strerror}") from error
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _address(f"data:{media_type};base64,{base64.b64encode(data).decode()}", media_type)


def _address(url: str, media_type: str | None) -> dict[str, str]:
    """A document to be read: whether it is an image is said beside its address."""
    image = (media_type or "").startswith("image/") or url.startswith("data:image/")
    kind = "image_url" if image else "document_url"
    return {"type": kind, kind: url}
