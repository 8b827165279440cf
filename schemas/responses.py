"""What a client asks of responses."""

from typing import ClassVar

from .fields import Examples, Flag, Integer, ListOf, Null, Number, Object, OneOf, Shape, Text
from .requests import EFFORTS, TOOL_CHOICES, StreamableRequest


class InputAudio(Shape):
    format = Text(required=True, enum=("mp3", "wav"))
    data = Text("The audio in base64.", required=True)


class Annotation(Shape):
    type = Text(known=("file_citation", "url_citation", "container_file_citation", "file_path"))
    index = Integer()
    file_id = Text()
    text = Text()
    start_index = Integer()
    end_index = Integer()
    filename = Text()
    title = Text()
    url = Text()
    container_id = Text()


class ContentBlock(Shape):
    type = Text(
        required=True,
        known=(
            "input_text",
            "input_image",
            "input_file",
            "input_audio",
            "output_text",
            "refusal",
            "reasoning_text",
        ),
    )
    file_id = Text()
    text = Text()
    signature = Text()
    image_url = Text("An address, or the image itself as a data URL.")
    detail = Text()
    file_data = Text()
    file_url = Text()
    filename = Text()
    file_type = Text()
    input_audio = Object(InputAudio)
    annotations = ListOf(Object(Annotation))
    logprobs = ListOf(Object())
    refusal = Text()
    cache_control = Object()
    citations = OneOf(Object(), ListOf(Object(), of="citations"))


class SummaryText(Shape):
    type = Text(known=("summary_text",))
    text = Text()


class InputItem(Shape):
    id = Text()
    type = Text("`message` by default, or what else the item is: a call, its output, reasoning, a reference.")
    status = Text(known=("in_progress", "completed", "incomplete", "interpreting", "failed"))
    role = Text(enum=("assistant", "user", "system", "developer"))
    content = OneOf(Text(), ListOf(Object(ContentBlock), of="content blocks"), Null())
    call_id = Text()
    name = Text()
    arguments = OneOf(Text(), Object(), about="The arguments of a call, as JSON in a string for a function.")
    output = OneOf(Text(), ListOf(Object(), of="content blocks"), Object())
    action = Object()
    error = OneOf(Text(), Object())
    queries = ListOf(Text())
    results = ListOf(Object())
    summary = ListOf(Object(SummaryText))
    encrypted_content = Text()
    pending_safety_checks = ListOf(Object())
    acknowledged_safety_checks = ListOf(Object())
    code = Text()
    container_id = Text()
    outputs = ListOf(Object())
    server_label = Text()
    tools = ListOf(Object())
    approval_response_id = Text()
    approve = Flag()
    reason = Text()
    input = Text("The input of a custom tool's call.")
    result = Text("The result of a call, such as an image in base64.")


class Tool(Shape):
    type = Text("`function`, `custom`, or a tool that the provider runs itself.", required=True)
    name = Text()
    description = Text()
    cache_control = Object()
    parameters = Object(about="The parameters as a JSON schema.")
    strict = Flag()
    vector_store_ids = ListOf(Text())
    filters = Object()
    max_num_results = Integer()
    ranking_options = Object()
    display_height = Integer()
    display_width = Integer()
    enable_zoom = Flag()
    search_context_size = Text()
    user_location = Object()
    server_label = Text()
    server_url = Text()
    authorization = Text()
    connector_id = Text()
    headers = Object()
    server_description = Text()
    allowed_tools = OneOf(ListOf(Text(), of="names"), Object())
    require_approval = OneOf(Text(), Object())
    environment = Text()
    container = OneOf(Text(), Object())
    background = Text()
    format = Object()
    input_fidelity = Text()
    input_image_mask = Object()
    moderation = Text()
    output_compression = Integer()
    output_format = Text()
    partial_images = Integer()
    quality = Text()
    size = Text()


class ToolReference(Shape):
    type = Text(known=("function", "mcp", "image_generation"))
    name = Text()
    server_label = Text()


class ToolChoice(Shape):
    type = Text("What must be called, as `function`, `mcp` or `allowed_tools`.", required=True)
    mode = Text()
    name = Text()
    server_label = Text()
    tools = ListOf(Object(ToolReference))


class Reasoning(Shape):
    effort = Text(enum=EFFORTS)
    generate_summary = Text("The older name of `summary`.")
    summary = Text(enum=("auto", "concise", "detailed"))
    max_tokens = Integer()


class TextFormat(Shape):
    type = Text(required=True, enum=("text", "json_schema", "json_object"))
    name = Text()
    schema = Object()
    strict = Flag()


class TextOptions(Shape):
    format = Object(TextFormat)
    verbosity = Text(enum=("low", "medium", "high"))


class ResponsesRequest(StreamableRequest):
    input = OneOf(
        Text(),
        ListOf(Object(InputItem), of="items"),
        about="What the user says, or a list of items: messages, calls, their outputs.",
        required="input is required for responses",
    )
    background = Flag("Passed on to the provider; every request is a job here in any case.")
    conversation = OneOf(Text(), Object())
    include = ListOf(Text(), about="What the answer is to hold beside its usual content.")
    instructions = Text("What the model is told before the input.")
    max_output_tokens = Integer("How many tokens the answer may have, reasoning included.")
    max_tool_calls = Integer()
    metadata = Object()
    parallel_tool_calls = Flag()
    previous_response_id = Text()
    prompt_cache_key = Text()
    reasoning = Object(Reasoning)
    safety_identifier = Text()
    service_tier = Text()
    store = Flag()
    temperature = Number(minimum=0, maximum=2)
    text = Object(TextOptions, "The form of the answer.")
    tool_choice = OneOf(Text(enum=TOOL_CHOICES), Object(ToolChoice))
    tools = ListOf(Object(Tool), of="tools")
    top_logprobs = Integer(minimum=0, maximum=20)
    top_p = Number(minimum=0, maximum=1)
    truncation = Text()
    user = Text()

    examples: ClassVar[Examples] = {
        "A question": {"model": "echo/echo", "instructions": "Be brief.", "input": "What is the capital of France?"},
        "Items": {
            "model": "echo/echo",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "What is the capital of France?"}]}],
            "max_output_tokens": 40,
        },
    }
