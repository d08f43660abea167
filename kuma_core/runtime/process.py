"""The process around a platform: logs, signals and the end."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
from contextlib import suppress

import structlog

from kuma_core.config import Config
from kuma_core.log_queue import LogQueue, queue_stderr
from kuma_core.plugin.catalog import Catalog
from kuma_core.runtime import descriptors, logs
from kuma_core.runtime.platform import Platform


def serve(config: Config, catalog: Catalog, level: str | None = None, format: str | None = None) -> None:
    """Run a control plane in this process until SIGINT or SIGTERM; a second signal ends it at once.

    ``level`` and ``format`` of the log take the place of what the configuration says.
    """
    stderr = queue_stderr()
    format = format or config.text("logging.format")
    logs.configure(level or config.text("logging.level"), format=format)
    if stderr:
        stderr.notice = logs.notice(format)
    log = structlog.get_logger("kuma-cp.run")
    for warning in config.warnings:
        log.warning(warning)
    if not descriptors.allow_many():  # a system that refuses what it told; the limit in force stays
        log.warning("the limit of open files could not be raised")
    _share_one_heap()
    log.info("Current config " + json.dumps(config.as_document(), sort_keys=True))
    asyncio.run(_serve(Platform(config, catalog), stderr))


_ARENA_MAX = -8
"""``M_ARENA_MAX`` of glibc's ``mallopt``."""


def _share_one_heap() -> None:
    """glibc gives threads heaps of their own, up to eight for each processor, and what is freed in one is of no use to
    the others: memory would grow with every burst of connections. ``MALLOC_ARENA_MAX`` says otherwise."""
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(OSError, AttributeError):  # another C library, which has no such heaps
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


async def _serve(platform: Platform, stderr: LogQueue | None) -> None:
    loop = asyncio.get_running_loop()
    signals = 0

    def interrupted() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            if stderr:
                stderr.drain(0.2)
            os._exit(1)  # at once: threads and exit handlers may be what hangs
        platform.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    await platform.run()
