"""A control plane for the requests of the user's document, and a machine for its commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from kuma_core.testing.platform import RunningPlatform, running_platform

from ...namespaces import network_namespace
from ..support import Shell, plugins


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    """With every plugin of this repository; tests clean up what they put into it."""
    with running_platform(plugins()) as platform:
        yield platform


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A machine on which ``kuma-cp run`` was typed, so that every command works as the document has it."""
    with network_namespace() as inside, ExitStack() as stack:
        shell = Shell(tmp_path_factory.mktemp("home"), stack, inside)
        shell.control_plane("KUMA_STORE_TYPE=memory kuma-cp run")
        yield shell
