"""What the requests of all operations have in common."""

from collections.abc import Mapping
from typing import Any, ClassVar

from .fields import Flag, ListOf, Object, OneOf, Shape, Strict, Text

#: Those of OpenAI, and what vendors who take the same field add.
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "default")
TOOL_CHOICES = ("none", "auto", "required", "any")


class Fallback(Shape):
    provider = Text(required=True)
    model = Text(required=True)


class Upload(Strict):
    """A file of a form; no JSON is one. `most` files may be sent, in as many parts of the field's name."""

    json_type = "string"
    expected, plural = "a file", "files"
    checks: Mapping[type, None] = {}

    def __init__(self, about: str, *, most: int = 1, required: bool | str = False) -> None:
        super().__init__(about, required=required)
        self.most = most


class Request(Shape):
    """A request, whatever its operation."""

    #: Whether the operation knows streams.
    streams: ClassVar[bool] = False
    #: Those of the required fields that must not be blank either.
    solid: ClassVar[tuple[str, ...]] = ("model",)

    model = Text("The model, as `provider/model`.", required="model is required")
    fallbacks = ListOf(
        OneOf(Text(), Object(Fallback)),
        of="models",
        about="Models to try in this order when the first one fails, each as `provider/model`.",
    )

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        #: The fields that hold files, of a request that is a form; none of one that is JSON.
        self.files = {name: field for name, field in self.load_fields.items() if isinstance(field, Upload)}

    def normalise(self, body: dict[str, Any]) -> None:
        """Brings a checked body, free of nulls, to the one spelling that providers are given; in place at the top
        level, while nested values are the client's own and are replaced, not changed."""

    def demand(self, body: Mapping[str, Any]) -> None:
        """Raises `InvalidRequest` for what the fields of a normalised body, each right by itself, do not say
        together."""

    def streamed(self, body: dict[str, Any]) -> str | None:
        """Takes away the word for a stream; the field that asks for one, if any does."""
        body.pop("stream", None)
        return None


class Streamable(Request):
    """What is common to those whose answer could be a stream, were it not a job."""

    streams: ClassVar[bool] = True

    stream = Flag("Jobs are not streamed: true is refused.")

    def streamed(self, body: dict[str, Any]) -> str | None:
        return "stream" if body.pop("stream", False) else None


class StreamOptions(Shape):
    include_obfuscation = Flag()
    include_usage = Flag()


class StreamableRequest(Streamable):
    stream_options = Object(StreamOptions, "Accepted and ignored.")


class FormRequest(Request):
    """A request that is a multipart form, for the sake of its files. A text field that says nothing is absent."""

    def on_bind_field(self, field_name: str, field_obj: Any) -> None:
        field_obj.allow_none = False
