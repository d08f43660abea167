"""``kumactl generate``: tokens for dataplanes, certificates for TLS."""

from __future__ import annotations

import sys
from typing import Any

import click

from kuma_core.commandline import Group
from kuma_core.errors import KumaError
from kuma_core.kumactl.parameters import some_texts, texts, values_by_key
from kuma_core.kumactl.session import Session, pass_session


@click.group("generate", cls=Group, short_help="Generate tokens and certificates.")
def generate() -> None:
    """Generate tokens and certificates."""


@generate.command("dataplane-token", short_help="Generate the token with which a dataplane proves its name.")
@click.option("--dataplane", "--name", "dataplane", metavar="NAME", help="Name of the dataplane.")
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="SERVICE",
    callback=some_texts,
    help="Service for which the proxy may speak; repeatable, comma separated. [default: any]",
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    callback=values_by_key,
    help="Tag that the proxy has; repeatable, several values of a tag are alternatives. [default: any]",
)
@click.option("--valid-for", metavar="DURATION", help="How long, such as 24h. [default: for ever]")
@pass_session
def dataplane_token(
    session: Session,
    dataplane: str | None,
    services: list[str],
    tags: dict[str, list[str]],
    valid_for: str | None,
) -> None:
    """Print the token with which a dataplane proves its name; in a file or a pipe it ends without a newline.

    Neither the dataplane nor its mesh has to exist yet. With --service and --tag the token is good only for a dataplane
    all of whose inbounds, and whose gateway, have them; without a name, for every such one.
    """
    from kuma_core.kumactl import admin, token_client
    from kuma_core.kumactl.client import ApiError
    from kuma_core.visible import printable

    if not (dataplane or services or tags):
        raise KumaError('required flag(s) "dataplane" not set; or bind the token by --service or --tag')
    request: dict[str, Any] = {"name": dataplane} if dataplane else {}
    request["mesh"] = session.mesh
    request |= {"services": services} if services else {}
    request |= {"tags": tags} if tags else {}
    if valid_for is not None:
        request["validFor"] = _duration(valid_for)
    client = token_client.connect(session)
    try:
        answer = client.send("POST", "/tokens", request)
    except ApiError as error:
        raise admin.refused("failed to generate a dataplane token", error) from None
    claims = _claims(answer.text())
    if valid_for is not None and claims is not None and "exp" not in claims:
        raise _lacking("never ends", "--valid-for")
    for flag, wanted, claim in (("--service", services, "Services"), ("--tag", tags, "Tags")):
        if wanted and claims is not None and claim not in claims:
            raise _lacking("allows more", flag)
    click.echo(printable(answer.text()), nl=bool(sys.stdout and sys.stdout.isatty()))


@generate.command("user-token", short_help="Generate the token with which a user proves who they are.")
@click.option("--name", required=True, metavar="NAME", help="Who the user is.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="GROUP",
    callback=texts,
    help="A group of the user, such as kuma:admin or kuma:reader; repeatable, comma separated.",
)
@click.option("--valid-for", required=True, metavar="DURATION", help="How long, such as 24h.")
@pass_session
def user_token(session: Session, name: str, groups: list[str], valid_for: str) -> None:
    """Print the token with which a user proves who they are; in a file or a pipe it ends without a newline."""
    from kuma_core.kumactl import admin
    from kuma_core.kumactl.client import ApiError
    from kuma_core.visible import printable

    request = {"name": name, "groups": groups, "validFor": _duration(valid_for)}
    client = admin.admin_client(session)
    try:
        answer = client.send("POST", "/tokens/user", request)
    except ApiError as error:
        if error.status == 404 and not error.explained:
            raise KumaError("this control plane knows no users; upgrade it") from None
        raise admin.refused("failed to generate a user token", error) from None
    click.echo(printable(answer.text()), nl=bool(sys.stdout and sys.stdout.isatty()))


def _lacking(what: str, flag: str) -> KumaError:
    """An older control plane leaves aside what it does not know."""
    return KumaError(
        f"the control plane made a token that {what}: it does not know {flag}. The token is not shown; "
        f"upgrade the control plane, or leave {flag} out"
    )


def _claims(token: str) -> dict[str, Any] | None:
    """What a token says of itself; what is no JWT says nothing."""
    import json
    from base64 import urlsafe_b64decode

    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


def _duration(text: str) -> str:
    """The duration as the control plane reads it; it must be one, and longer than nothing."""
    from kuma_core.durations import format_duration, parse_duration

    try:
        nanoseconds = parse_duration(text)
    except ValueError as error:
        raise KumaError(f"--valid-for: {error}") from None
    if nanoseconds <= 0:
        raise KumaError(f'--valid-for must be longer than nothing, but is "{text}"')
    return format_duration(nanoseconds)


@generate.command("tls-certificate", short_help="Generate a key and a self-signed certificate.")
@click.option("--type", "type_", required=True, metavar="TYPE", help="client or server.")
@click.option(
    "--cp-hostname",
    "hostnames",
    multiple=True,
    metavar="HOST",
    callback=texts,
    help="Name or IP address by which the control plane is reached; repeatable, comma separated.",
)
@click.option("--key-file", default="key.pem", show_default=True, metavar="FILE", help="Where the key goes.")
@click.option(
    "--cert-file", default="cert.pem", show_default=True, metavar="FILE", help="Where the certificate goes."
)
@click.option("--overwrite", is_flag=True, help="Replace a key that is there.")
@pass_session
def tls_certificate(
    session: Session, type_: str, hostnames: list[str], key_file: str, cert_file: str, overwrite: bool
) -> None:
    """Write a key and a self-signed certificate, for the control plane (server) or for kumactl (client)."""
    session.prepare()
    if type_ not in ("client", "server"):
        raise KumaError(f'--type must be client or server, but is "{type_}"')
    if type_ == "server" and not hostnames:
        raise KumaError("at least one hostname has to be given: --cp-hostname")
    if type_ == "client" and hostnames:
        raise KumaError("a certificate of a client has no hostname; leave --cp-hostname out")
    from kuma_core.kumactl import tls_pair

    tls_pair.check_places(key_file, cert_file, overwrite)
    pair = tls_pair.generate(hostnames, is_client=type_ == "client")
    tls_pair.save(pair, key_file, cert_file)
    click.echo(f"Certificates generated\nKey was saved in: {key_file}\nCert was saved in: {cert_file}")
