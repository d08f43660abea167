"""The rotation of a certificate authority's root: in stages, each of which ends when every proxy acknowledged it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.rotation.feature import RotationFeature
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_open(context: Context) -> RotationFeature:
    """The rotations that go on, which the parts share."""
    from kuma_core.builtin.rotation.feature import RotationFeature

    return RotationFeature(context)
