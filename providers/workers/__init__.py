"""Work that runs in a process of its own: how it is started, spoken to and ended."""
