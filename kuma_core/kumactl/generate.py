"""``kumactl generate``: tokens for dataplanes, certificates for TLS."""

from __future__ import annotations

import sys
from typing import Any

import click

from kuma_core.commandline import Group
from kuma_core.errors import KumaError
from kuma_core.kumactl.parameters import texts
from kuma_core.kumactl.session import Session, pass_session


@click.group("generate", cls=Group, short_help="Generate tokens and certificates.")
def generate() -> None:
    """Generate tokens and certificates."""


@generate.command("dataplane-token", short_help="Generate the token with which a dataplane proves its name.")
@click.option(
    "--dataplane", "--name", "dataplane", required=True, metavar="NAME", help="Name of the dataplane."
)
@click.option("--valid-for", metavar="DURATION", help="How long, such as 24h. [default: for ever]")
@pass_session
def dataplane_token(session: Session, dataplane: str, valid_for: str | None) -> None:
    """Print the token with which a dataplane proves its name; in a file or a pipe it ends without a newline.

    Neither the dataplane nor its mesh has to exist yet.
    """
    from kuma_core.kumactl import admin, token_client
    from kuma_core.kumactl.client import ApiError
    from kuma_core.visible import printable

    request: dict[str, Any] = {"name": dataplane, "mesh": session.mesh}
    if valid_for is not None:
        request["validFor"] = _duration(valid_for)
    client = token_client.connect(session)
    try:
        answer = client.send("POST", "/tokens", request)
    except ApiError as error:
        raise admin.refused("failed to generate a dataplane token", error) from None
    if valid_for is not None and _never_ends(answer.text()):
        raise KumaError(
            "the control plane made a token that never ends: it does not know --valid-for. The token is not shown; "
            "upgrade the control plane, or leave --valid-for out"
        )
    click.echo(printable(answer.text()), nl=bool(sys.stdout and sys.stdout.isatty()))


def _never_ends(token: str) -> bool:
    """Whether a token says of itself that it has no end; what is no JWT says nothing."""
    import json
    from base64 import urlsafe_b64decode

    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return False
    return isinstance(claims, dict) and "exp" not in claims


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
