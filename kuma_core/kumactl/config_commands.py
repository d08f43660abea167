"""``kumactl config``: which control planes kumactl knows."""

from __future__ import annotations

import click

from kuma_core.commandline import Group
from kuma_core.errors import KumaError
from kuma_core.kumactl.config import CERTIFICATE, TOKEN, NamedContext
from kuma_core.kumactl.session import Session, pass_session, warn

CONNECT_TIMEOUT = 5.0
"""Seconds that a control plane has to introduce itself when it is added."""


@click.group("config", cls=Group, short_help="Manage the configuration of kumactl.")
def config() -> None:
    """Manage the configuration of kumactl."""


@config.command("view", short_help="Show the configuration.")
@pass_session
def view(session: Session) -> None:
    """Show the configuration as YAML."""
    from kuma_core.kumactl.config_file import to_value
    from kuma_core.kumactl.output import dump_yaml

    click.echo(dump_yaml(to_value(session.configuration)))


@config.group("control-planes", short_help="Manage the control planes that kumactl knows.")
def control_planes() -> None:
    """Manage the control planes that kumactl knows."""


@control_planes.command("list", short_help="List the control planes.")
@pass_session
def list_(session: Session) -> None:
    """List the control planes; the active one is marked with a star."""
    from kuma_core.kumactl.table import layout

    configuration = session.configuration
    active = configuration.current.control_plane if configuration.current else None
    rows = [["*" if c.name == active else "", c.name, c.url] for c in configuration.control_planes]
    click.echo(layout(("ACTIVE", "NAME", "ADDRESS"), rows))


@control_planes.command("add", short_help="Add a control plane and make it the active one.")
@click.option("--name", required=True, metavar="NAME", help="What to call it.")
@click.option("--address", required=True, metavar="URL", help="URL of its API server.")
@click.option("--overwrite", is_flag=True, help="Replace a control plane of the same name.")
@click.option(
    "--admin-client-cert", default="", metavar="FILE", help="Client certificate for its admin server."
)
@click.option("--admin-client-key", default="", metavar="FILE", help="Key of the client certificate.")
@click.option("--admin-ca-cert", default="", metavar="FILE", help="Certificate to trust its admin server by.")
@click.option(
    "--auth-type", default="", metavar="TYPE", help="How to prove who you are: token or certificate."
)
@click.option("--auth-token-file", default="", metavar="FILE", help="File that holds a user's token.")
@click.option(
    "--ca-cert", default="", metavar="FILE", help="Certificate to trust its API server by, over HTTPS."
)
@click.option("--allow-plain", is_flag=True, help="Send the token over plain HTTP, too.")
@click.option("--dataplane-token-client-cert", "old_cert", default="", hidden=True)
@click.option("--dataplane-token-client-key", "old_key", default="", hidden=True)
@pass_session
def add(
    session: Session,
    name: str,
    address: str,
    overwrite: bool,
    admin_client_cert: str,
    admin_client_key: str,
    admin_ca_cert: str,
    auth_type: str,
    auth_token_file: str,
    ca_cert: str,
    allow_plain: bool,
    old_cert: str,
    old_key: str,
) -> None:
    """Add a control plane, after asking whether it is one, and make it the active one."""
    from kuma_core.kumactl.config import ControlPlane
    from kuma_core.kumactl.config_file import save

    _check_new(session, name, address, overwrite)
    plane = ControlPlane(name, address)
    context = NamedContext(
        name,
        name,
        admin_client_cert or old_cert,
        admin_client_key or old_key,
        ca_cert=admin_ca_cert,
        auth_type=auth_type or (TOKEN if auth_token_file else ""),
        token_file=auth_token_file,
        api_ca_cert=ca_cert,
        allow_plain=allow_plain,
    )
    _check_credentials(context, address)
    _check_answers(session, address, context)
    save(session.configuration.add(plane, context))
    click.echo(f'added Control Plane "{name}"')
    click.echo(f'switched active Control Plane to "{name}"')


def _check_new(session: Session, name: str, address: str, overwrite: bool) -> None:
    from kuma_core.kumactl.config import url_problem

    if not name:
        raise KumaError("--name must not be empty")
    if problem := url_problem(address):
        raise KumaError(f"--address {problem}")
    configuration = session.configuration
    taken = {c.name for c in configuration.control_planes} | {c.name for c in configuration.contexts}
    if name in taken and not overwrite:
        raise KumaError(f'Control Plane with name "{name}" already exists; use --overwrite to replace it')


def _check_credentials(context: NamedContext, address: str) -> None:
    """What the context proves itself by has to be there, and may not be told to whoever listens."""
    from kuma_core.kumactl import credentials

    if context.auth_type not in ("", TOKEN, CERTIFICATE):
        raise KumaError(f'--auth-type must be {TOKEN} or {CERTIFICATE}, but is "{context.auth_type}"')
    if context.auth_type == TOKEN and not context.token_file:
        raise KumaError(
            "--auth-type=token needs --auth-token-file FILE, with a token of `kumactl generate user-token`"
        )
    if context.auth_type == CERTIFICATE and not (context.client_cert and context.client_key):
        raise KumaError("--auth-type=certificate needs --admin-client-cert FILE and --admin-client-key FILE")
    if context.auth_type == CERTIFICATE and not address.startswith("https:"):
        raise KumaError("--auth-type=certificate needs an address with https://, such as that of port 5686")
    credentials.headers(context, address)


def _check_answers(session: Session, address: str, context: NamedContext) -> None:
    """What is at ``address`` must introduce itself as a control plane."""
    from kuma_core.kumactl import credentials
    from kuma_core.kumactl.client import ApiError, Client, Unreachable

    tls = credentials.tls(context, address)
    client = Client(address, warn, session.log, CONNECT_TIMEOUT, tls=tls)
    try:
        index = client.get("/")
    except ApiError as error:
        raise KumaError(f"Control Plane API Server is not responding: {address} says {error}") from None
    except Unreachable as error:
        raise KumaError(f"could not connect to the Control Plane API Server: {error}") from None
    if index.get("tagline") != "Kuma":
        raise KumaError(f"provided address is not valid Kuma Control Plane API Server: {address}")


@control_planes.command("remove", short_help="Remove a control plane.")
@click.option("--name", required=True, metavar="NAME", help="Which one.")
@pass_session
def remove(session: Session, name: str) -> None:
    """Remove a control plane, and what points to it."""
    from kuma_core.kumactl.config import no_such_control_plane
    from kuma_core.kumactl.config_file import save

    before = session.configuration
    if before.control_plane(name) is None:
        raise KumaError(no_such_control_plane(name, before))
    after = before.remove(name)
    save(after)
    click.echo(f'removed Control Plane "{name}"')
    if after.current_context == before.current_context:
        return
    if after.current is None:
        click.echo("there is no active Control Plane left: add one or switch to one")
    else:
        click.echo(f'switched active Control Plane to "{after.current.control_plane}"')


@control_planes.command("switch", short_help="Make another control plane the active one.")
@click.option("--name", required=True, metavar="NAME", help="Which one.")
@pass_session
def switch(session: Session, name: str) -> None:
    """Make another control plane the active one."""
    from kuma_core.kumactl.config_file import save

    save(session.configuration.switch(name))
    click.echo(f'switched active Control Plane to "{name}"')
