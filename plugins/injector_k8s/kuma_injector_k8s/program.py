"""The program ``kuma-injector``: its commands and flags."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from kuma_core.sdk import Config, ConfigError, load_documents
from kuma_core.sdk.programs import (
    CONTEXT_SETTINGS,
    Group,
    LiveCertificate,
    add_standard_commands,
    log_level_option,
)
from kuma_core.sdk.programs import run as run_program
from kuma_injector_k8s import settings
from kuma_injector_k8s.kube.access import find
from kuma_injector_k8s.kube.api import Api, ApiFailure
from kuma_injector_k8s.kube.meshes import FIRST_PAUSE, LONGEST_PAUSE, Meshes
from kuma_injector_k8s.kube.version import require_native
from kuma_injector_k8s.log import Log
from kuma_injector_k8s.serving.app import App
from kuma_injector_k8s.serving.server import HttpsServer

LARGEST_FILE = 1024 * 1024

_log_level_flag: Callable[[Callable[..., None]], Callable[..., None]] = log_level_option("info")


@click.group("kuma-injector", cls=Group, help="Give Pods of Kubernetes a sidecar of the mesh.")
@_log_level_flag
def kuma_injector(log_level: str) -> None:
    """The root; ``--log-level`` is read by ``run`` from the context."""


add_standard_commands(kuma_injector)


def _epilog() -> str:
    lines = [
        f"{', '.join((s.env, *s.aliases))}: {s.help} In the file: {s.path}. Default: {s.type.show(s.default)}."
        for s in settings.SETTINGS
    ]
    return "\n\n".join(["Environment, which wins over the file:", *lines])


@click.command("run", context_settings=CONTEXT_SETTINGS, epilog=_epilog())
@click.option("--config-file", "-c", default="", metavar="FILE", help="Settings as YAML.")
@_log_level_flag
def run(config_file: str, log_level: str) -> None:
    """Serve the webhook until a signal asks for the end."""
    context = click.get_current_context()
    if context.get_parameter_source("log_level") != ParameterSource.COMMANDLINE and context.parent:
        log_level = str(context.parent.params["log_level"])
    log = Log(log_level)
    config = settings.read(_document(config_file), config_file, os.environ)
    for warning in config.warnings:
        log.warning("a key of the settings is unknown", problem=warning)
    asyncio.run(_serve(config, Api(find(os.environ)), log))


def _document(path: str) -> dict[str, Any]:
    """The content of the file of settings; an empty one, or none, is empty. Raises ConfigError."""
    if not path:
        return {}
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(LARGEST_FILE + 1)
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read: {said}") from None
    if len(text) > LARGEST_FILE:
        raise ConfigError(f"{path} is larger than {LARGEST_FILE // 1024} KiB")
    found = [item for item in load_documents(text, path) if item is not None] or [{}]
    if len(found) > 1 or not isinstance(found[0], dict):
        raise ConfigError(f"{path} has to hold one mapping of settings")
    return found[0]


async def _serve(config: Config, api: Api, log: Log) -> None:
    """Listen, and follow meshes, until a signal comes. Raises ConfigError."""
    ended, stop = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if config.flag(settings.NATIVE):
        await _require_native(api, log, ended)
    meshes = Meshes(api, log)
    server = HttpsServer(App(config, meshes, log).reply, log)
    listening = await _listen(server, config, log)
    threading.Thread(target=meshes.follow, args=(stop,), name="meshes", daemon=True).start()
    await ended.wait()
    log.info("stopped by a signal")
    stop.set()
    listening.close()
    await server.close()


async def _listen(server: HttpsServer, config: Config, log: Log) -> asyncio.Server:
    address, port = config.text(settings.ADDRESS), config.number(settings.PORT)
    certificate = LiveCertificate(
        config.text(settings.CERT_DIR), lambda folder, problem: _told(log, folder, problem)
    )
    tls = certificate.context()
    try:
        listening = await server.listen(address, port, tls)
    except OSError as error:
        said = error.strerror or error
        raise ConfigError(f"{settings.PORT}: {address or '*'}:{port} cannot be listened on: {said}") from None
    log.info("the webhook is served", address=listening.sockets[0].getsockname()[:2])
    if not certificate.is_there:
        folder = config.text(settings.CERT_DIR)
        log.warning("there is no certificate yet; connections are refused until there is one", folder=folder)
    return listening


def _told(log: Log, folder: str, problem: str) -> None:
    log.warning("a certificate cannot be used", folder=folder, problem=problem)


async def _require_native(api: Api, log: Log, ended: asyncio.Event) -> None:
    """Wait until the API server told its version. Raises ConfigError for one that is too old."""
    pause = FIRST_PAUSE
    while not ended.is_set():
        try:
            await asyncio.to_thread(require_native, api)
            return
        except ApiFailure as error:
            log.warning("the version of Kubernetes is not known yet", problem=str(error), seconds=pause)
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), pause)
        pause = min(pause * 2, LONGEST_PAUSE)


kuma_injector.add_command(run)


def main() -> None:
    """The console script."""
    run_program(kuma_injector)
