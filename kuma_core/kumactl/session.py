"""What all commands of one call share: the global flags, the configuration, the client of the API server.

Everything is made when it is first asked for, so that a command pays only for what it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kuma_core.commandline import check_log_level, tell
from kuma_core.kumactl import default_file

if TYPE_CHECKING:
    from kuma_core.kumactl.client import Client
    from kuma_core.kumactl.config import Configuration

DEFAULT_MESH = "default"


class Session:
    """One call of kumactl. The three attributes hold the global flags, or None where one was not given."""

    def __init__(self) -> None:
        self.config_file: str | None = None
        self.mesh_flag: str | None = None
        self.log_level: str | None = None
        self._configuration: Configuration | None = None

    def prepare(self) -> str | None:
        """Make sure that there is a configuration file, and return its path.

        It creates a missing default file, as kumactl 0.3.1 does. Where that is impossible it warns and returns None:
        the built-in configuration then holds.

        Raises ConfigError if ``--config-file`` names a file that cannot be read.
        """
        if self.config_file:
            return default_file.accessible(self.config_file)
        return default_file.ensure(warn)

    @property
    def configuration(self) -> Configuration:
        """The configuration, read once."""
        if self._configuration is None:
            from kuma_core.kumactl import config_file

            self._configuration = config_file.load(self.prepare())
        return self._configuration

    @property
    def mesh(self) -> str:
        """The mesh that is meant: ``--mesh``, else the context's ``defaults.mesh``, else ``default``."""
        if self.mesh_flag:
            return self.mesh_flag
        return self.configuration.current_mesh or DEFAULT_MESH

    def client(self, timeout: float | None = None) -> Client:
        """A client of the API server of the current context; ``timeout`` in seconds, if not the usual one.

        Raises ConfigError if there is no current context or it points to nothing.
        """
        from kuma_core.kumactl.client import TIMEOUT, Client

        url, context = self.configuration.current_control_plane.url, self.configuration.current
        seconds = TIMEOUT if timeout is None else timeout
        if context is None or not (context.auth_type or context.api_ca_cert):
            return Client(url, warn, self.log, seconds)
        from kuma_core.kumactl import credentials

        headers, tls = credentials.headers(context, url), credentials.tls(context, url)
        return Client(url, warn, self.log, seconds, tls=tls, headers=headers)

    def log(self, message: str) -> None:
        """Write a line on stderr if ``--log-level`` is info or debug; tab separated, as all our logs."""
        if self.log_level not in ("info", "debug"):
            return
        from datetime import UTC, datetime

        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        tell(f"{now}\tINFO\tkumactl\t{message}")


def session_of(ctx: click.Context) -> Session:
    """The session of the running call; it is made at its first use."""
    return ctx.find_root().ensure_object(Session)


def pass_session(command: Any) -> Any:
    """Decorator: the function's first argument is the session."""

    @click.pass_context
    def with_session(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        return ctx.invoke(command, session_of(ctx), *args, **kwargs)

    with_session.__doc__ = command.__doc__
    return with_session


def warn(message: str) -> None:
    """Say something on stderr that is not an error."""
    tell(f"Warning: {message}")


def add_global_flags(command: click.Command) -> None:
    """Let a command, and all below it, take the global flags."""
    if not any(parameter.name == "config_file" for parameter in command.params):
        command.params.extend(_global_flags())
    if isinstance(command, click.Group):
        for child in command.commands.values():
            add_global_flags(child)


def _global_flags() -> list[click.Parameter]:
    return [
        _flag("--config-file", "config_file", "PATH", "Configuration file. [default: $HOME/.kumactl/config]"),
        _flag("--mesh", "mesh_flag", "NAME", "Mesh to use. [default: the context's, else default]"),
        _flag("--log-level", "log_level", "LEVEL", "Log level: off, info or debug. [default: off]"),
    ]


def _flag(name: str, attribute: str, metavar: str, help_text: str) -> click.Option:
    return click.Option(
        [name, attribute], metavar=metavar, help=help_text, expose_value=False, callback=_remember
    )


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Keep a flag's value; a flag behind the command beats the same flag before it."""
    if value is None or param.name is None:
        return
    if param.name == "log_level":
        check_log_level(ctx, param, value)
    setattr(session_of(ctx), param.name, value)
