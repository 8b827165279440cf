"""What a client asks of messages, in the shape of Anthropic's API; a job of it is a chat completion."""

from typing import ClassVar

from .chat import CacheControl
from .fields import Examples, Flag, Integer, ListOf, Number, Object, OneOf, Shape, Text
from .requests import StreamableRequest


class Source(Shape):
    type = Text("`base64`, `url`, `text`, `content` or `file`.", required=True)
    media_type = Text()
    data = Text("The content: in base64, or a text.")
    url = Text()
    file_id = Text()
    content = OneOf(Text(), ListOf(Object(), of="content blocks"))


class InputBlock(Shape):
    type = Text(
        "`text`, `image`, `document`, `search_result`, `thinking`, `redacted_thinking`, `tool_use` or `tool_result`; "
        "another one goes on as it is.",
        required=True,
    )
    text = Text()
    source = OneOf(Text(), Object(Source))
    title = Text()
    context = Text()
    citations = OneOf(Object(), ListOf(Object(), of="citations"))
    thinking = Text()
    signature = Text()
    data = Text()
    id = Text()
    name = Text()
    input = Object(about="The arguments of a tool's call.")
    tool_use_id = Text("The call whose result this is.")
    content = OneOf(Text(), ListOf(Object(), of="content blocks"))
    is_error = Flag()
    cache_control = Object(CacheControl)


class InputMessage(Shape):
    role = Text(required=True, enum=("user", "assistant", "system"))
    content = OneOf(Text(), ListOf(Object(InputBlock), of="content blocks"), required=True)


class SystemBlock(Shape):
    type = Text(required=True)
    text = Text(required=True)
    cache_control = Object(CacheControl)


class MessagesTool(Shape):
    type = Text("`custom` or absent for a tool of yours, else that of a tool that the provider runs itself.")
    name = Text()
    description = Text()
    input_schema = Object(about="The arguments as a JSON schema.")
    strict = Flag()
    cache_control = Object(CacheControl)


class MessagesToolChoice(Shape):
    type = Text(required=True, enum=("auto", "any", "tool", "none"))
    name = Text("The tool, where the type is `tool`.")
    disable_parallel_tool_use = Flag()


class Thinking(Shape):
    type = Text(required=True, known=("enabled", "adaptive", "disabled", "between_tools"))
    budget_tokens = Integer("How many tokens may be thought.", minimum=1)
    display = Text("`summarized` or `omitted`.")


class OutputFormat(Shape):
    type = Text(required=True)
    schema = Object()


class OutputConfig(Shape):
    effort = Text()
    format = Object(OutputFormat)


class MessagesMetadata(Shape):
    user_id = Text()


class MessagesRequest(StreamableRequest):
    messages = ListOf(
        Object(InputMessage), of="messages", about="The conversation so far.", required="messages is required"
    )
    max_tokens = Integer("How many tokens the answer may have; absent: as many as the provider gives.", minimum=0)
    system = OneOf(Text(), ListOf(Object(SystemBlock), of="text blocks"), about="What the model is told first.")
    cache_control = Object(CacheControl)
    container = OneOf(Text(), Object())
    context_management = Object()
    inference_geo = Text()
    mcp_servers = ListOf(Object())
    metadata = Object(MessagesMetadata)
    output_config = Object(OutputConfig)
    output_format = Object(OutputFormat, "The older place of `output_config.format`.")
    service_tier = Text()
    speed = Text()
    stop_sequences = ListOf(Text(), about="Where the answer ends: the text itself is left out.")
    temperature = Number(minimum=0, maximum=1)
    thinking = Object(Thinking)
    tool_choice = Object(MessagesToolChoice)
    tools = ListOf(Object(MessagesTool), of="tools")
    top_k = Integer(minimum=0)
    top_p = Number(minimum=0, maximum=1)

    examples: ClassVar[Examples] = {
        "A question": {
            "model": "echo/echo",
            "max_tokens": 40,
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
        },
        "With a tool": {
            "model": "echo/echo",
            "max_tokens": 200,
            "system": "Be brief.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Is it raining in Paris?"}]}],
            "tools": [
                {
                    "name": "weather",
                    "description": "The weather in a town",
                    "input_schema": {"type": "object", "properties": {"town": {"type": "string"}}},
                }
            ],
        },
    }
