"""What the kubelet's probes ask of the application beside a proxy, and the asking, as the kubelet would do it itself.

``KUMA_DATAPLANE_PROBES`` lists it, which whoever injects the proxy writes: for each path under which a probe comes,
``{"port", "timeout"}`` for a connection, and ``path``, ``scheme`` and ``headers`` beside for a request of HTTP. Beside
the targets are the path of the hook of containers that are to end, ``leaving``, and that of Envoy's state, ``ready``.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_LINE = 4096
"""Of an answer's first line."""

GOOD, BAD, LATE = 200, 503, 504
AGENT = "kube-probe/kuma"


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked at 127.0.0.1: with a ``path`` by HTTP, without one whether the port takes a connection."""

    port: int
    timeout: float
    path: str = ""
    is_tls: bool = False
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Probing:
    """The port on which probes come, and what each path of theirs stands for."""

    port: int
    targets: Mapping[str, Target]
    leaving: str = ""
    """The path under which containers that are to end wait until others call the Pod no more."""
    ready: str = ""
    """The path under which kuma-dp says whether Envoy is ready."""


def parse(text: str) -> Probing | None:
    """What ``KUMA_DATAPLANE_PROBES`` says; ``None`` if it is empty. Raises ValueError with a sentence."""
    if not text:
        return None
    import json  # costs every other data plane memory

    try:
        found = json.loads(text)
        targets = {str(path): _target(item) for path, item in found["targets"].items()}
        own = (str(found.get(name) or "") for name in ("leaving", "ready"))
        return Probing(_port(found["port"]), targets, *own)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"it is not what the injector writes: {said[:200]}") from None


def _target(item: Any) -> Target:
    headers = tuple((str(name), str(value)) for name, value in item.get("headers", ()))
    path = str(item.get("path", ""))
    if any(not part.isprintable() for part in (path, *(text for header in headers for text in header))):
        raise ValueError("a path or a header has a line end in it")
    return Target(_port(item["port"]), float(item["timeout"]), path, item.get("scheme") == "HTTPS", headers)


def _port(value: Any) -> int:
    if isinstance(value, int) and 0 < value < 65536:
        return value
    raise ValueError(f"{value!r} is no port")


def ask(target: Target, host: str) -> tuple[int, str]:
    """The HTTP code for the kubelet, and a sentence: 200 for what it would count as a success.

    ``host`` is the address that the application would be asked at without us.
    """
    deadline = time.monotonic() + target.timeout
    place = f"127.0.0.1:{target.port}"
    try:
        with _connected(target) as connection:
            if not target.path:
                return GOOD, f"{place} takes connections"
            code = _exchange(connection, target, host, deadline)
    except TimeoutError:
        return LATE, f"{place} did not answer within {target.timeout:g} s"
    except (OSError, ValueError) as error:
        return BAD, f"{place}: {getattr(error, 'strerror', None) or error}"
    return GOOD if 200 <= code < 400 else code, f"{place} answered {code}"


def _connected(target: Target) -> socket.socket:
    """A connection, by TLS as the kubelet does it: it looks at no certificate."""
    connection = socket.create_connection(("127.0.0.1", target.port), target.timeout)
    if not target.is_tls:
        return connection
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


def _exchange(connection: socket.socket, target: Target, host: str, deadline: float) -> int:
    given = {"Host": f"{host}:{target.port}", "User-Agent": AGENT, "Accept": "*/*", "Connection": "close"}
    for name, value in target.headers:
        given = {key: kept for key, kept in given.items() if key.lower() != name.lower()} | {name: value}
    lines = [f"GET {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    connection.sendall("\r\n".join(lines).encode())
    line = b""
    while b"\n" not in line and len(line) < LONGEST_LINE:
        connection.settimeout(_left(deadline))
        piece = connection.recv(LONGEST_LINE)
        if not piece:
            break
        line += piece
    return _code(line.split(b"\n")[0])


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _code(line: bytes) -> int:
    protocol, _, rest = line.partition(b" ")
    if not protocol.startswith(b"HTTP/1.") or not rest[:3].isdigit() or not 100 <= int(rest[:3]) < 600:
        raise ValueError("that is not an answer of HTTP")
    return int(rest[:3])
