"""Golden cases for policies: folders of YAML that a user could have written, and what a proxy gets for it.

A case ``NAME`` is three files: ``NAME.dataplane.yaml`` (the proxy first, then others of its mesh),
``NAME.policies.yaml`` (policies, and the Mesh if it is not a plain one) and ``NAME.golden.yaml``. One command writes
the golden files anew: ``UPDATE_GOLDEN_FILES=true pytest ...``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from kuma_core.documents import load_documents
from kuma_core.errors import Severity
from kuma_core.mesh.context import build_context
from kuma_core.plugin.catalog import Catalog
from kuma_core.policy.matching import MeshPolicies, PolicyIndex, entries
from kuma_core.resources.codec import spec_part
from kuma_core.specs.base import parse_spec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.testing.platform import make_catalog
from kuma_core.xds.assembly import assemble
from kuma_core.xds.contract import SHORT_NAMES, SecretServer
from kuma_core.xds.differences import readable
from kuma_core.xds.memo import Memo
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.proxy_view import TrackedView
from kuma_core.xds.snapshot import TYPES, Snapshot

UPDATE = "UPDATE_GOLDEN_FILES"


class PolicySuite:
    """Subclass it with the plugin's module and the folder of cases; every case becomes a test."""

    plugins: ClassVar[Iterable[Any]] = ()
    cases: ClassVar[Path]
    metadata: ClassVar[Mapping[str, str]] = {}

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """One test for each case."""
        names = sorted(
            path.name.removesuffix(".dataplane.yaml") for path in self.cases.glob("*.dataplane.yaml")
        )
        assert names, f"no cases in {self.cases}"
        metafunc.parametrize("case", names)

    def test_golden(self, case: str) -> None:
        """What the proxy gets is what the golden file says."""
        found = yaml.safe_dump(self.generate(case), sort_keys=True, allow_unicode=True, width=1000)
        golden = self.cases / f"{case}.golden.yaml"
        if os.environ.get(UPDATE) == "true":
            golden.write_text(found)
        assert golden.exists(), f"{golden} is missing; write it with {UPDATE}=true"
        assert found == golden.read_text(), f"{golden} differs; if that is right, write it with {UPDATE}=true"

    def generate(self, case: str) -> dict[str, Any]:
        """What the first proxy of a case gets, by type and name, as JSON data."""
        catalog = make_catalog(self.plugins)
        snapshot = snapshot_of(
            catalog,
            self._documents(f"{case}.dataplane.yaml"),
            self._documents(f"{case}.policies.yaml"),
            self.metadata,
        )
        return {
            SHORT_NAMES[url]: {name: readable(sealed) for name, sealed in snapshot.resources(url).items()}
            for url in TYPES
            if snapshot.resources(url)
        }

    def _documents(self, name: str) -> list[Any]:
        path = self.cases / name
        return load_documents(path.read_text(), name) if path.exists() else []


def snapshot_of(
    catalog: Catalog,
    dataplanes: Iterable[Mapping[str, Any]],
    others: Iterable[Mapping[str, Any]] = (),
    metadata: Mapping[str, str] | None = None,
    secrets: SecretServer | None = None,
) -> Snapshot:
    """What the first of some Dataplanes gets in a mesh of them all, with these policies; no store is needed.

    ``secrets`` is where its certificates come from, if the mesh is encrypted and they are to come.
    """
    return view_of(catalog, dataplanes, others, metadata, secrets)[0]


def view_of(
    catalog: Catalog,
    dataplanes: Iterable[Mapping[str, Any]],
    others: Iterable[Mapping[str, Any]] = (),
    metadata: Mapping[str, str] | None = None,
    secrets: SecretServer | None = None,
) -> tuple[Snapshot, TrackedView]:
    """The same, with the view that it was made from, which holds the warnings."""
    specs = [(item["name"], _spec(catalog, item)) for item in dataplanes]
    rest = [(item["type"], item["name"], _spec(catalog, item)) for item in others]
    mesh = next((spec for kind, _, spec in rest if kind == "Mesh"), MeshSpec().with_defaults())
    indexes = {
        policy.kind: PolicyIndex(entries(policy, [(n, s) for kind, n, s in rest if kind == policy.kind]))
        for policy in catalog.policies
    }
    name, spec = specs[0]
    proxy = Proxy("default", name, tuple(sorted((metadata or {}).items())))
    context = build_context("default", mesh, specs)
    view = TrackedView(
        proxy,
        spec,
        mesh,
        context,
        MeshPolicies(indexes),
        catalog.policies,
        secrets,
        resources_of=lambda kind: {n: s for type, n, s in rest if type == kind},
    )
    return assemble(view, catalog.generators, Memo()), view


def _spec(catalog: Catalog, document: Mapping[str, Any]) -> Any:
    kind = catalog.kinds[document["type"]]
    spec, unknown = parse_spec(kind.spec, spec_part(document))
    spec = spec.with_defaults()
    errors = (item for item in spec.violations() if item.severity is Severity.ERROR)
    problems = [f"{item.field}: {item.message}" for item in errors]
    wrong = [*unknown, *problems]
    assert not wrong, f"{document['type']} {document['name']}: {wrong}"
    return spec
