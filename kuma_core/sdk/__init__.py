"""The door for plugins: everything that a plugin may use, except what builds Envoy messages.

``kuma_core.sdk.envoy`` is the other, heavier half, for modules that build Envoy messages. No logic lives here;
names are only handed on, and every one of them stays. What needs pydantic is imported when its name is first asked for:
beside kumactl a plugin has none, so that its ``__init__`` takes no such name outside of the hooks of a control plane.
"""

from typing import TYPE_CHECKING

from kuma_core import log_pipe
from kuma_core.api.contract import Route
from kuma_core.auth.contract import (
    ADMINS,
    READERS,
    AccessPolicy,
    Asked,
    Authenticator,
    Claim,
    Decide,
    Decision,
    Proof,
    ProxyAuthenticator,
    Right,
    Snapshot,
    Unauthenticated,
    User,
    Verb,
    WatchedProxyAuthenticator,
)
from kuma_core.clocks import apart
from kuma_core.config import DURATION, FLAG, NUMBER, TEXT, TEXTS, Config, Setting
from kuma_core.documents import DocumentError, load_documents, shown
from kuma_core.durations import parse_duration
from kuma_core.errors import (
    AlreadyExists,
    ConfigError,
    Conflict,
    InvalidResource,
    KumaError,
    LeaseLost,
    MalformedResource,
    NotFound,
    PluginError,
    Severity,
    StoreTakesNoWrites,
    StoreUnavailable,
    UnreadableResource,
    Violation,
)
from kuma_core.histogram import Histogram
from kuma_core.kinds import Kinds
from kuma_core.lazily import handing_on
from kuma_core.lifecycle import Stop
from kuma_core.model import CellFormat, Column, Resource, ResourceKey, ResourceType, Scope, not_found
from kuma_core.plugin.command import Command, OutputFormat
from kuma_core.plugin.hookspecs import hookimpl, of_kinds
from kuma_core.resources.contract import (
    Change,
    CountedStore,
    LearningStore,
    Migrations,
    Op,
    OwnSecret,
    Publish,
    QuietStore,
    Record,
    Resources,
    Result,
    SchemaStatus,
    Secret,
    Secrets,
    Store,
    StoreFactory,
    TellingStore,
    Written,
)
from kuma_core.specs.spiffe import spiffe_id, trust_domain_id
from kuma_core.specs.tags import TagPairs, odd_text, sorted_tags
from kuma_core.xds.proxy import Proxy

if TYPE_CHECKING:
    from kuma_core.builtin.cluster.contract import Cluster
    from kuma_core.builtin.events.contract import Event, Events
    from kuma_core.builtin.presence.contract import Presence
    from kuma_core.builtin.rotation.contract import (
        RotatableCaProvider,
        Rotation,
        RotationStage,
        SettledStages,
    )
    from kuma_core.builtin.status.contract import ProxyStatuses, Transition
    from kuma_core.ca.contract import (
        Authorities,
        Authority,
        CaProvider,
        CaProviderFactory,
        SigningCaProvider,
        WatchedCaProvider,
    )
    from kuma_core.plugin.contract import (
        COUNTER,
        GAUGE,
        HISTOGRAM,
        Access,
        Apps,
        AsgiServer,
        Body,
        BootstrapFragment,
        ChangeListener,
        Component,
        Context,
        GrpcServer,
        KeyPair,
        Leadership,
        Metric,
        Port,
        Registered,
        Server,
        StaticCluster,
        StatsSink,
        StatsTag,
        Views,
        WsgiServer,
    )
    from kuma_core.policy.contract import Destination, Edit, Ends, Match, Policy, Subject
    from kuma_core.policy.contract import Scope as PolicyScope
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
    from kuma_core.specs.bounds import PERIOD, PORT, Between, out_of_bounds, plain_duration
    from kuma_core.specs.dataplane import DataplaneSpec
    from kuma_core.specs.mesh import MeshSpec
    from kuma_core.xds.contract import (
        CLUSTER,
        ENDPOINTS,
        LISTENER,
        ROUTES,
        Draft,
        Generator,
        Identities,
        Previewer,
        ProxyView,
        SecretSource,
        StreamReport,
        Streams,
    )
