"""Provider kinds `openai`, its presets and `azure`: whatever speaks OpenAI's API."""
