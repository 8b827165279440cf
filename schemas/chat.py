"""What a client asks of chat completions."""

from typing import Any, ClassVar

from marshmallow import ValidationError

from .fields import Examples, Flag, Integer, ListOf, MapOf, Null, Number, Object, OneOf, Shape, Text
from .requests import EFFORTS, TOOL_CHOICES, StreamableRequest


class CacheControl(Shape):
    type = Text(enum=("ephemeral",))
    ttl = Text()
    scope = Text()


class ImageUrl(Shape):
    url = Text("An address, or the image itself as a data URL.", required=True)
    detail = Text(known=("low", "high", "auto", "default"))
    max_long_side_pixel = Integer()


class VideoUrl(Shape):
    url = Text(required=True)
    detail = Text(enum=("low", "default", "high"))
    fps = Number(minimum=0.2, maximum=5)
    max_long_side_pixel = Integer()


class InputAudio(Shape):
    data = Text("The audio in base64.", required=True)
    format = Text()


class InputFile(Shape):
    file_data = Text()
    file_id = Text()
    filename = Text()
    file_type = Text()
    file_url = Text()


class ContentBlock(Shape):
    type = Text(required=True, known=("text", "image_url", "video_url", "input_audio", "file", "refusal"))
    text = Text()
    refusal = Text()
    image_url = Object(ImageUrl)
    video_url = Object(VideoUrl)
    input_audio = Object(InputAudio)
    file = Object(InputFile)
    cache_control = Object(CacheControl)
    citations = OneOf(Object(), ListOf(Object(), of="citations"))
    cachePoint = Object()


class ReasoningDetail(Shape):
    id = Text()
    index = Integer()
    type = Text(known=("reasoning.summary", "reasoning.encrypted", "reasoning.text", "reasoning.content_blocks"))
    summary = Text()
    text = Text()
    signature = Text()
    data = Text()


class FunctionCall(Shape):
    name = Text()
    arguments = Text("The arguments as JSON in a string.")


class ToolCall(Shape):
    index = Integer()
    type = Text()
    id = Text()
    function = Object(FunctionCall)


class MessageAudio(Shape):
    id = Text()
    data = Text()
    expires_at = Integer()
    transcript = Text()


class ChatMessage(Shape):
    role = Text(required=True, enum=("assistant", "user", "system", "tool", "developer", "function"))
    name = Text()
    content = OneOf(Text(), ListOf(Object(ContentBlock), of="content blocks"), Null())
    tool_call_id = Text("The call that a message of the role `tool` answers.")
    refusal = Text()
    audio = Object(MessageAudio)
    reasoning = Text()
    reasoning_details = ListOf(Object(ReasoningDetail))
    annotations = ListOf(Object())
    tool_calls = ListOf(Object(ToolCall), of="tool calls")


class Function(Shape):
    name = Text(required=True)
    description = Text()
    parameters = Object(about="The parameters as a JSON schema.")
    strict = Flag()


class Grammar(Shape):
    definition = Text()
    syntax = Text(enum=("lark", "regex"))


class CustomFormat(Shape):
    type = Text()
    grammar = Object(Grammar)


class CustomTool(Shape):
    format = Object(CustomFormat)


class ChatTool(Shape):
    type = Text("`function`, `custom`, or the type of a tool that the provider runs itself.", required=True)
    function = Object(Function)
    custom = Object(CustomTool)
    cache_control = Object(CacheControl)
    defer_loading = Flag()
    allowed_callers = ListOf(Text())
    input_examples = ListOf(Object())
    eager_input_streaming = Flag()
    name = Text()
    max_uses = Integer()
    allowed_domains = ListOf(Text())
    blocked_domains = ListOf(Text())
    user_location = Object()
    max_content_tokens = Integer()
    use_cache = Flag()
    display_width_px = Integer()
    display_height_px = Integer()
    display_number = Integer()
    enable_zoom = Flag()
    max_characters = Integer()
    mcp_server_name = Text()
    citations = OneOf(Object(), ListOf(Object(), of="citations"))
    default_config = Object()
    configs = Object()


class ToolName(Shape):
    name = Text()


class AllowedTool(Shape):
    type = Text()
    function = Object(ToolName)


class AllowedTools(Shape):
    mode = Text(enum=("auto", "required"))
    tools = ListOf(Object(AllowedTool))


