"""The format of an access log: the mesh's own placeholders, and what Envoy would refuse."""

from __future__ import annotations

import re
from collections.abc import Mapping

DEFAULT_FORMAT = (
    "[%START_TIME%] %KUMA_SOURCE_ADDRESS%(%KUMA_SOURCE_SERVICE%)->%UPSTREAM_HOST%(%KUMA_DESTINATION_SERVICE%) "
    "took %DURATION%ms, sent %BYTES_SENT% bytes, received: %BYTES_RECEIVED% bytes\n"
)

PLAIN = frozenset(
    (
        "BYTES_RECEIVED",
        "BYTES_SENT",
        "CONNECTION_ID",
        "CONNECTION_TERMINATION_DETAILS",
        "DOWNSTREAM_LOCAL_ADDRESS",
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_LOCAL_PORT",
        "DOWNSTREAM_REMOTE_ADDRESS",
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_REMOTE_PORT",
        "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
        "DOWNSTREAM_WIRE_BYTES_RECEIVED",
        "DOWNSTREAM_WIRE_BYTES_SENT",
        "DURATION",
        "HOSTNAME",
        "PROTOCOL",
        "REQUESTED_SERVER_NAME",
        "RESPONSE_CODE",
        "RESPONSE_CODE_DETAILS",
        "RESPONSE_FLAGS",
        "RESPONSE_FLAGS_LONG",
        "RESPONSE_TX_DURATION",
        "RESPONSE_DURATION",
        "ROUTE_NAME",
        "STREAM_ID",
        "UNIQUE_ID",
        "UPSTREAM_CLUSTER",
        "UPSTREAM_CLUSTER_RAW",
        "UPSTREAM_CONNECTION_ID",
        "UPSTREAM_HOST",
        "UPSTREAM_HOST_NAME",
        "UPSTREAM_LOCAL_ADDRESS",
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "UPSTREAM_LOCAL_PORT",
        "UPSTREAM_REMOTE_ADDRESS",
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        "UPSTREAM_REMOTE_PORT",
        "UPSTREAM_TRANSPORT_FAILURE_REASON",
        "UPSTREAM_WIRE_BYTES_RECEIVED",
        "UPSTREAM_WIRE_BYTES_SENT",
    )
)
"""The operators of Envoy that take no argument and make sense for a TCP connection."""

TIMES = frozenset(("EMIT_TIME", "EMIT_TIME_LOCAL", "START_TIME", "START_TIME_LOCAL"))
"""The operators that may say how, as in ``%START_TIME(%Y/%m/%d)%``."""

_OPERATOR = re.compile(r"%%|%([A-Z_0-9]+)(\([^()\x00-\x1f]*\))?%")
_LINE_BREAK = "%n"
"""In the pattern of a time: Envoy refuses it."""


def render(template: str, values: Mapping[str, str]) -> str:
    """The format as Envoy gets it.

    ``values`` are the placeholders that the control plane knows, by name. An operator that Envoy does not
    know, and a lone percent sign, stay as they were written: Envoy would refuse the whole listener.
    """
    rendered, position = [], 0
    for match in _OPERATOR.finditer(template):
        rendered.append(_literal(template[position : match.start()]))
        rendered.append(_operator(match, values))
        position = match.end()
    rendered.append(_literal(template[position:]))
    return "".join(rendered)


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _operator(match: re.Match[str], values: Mapping[str, str]) -> str:
    whole, name, argument = match.group(0), match.group(1), match.group(2)
    if whole == "%%":
        return whole
    if name in values and argument is None:
        return _literal(values[name])
    if argument is None:
        known = name in PLAIN or name in TIMES
    else:
        known = name in TIMES and _LINE_BREAK not in argument
    return whole if known else _literal(whole)
