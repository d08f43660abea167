"""The way to the admin server, which issues tokens and keeps CAs: where it is, and how to speak with it.

kumactl asks a control plane on this machine over loopback, and any other one over https, with the client
certificate of the context.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kuma_core.errors import KumaError
from kuma_core.kumactl import credentials, unix_socket
from kuma_core.kumactl.client import ApiError, Client
from kuma_core.kumactl.session import Session, warn
from kuma_core.kumactl.tls_files import load_pair, trust

if TYPE_CHECKING:
    from ssl import SSLContext


TIMEOUT = 10.0
"""Seconds for the catalog, and for each request to the admin server."""

_BY_SOCKET = "http://localhost"

_REMEDIES = """
Do one of these:
* add the control plane with its HTTPS address (port 5686) and a user's token: \
`kumactl config control-planes add --auth-type=token --auth-token-file FILE`
* configure certificates on both sides: adminServer.public of kuma-cp, and here \
`kumactl config control-planes add --admin-client-cert FILE --admin-client-key FILE`
* run kumactl on the machine of the control plane
* forward the ports of the API server and of the admin server to this machine with SSH, and add the control \
plane with its address at localhost"""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a catalog says of one API: the URL on its own machine and the public one, and its Unix socket; ``""`` for
    none."""

    local: str
    public: str
    socket: str = ""


@dataclass(frozen=True, slots=True)
class Apis:
    """The part of the catalog that leads to the admin server."""

    admin: Addresses
    dataplane_token: Addresses


def catalog(session: Session) -> Apis:
    """Ask the API server of the current context. Raises ApiError, Unreachable or ConfigError."""
    value = session.client(TIMEOUT).get("/catalog")
    apis = _object(value.get("apis"))
    return Apis(_addresses(apis.get("admin")), _addresses(apis.get("dataplaneToken")))


def _addresses(value: Any) -> Addresses:
    urls = _object(value)
    found = (urls.get(name) for name in ("localUrl", "publicUrl", "localSocket"))
    return Addresses(*(value if isinstance(value, str) else "" for value in found))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def admin_client(session: Session) -> Client:
    """A client of the admin server of the current context, which its API server tells where to find.

    Raises KumaError if it cannot be told how to reach it; the message says what to do.
    """
    return connect(session, catalog(session).admin)


def connect(
    session: Session, addresses: Addresses, timeout: float = TIMEOUT, *, secrets: bool = False
) -> Client:
    """A client of the admin server of the current context; ``timeout`` is in seconds, for each request.

    With ``secrets`` it is one that secrets may leave by: on this machine the Unix socket, or HTTPS if the context has
    a certificate. Raises KumaError if it cannot be told how to reach it; the message says what to do.
    """
    api_url = session.configuration.current_control_plane.url
    context = session.configuration.current
    has_certificate = bool(context and context.client_cert and context.client_key)
    proves = bool(context and context.auth_type)
    if proves and not secrets and api_url.startswith("https:"):
        return session.client(timeout)  # it serves the admin API, too
    if _is_this_machine(api_url):
        if _goes_by_socket(addresses.socket, secrets, proves):
            place, check = addresses.socket, partial(unix_socket.refuse_stranger, addresses.socket)
            return Client(_BY_SOCKET, warn, session.log, timeout, "admin server", None, place, check)
        if secrets and addresses.public and has_certificate:
            return _client(session, addresses.public, timeout)
        if secrets:
            unix_socket.refuse_closed(addresses.socket)
        if not addresses.local:
            raise KumaError(f"the control plane at {api_url} runs no admin server; look at its adminServer")
        return _client(session, addresses.local, timeout)
    if not addresses.public:
        raise KumaError(
            f"the admin server of {api_url} is not open to other machines: it has no TLS.{_REMEDIES}"
        )
    if not has_certificate:
        raise KumaError(f"kumactl has no client certificate for the admin server of {api_url}.{_REMEDIES}")
    return _client(session, addresses.public, timeout)


def _goes_by_socket(path: str, secrets: bool, proves: bool) -> bool:
    """Whether to ask over the Unix socket: not who has a credential of their own, which is to count."""
    if (proves and not secrets) or not unix_socket.may_use(path):
        return False
    return secrets or not unix_socket.stranger(path)


def _client(session: Session, url: str, timeout: float) -> Client:
    from kuma_core.kumactl.config import url_problem

    if problem := url_problem(url):
        raise KumaError(f"the URL of the admin server in the catalog {problem}")
    if url.startswith("https:"):
        return Client(url, warn, session.log, timeout, "admin server", _tls(session))
    headers = credentials.headers(session.configuration.current, url)
    return Client(url, warn, session.log, timeout, "admin server", headers=headers)


def _is_this_machine(url: str) -> bool:
    """Whether all addresses of the URL's host are loopback ones; a missing port is that of the scheme."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise KumaError(
            f'could not determine if the control plane is on this machine: cannot resolve "{host}": {reason}'
        ) from None
    return all(ipaddress.ip_address(str(place[0]).partition("%")[0]).is_loopback for *_, place in found)


def _tls(session: Session) -> SSLContext:
    """https as the admin server wants it: our certificate is shown.

    The server's is verified if the context says by what, else not.
    """
    import ssl

    context = session.configuration.current
    if context is None or not (context.client_cert and context.client_key):
        raise KumaError("certificates has to be configured to use https destination")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if context.ca_cert:
        trust(tls, context.ca_cert)
    else:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    load_pair(tls, context)
    return tls


def refused(what: str, error: ApiError) -> KumaError:
    """The error for an answer that is not 200, with what the server said of it."""
    said = f": {error}" if error.explained else ""
    return KumaError(f"{what}: unexpected status code {error.status}. Expected 200{said}")
