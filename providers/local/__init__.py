"""Provider kind `local`: models that run on this machine."""
