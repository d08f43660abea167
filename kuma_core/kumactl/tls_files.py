"""Certificates and keys of a context, from its files into TLS, with a sentence for those that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuma_core.errors import KumaError
from kuma_core.kumactl.config import NamedContext

if TYPE_CHECKING:
    from ssl import SSLContext


def load_pair(tls: SSLContext, context: NamedContext) -> None:
    """Show the client certificate of a context. Raises KumaError for files that cannot be used."""
    try:
        tls.load_cert_chain(context.client_cert, context.client_key, password=_no_password)
    except (OSError, ValueError) as error:
        raise KumaError(_unusable(context.client_cert, context.client_key, error)) from None


def trust(tls: SSLContext, path: str, server: str = "admin server") -> None:
    """A certificate that the server shows itself will do: it need not be an authority's."""
    import ssl

    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        tls.load_verify_locations(path)
    except (OSError, ValueError) as error:
        reason = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else _reason(error)
        raise KumaError(f'cannot use the certificate "{path}" to verify the {server}: {reason}') from None


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _no_password() -> str:
    raise ValueError("the key is encrypted, and kumactl asks for no password")


def _unusable(cert: str, key: str, error: OSError | ValueError) -> str:
    import ssl

    reason = str(error)
    if isinstance(error, ssl.SSLError):
        mismatch = "MISMATCH" in (error.reason or "")
        reason = "they do not belong together" if mismatch else "they are not a certificate and a key in PEM"
    elif isinstance(error, OSError):
        reason = _reason(error)
    return f'cannot use the client certificate "{cert}" with the key "{key}" of the context: {reason}'
