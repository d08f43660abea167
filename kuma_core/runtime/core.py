"""What every feature stands on: the store, and everything above it in the order in which one part needs the other."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import cached_property
from typing import TypeVar

from kuma_core.api.audit_ring import AuditRing
from kuma_core.auth.access import AccessControl, Authorizer, one_access_policy
from kuma_core.auth.users import MODE, Users
from kuma_core.builtin.cluster.contract import Cluster
from kuma_core.builtin.tokens.contract import UserTokens
from kuma_core.ca.authorities import open_authorities
from kuma_core.config import Config
from kuma_core.plugin.catalog import Catalog
from kuma_core.plugin.contract import Context
from kuma_core.plugin.features import Collector, Features
from kuma_core.resources.boundary import opened_store
from kuma_core.resources.contract import Store
from kuma_core.resources.key_file import configured_keyring
from kuma_core.resources.manager import ResourceManager
from kuma_core.resources.store_times import StoreTimes
from kuma_core.runtime.acceptance import Accepted
from kuma_core.runtime.handed_on import HandedOn
from kuma_core.runtime.leadership import Leader
from kuma_core.runtime.proxy_servers import Enforced, ProxyServers
from kuma_core.runtime.secrets_at_rest import open_secrets

T = TypeVar("T")

KERNEL = "the kernel"
"""Who asks, in messages, where no plugin does."""


class Core:
    """Opened by the constructor, in the event loop; ``open_features`` opens what stands on it.

    Raises ``ConfigError``, ``StoreUnavailable``, ``UnreadableResource``, or ``PluginError`` that names the plugin.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        config: Config,
        catalog: Catalog,
        instance_id: str,
    ) -> None:
        self._config, self._catalog, self._instance_id = config, catalog, instance_id
        self.leader, self.apps = Leader(), HandedOn()
        keyring = configured_keyring(config)
        factory = catalog.store(config.text("store.type"))
        untold = [kind.name for kind in catalog.kinds if not kind.watched]
        self.store_times = StoreTimes(untold)
        plugin = catalog.store_plugin(factory.name)
        opened = opened_store(factory, plugin, config, catalog.kinds, self.store_times)
        self.store: Store = stack.enter_context(opened)
        self.secrets = open_secrets(self.store, keyring, catalog.own_secrets)
        self.authorities = open_authorities(
            catalog.ca_providers, config, self.secrets, catalog.boundary, catalog.asking
        )
        self.resources = ResourceManager(
            self.store,
            catalog.kinds,
            lambda _: self.offer("builtin.cluster", Cluster).deletions,
            catalog.admission(self.authorities),
            self.authorities.prepare,
            self.secrets.outlives_its_mesh,
            catalog.boundary,
        )
        users = Users(config.text(MODE), lambda token: self._user_tokens.user(token))
        self.access = AccessControl(users, Authorizer(self.resources, catalog.asking))
        self.audited = AuditRing()
        self.proxies = ProxyServers(config, catalog, self.resources, self.secrets, self.authorities)
        self._collector = Collector(catalog.manager, self._offers(), self._context)

    @cached_property
    def _user_tokens(self) -> UserTokens:
        return self.offer("builtin.tokens", UserTokens)

    def _offers(self) -> dict[str, object]:
        """What the kernel itself offers to plugins that ask."""
        return {
            "acceptance": Accepted(self.proxies),
            "access": self.access,
            "apps": self.apps,
            "audited": self.audited,
            "authorities": self.authorities,
            "enforcement": Enforced(self.proxies),
            "identities": self.proxies,
            "presences": self.proxies.views.presences,
            "previewer": self.proxies.preview,
            "proxy_servers": self.proxies,
            "quarantine": self._catalog.boundary.quarantine,
            "streams": self.proxies.streams,
            "views": self.proxies.views,
        }

    def _context(self, plugin: str) -> Context:
        return Context(
            plugin=plugin,
            instance_id=self._instance_id,
            config=self._config,
            registered=self._catalog,
            store=self.store,
            resources=self.resources,
            secrets=self.secrets,
            views=self.proxies.views,
            leadership=self.leader,
            _ask=self._collector.opening.ask,
        )

    def open_features(self) -> Features:
        """Open every plugin, and take what it brings."""
        features = self._collector.open()
        self.access.authorizer.use(one_access_policy(features.access, self._catalog.kinds))
        return features

    def offer(self, plugin: str, contract: type[T]) -> T:
        """What a plugin offers to others."""
        found: T = self._collector.opening.ask(KERNEL, plugin, contract)
        return found
