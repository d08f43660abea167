"""The pages on ``kuma-init``: every flag has a row, and what they have people type is understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from kuma_core.pass_mark import PASSED_ON_HOPS
from kuma_core.redirection import plan as reading
from kuma_core.redirection.kuma_init import Parser, plan_of
from kuma_core.specs.base import parse_spec
from kuma_core.specs.dataplane import DataplaneSpec

from ..packaging.units import Unit

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference/kuma-init.md").read_text(encoding="utf-8")
EXPLANATION = (DOCS / "explanation/transparent-proxying.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "how-to/transparent-proxying.md").read_text(encoding="utf-8")
UNIT = Unit("kuma-init@.service")


@pytest.fixture(autouse=True)
def user_of_the_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that packaging/systemd/kuma-dp.sysusers makes."""
    assert Unit("kuma-dp@.service").one("User") == "kuma-dp"
    monkeypatch.setattr(reading, "_user_of", {"kuma-dp": 5678}.__getitem__)


def test_every_flag_has_a_row_with_its_default() -> None:
    flags = [action for action in Parser()._actions if action.option_strings]
    assert len(flags) == 13
    for action in flags:
        (row,) = [
            line for line in REFERENCE.splitlines() if line.startswith(f"| `{action.option_strings[0]}")
        ]
        assert all(
            f"`{name}" in row.split("|")[1] or f"{name} " in row.split("|")[1]
            for name in action.option_strings
        )
        if isinstance(action.default, str) and action.default:
            assert row.split("|")[2].strip() == f"`{action.default}`"


COMMANDS = re.findall(r"kuma-init (--exempt-[^\n]*)", GUIDE + REFERENCE)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_people_type_is_understood(command: str) -> None:
    assert plan_of(Parser().parse_args(shlex.split(command))).users == (5678,)


def test_the_commands_are_there() -> None:
    assert len(COMMANDS) >= 3
    assert "--dry-run" in COMMANDS[0]


def test_the_guide_speaks_of_the_places_that_its_dataplane_names() -> None:
    import yaml

    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    document = yaml.safe_load(text)
    spec, problems = parse_spec(DataplaneSpec, {"networking": document["networking"]})
    assert [*problems, *spec.violations()] == []
    plan = plan_of(Parser().parse_args(shlex.split(COMMANDS[0])))
    assert plan.port == spec.redirect_port
    assert plan.inbound == tuple(item.address.port for item in spec.networking.inbound)
    assert plan.outbound
    for item in spec.networking.outbound:
        assert any(reading.networks(item.address.ip, "")[0].subnet_of(network) for network in plan.outbound)


def test_the_unit_comes_and_goes_with_its_proxy_and_knows_its_user() -> None:
    proxy = "kuma-dp@%i.service"
    assert [UNIT.one(key, "Unit") for key in ("PartOf", "After")] == [proxy, proxy]
    assert UNIT.one("WantedBy", "Install") == proxy
    assert (UNIT.one("Type"), UNIT.one("RemainAfterExit")) == ("oneshot", "yes")
    assert UNIT.one("ExecStop") == "/opt/kuma/bin/kuma-init --remove"


@pytest.mark.parametrize(
    "text", [UNIT.one("Environment"), *re.findall(r'^Environment=(".*")$', GUIDE, re.MULTILINE)]
)
def test_the_unit_has_words_that_are_understood(text: str) -> None:
    name, _, words = shlex.split(text)[0].partition("=")
    command = UNIT.command()
    assert command[-1] == f"${name}"
    assert plan_of(Parser().parse_args([*command[1:-1], *words.split()])).users == (5678,)


def test_the_mark_is_the_one_that_the_page_names() -> None:
    assert f"(TTL) {PASSED_ON_HOPS}," in EXPLANATION
    assert f"--ttl-eq {PASSED_ON_HOPS} " in EXPLANATION


def test_systemd_itself_finds_nothing_in_the_unit(tmp_path: Path) -> None:
    from ..packaging.test_units import _analyze

    done = _analyze("kuma-init@.service", tmp_path, "verify", "--man=no")
    assert [line for line in done.stderr.splitlines() if "kuma-init@" in line] == []
