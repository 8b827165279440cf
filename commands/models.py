"""`coatcheck models`: lists and pulls the weights of local models."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from coatcheck.providers.local.manifest import MODELS
from coatcheck.providers.local.models import lacking, missing, models_directory, pull
from coatcheck.providers.local.provider import LocalOptions

from .options import OK, common, read_config


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("models", help="list and pull the weights of local models")
    actions = command.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("list", parents=[common()], help="list the models, and which are here")
    action.set_defaults(run=_list)
    action = actions.add_parser(
        "pull", parents=[common()], help="download weights; each file is checked against its hash"
    )
    action.add_argument(
        "names", nargs="*", metavar="NAME", help="default: the models of the configuration's local providers"
    )
    action.set_defaults(run=_pull)


def _list(options: argparse.Namespace) -> int:
    wanted = _configured(options)
    directories = [*wanted] or [models_directory()]
    for model in MODELS.values():
        here = any(not missing([model.name], directory) for directory in directories) and not lacking(model)
        used = any(model.name in names for names in wanted.values())
        size = f"{sum(file.size_bytes for file in model.files) / 1e6:.0f} MB" if model.files else "packaged"
        marks = ", ".join(["here" if here else "not here", *(["configured"] if used else [])])
        print(f"{model.name:<30} {size:>8}  {model.license:<12} {marks}")
        for line in (", ".join((*model.carries_out, *model.features)), model.about, model.source_page):
            if line:
                print(f"    {line}")
    return OK


def _pull(options: argparse.Namespace) -> int:
    wanted: Mapping[Path, Iterable[str]] = _configured(options)
    if options.names:
        wanted = dict.fromkeys([*wanted] or [models_directory()], options.names)
    for directory, names in wanted.items():
        pull(names, directory, lambda line: print(line, flush=True))
    return OK


def _configured(options: argparse.Namespace) -> dict[Path, list[str]]:
    """The models of the configuration's local providers, by the folder where they belong."""
    found: dict[Path, list[str]] = {}
    for provider in read_config(options).providers.values():
        if isinstance(provider.options, LocalOptions):
            found.setdefault(models_directory(provider.options.models_dir), []).extend(provider.options.models)
    return found
