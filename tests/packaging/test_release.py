"""What setup.cfg declares, the Makefile installs and documents say of the distributions is one and the same."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from kuma_core import packages

from .units import ROOT

PARTS = {"kuma-core": ROOT} | {
    f"kuma-{path.parent.name.replace('_', '-')}": path.parent for path in ROOT.glob("plugins/*/setup.cfg")
}
DOCUMENTS = sorted(
    path
    for path in chain(
        ROOT.glob("*.md"),
        *(ROOT.glob(f"{top}/**/*.md") for top in ("docs", "plugins", "examples", "packaging")),
    )
    if ".venv" not in path.parts
)
SOURCES = sorted(
    chain((ROOT / "kuma_core").rglob("*.py"), *(path.rglob("*.py") for path in ROOT.glob("plugins/*/kuma_*")))
)
COMMAND = re.compile(r"pip install ((?:'[^'\n]+'|[^\s`'|]+)(?: (?:'[^'\n]+'|[\w./\[\]-]+))*)")


def setup(name: str) -> configparser.ConfigParser:
    read = configparser.ConfigParser()
    read.read(PARTS[name] / "setup.cfg")
    return read


def dry_run(*words: str) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", *words],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def installed(page: Path) -> list[list[str]]:
    """What each command for pip on a page names."""
    return [[word.strip("'") for word in match[1].split()] for match in COMMAND.finditer(page.read_text())]


def test_every_distribution_has_its_folder() -> None:
    assert {name: ROOT / folder for name, folder in packages.FOLDERS.items()} == PARTS
    for known in (packages.COMMANDS, packages.KINDS, packages.STORES, packages.AUTHORITIES):
        assert set(known.values()) <= set(PARTS)


def test_a_message_names_a_package_as_it_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    name, folder = "kuma-store-postgres", "./plugins/store_postgres"
    assert packages.pip_install(name) == f"pip install {folder} in a checkout"
    assert packages.pip_install(name, "cp") == f"pip install '{folder}[cp]' in a checkout"
    assert packages.pip_install("kuma-core", "tls") == "pip install '.[tls]' in a checkout"
    assert packages.pip_install("acme-vault", "cp") == "pip install 'acme-vault[cp]'"
    monkeypatch.setattr(packages, "PUBLISHED", True)
    assert packages.pip_install(name) == f"pip install {name}"
    assert packages.pip_install(name, "cp") == f"pip install '{name}[cp]'"


def test_documents_name_packages_as_messages_do() -> None:
    """A name that nobody has published is an invitation: whoever takes it runs on every machine that follows a page."""
    named = {str(page.relative_to(ROOT)): words for page in DOCUMENTS for words in installed(page)}
    assert len(named) > 8
    right = {packages.requirement(name) for name in PARTS}
    for page, words in named.items():
        for place in (word.partition("[")[0] for word in words):
            ours = place in PARTS or place in packages.FOLDERS.values()
            assert not ours or place in right, f"{page}: pip install {place}"


def test_the_kernel_stands_first_in_a_command() -> None:
    """Pip takes up what is named in its order, and asks the index for what a plugin needs if the kernel comes later."""
    kernel = packages.requirement("kuma-core")
    for page in DOCUMENTS:
        for places in ([word.partition("[")[0] for word in words] for words in installed(page)):
            assert kernel not in places[1:], f"{page}: pip install {' '.join(places)}"


def test_the_extras_that_documents_name_exist() -> None:
    of = {packages.requirement(name): name for name in PARTS}
    found = [
        Requirement(f"x[{rest}")
        for page in DOCUMENTS
        for words in installed(page)
        for place, _, rest in (word.partition("[") for word in words)
        if rest and place in of
    ]
    assert {"cp", "kumactl"} <= {extra for item in found for extra in item.extras}
    for page in DOCUMENTS:
        for words in installed(page):
            for place, _, extras in (word.partition("[") for word in words):
                for extra in filter(None, extras.rstrip("]").split(",")):
                    assert extra in setup(of[place])["options.extras_require"], f"{page}: {place}[{extra}]"


def test_no_message_names_a_package_by_itself() -> None:
    """All take the words from one place."""
    wrong = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in SOURCES
        for line in path.read_text().splitlines()
        if re.search(r"pip install ['\"]?(kuma-|\.)", line) and path.name != "packages.py"
    ]
    assert wrong == []


def test_bounds_of_one_library_are_one() -> None:
    """A plugin that asks for less than the kernel would be tested with the kernel's versions alone."""
    bounds: dict[str, set[str]] = {}
    for name in PARTS:
        read = setup(name)
        lines = [read["options"]["install_requires"]]
        extras = read["options.extras_require"] if read.has_section("options.extras_require") else {}
        lines += [text for extra, text in extras.items() if extra != "dev"]
        for item in (Requirement(line) for text in lines for line in text.strip().splitlines()):
            bounds.setdefault(item.name, set()).add(str(item.specifier))
    assert {name: found for name, found in bounds.items() if len(found) > 1} == {}
    assert bounds["falcon"] == {">=4.2"}, "4.1 has no falcon.App with types"
    assert bounds["uvicorn"] == {">=0.47"}, "0.46 takes no ssl_context_factory"
    assert bounds["click"] == {">=8.1.4"}, "8.1.3 fails where stdout is closed"


@pytest.mark.parametrize("name", PARTS)
def test_the_index_is_told_what_it_is(name: str) -> None:
    said = setup(name)["metadata"]["classifiers"].strip().splitlines()
    assert {"Typing :: Typed", "Topic :: System :: Networking"} <= set(said)
    assert any(line.startswith("Programming Language :: Python :: 3.") for line in said)


def test_make_run_installs_what_runs_and_says_so() -> None:
    run = dry_run("run")
    assert re.search(r"echo .*Installing .*MB.*\n.*venv \.venv", run), "a line before what takes time"
    (line,) = re.findall(r"pip install .*-e '\.\[(\S+)\]'", run)
    assert line.split(",") == ["cp", "dp", "kumactl"]
    for tool in ("pytest", "mypy", "dev]"):
        assert tool not in run


@pytest.mark.parametrize("verb", ["install", "test", "lint", "chaos", "docs", "bench"])
def test_the_tools_come_with_the_verbs_that_need_them(verb: str) -> None:
    told = dry_run(verb)
    assert re.search(r"echo .*tools of developers.*\n.*pip install .*,dev\]'", told)


@pytest.mark.parametrize("verb", ["run", "wheels", "programs"])
def test_who_develops_nothing_waits_for_no_tools(verb: str) -> None:
    assert "dev]" not in dry_run(verb)


@pytest.mark.parametrize(("verb", "script"), [("lowest", "environments.py"), ("release", "release.py")])
def test_scripts_have_their_verbs(verb: str, script: str) -> None:
    assert f"packaging/{script}" in dry_run(verb)
    assert f"make {verb} " in (ROOT / "CONTRIBUTING.md").read_text()
    compile((ROOT / "packaging" / script).read_text(), script, "exec")
