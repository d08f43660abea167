"""Where the API server is and how it knows us: the ServiceAccount of our Pod, else a kubeconfig.

Certificates and tokens are read for each connection, because the cluster renews them.
"""

from __future__ import annotations

import ssl
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kuma_core.sdk import ConfigError, KumaError, load_documents

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a Pod finds its ServiceAccount."""


@dataclass(frozen=True, slots=True)
class Access:
    """An API server. ``tls`` and ``token`` give what counts now; they raise OSError and ValueError."""

    url: str
    tls: Callable[[], ssl.SSLContext]
    token: Callable[[], str]


def find(environ: Mapping[str, str], folder: Path = FOLDER) -> Access:
    """The API server of the cluster that we run in, else the one that the kubeconfig chooses. Raises ConfigError."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if host:
        address = f"[{host}]" if ":" in host else host
        return Access(
            f"https://{address}:{port}",
            lambda: ssl.create_default_context(cafile=str(folder / "ca.crt")),
            lambda: (folder / "token").read_text().strip(),
        )
    path = Path(environ.get("KUBECONFIG") or Path(environ.get("HOME", ""), ".kube/config"))
    try:
        return _of_kubeconfig(path)
    except (OSError, ValueError, KumaError) as error:
        said = f"{path}: {getattr(error, 'strerror', None) or error}"
        if isinstance(error, KumaError):
            said = str(error)  # names the file, the line and the column
        raise ConfigError(
            f"the Kubernetes API cannot be found: {said}. Outside of a cluster KUBECONFIG names a file"
        ) from error


def _of_kubeconfig(path: Path) -> Access:
    document: Any = next(iter(load_documents(path.read_text(), str(path))), {})
    context = _named(document, "contexts", "context", str(_member(document, "current-context")))
    cluster = _named(document, "clusters", "cluster", str(_member(context, "cluster")))
    user = _named(document, "users", "user", str(_member(context, "user")))
    if odd := sorted({"exec", "auth-provider", "username"} & set(user)):
        raise ValueError(f"a user with {odd[0]} is not understood here; use a token or a client certificate")
    return Access(
        str(_member(cluster, "server")).rstrip("/"),
        lambda: _context(path.parent, cluster, user),
        lambda: _token(path.parent, user),
    )


def _member(item: Any, name: str) -> Any:
    found = item.get(name) if isinstance(item, Mapping) else None
    if not found:
        raise ValueError(f"{name} is missing")
    return found


def _named(document: Any, collection: str, member: str, name: str) -> Mapping[str, Any]:
    for item in _member(document, collection):
        if isinstance(item, Mapping) and item.get("name") == name:
            found = item.get(member) or {}
            if isinstance(found, Mapping):
                return found
    raise ValueError(f'{collection} has no "{name:.80}"')


def _context(base: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    text = _content(base, cluster, "certificate-authority").decode()
    made = ssl.create_default_context(cadata=text or None)
    certificate, key = (user.get(f"client-{name}") for name in ("certificate", "key"))
    if certificate and key:
        made.load_cert_chain(base / certificate, base / key)
    elif user.get("client-certificate-data"):
        raise ValueError("a client certificate has to be in a file: client-certificate, client-key")
    return made


def _content(base: Path, item: Mapping[str, Any], name: str) -> bytes:
    """What is in a member ``<name>-data``, or in the file that ``<name>`` names; empty if there is neither."""
    if data := item.get(f"{name}-data"):
        try:
            return b64decode(data, validate=True)
        except (NoBase64, TypeError) as error:
            raise ValueError(f"{name}-data is not base64") from error
    return Path(base, str(item[name])).read_bytes() if item.get(name) else b""


def _token(base: Path, user: Mapping[str, Any]) -> str:
    if name := user.get("tokenFile"):
        return Path(base, str(name)).read_text().strip()
    return str(user.get("token") or "")
