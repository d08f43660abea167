"""docs/reference/roles.md names every field, verb, bound and message that there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from kuma_access_roles import admission, binding, globs, role
from kuma_access_roles.kinds import KINDS
from kuma_core.sdk import parse_spec
from kuma_core.specs.base import members_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/roles.md").read_text()
FLAT = re.sub(r"\s+", " ", PAGE)


def test_the_table_has_the_paths_and_words_of_the_kinds() -> None:
    for kind in KINDS:
        assert f"| {kind.name} | `/{kind.path}` | `{kind.path}` | `{kind.singular}` |" in PAGE


@pytest.mark.parametrize("spec", [role.AccessRule, binding.AccessRoleBindingSpec])
def test_every_field_has_a_row(spec: type) -> None:
    assert [member.alias for member in members_of(spec) if f"\n| `{member.alias}` | " not in PAGE] == []


def test_the_verbs_and_the_bounds() -> None:
    assert ", ".join(f"`{verb}`" for verb in role.VERBS) in FLAT
    assert f"at most {role.MOST_ITEMS} elements in each list, a role at most {role.MOST_RULES} rules" in FLAT
    assert f"at most {globs.MOST_CHARACTERS} characters and eight times" in FLAT
    assert globs.MOST_STARS == 8
    assert f"each of the lists at most {binding.MOST_ITEMS} elements" in FLAT


def test_the_examples_are_right_as_they_stand() -> None:
    for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        document = yaml.safe_load(text)
        name = document.pop("type")
        (kind,) = (kind for kind in KINDS if kind.name == name)
        document.pop("name")
        spec, unknown = parse_spec(kind.spec, document)
        assert unknown == []
        assert list(spec.violations()) == []


def messages() -> list[str]:
    """Every text that a violation of the plugin may have: its second argument, as far as it is written there."""
    found = []
    for module in (role, binding, globs, admission):
        tree = ast.parse(Path(module.__file__).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Violation", "_warning"):
                found.append(_text(module, node.args[1]))
    return found


def _text(module: object, node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return str(getattr(module, node.id, ""))
    if isinstance(node, ast.Call):
        return _text(module, node.func.value)  # type: ignore[attr-defined]
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    assert isinstance(node, ast.Constant)
    return str(node.value)


def test_every_message_has_a_row() -> None:
    texts = [text for text in messages() if text != ""]
    assert len(texts) > 15

    def is_there(text: str) -> bool:
        # what is computed may stand as anything, or as its usual value
        words = [re.escape(word.strip()) for word in re.split(r"…|\{kind\}", text) if word.strip(' ;,"')]
        first = words[0][:24].rstrip("\\")
        return re.search(first, PAGE) is not None

    assert [text for text in texts if not is_there(text)] == []