class ToolChoice(Shape):
    type = Text(required=True, enum=("none", "auto", "any", "required", "function", "allowed_tools", "custom"))
    function = Object(ToolName)
    custom = Object(ToolName)
    allowed_tools = Object(AllowedTools)


class Audio(Shape):
    format = Text()
    voice = Text()


class Prediction(Shape):
    type = Text(enum=("content",))
    content = OneOf(Text(), ListOf(Object(), of="content blocks"))


class Reasoning(Shape):
    effort = Text(enum=EFFORTS)
    max_tokens = Integer()
    enabled = Flag()
    display = Text()


class Place(Shape):
    city = Text()
    country = Text()
    region = Text()
    timezone = Text()


class UserLocation(Shape):
    type = Text()
    approximate = Object(Place)


class WebSearchOptions(Shape):
    search_context_size = Text(enum=("low", "medium", "high"))
    user_location = Object(UserLocation)


class ChatCompletionRequest(StreamableRequest):
    messages = ListOf(
        Object(ChatMessage),
        of="messages",
        about="The conversation so far.",
        required="messages is required for chat completion",
    )
    audio = Object(Audio, "How a spoken answer is to sound.")
    cache_control = Object(CacheControl)
    container = OneOf(Text(), Object())
    context_management = Object()
    frequency_penalty = Number(minimum=-2, maximum=2)
    presence_penalty = Number(minimum=-2, maximum=2)
    inference_geo = Text()
    logit_bias = MapOf(Number(), "By token id: how much likelier the token becomes.")
    logprobs = Flag("Whether to report how likely each token was.")
    top_logprobs = Integer("How many of the likeliest tokens to report at each place.", minimum=0, maximum=20)
    max_completion_tokens = Integer("How many tokens the answer may have, reasoning included.")
    max_tokens = Integer("The older name of `max_completion_tokens`, which wins where both are given.")
    mcp_servers = ListOf(Object())
    metadata = Object()
    modalities = ListOf(Text(), about="What the answer may be made of, as `text` and `audio`.")
    n = Integer("How many answers to make.", minimum=1)
    parallel_tool_calls = Flag()
    prediction = Object(Prediction, "What much of the answer is expected to be.")
    prompt_cache_key = Text()
    prompt_cache_retention = Text(enum=("in-memory", "in_memory", "24h"))
    reasoning = Object(Reasoning)
    reasoning_effort = Text("Another spelling of `reasoning.effort`.", enum=EFFORTS)
    reasoning_max_tokens = Integer("Another spelling of `reasoning.max_tokens`.")
    response_format = Object(about="The form of the answer, as a JSON schema for instance.")
    safety_identifier = Text()
    seed = Integer()
    service_tier = Text()
    speed = Text()
    stop = OneOf(Text(), ListOf(Text()), about="Where the answer ends: the text itself is left out.")
    store = Flag()
    task_budget = Object()
    temperature = Number(minimum=0, maximum=2)
    tool_choice = OneOf(Text(enum=TOOL_CHOICES), Object(ToolChoice))
    tools = ListOf(Object(ChatTool), of="tools")
    top_k = Integer()
    top_p = Number(minimum=0, maximum=1)
    truncation = Text()
    user = Text()
    verbosity = Text(enum=("low", "medium", "high"))
    web_search_options = Object(WebSearchOptions)

    examples: ClassVar[Examples] = {
        "A question": {
            "model": "echo/echo",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
        },
        "With a fallback": {
            "model": "echo/status-400",
            "fallbacks": ["echo/wait-1", {"provider": "echo", "model": "echo"}],
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "What is the capital of France?"}]},
            ],
            "max_completion_tokens": 40,
            "temperature": 0.2,
        },
    }

    def normalise(self, body: dict[str, Any]) -> None:
        older = body.pop("max_tokens", None)
        if older is not None:
            body.setdefault("max_completion_tokens", older)
        _merge_reasoning(body, "effort")
        _merge_reasoning(body, "max_tokens")


def _merge_reasoning(body: dict[str, Any], name: str) -> None:
    flat_name = f"reasoning_{name}"
    value = body.pop(flat_name, None)
    if value is None:
        return
    reasoning = body.get("reasoning", {})
    if reasoning.get(name) is not None:
        raise ValidationError({flat_name: [f"give either this or reasoning.{name}, not both"]})
    body["reasoning"] = {**reasoning, name: value}
