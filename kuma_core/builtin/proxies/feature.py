"""The feature: how proxies reach the control plane, and by which certificate they know it."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.api.contract import Route
from kuma_core.auth.contract import Right
from kuma_core.builtin.proxies.contract import ProxyServing
from kuma_core.builtin.proxies.control_plane_ca import ControlPlaneCa
from kuma_core.ca.server_tls import trusted_root
from kuma_core.plugin.contract import BootstrapFragment, Context, Server
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.xds.bootstrap import ads_cluster, bootstrap_params


class ProxiesFeature:
    """What is open of the proxies' way to the control plane."""

    def __init__(self, context: Context) -> None:
        self._config, self._secrets = context.config, context.secrets
        self._ca = ControlPlaneCa()
        self._serving = context.ask("proxy_servers", ProxyServing)

    @hookimpl
    def kuma_prepare(self) -> None:
        """The root of the control plane's TLS, as it is in force until the control plane starts again."""
        self._ca.root = trusted_root(self._config, self._secrets)

    @hookimpl
    def kuma_register_servers(self) -> Iterable[Server]:
        """ADS and SDS."""
        return self._serving.servers()

    @hookimpl
    def kuma_register_admin_routes(self) -> Iterable[Route]:
        """``/control-plane-ca``: what it shows is no secret, and who has no credential yet needs it."""
        return [Route("/control-plane-ca", self._ca, right=Right.PUBLIC)]

    @hookimpl
    def kuma_register_bootstrap(self) -> Iterable[BootstrapFragment]:
        """Where the control plane is, for an Envoy that speaks with it without TLS."""
        if not self._config.flag("xdsServer.tlsEnabled"):
            yield ads_cluster(bootstrap_params(self._config))
