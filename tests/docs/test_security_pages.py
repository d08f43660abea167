"""The pages on the admin server, tokens and authorities name what the code has."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
import yaml

import kuma_store_memory
from kuma_core.builtin.configuration.settings import SETTINGS
from kuma_core.builtin.rotation.contract import RotatableCaProvider
from kuma_core.builtin.tokens import revocation_routes, token_route, tokens
from kuma_core.builtin.tokens.contract import REVOCATIONS, SIGNING_KEY
from kuma_core.builtin.tokens.keys import BITS, MAX_KEYS
from kuma_core.builtin.tokens.revocations import MAX_ID, MAX_REVOCATIONS
from kuma_core.ca.contract import WatchedCaProvider
from kuma_core.specs.base import parse_spec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.testing.platform import running_platform
from kuma_core.xds.server import guard

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / f"docs/reference/{name}.md").read_text() for name in ("admin", "tokens", "ca")}
SECTIONS = ("adminServer", "dataplaneTokenServer", "general", "apiServer")


def flat(page: str) -> str:
    return re.sub(r"\s+", " ", PAGES[page])


@pytest.mark.parametrize("page", PAGES)
def test_the_configuration_keys_of_a_page_exist(page: str) -> None:
    known = {setting.path for setting in SETTINGS}
    named = set(re.findall(rf"`((?:{'|'.join(SECTIONS)})\.[\w.]+)[`:]", PAGES[page]))
    assert named - known == set()


def test_the_admin_page_names_the_public_servers_keys() -> None:
    keys = {s.path for s in SETTINGS if s.path.startswith("adminServer.")}
    assert {key for key in keys if f"`{key}`" not in PAGES["admin"]} == set()


def test_the_admin_page_tells_the_bounds() -> None:
    for module in (token_route, revocation_routes):
        assert f"{module.MAX_BODY_BYTES // 1024} KiB" in PAGES["admin"]


def test_every_request_to_the_kernels_admin_routes_is_documented() -> None:
    text = "".join(path.read_text() for path in (ROOT / "docs/reference").glob("*.md"))
    with running_platform([kuma_store_memory]) as cp:
        routes = cp.platform.features.admin_routes
    verbs = ("get", "post", "put", "delete")
    requests = [f"{v.upper()} {r.template}" for r in routes for v in verbs if hasattr(r.resource, f"on_{v}")]
    assert len(requests) > 6
    assert [request for request in requests if f"`{request}`" not in text] == []


def refusals() -> list[str]:
    """The reasons that the verifier gives, up to their first inserted value."""
    tree = ast.parse(Path(tokens.__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    texts = [
        text.value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "Refused"
        for text in ast.walk(call.args[0])
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and text.value.startswith("it")
    ]
    return [text.partition(";")[0].rstrip(' "') for text in texts]


def test_the_tokens_page_explains_every_refusal() -> None:
    assert len(refusals()) >= 8
    assert [text for text in refusals() if f"could not parse token: {text}" not in flat("tokens")] == []
    assert "the key that signed it is not known here" in flat("tokens")
    assert guard.EXPIRED.partition(";")[0] in flat("tokens")


def test_the_tokens_page_tells_the_facts() -> None:
    facts = [SIGNING_KEY, tokens.ALGORITHM, f"{BITS} bits", f"more than {tokens.MAX_TOKEN} characters"]
    facts += [
        f"{MAX_KEYS} at most",
        REVOCATIONS,
        f"{MAX_REVOCATIONS} at most",
        f"at most {MAX_ID} characters",
    ]
    assert [fact for fact in facts if fact not in flat("tokens")] == []


def test_the_ca_page_has_every_method_with_its_parameters() -> None:
    contracts = (WatchedCaProvider, RotatableCaProvider)
    for name, method in (item for door in contracts for item in inspect.getmembers(door, inspect.isfunction)):
        if not name.startswith("_"):
            words = [word for word in inspect.signature(method).parameters if word != "self"]
            assert f"| `{name}({', '.join(words)})` |" in PAGES["ca"]


def test_the_mesh_of_the_ca_page_is_one() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGES["ca"], re.DOTALL)
    document = yaml.safe_load(text)
    spec, unknown = parse_spec(MeshSpec, {"mtls": document["mtls"]})
    assert (unknown, list(spec.violations())) == ([], [])


def test_every_authority_of_ours_is_on_the_ca_page() -> None:
    brought = [path.name.removeprefix("ca_") for path in (ROOT / "plugins").glob("ca_*")]
    assert brought
    assert [name for name in brought if f"| `{name}` | `kuma-ca-{name}` |" not in PAGES["ca"]] == []
