"""What follows from other values, after all sources have been read."""

from __future__ import annotations

import os
from typing import Any

from kuma_core.builtin.configuration.contract import AUTOCONFIGURATION as SOURCE
from kuma_core.builtin.configuration.socket_path import default_path
from kuma_core.config import Config
from kuma_core.hosts import in_url

DEPRECATED = "dataplaneTokenServer"
_TOKENS = "adminServer.apis.dataplaneToken.enabled"
_EVERYWHERE = ("0.0.0.0", "::", "127.0.0.1", "localhost", "::1")


def autoconfigured(config: Config) -> Config:
    """The configuration with what follows from other values.

    Raises ``ConfigError`` if the two admin servers would then need the same port.
    """
    config = _public_port(_admin_server(config))
    _refuse_collision(config)
    return config.changed(_empty_ones(config), SOURCE)


def _admin_server(config: Config) -> Config:
    """Let the deprecated spelling replace ``adminServer`` as a whole, if somebody set anything of it."""
    old = [s for s in config.settings if s.path.startswith(f"{DEPRECATED}.")]
    touched = [s.path for s in old if config.value(s.path) != s.default]
    if not touched:
        return config
    values = {_new_path(setting.path): config.value(setting.path) for setting in old}
    said = [
        f"{setting.path} (from {config.sources[setting.path]})"
        for setting in config.settings
        if setting.path in values
        and config.value(setting.path) not in (setting.default, values[setting.path])
    ]
    ignored = f"; ignored: {', '.join(said)}" if said else ""
    notice = (
        f"the section {DEPRECATED} is deprecated and takes the place of all of adminServer, because "
        f"{', '.join(touched)} {'is' if len(touched) == 1 else 'are'} set; move "
        f"{'it' if len(touched) == 1 else 'them'} to adminServer{ignored}"
    )
    return config.changed(values, f"{SOURCE} ({DEPRECATED})", [notice])


def _new_path(path: str) -> str:
    key = path.removeprefix(f"{DEPRECATED}.")
    return _TOKENS if key == "enabled" else f"adminServer.{key}"


def _public_port(config: Config) -> Config:
    port = "adminServer.public.port"
    if not config.flag("adminServer.public.enabled") or config.number(port):
        return config
    return config.changed({port: config.number("adminServer.local.port")}, SOURCE)


def _refuse_collision(config: Config) -> None:
    """The admin server of this machine already listens on loopback."""
    public, local = config.number("adminServer.public.port"), config.number("adminServer.local.port")
    interface = config.text("adminServer.public.interface")
    if config.flag("adminServer.public.enabled") and public == local != 0 and interface in _EVERYWHERE:
        setting = next(s for s in config.settings if s.path == "adminServer.public.port")
        raise config.refusal(
            setting,
            f"Port must not be the local port {local} when Interface is {interface}: set another port, "
            "or the address of one network card",
        )


def _empty_ones(config: Config) -> dict[str, Any]:
    """The settings that take another one's value where they are empty."""
    derived = {
        "guiServer.apiServerUrl": f"http://localhost:{config.number('apiServer.port')}",
        "bootstrapServer.params.xdsHost": in_url(config.text("general.advertisedHostname")),
        "adminServer.socket.path": default_path(
            config.number("adminServer.local.port"), os.environ, os.geteuid()
        ),
        "bootstrapServer.params.xdsPort": config.number("xdsServer.grpcPort"),
    }
    return {path: value for path, value in derived.items() if not config.value(path)}