else:
    __getattr__ = handing_on(
        __name__,
        {
            "kuma_core.builtin.cluster.contract": "Cluster",
            "kuma_core.builtin.events.contract": "Event Events",
            "kuma_core.builtin.presence.contract": "Presence",
            "kuma_core.builtin.rotation.contract": "RotatableCaProvider Rotation RotationStage SettledStages",
            "kuma_core.builtin.status.contract": "ProxyStatuses Transition",
            "kuma_core.ca.contract": (
                "Authorities Authority CaProvider CaProviderFactory SigningCaProvider WatchedCaProvider"
            ),
            "kuma_core.plugin.contract": (
                "COUNTER GAUGE HISTOGRAM Access Apps AsgiServer BootstrapFragment ChangeListener Component Context "
                "Body GrpcServer KeyPair Leadership Metric Port Registered Server StaticCluster StatsSink "
                "StatsTag Views WsgiServer"
            ),
            "kuma_core.policy.contract": "Destination Edit Ends Match Policy Subject Scope:PolicyScope",
            "kuma_core.specs.base": "Duration Spec Tags Timestamp UInt32 UInt64 parse_spec to_document",
            "kuma_core.specs.bounds": "PERIOD PORT Between out_of_bounds plain_duration",
            "kuma_core.specs.dataplane": "DataplaneSpec",
            "kuma_core.specs.mesh": "MeshSpec",
            "kuma_core.xds.contract": (
                "CLUSTER ENDPOINTS LISTENER ROUTES Draft Generator Identities Previewer ProxyView "
                "SecretSource StreamReport Streams"
            ),
        },
    )

__all__ = [
    "ADMINS",
    "CLUSTER",
    "COUNTER",
    "DURATION",
    "ENDPOINTS",
    "FLAG",
    "GAUGE",
    "HISTOGRAM",
    "LISTENER",
    "NUMBER",
    "PERIOD",
    "PORT",
    "READERS",
    "ROUTES",
    "TEXT",
    "TEXTS",
    "Access",
    "AccessPolicy",
    "AlreadyExists",
    "Apps",
    "AsgiServer",
    "Asked",
    "Authenticator",
    "Authorities",
    "Authority",
    "Between",
    "Body",
    "BootstrapFragment",
    "CaProvider",
    "CaProviderFactory",
    "CellFormat",
    "Change",
    "ChangeListener",
    "Claim",
    "Cluster",
    "Column",
    "Command",
    "Component",
    "Config",
    "ConfigError",
    "Conflict",
    "Context",
    "CountedStore",
    "DataplaneSpec",
    "Decide",
    "Decision",
    "Destination",
    "DocumentError",
    "Draft",
    "Duration",
    "Edit",
    "Ends",
    "Event",
    "Events",
    "Generator",
    "GrpcServer",
    "Histogram",
    "Identities",
    "InvalidResource",
    "KeyPair",
    "Kinds",
    "KumaError",
    "Leadership",
    "LearningStore",
    "LeaseLost",
    "MalformedResource",
    "Match",
    "MeshSpec",
    "Metric",
    "Migrations",
    "NotFound",
    "Op",
    "OutputFormat",
    "OwnSecret",
    "PluginError",
    "Policy",
    "PolicyScope",
    "Port",
    "Presence",
    "Previewer",
    "Proof",
    "Proxy",
    "ProxyAuthenticator",
    "ProxyStatuses",
    "ProxyView",
    "Publish",
    "QuietStore",
    "Record",
    "Registered",
    "Resource",
    "ResourceKey",
    "ResourceType",
    "Resources",
    "Result",
    "Right",
    "RotatableCaProvider",
    "Rotation",
    "RotationStage",
    "Route",
    "SchemaStatus",
    "Scope",
    "Secret",
    "SecretSource",
    "Secrets",
    "Server",
    "Setting",
    "SettledStages",
    "Severity",
    "SigningCaProvider",
    "Snapshot",
    "Spec",
    "StaticCluster",
    "StatsSink",
    "StatsTag",
    "Stop",
    "Store",
    "StoreFactory",
    "StoreTakesNoWrites",
    "StoreUnavailable",
    "StreamReport",
    "Streams",
    "Subject",
    "TagPairs",
    "Tags",
    "TellingStore",
    "Timestamp",
    "Transition",
    "UInt32",
    "UInt64",
    "Unauthenticated",
    "UnreadableResource",
    "User",
    "Verb",
    "Views",
    "Violation",
    "WatchedCaProvider",
    "WatchedProxyAuthenticator",
    "Written",
    "WsgiServer",
    "apart",
    "hookimpl",
    "load_documents",
    "log_pipe",
    "not_found",
    "odd_text",
    "of_kinds",
    "out_of_bounds",
    "parse_duration",
    "parse_spec",
    "plain_duration",
    "shown",
    "sorted_tags",
    "spiffe_id",
    "to_document",
    "trust_domain_id",
]
