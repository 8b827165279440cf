"""The vendors of the conformance suite: one module each, which says how a server of that format is spoken to."""

import pkgutil
from collections.abc import Mapping
from importlib import import_module

from .vendor import Vendor

#: By name; every module of this folder that has `VENDORS`, or one `VENDOR`, adds its own.
VENDORS: Mapping[str, Vendor] = {
    vendor.name: vendor
    for module in (import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    for vendor in getattr(module, "VENDORS", [module.VENDOR] if hasattr(module, "VENDOR") else [])
}
