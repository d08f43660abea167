"""How a context proves to the API server who we are, and how that server is known: a token, certificates.

A token that travels in the clear belongs to whoever listens, so it goes to this machine alone unless the context says
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kuma_core.errors import KumaError
from kuma_core.http_client import is_loopback_url
from kuma_core.kumactl.config import CERTIFICATE, TOKEN, NamedContext
from kuma_core.kumactl.tls_files import load_pair, trust

if TYPE_CHECKING:
    from ssl import SSLContext

MAX_TOKEN = 64 * 1024
"""As much as a control plane takes."""


def headers(context: NamedContext | None, url: str) -> Mapping[str, str]:
    """What to send with each request to a server of the control plane; raises KumaError if that may not be sent."""
    if context is None or context.auth_type != TOKEN:
        return {}
    if not (context.allow_plain or is_private(url)):
        raise KumaError(
            f"the token is not sent to {url}: over plain HTTP everybody on the way could read it. Add the control "
            "plane with its HTTPS address (port 5686), or with --allow-plain"
        )
    return {"Authorization": f"Bearer {_token(context.token_file)}"}


def is_private(url: str) -> bool:
    """Whether nobody can listen: https, or a loopback address. No name is resolved: it may lead elsewhere later."""
    return urlsplit(url).scheme == "https" or is_loopback_url(url)


def tls(context: NamedContext | None, url: str) -> SSLContext | None:
    """How to speak https with the API server; ``None`` is as the system does. Raises KumaError for unusable files."""
    if context is None or urlsplit(url).scheme != "https":
        return None
    if not context.api_ca_cert and context.auth_type != CERTIFICATE:
        return None
    import ssl

    made = ssl.create_default_context()
    if context.api_ca_cert:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust(made, context.api_ca_cert, "API server")
    if context.auth_type == CERTIFICATE:
        load_pair(made, context)
    return made


def _token(path: str) -> str:
    from kuma_core.kumactl.files import bounded_text

    token = bounded_text(path, "token file", MAX_TOKEN, "holds no token").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise KumaError(f'the token file "{path}" holds no token')
    return token
