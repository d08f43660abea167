"""The door for plugins: everything that a plugin may use, except what builds Envoy messages.

``kuma_core.sdk.envoy`` is the other, heavier half, for modules that build Envoy messages. No logic lives here;
names are only handed on, and every one of them stays. Those that need pydantic are imported when they are first asked
for: beside kumactl a plugin has none.
"""

from typing import TYPE_CHECKING

from kuma_core.api.contract import Route
from kuma_core.auth.contract import (
    Authenticator,
    Proof,
    ProxyAuthenticator,
    Unauthenticated,
    WatchedProxyAuthenticator,
)
from kuma_core.ca.contract import CaProvider, CaProviderFactory, Rotation, RotationStage
from kuma_core.config import DURATION, FLAG, NUMBER, TEXT, TEXTS, Config, Setting
from kuma_core.documents import DocumentError, load_documents
from kuma_core.durations import parse_duration
from kuma_core.errors import (
    AlreadyExists,
    ConfigError,
    Conflict,
    InvalidResource,
    KumaError,
    MalformedResource,
    NotFound,
    PluginError,
    Severity,
    StoreTakesNoWrites,
    StoreUnavailable,
    Violation,
)
from kuma_core.lazily import handing_on
from kuma_core.lifecycle import Stop
from kuma_core.model import CellFormat, Column, Resource, ResourceKey, ResourceType, Scope, not_found
from kuma_core.plugin.contract import Command
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.policy.contract import Destination, Ends, Match, Policy, Subject
from kuma_core.policy.contract import Scope as PolicyScope
from kuma_core.resources.contract import (
    Change,
    Migrations,
    Op,
    Publish,
    Record,
    SchemaStatus,
    Store,
    StoreFactory,
)
from kuma_core.runtime.contract import Component, Context
from kuma_core.specs.tags import TagPairs, sorted_tags
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, ROUTES, Draft, Generator, Proxy

if TYPE_CHECKING:
    from kuma_core.resources.manager import ResourceManager
    from kuma_core.resources.secrets import Secret, SecretManager
    from kuma_core.specs.base import (
        Duration,
        Spec,
        Tags,
        Timestamp,
        UInt32,
        UInt64,
        parse_spec,
        to_document,
    )
else:
    __getattr__ = handing_on(
        __name__,
        {
            "kuma_core.resources.manager": "ResourceManager",
            "kuma_core.resources.secrets": "Secret SecretManager",
            "kuma_core.specs.base": "Duration Spec Tags Timestamp UInt32 UInt64 parse_spec to_document",
        },
    )

__all__ = [
    "CLUSTER",
    "DURATION",
    "ENDPOINTS",
    "FLAG",
    "LISTENER",
    "NUMBER",
    "ROUTES",
    "TEXT",
    "TEXTS",
    "AlreadyExists",
    "Authenticator",
    "CaProvider",
    "CaProviderFactory",
    "CellFormat",
    "Change",
    "Column",
    "Command",
    "Component",
    "Config",
    "ConfigError",
    "Conflict",
    "Context",
    "Destination",
    "DocumentError",
    "Draft",
    "Duration",
    "Ends",
    "Generator",
    "InvalidResource",
    "KumaError",
    "MalformedResource",
    "Match",
    "Migrations",
    "NotFound",
    "Op",
    "PluginError",
    "Policy",
    "PolicyScope",
    "Proof",
    "Proxy",
    "ProxyAuthenticator",
    "Publish",
    "Record",
    "Resource",
    "ResourceKey",
    "ResourceManager",
    "ResourceType",
    "Rotation",
    "RotationStage",
    "Route",
    "SchemaStatus",
    "Scope",
    "Secret",
    "SecretManager",
    "Setting",
    "Severity",
    "Spec",
    "Stop",
    "Store",
    "StoreFactory",
    "StoreTakesNoWrites",
    "StoreUnavailable",
    "Subject",
    "TagPairs",
    "Tags",
    "Timestamp",
    "UInt32",
    "UInt64",
    "Unauthenticated",
    "Violation",
    "WatchedProxyAuthenticator",
    "hookimpl",
    "load_documents",
    "not_found",
    "parse_duration",
    "parse_spec",
    "sorted_tags",
    "to_document",
]
