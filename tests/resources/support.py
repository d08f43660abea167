"""What the tests of resources share: kinds of their own, a store that remembers, and resources to write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kuma_core.errors import Severity, Violation
from kuma_core.kinds import Kinds
from kuma_core.model import Resource, ResourceType, Scope
from kuma_core.resources.contract import Store
from kuma_core.specs.base import Spec, parse_spec
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.insight import InsightSpec
from kuma_core.specs.mesh import MeshSpec


class CardSpec(Spec):
    """A spec for tests: a default, a rule and a warning."""

    text: str = ""
    colour: str = ""

    def with_defaults(self) -> CardSpec:
        return self if self.colour else self.model_copy(update={"colour": "white"})

    def violations(self) -> Iterator[Violation]:
        if not self.text:
            yield Violation("text", "cannot be empty")
        if self.text == "bad":
            yield Violation("text", "is bad")
        if self.colour == "red":
            yield Violation("colour", "is loud", Severity.WARNING)
        if self.colour == "black":
            yield Violation("colour", "cannot be black")


KINDS = Kinds(
    ("test", kind)
    for kind in (
        ResourceType("Mesh", "meshes", MeshSpec, "mesh", scope=Scope.GLOBAL),
        ResourceType("Dataplane", "dataplanes", DataplaneSpec, "dataplane"),
        ResourceType(
            "DataplaneInsight", "dataplane-insights", InsightSpec, "dataplane-insight", owner="Dataplane"
        ),
        ResourceType("DataplaneOverview", "dataplanes+insights", InsightSpec, "overview", stored=False),
        ResourceType("Card", "cards", CardSpec, "card"),
        ResourceType("Sign", "signs", CardSpec, "sign", scope=Scope.GLOBAL),
    )
)


class Recording:
    """A store that remembers every verb, and runs something before one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.verbs: list[str] = []
        self.before: dict[str, Any] = {}

    def __getattr__(self, verb: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.verbs.append(verb)
            self.before.pop(verb, lambda: None)()
            return getattr(self._store, verb)(*arguments)

        return call


def mesh(name: str) -> Resource:
    return Resource(KINDS["Mesh"].key(name, name), MeshSpec())


def card(name: str = "a", mesh: str = "default", kind: str = "Card", **spec: str) -> Resource:
    return Resource(KINDS[kind].key(mesh, name), CardSpec(**{"text": "hello", **spec}))


def dataplane(name: str, mesh: str = "default") -> Resource:
    raw = {"networking": {"inbound": [{"interface": "10.0.0.1:80:80", "tags": {"service": "web"}}]}}
    return Resource(KINDS["Dataplane"].key(mesh, name), parse_spec(DataplaneSpec, raw)[0])


def insight(name: str, mesh: str = "default") -> Resource:
    return Resource(KINDS["DataplaneInsight"].key(mesh, name), InsightSpec())
