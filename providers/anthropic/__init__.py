"""Provider kind `anthropic`: Anthropic's Messages."""
