"""The distributions as a user gets them: wheels, installed into an empty place, run from there."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from kuma_core import __version__, packages

ROOT = Path(__file__).parents[1]
FOLDERS = {"kuma-core": ROOT} | {
    f"kuma-{path.parent.name.replace('_', '-')}": path.parent
    for path in sorted((ROOT / "plugins").glob("*/setup.cfg"))
}
DISTRIBUTIONS = sorted(FOLDERS)
INJECTOR = "kuma-injector-k8s"
"""A program of its own, which no control plane loads."""
PLUGINS = [name for name in DISTRIBUTIONS if name not in ("kuma-core", INJECTOR)]
LEFT_OUT = shutil.ignore_patterns(
    "*.egg-info", "build", "dist", "__pycache__", ".*", "tests", "docs", "node_modules", "plugins", "examples"
)


@dataclass(frozen=True)
class Site:
    """Wheels, and a directory into which all of them are installed."""

    wheels: dict[str, Path]
    target: Path
    libraries: Path = Path(sysconfig.get_paths()["purelib"])

    def call(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """One of the installed programs, run with the installed files and the libraries alone."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("KUMA_")}
        environ["PYTHONPATH"] = os.pathsep.join([str(self.target), str(self.libraries)])
        environ["HOME"] = str(self.target)
        script = self.target / "bin" / program
        # -S keeps the links of editable installations out, so that nothing comes from the checkout
        return subprocess.run(
            [sys.executable, "-S", str(script), *words],
            env=environ,
            cwd=self.target,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def run(self, program: str, *words: str) -> str:
        """The output of one of the installed programs."""
        done = self.call(program, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


def pip(*words: str) -> None:
    flags = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", words[0], *flags, *words[1:]],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    base = tmp_path_factory.mktemp("packaging")
    copies = []
    for name, folder in FOLDERS.items():
        copies.append(base / "source" / name)
        shutil.copytree(folder, copies[-1], ignore=LEFT_OUT)
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(base / "wheels"), *map(str, copies))
    built = sorted((base / "wheels").glob("*.whl"))
    pip("install", "--target", str(base / "site"), *map(str, built))
    return Site({wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in built}, base / "site")


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def read(wheel: Path, end: str) -> str:
    (name,) = (name for name in names(wheel) if name.endswith(end))
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name).decode()


def metadata(wheel: Path) -> Message:
    return Parser().parsestr(read(wheel, ".dist-info/METADATA"))


def test_every_distribution_becomes_one_wheel(site: Site) -> None:
    assert sorted(site.wheels) == DISTRIBUTIONS
    assert "kuma-store-memory" in DISTRIBUTIONS


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_metadata(site: Site, name: str) -> None:
    said = metadata(site.wheels[name])
    assert said["Name"] == name
    assert said["Version"] == __version__
    assert "Apache-2.0" in (said["License"] or said["License-Expression"] or "")
    assert said["Requires-Python"] == ">=3.11"
    assert len(said["Summary"]) > 20
    assert str(said.get_payload()).startswith("# "), f"{name} has no README"


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_wheel_holds_its_package_with_types_and_nothing_else(site: Site, name: str) -> None:
    package = name.replace("-", "_")
    files = names(site.wheels[name])
    assert f"{package}/py.typed" in files
    assert {file.split("/")[0] for file in files} == {package, f"{package}-{__version__}.dist-info"}
    assert [file for file in files if "/tests/" in file or file.endswith(".pyc")] == []


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_wheel_holds_every_module_of_the_checkout(site: Site, name: str) -> None:
    package = FOLDERS[name] / name.replace("-", "_")
    expected = {str(path.relative_to(FOLDERS[name])) for path in package.rglob("*.py")}
    assert expected - set(names(site.wheels[name])) == set()


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_has_one_entry_point_and_fits_this_kernel(site: Site, name: str) -> None:
    points = configparser.ConfigParser()
    points.read_string(read(site.wheels[name], "entry_points.txt"))
    package = name.replace("-", "_")
    assert dict(points["kuma"]) == {package.removeprefix("kuma_"): package}
    lines = metadata(site.wheels[name]).get_all("Requires-Dist") or []
    kernel = {str(item.specifier): item for item in map(Requirement, lines) if item.name == "kuma-core"}
    minor = ".".join(__version__.split(".")[:2])
    assert list(kernel) == [f"~={minor}.0"]
    assert [section for section in points.sections() if section.startswith("kuma")] == ["kuma"]


