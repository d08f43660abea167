"""The work of ``kuma-dp run``: prepare Envoy's configuration, run Envoy, end together with it.

Preparing happens in a process of its own. What it loads (HTTP, TLS, YAML: as much memory again as kuma-dp
itself) is gone when Envoy starts, and a signal need not interrupt a name lookup or a request.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from kuma_core.dataplane import (
    access_log,
    bootstrap_document,
    connection,
    envoy,
    files,
    probes,
    process,
    serving,
    serving_door,
    token_file,
)
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.settings import Settings
from kuma_core.errors import KumaError

if TYPE_CHECKING:
    from kuma_core.dataplane.control_plane import Catalog
    from kuma_core.dataplane.pin import Pin
    from kuma_core.dataplane.probes import ProbeServer
    from kuma_core.dataplane.serving import Presence

T = TypeVar("T")

BOOTSTRAP_FILE = "bootstrap.yaml"


def run(settings: Settings, log: Log) -> None:
    """Do everything; return when a signal asked for the end.

    Raises ``KumaError`` if a step fails or Envoy ends unasked, however well, and ``SystemExit(1)`` at a second
    signal. To be called from the main thread.
    """
    with process.signals_held(), files.private_directory(required=not settings.config_dir) as private:
        directory = os.path.abspath(settings.config_dir or private)
        pipe = access_log.make_pipe(private)
        preparation = process.start(lambda: prepare(settings, directory, private, pipe, log))
        if process.attend(preparation):
            _check_preparation(preparation)
            _run_envoy(settings, directory, private, pipe, log)


def _check_preparation(child: process.Child) -> None:
    if message := child.failure():
        raise KumaError(message)
    if child.status != 0:
        raise KumaError(
            f"the preparation of Envoy ended with status {child.status}. This is a mistake in kuma-dp; "
            "please report it together with the lines above."
        )


def _run_envoy(settings: Settings, directory: str, private: str, pipe: str, log: Log) -> None:
    executable = envoy.find(settings.binary_path)
    config_file = os.path.join(directory, BOOTSTRAP_FILE)
    address_file = os.path.join(private, connection.ADMIN_ADDRESS) if private else ""
    command = envoy.arguments(executable, config_file, settings.drain_seconds, log.envoys_level, address_file)
    log.info("starting Envoy", command=command)
    with (
        token_file.followed(settings.token_file, directory, log) as follow,
        serving.presence(private, settings, log) as presence,
        connection.watched(private, settings.name, settings.mesh, log, _again(presence)) as watch,
        probes.served(settings.probing, settings.instance_ip, log, presence) as probing,
    ):
        each_second = _both(follow, watch)
        confined = access_log.directories(settings.log_directory, private)
        logs = access_log.Forwarder(pipe, log, confined) if pipe else None
        child = process.start(lambda: envoy.become(command, directory))  # behind: it opens what has a reader
        _supervise(child, executable, each_second, log, logs, presence, probing)


def _again(presence: Presence | None) -> Callable[[], None]:
    return presence.again if presence else lambda: None


def _both(*tasks: Callable[[], None] | None) -> Callable[[], None] | None:
    """One task that does those which there are."""
    found = [task for task in tasks if task]

    def each() -> None:
        for task in found:
            task()

    return each if found else None


def _supervise(
    child: process.Child,
    executable: str,
    each_second: Callable[[], None] | None,
    log: Log,
    logs: access_log.Forwarder | None,
    presence: Presence | None,
    probing: ProbeServer | None,
) -> None:
    for part in (logs, probing, presence):
        if part:
            part.start()  # behind Envoy's: a process must not fork while it has threads
    ended = process.attend(child, each_second, presence.leave if presence else None)
    if logs:
        logs.finish()
    if not ended:
        log.info("stopped by a signal", envoy=child.status)
        return
    if message := child.failure():
        raise KumaError(message)
    raise KumaError(envoy.explain(executable, child.status or 0))


def prepare(settings: Settings, directory: str, private: str, pipe: str, log: Log) -> None:
    """Write ``bootstrap.yaml`` into ``directory``: all that Envoy needs before it can start.

    ``private`` is this run's own directory, or empty; ``pipe`` is where access logs go.
    """
    from kuma_core.dataplane import control_plane, pin, ports

    pinned = pin.read(settings.ca_cert_file) if settings.ca_cert_file else None
    tls = pinned.tls if pinned else None
    catalog = _asked(settings, log, lambda: control_plane.fetch_catalog(settings.cp_address, log, tls))
    log.debug("catalog", bootstrap=catalog.bootstrap_url, tokens=catalog.token_url)
    if catalog.token_url:
        token_file.require(settings.token_file)
    admin_ports = ports.free_ports(settings.admin_ports) if settings.admin_ports else []
    files.make_directory(directory)
    token = _token(settings, directory, required=bool(catalog.token_url))
    request: dict[str, object] = {"mesh": settings.mesh, "name": settings.name}
    request |= {"adminPort": admin_ports[0]} if admin_ports else {}
    request |= {"dataplaneTokenPath": envoy.inside(token)} if token else {}
    request |= {"accessLogPipe": pipe, "accessLogFiles": True} if pipe else {}
    request |= {"ipv6": True} if ports.has_ipv6() else {}
    log.info("asking for the bootstrap configuration", url=catalog.bootstrap_url, **request)
    request |= {"adminPorts": admin_ports[1:]} if admin_ports[1:] else {}
    if connection.has_admin(private, bool(admin_ports)):
        tells = _arrange(settings, private, catalog, token or "", log)
        request |= {"tellsServing": True} if tells else {}
    confine = partial(access_log.confine, private)
    document = _asked(
        settings,
        log,
        lambda: control_plane.fetch_bootstrap(catalog.bootstrap_url, request, log, tls, confine),
    )
    if pinned:
        document = _pinned(pinned, document, request, catalog.bootstrap_url)
    found = bootstrap_document.read(document)
    if found is not None:
        serving_door.trust(private, found)
        document = connection.prepare(document, found, private)
    files.write_private(os.path.join(directory, BOOTSTRAP_FILE), document)


def _arrange(settings: Settings, private: str, catalog: Catalog, token: str, log: Log) -> bool:
    """Note how to tell the control plane whether this proxy serves; False where that would give away its token."""
    from kuma_core import http_client

    url = catalog.bootstrap_url
    shown = token if catalog.token_url and not settings.is_of_a_pod else ""
    if not shown or url.startswith("https://") or http_client.is_loopback_url(url):
        serving_door.arrange(private, url, settings.ca_cert_file, shown)
        return True
    if serving_door.is_reachable(catalog.serving_url):
        serving_door.arrange(private, catalog.serving_url, serving_door.root_file(private), shown)
        return True
    log.always("WARNING", _IN_THE_CLEAR, url=url, https=catalog.serving_url)
    return False


_IN_THE_CLEAR = (
    "the control plane is not told when this proxy leaves: the token would go over plain HTTP to another machine, and "
    "its REST API over HTTPS cannot be reached"
)


def _asked(settings: Settings, log: Log, ask: Callable[[], T]) -> T:
    """The answer of the control plane; the sidecar of a Pod waits for it and for its Dataplane."""
    from kuma_core.dataplane import sidecar

    return sidecar.patiently(ask, settings.name, log) if settings.is_of_a_pod else ask()


def _pinned(pin: Pin, document: bytes, request: Mapping[str, object], url: str) -> bytes:
    """The bootstrap with the pinned root, and a warning where it came with another."""
    from kuma_core.dataplane import pinned_bootstrap

    document, told = pinned_bootstrap.pinned(document, request, pin.pem, url)
    if not pin.covers(told):
        print(
            f"Warning: the control plane says that its root certificate is another one than that of {pin.path}; "
            f"the latter is used. {_CHANGED}",
            file=sys.stderr,
        )
    return document


_CHANGED = "If the control plane's was changed on purpose, write the new one into the file and start again."


def _token(settings: Settings, directory: str, *, required: bool) -> str | None:
    """The copy for Envoy. An unusable token file matters only where tokens are asked for."""
    if not settings.token_file:
        return None
    try:
        return token_file.copy(settings.token_file, directory)
    except KumaError as error:
        if required:
            raise
        problem = (
            f"{str(error).partition('. ')[0]}. {_NO_MOUNT}"
            if settings.is_of_a_pod
            else f"{error} {_NOT_ASKED}"
        )
        print(f"Warning: {problem}", file=sys.stderr)
        return None


_NOT_ASKED = "The control plane asks for no token, so none is used."
_NO_MOUNT = (
    "Without the token of the Pod's ServiceAccount (automountServiceAccountToken: true) the proxy can take part in a "
    "mesh while its mTLS is off, and no longer."
)
