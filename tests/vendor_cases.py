"""The parametrisations of the conformance suite: each vendor, each of its cases, and one case of each operation."""

import pytest

from .vendors import VENDORS

EACH = [
    pytest.param(vendor, case, id=f"{vendor.name}-{case.operation}-{number}")
    for vendor in VENDORS.values()
    for number, case in enumerate(vendor.cases)
]
#: One case of each operation: failures do not depend on more.
ONCE = [
    pytest.param(vendor, case, id=f"{vendor.name}-{operation}")
    for vendor in VENDORS.values()
    for operation, case in {case.operation: case for case in reversed(vendor.cases)}.items()
]
each_case = pytest.mark.parametrize(("vendor", "case"), EACH)
each_operation = pytest.mark.parametrize(("vendor", "case"), ONCE)
each_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
