"""What the API says about itself: its version, its configuration, its siblings and the kinds it knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import falcon

from kuma_core import __version__
from kuma_core.api.errors import JSON
from kuma_core.api.exchange import answer_json
from kuma_core.builtin.configuration.contract import NO_SOCKET
from kuma_core.builtin.inventory.contract import MissingKind
from kuma_core.config import Config
from kuma_core.hosts import in_url
from kuma_core.kinds import Kinds
from kuma_core.model import ResourceType
from kuma_core.policy.contract import Policy


class JsonPage:
    """Answers every GET with the JSON that ``value`` gives, whatever the client says that it accepts."""

    def __init__(self, value: Callable[[], Any], one_line: bool = False) -> None:
        self._value = value
        self._one_line = one_line

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The value."""
        if self._one_line:
            resp.text = json.dumps(self._value(), sort_keys=True, separators=(",", ":"))
            resp.content_type = JSON
        else:
            answer_json(resp, self._value())


def index() -> dict[str, str]:
    """``GET /``: how clients recognise a control plane."""
    return {"tagline": "Kuma", "version": __version__}


def catalog(config: Config, issues_tokens: bool) -> dict[str, Any]:
    """``GET /catalog``: where the sibling servers are; what is not there has an empty URL."""
    host = in_url(config.text("general.advertisedHostname"))
    bootstrap = f"http://{host}:{config.number('bootstrapServer.port')}"
    admin = _admin_urls(config)
    tokens = admin if issues_tokens else {"localUrl": "", "publicUrl": ""}
    path = config.text("adminServer.socket.path")
    admin = {**admin, "localSocket": "" if path == NO_SOCKET else path}
    events = f"http://{host}:{config.number('eventsServer.port')}"
    return {
        "apis": {
            "bootstrap": {"url": bootstrap},
            "serving": {"url": _serving_url(config, host)},
            "dataplaneToken": tokens,
            "admin": admin,
            "events": {"url": events},
        }
    }


def _serving_url(config: Config, host: str) -> str:
    """Where a kuma-dp of another machine shows its token when it tells that it serves, or leaves.

    It knows the server by the root that its bootstrap has. Empty where that is another one, or there is none.
    """
    files = ("apiServer.https.tlsCertFile", "sdsServer.tlsCertFile")
    is_known = config.flag("xdsServer.tlsEnabled") and not any(map(config.text, files))
    is_there = config.flag("apiServer.https.enabled")
    return f"https://{host}:{config.number('apiServer.https.port')}" if is_known and is_there else ""


def _admin_urls(config: Config) -> dict[str, str]:
    host, port = in_url(config.text("general.advertisedHostname")), config.number("adminServer.public.port")
    is_public = config.flag("adminServer.public.enabled")
    return {
        "localUrl": f"http://localhost:{config.number('adminServer.local.port')}",
        "publicUrl": f"https://{host}:{port}" if is_public else "",
    }


def kinds(
    registered: Kinds, missing: Iterable[MissingKind] = (), policies: Iterable[Policy] = ()
) -> dict[str, Any]:
    """``GET /kinds``: everything that a client needs to work with a kind that it never heard of.

    ``missing`` are kinds of which resources are stored although no loaded plugin brings them; ``policies`` are those
    that say how resources of a kind act on proxies.
    """
    scopes = {policy.kind: policy.scope.value for policy in policies}
    known = [
        _kind(kind, registered.owner(kind.name).partition(".")[0], scopes.get(kind.name, ""))
        for kind in registered
        if kind.served
    ]
    absent = [
        {"name": item.kind, "plugin": item.plugin, "package": item.distribution, "count": item.count}
        for item in missing
    ]
    return {**({"missing": absent} if absent else {}), "kinds": known}


def _kind(kind: ResourceType, plugin: str, policy: str) -> dict[str, Any]:
    columns = [
        {"header": c.header, "path": c.path, "format": c.format.value, "default": c.default}
        for c in kind.columns
    ]
    return {
        "name": kind.name,
        "path": kind.path,
        "singular": kind.singular,
        "aliases": list(kind.aliases),
        "scope": kind.scope.value,
        "readOnly": kind.read_only,
        "status": kind.status,
        "plugin": plugin,
        **({"policy": policy} if policy else {}),
        "columns": columns,
    }
