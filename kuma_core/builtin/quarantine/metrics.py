"""What is counted of plugins that fail."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core.plugin.contract import COUNTER, Context, Metric
from kuma_core.plugin.quarantine import Quarantine


def metrics(context: Context) -> Iterator[Metric]:
    """One gauge and one counter, read from memory."""
    quarantine = context.ask("quarantine", Quarantine)
    yield Metric(
        "kuma_plugins_quarantined",
        "Plugins that are called no more, each 1.",
        lambda: [((item.plugin,), 1) for item in quarantine.barred()],
        labels=("plugin",),
    )
    yield Metric(
        "kuma_plugin_failures_total",
        "Calls into plugins that failed, by what was called.",
        lambda: sorted(quarantine.counts().items()),
        COUNTER,
        ("plugin", "call"),
    )
