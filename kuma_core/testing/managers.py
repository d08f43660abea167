"""Managers of resources and secrets as a control plane has them, over a store of the test's."""

from __future__ import annotations

from kuma_core.builtin import FEATURES
from kuma_core.builtin.cluster.deletions import MeshDeletions
from kuma_core.kinds import Kinds
from kuma_core.plugin.catalog import build_catalog
from kuma_core.resources.contract import Store
from kuma_core.resources.manager import ResourceManager
from kuma_core.resources.secrets import Cipher, SecretManager
from kuma_core.specs.mesh import MESH


def resource_manager(store: Store, kinds: Kinds) -> ResourceManager:
    """A manager of these kinds that deletes meshes in a way that survives a crash; nobody is asked before a write."""
    return ResourceManager(
        store,
        kinds,
        lambda manager: MeshDeletions(store, MESH, manager.owned_by_mesh),
        keep=secret_manager(store).outlives_its_mesh,
    )


def secret_manager(store: Store, cipher: Cipher | None = None) -> SecretManager:
    """A manager of secrets that knows which of them are the control plane's own."""
    return SecretManager(store, cipher, build_catalog(FEATURES, []).own_secrets)
