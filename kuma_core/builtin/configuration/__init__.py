"""Every configuration key that the kernel owns: those of Kuma 0.3.1, so that its files load, and ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.config import Setting


@hookimpl
def kuma_register_config() -> Iterable[Setting]:
    """Every key of Kuma 0.3.1, also of parts that are still to come, and ours."""
    from kuma_core.builtin.configuration.settings import SETTINGS

    return SETTINGS
