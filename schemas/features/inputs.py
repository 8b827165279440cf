"""What the inputs of all features have in common."""

from collections.abc import Collection, Mapping
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
        if most > 1:
            several = {"type": "array", "items": {"type": "string"}, "maxItems": most}
            self.metadata = {**self.metadata, **several}


class Input(Shape):
    """An input, whatever its feature. Keys that are not known are passed over."""

    #: Those of the required fields that must not be blank either.
    solid: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: The fields that are files.
        self.files: Mapping[str, FileInput] = {
            name: field for name, field in self.load_fields.items() if isinstance(field, FileInput)
        }

    def demand(self, given: Mapping[str, Any], files: Collection[str]) -> None:
        """Raises `Unprocessable` for what the fields, each right by itself, do not say together; `files` are the fields
        that hold files."""


def text(about: str = "The text.") -> Text:
    """The text that most features are about."""
    return Text(about, required="text is required")
