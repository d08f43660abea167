"""What a control plane with everything turned on listens on, without listening."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path

from kuma_core.api.contract import Route
from kuma_core.builtin.configuration.autoconfiguration import autoconfigured
from kuma_core.config import Config, build_config
from kuma_core.plugin.contract import Server
from kuma_core.runtime.platform import Platform
from kuma_core.testing.authorities import root_without_key_id
from kuma_core.testing.kubernetes import NoApi, way_to
from kuma_core.testing.platform import make_catalog

PLUGINS = (
    "kuma_store_memory",
    "kuma_ca_builtin",
    "kuma_ca_provided",
    "kuma_gui",
    "kuma_policy_traffic",
    "kuma_runtime_k8s",
)


def registered() -> list[tuple[Config, Server]]:
    """Every server of the kernel and of the plugins of this repository, with its configuration."""
    found: list[tuple[Config, Server]] = []
    with tempfile.TemporaryDirectory() as folder:
        for environ in (everything_on(Path(folder)), {"KUMA_ENVIRONMENT": "kubernetes", _CERT_DIR: folder}):
            known = {server.name for _, server in found}
            found += [entry for entry in _servers_of(environ) if entry[1].name not in known]
    return found


def _servers_of(environ: dict[str, str]) -> list[tuple[Config, Server]]:
    catalog = make_catalog([way_to(NoApi()), *(import_module(name) for name in PLUGINS)])
    config = autoconfigured(build_config(catalog.settings, {}, "everything", environ))
    return [(config, server) for server in asyncio.run(_registered(Platform(config, catalog)))]


_CERT_DIR = "KUMA_KUBERNETES_ADMISSION_SERVER_CERT_DIR"


def registered_routes() -> list[tuple[str, Route]]:
    """Every route of the REST API and of the admin API, with the name of the server that serves it."""
    with tempfile.TemporaryDirectory() as folder:
        catalog = make_catalog(import_module(name) for name in PLUGINS)
        config = autoconfigured(build_config(catalog.settings, {}, "everything", everything_on(Path(folder))))
        platform = Platform(config, catalog)
        asyncio.run(_registered(platform))
    features = platform.features
    found = [("api-server", route) for route in features.routes]
    return found + [("admin-server", route) for route in features.admin_routes]


def methods_of(route: Route) -> list[str]:
    """The methods that a route serves, beside those that every one has."""
    known = ("GET", "POST", "PUT", "PATCH", "DELETE")
    return [name for name in known if hasattr(route.resource, f"on_{name.lower()}")]


async def _registered(platform: Platform) -> list[Server]:
    async with AsyncExitStack() as stack:
        return await platform.registered(stack)


def everything_on(folder: Path) -> dict[str, str]:
    """The environment of a control plane with every listener that there is; any certificate does where nobody calls."""
    certificate, key = root_without_key_id("listeners")
    (folder / "clients").mkdir()
    for path, content in (("cert.pem", certificate), ("key.pem", key), ("clients/a.pem", certificate)):
        (folder / path).write_bytes(content)
    public = {
        "ENABLED": "true",
        "INTERFACE": "192.0.2.1",
        "TLS_CERT_FILE": str(folder / "cert.pem"),
        "TLS_KEY_FILE": str(folder / "key.pem"),
        "CLIENT_CERTS_DIR": str(folder / "clients"),
    }
    return {f"KUMA_ADMIN_SERVER_PUBLIC_{name}": value for name, value in public.items()}
