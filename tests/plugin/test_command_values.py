"""What a plugin gives for a command, what of it a catalog takes, and what an extra lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from kuma_core.plugin.command import Command
from kuma_core.plugin.extras import advice, lacking

from .support import bringing, catalog, kind, refusal


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("kubectl", ("a",), "A.", "a:b"), "the program of a command is kumactl or kuma-cp, not 'kubectl'"),
        (("kumactl", "count", "A.", "a:b"), "the path of a command is a tuple of words"),
        (("kumactl", ["count"], "A.", "a:b"), "the path of a command is a tuple of words"),
        (("kumactl", (), "A.", "a:b"), "the path of a command is a tuple of words"),
        (("kumactl", ("a b",), "A.", "a:b"), "the path of a command is a tuple of words"),
        (("kumactl", ("--a",), "A.", "a:b"), "the path of a command is a tuple of words"),
        (("kumactl", ("a",), "", "a:b"), 'the help of the command "kumactl a" is one line of text'),
        (("kumactl", ("a",), "A\nB", "a:b"), 'the help of the command "kumactl a" is one line of text'),
        (("kumactl", ("a",), "A.", "a.b"), 'the place of the command "kumactl a" is module:attribute'),
        (("kumactl", ("a",), "A.", "a:b.c()"), 'the place of the command "kumactl a" is module:attribute'),
    ],
)
def test_what_cannot_be_a_command(values: tuple[str, tuple[str, ...], str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Command(*values)


def twin() -> object:
    return bringing("commands", Command("kumactl", ("count",), "Count.", "counting:count"))


def test_a_catalog_takes_commands_beside_everything_else() -> None:
    found = catalog(acme=twin(), other=bringing("resource_types", kind("Card", "cards")))
    assert found.provides["acme"] == ("command kumactl count",)


def test_a_catalog_refuses_one_command_of_two_plugins() -> None:
    assert str(refusal(one=twin(), two=twin())) == (
        'plugins "one" and "two" both bring the command "kumactl count"; start without it: --plugins no:two'
    )


def install(folder: Path, name: str, *requires: str) -> None:
    """Put the metadata of a distribution into a folder."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {line}" for line in requires), ""]))


def test_what_an_extra_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extras that it asks for count too, and may ask for each other; what pip saw to in any case does not."""
    circle = "acme-motor[oil]; extra == 'oil'"
    install(
        tmp_path, "acme-motor", "acme-base", "acme-oil; extra == 'oil'", circle, "acme-wax; extra == 'shine'"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    requires = [
        "acme-base",
        "acme-motor[oil] >= 1; extra == 'cp'",
        "acme-belt; extra == 'cp'",
        "?; extra == 'cp'",
    ]
    assert lacking(requires, "cp") == ["acme-belt", "acme-oil"]
    assert lacking(requires, "dev") == []
    assert advice("acme-car", requires, "cp") == (
        "was installed without what it needs in a control plane (acme-belt, acme-oil): pip install 'acme-car[cp]'"
    )
    install(tmp_path, "acme-oil")
    install(tmp_path, "acme-belt")
    assert (lacking(requires, "cp"), advice("acme-car", requires, "cp")) == ([], "")


def test_a_version_that_does_not_fit_is_told_with_the_one_that_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "acme-motor", "acme-base")
    monkeypatch.syspath_prepend(str(tmp_path))
    requires = ["acme-motor >= 2; extra == 'cp'", "acme-motor < 2; extra == 'old'"]
    assert lacking(requires, "cp") == ["acme-motor >=2 instead of 1.0"]
    assert lacking(requires, "old") == []
    assert advice("kuma-core", requires, "cp") == (
        "was installed without what it needs in a control plane (acme-motor >=2 instead of 1.0): "
        "pip install '.[cp]' in a checkout"
    )