def test_the_injector_is_a_program_that_needs_little(site: Site) -> None:
    points = configparser.ConfigParser()
    points.read_string(read(site.wheels[INJECTOR], "entry_points.txt"))
    assert points.sections() == ["console_scripts"]
    assert needs(site.wheels[INJECTOR], "") == {"kuma-core", "h11"}


def needs(wheel: Path, extra: str) -> set[str]:
    """The names of what a wheel requires, always or for an extra."""
    items = map(Requirement, metadata(wheel).get_all("Requires-Dist") or [])
    wanted = (item for item in items if not item.marker or item.marker.evaluate({"extra": extra}))
    return {item.name for item in wanted}


@pytest.mark.parametrize("name", PLUGINS)
def test_the_extra_cp_of_a_plugin_is_what_it_needs_in_a_control_plane(site: Site, name: str) -> None:
    lines = metadata(site.wheels[name]).get_all("Requires-Dist") or []
    assert {"cp"} in [item.extras for item in map(Requirement, lines) if item.name == "kuma-core"]
    beside = {"kuma-ca-provided": {"cryptography"}}.get(name, set())
    assert needs(site.wheels[name], "") == {"kuma-core"} | beside, "a laptop needs no more"
    own = needs(site.wheels[name], "cp") - needs(site.wheels["kuma-core"], "cp") - {"kuma-core"}
    installed_with_it = {"kuma-policy-traffic", "kuma-store-k8s", "kuma-store-postgres"}
    assert not own or name in installed_with_it, "docs/how-to/run-it-for-real.md installs the others bare"


def test_the_kernel_brings_its_programs_and_its_extras(site: Site) -> None:
    points = configparser.ConfigParser()
    points.read_string(read(site.wheels["kuma-core"], "entry_points.txt"))
    assert {"kuma-cp", "kuma-dp", "kumactl", "kuma-tcp-echo", "kuma-init"} <= set(points["console_scripts"])
    assert {"cp", "dp", "dev"} <= set(metadata(site.wheels["kuma-core"]).get_all("Provides-Extra") or [])


def test_the_installed_kuma_cp_finds_the_installed_plugins(site: Site) -> None:
    rows = {
        row["distribution"]: row
        for row in json.loads(site.run("kuma-cp", "plugins", "-o", "json"))["plugins"]
    }
    assert set(PLUGINS) <= set(rows)
    for name in PLUGINS:
        assert rows[name]["state"] == "loaded", rows[name]
        assert rows[name]["version"] == __version__
        assert rows[name]["provides"]


@pytest.mark.parametrize("program", ["kumactl", "kuma-cp", "kuma-dp", "kuma-injector"])
def test_the_installed_programs_say_their_version(site: Site, program: str) -> None:
    assert __version__ in site.run(program, "version")


def test_what_runs_is_what_was_installed(site: Site) -> None:
    (site.target / "bin" / "where").write_text("import kuma_core; print(kuma_core.__file__)\n")
    assert Path(site.run("where").strip()).is_relative_to(site.target)


# -- the machine of an operator: kumactl, plugins installed bare, and what these distributions require


def link(wanted: set[str], folder: Path) -> None:
    """Have a folder hold these libraries and what they require, and nothing else."""
    done = set(DISTRIBUTIONS)
    while wanted - done:
        name = min(wanted - done)
        done.add(name)
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(str(found.locate_file(top)))
        items = map(Requirement, found.requires or ())
        wanted |= {item.name for item in items if not item.marker or item.marker.evaluate({"extra": ""})}


def bare(site: Site, folder: Path, *names: str) -> Site:
    """A machine with these distributions, installed without an extra."""
    wheels = {name: site.wheels[name] for name in ("kuma-core", *names)}
    (folder / "libraries").mkdir()
    link({name for wheel in wheels.values() for name in needs(wheel, "")}, folder / "libraries")
    pip("install", "--target", str(folder / "site"), *map(str, wheels.values()))
    return Site(wheels, folder / "site", folder / "libraries")


HEAVY = ("pydantic", "grpc", "falcon", "structlog", "sqlalchemy", "psycopg", "alembic", "envoy_data_plane")


