"""Provider kind `litellm`: the vendors that the LiteLLM library reaches."""
