"""What some tests need of the machine beside Python: programs of its packages, and the right to use them.

A test that misses such a thing is skipped, and says what to install. ``KUMA_TEST_REQUIRES`` names packages that a run
may count on, separated by spaces: a test that misses something of theirs fails. ``.ci/run`` installs all that
``.ci/packages`` lists and sets the variable.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRES = "KUMA_TEST_REQUIRES"
PACKAGES = (Path(__file__).parents[1] / ".ci/packages").read_text().split()


def program(name: str, package: str) -> None:
    """Go on if the program is there; ``package`` brings it."""
    if not shutil.which(name):
        missing(
            package, f"{name} is not here: install {package}, for instance with 'apt-get install {package}'"
        )


def missing(package: str, why: str) -> NoReturn:
    """Skip the test, which cannot use what the package brings, or fail it if the run was told to count on that."""
    __tracebackhide__ = True
    assert package in PACKAGES, (
        f"{package} does not stand in .ci/packages, so that it is never installed in CI"
    )
    if package in os.environ.get(REQUIRES, "").split():
        pytest.fail(f"{REQUIRES} names {package}, but {why}")
    pytest.skip(why)
