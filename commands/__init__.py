"""The subcommands of `coatcheck`, one file each: its arguments, and what it does."""