def test_a_laptop_has_the_commands_of_plugins_and_needs_nothing_heavy(site: Site, tmp_path: Path) -> None:
    laptop = bare(
        site, tmp_path, "kuma-ca-builtin", "kuma-ca-provided", "kuma-store-postgres", "kuma-store-k8s"
    )
    (laptop.target / "bin" / "have").write_text(
        f"import importlib.util as u; print(*(n for n in {HEAVY!r} if u.find_spec(n)))"
    )
    assert laptop.run("have").split() == []
    installing = laptop.call("kumactl", "install", "control-plane")
    assert (installing.returncode, installing.stderr) == (0, "")
    assert "kind: CustomResourceDefinition" in installing.stdout
    assert "CREATE TABLE IF NOT EXISTS resources" in laptop.run("kumactl", "install", "database-schema")
    for words in ("builtin status", "builtin rotate", "provided certificates list"):
        asked = laptop.call("kumactl", "manage", "ca", *words.split())
        assert asked.returncode == 1
        assert asked.stderr.startswith(
            "Error: cannot reach the API server: GET http://localhost:5681/catalog"
        )
    listed = laptop.call("kumactl", "manage", "ca", "--help")
    assert (listed.returncode, listed.stderr) == (0, "")
    started = laptop.call("kuma-cp", "run")
    assert (started.returncode, started.stdout) == (1, "")
    assert started.stderr.startswith(
        "Error: kuma-core was installed without what it needs in a control plane ("
    )
    assert started.stderr.endswith("): pip install '.[cp]' in a checkout\n")


def test_without_a_plugin_its_commands_and_kinds_name_the_package(site: Site, tmp_path: Path) -> None:
    alone = bare(site, tmp_path)
    for name, package in packages.COMMANDS.items():
        program, *words = name.split()
        asked = alone.call(program, *words)
        assert (asked.returncode, asked.stdout) == (1, "")
        assert asked.stderr == (
            f'Error: "{name}" comes with the package {package}, which is not installed beside kumactl: '
            f"pip install {packages.FOLDERS[package]} in a checkout\n"
        )
        assert package in alone.run(program, *words[:-1])
    wrong = alone.call("kumactl", "manage", "ca", "buitlin", "status").stderr
    assert wrong.startswith(
        'Error: unknown command "buitlin" for "kumactl manage ca"\n\nDid you mean this?\n\tbuiltin'
    )


def test_a_control_plane_says_which_extra_a_plugin_lacks(site: Site, tmp_path: Path) -> None:
    """All of ``kuma-core[cp]`` is there, and the store's plugin was installed bare."""
    machine = bare(site, tmp_path, "kuma-store-postgres", "kuma-store-memory")
    link(needs(site.wheels["kuma-core"], "cp"), machine.libraries)
    done = machine.call("kuma-cp", "config", "validate")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f'Error: plugin "store_postgres" (kuma-store-postgres {__version__}) was installed without what it needs in a '
        "control plane (SQLAlchemy, alembic, psycopg): pip install './plugins/store_postgres[cp]' in a checkout. "
        "Repair or upgrade it, or start without it: --plugins no:store_postgres\n"
    )
    assert (
        machine.run("kuma-cp", "config", "validate", "--plugins=no:store_postgres")
        == "the configuration is valid\n"
    )


@pytest.mark.parametrize(
    "broken", ["raise ImportError('no half of it')", "raise SystemError('halves do not fit')"]
)
@pytest.mark.parametrize("words", [("run",), ("plugins",), ("config", "validate")], ids=" ".join)
def test_a_library_that_cannot_be_imported_is_a_sentence(
    site: Site, tmp_path: Path, broken: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "pydantic.py").write_text(broken)
    beside = Site(site.wheels, site.target, tmp_path)
    link(needs(site.wheels["kuma-core"], "cp") - {"pydantic"}, tmp_path)
    info = distribution("pydantic").locate_file("")
    for folder in Path(str(info)).glob("pydantic-*.dist-info"):
        (tmp_path / folder.name).symlink_to(folder)
    done = beside.call("kuma-cp", *words)
    assert (done.returncode, done.stdout) == (1, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith("Error: a library of the control plane cannot be used: ")
    assert said.endswith(f"{broken.split(chr(39))[1]}. Install it anew: pip install '.[cp]' in a checkout")


def test_a_laptop_applies_documents_and_says_what_templates_need(site: Site, tmp_path: Path) -> None:
    alone = bare(site, tmp_path)
    (alone.target / "a.yaml").write_text("type: Mesh\nname: {{name}}\n")
    asked = alone.call("kumactl", "apply", "-f", "a.yaml", "-v", "name=shop", "--dry-run")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr == (
        "Error: a.yaml: a template ({{ stands in it) needs the library mstache: "
        "pip install '.[kumactl]' in a checkout\n"
    )
    (alone.target / "a.yaml").write_text("type: Mesh\nname: shop\n")
    asked = alone.call("kumactl", "apply", "-f", "a.yaml")
    assert asked.stderr.startswith("Error: cannot reach the API server")
