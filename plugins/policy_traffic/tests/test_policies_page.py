"""``docs/reference/policies.md`` says what is so: its examples are applied, its messages are the plugin's."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.sdk import load_documents
from kuma_core.testing.platform import running_platform
from kuma_policy_traffic import selectors
from kuma_policy_traffic.health_check import spec as health_check
from kuma_policy_traffic.kinds import KINDS
from kuma_policy_traffic.proxy_template import allowed, given, reader
from kuma_policy_traffic.proxy_template import spec as proxy_template

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "policies.md").read_text(encoding="utf-8")
EXAMPLES = load_documents("\n---\n".join(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)), "policies.md")


def test_every_example_is_applied_and_read_back() -> None:
    with running_platform([kuma_policy_traffic, kuma_store_memory]) as running:
        for example in EXAMPLES:
            path = running.platform.catalog.kinds[example["type"]].path
            running.apply(example)
            stored = running.get(f"/meshes/default/{path}/{example['name']}").body
            assert stored == dict(sorted(example.items()))
    assert [example["type"] for example in EXAMPLES] == [kind.name for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_has_its_row_and_its_fields(kind: object) -> None:
    name, path, singular, spec = (getattr(kind, key) for key in ("name", "path", "singular", "spec"))
    assert re.search(rf"\| {name} \| `{path}` \| `[a-z-]+` \| `{singular}` \|", PAGE)
    section = PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    for field in spec.model_fields:
        assert f"`{field}" in section


@pytest.mark.parametrize(
    ("module", "constant"),
    [
        (selectors, "must have at least one element"),
        (selectors, "must have at least one tag"),
        (selectors, "tag key must be non-empty"),
        (selectors, "tag value must be non-empty"),
        (health_check, "must have either active or passive checks configured"),
        (health_check, "must have a positive value"),
        (proxy_template, "cannot be empty"),
        (proxy_template, "native Envoy resource is not valid: "),
        (given, "of the v2 API has no equivalent in Envoy v3"),
    ],
)
def test_every_message_of_the_page_is_in_the_code(module: object, constant: str) -> None:
    assert constant in PAGE
    assert constant in inspect.getsource(module)  # type: ignore[arg-type]


def test_the_bounds_are_those_of_the_code() -> None:
    assert f"up to {reader.MAX_VALUES} values and {reader.MAX_CHARACTERS} characters of text" in PAGE
    assert f"a ProxyTemplate may have {proxy_template.MAX_RESOURCES} at most" in PAGE


def test_the_page_lists_what_a_template_may_hold() -> None:
    section = PAGE.partition("\n### Extensions that a template may hold\n")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE)
    listed = {f"{package}.{name}" for package, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert listed == {name.removeprefix("envoy.extensions.") for name in allowed.EXTENSIONS}
    for word in (*allowed.OPERATORS, *(f"{family}\u2026" for family in allowed.OPERATOR_FAMILIES)):
        assert f"`{word}`" in section
