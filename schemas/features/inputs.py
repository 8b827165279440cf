"""What the inputs of all features have in common."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ..fields import Shape, Strict, Text


class FileInput(Strict):
    """A file, named by an upload's id, an address or a data: URI; `most` of them may be named, in a list if that is
    more than one.

    `media_types` are those that the feature knows what to do with, as "audio/*".
    """

    json_type = "string"
    expected, plural = "a file", "files"
    checks: Mapping[type, None] = {}

    def __init__(
        self,
        about: str,
        *,
        media_types: tuple[str, ...],
        most: int = 1,
        required: bool | str = False,
    ) -> None:
        super().__init__(about, required=required)
        self.media_types = media_types
        self.most = most


class Input(Shape):
    """An input, whatever its feature. Keys that are not known are passed over."""

    #: Fields that say nothing without another one, by their names.
    needs: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: The fields that are files.
        self.files: Mapping[str, FileInput] = {
            name: field for name, field in self.load_fields.items() if isinstance(field, FileInput)
        }


def text(about: str | None = None, *, required: str = "text is required") -> Text:
    """A text that most features are about."""
    return Text(about, required=required, pattern=r"\S", form="a text that is not blank")
