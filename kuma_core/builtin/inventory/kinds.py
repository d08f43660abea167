"""The record of a kind: who brought it."""

from __future__ import annotations

from kuma_core.model import ResourceType, Scope
from kuma_core.specs.base import Spec


class KindRecordSpec(Spec):
    """The plugin that brought a kind when this store was opened with it, and the plugin's distribution."""

    plugin: str = ""
    distribution: str = ""


KIND_RECORD = ResourceType(
    name="KindRecord",
    path="kind-records",
    singular="kind-record",
    spec=KindRecordSpec,
    scope=Scope.GLOBAL,
    read_only=True,
    served=False,
    affects_proxies=False,
    watched=False,
)
