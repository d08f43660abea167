"""The bootstrap of a control plane that is pinned: what comes over plain HTTP may not lead Envoy elsewhere.

Whoever sits between us and the bootstrap server can write what they like into it. So only what our own control
plane writes is taken (``xds/bootstrap.py`` there), the pinned root takes the place of the one that came, and
what kuma-dp itself announced must come back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kuma_core.dataplane import bootstrap_document
from kuma_core.errors import KumaError

Shape = Any
"""A type; a text that must be there as it is; a mapping of shapes by key; a list with the shape of its only item."""

ANY_KEY = "*"
_FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
_FILE_TOKEN = "type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig"
_TOKEN_PLUGIN = "envoy.grpc_credentials.file_based_metadata"
_OVER_ADS = {"ads": {}, "resourceApiVersion": "V3"}
_ADMIN = {
    "address": {"socketAddress": {"address": str, "portValue": int}},
    "accessLog": [{"name": "envoy.access_loggers.file", "typedConfig": {"@type": _FILE_LOG, "path": str}}],
}


def shape(request: Mapping[str, object]) -> Shape:
    """What a bootstrap may hold that answers this request."""
    told = {key: request[key] for key in ("dataplaneTokenPath", "accessLogPipe") if key in request}
    told |= {"accessLogFiles": "true"} if request.get("accessLogFiles") else {}
    told |= {"dataplane.ipv6": "true"} if request.get("ipv6") else {}
    told |= {"dataplane.tellsServing": "true"} if request.get("tellsServing") else {}
    return {
        "node": {
            "id": f"{request['mesh']}.{request['name']}",
            "cluster": str,
            "metadata": {"dataplane.admin.port": str, **told},
        },
        "admin": _ADMIN,
        "dynamicResources": {
            "adsConfig": {
                "apiType": str,
                "transportApiVersion": "V3",
                "setNodeOnFirstMessageOnly": bool,
                "grpcServices": [{"googleGrpc": _google_grpc(request.get("dataplaneTokenPath"))}],
            },
            "cdsConfig": _OVER_ADS,
            "ldsConfig": _OVER_ADS,
        },
    }


def _google_grpc(token_path: object) -> Shape:
    grpc: dict[str, Shape] = {
        "targetUri": str,
        "statPrefix": str,
        "channelCredentials": {"sslCredentials": {"rootCerts": {"inlineString": str}}},
        "channelArgs": {"args": {ANY_KEY: {"intValue": str}, "grpc.default_authority": {"stringValue": str}}},
    }
    if token_path:
        config = {"@type": _FILE_TOKEN, "secretData": {"filename": token_path}}
        plugin = {"fromPlugin": {"name": _TOKEN_PLUGIN, "typedConfig": config}}
        grpc |= {"credentialsFactoryName": _TOKEN_PLUGIN, "callCredentials": [plugin]}
    return grpc


def surplus(value: Any, expected: Shape, path: str = "") -> Iterator[str]:
    """Every place that does not fit, such as ``admin.accessLog[1]``, in the order of the document."""
    if isinstance(expected, dict) and isinstance(value, dict):
        for key, item in value.items():
            place = f"{path}.{key}" if path else str(key)
            inner = expected.get(key, expected.get(ANY_KEY))
            yield from [place] if inner is None else surplus(item, inner, place)
    elif isinstance(expected, list) and isinstance(value, list):
        for number, item in enumerate(value):
            place = f"{path}[{number}]"
            yield from surplus(item, expected[0], place) if number == 0 else [place]
    elif not (type(value) is expected or (isinstance(expected, str) and value == expected)):
        yield path


def pinned(body: bytes, request: Mapping[str, object], pem: str, url: str) -> tuple[bytes, str]:
    """The bootstrap with the pinned root, as YAML; and the root that it came with.

    ``request`` is what was asked for, ``url`` who answered. Raises ``KumaError`` if Envoy would speak to the
    control plane without TLS, or if there is anything in the document that is not known to be harmless.
    """
    document = _loaded(body, url)
    grpc = _ads_service(document)
    if grpc is None:
        raise _refused(
            f"the one of {url} would have Envoy speak to the control plane without TLS, but --ca-cert-file pins "
            "the control plane's certificate. Set xdsServer.tlsEnabled (KUMA_XDS_SERVER_TLS_ENABLED) to true "
            "there, or leave --ca-cert-file away."
        )
    for found in surplus(document, shape(request)):
        raise _refused(
            f"the one of {url} has something unexpected at {found[:200]!r}, which is not taken while "
            "--ca-cert-file pins the control plane's certificate. Run the same version of kuma-dp and "
            "kuma-cp; if you do, find out who answers there."
        )
    credentials = grpc.setdefault("channelCredentials", {}).setdefault("sslCredentials", {})
    told = credentials.get("rootCerts", {}).get("inlineString", "")
    credentials["rootCerts"] = {"inlineString": pem}
    return json.dumps(document, indent=1, ensure_ascii=False).encode(errors="replace"), told


def _loaded(body: bytes, url: str) -> Any:
    try:
        return bootstrap_document.load(body)
    except ValueError as error:
        raise _refused(f"the one of {url} holds a value that cannot be read ({error}).") from error


def _ads_service(document: Any) -> dict[str, Any] | None:
    """The one service of the ADS stream if it speaks TLS, which ``googleGrpc`` alone does here."""
    found = bootstrap_document.at(document, *bootstrap_document.ADS, "googleGrpc")
    return found if isinstance(found, dict) else None


def _refused(reason: str) -> KumaError:
    return KumaError(f"the bootstrap configuration is refused: {reason}")
