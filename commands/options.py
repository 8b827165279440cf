"""What the commands have in common: where the configuration and the data are, and how they end."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from coatcheck.app import DEFAULT_CONFIG, load_config
from coatcheck.schemas.config import Config

#: Exit codes; argparse adds 2 for a command that was not understood.
OK, FAILED = 0, 1


def common() -> argparse.ArgumentParser:
    """The options of every command that needs the configuration."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: ./config.toml, else the packaged one")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of relative paths; default: this one")
    return parser


def read_config(options: argparse.Namespace, overrides: Mapping[str, str] | None = None) -> Config:
    """The configuration that the options name; `overrides` stand above the environment, in its form."""
    path: Path | None = options.config
    if path is None:
        path = Path("config.toml") if Path("config.toml").exists() else DEFAULT_CONFIG
    return load_config(path, {**os.environ, **(overrides or {})})
