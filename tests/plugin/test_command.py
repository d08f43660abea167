"""``kuma-cp`` with installed plugins of every state, as its user sees it: entry points and processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import kuma_store_memory
from kuma_core import __version__
from kuma_core.builtin.configuration.settings import SETTINGS
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

ROOT = Path(__file__).parents[2]
MAIN = "from kuma_core.runtime.kuma_cp import main; main()"
HELLO = ROOT / "examples" / "plugin_hello"

GOOD = """
from kuma_core.sdk import ResourceType, Spec, hookimpl

class CardSpec(Spec):
    text: str = ""

@hookimpl
def kuma_register_resource_types():
    return [ResourceType("Card", "cards", CardSpec, "card")]
"""


class Site:
    """A directory on ``sys.path`` with distributions in it, and kuma-cp run beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, source: str, requires: str = "", plugin: str = "") -> None:
        """Install a distribution ``acme-<name>`` with one module and one entry point."""
        (self.folder / f"acme_{name}.py").write_text(source)
        info = self.folder / f"acme_{name}-3.1.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: acme-{name}", "Version: 3.1"]
        lines += [f"Requires-Dist: {requires}"] if requires else []
        (info / "METADATA").write_text("\n".join([*lines, ""]))
        (info / "entry_points.txt").write_text(f"[kuma]\n{plugin or name} = acme_{name}\n")

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run kuma-cp with these words."""
        return subprocess.run(
            [sys.executable, "-c", MAIN, *words],
            env=self.environ(environ),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def environ(self, more: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KUMA_")}
        return {**kept, "PYTHONPATH": str(self.folder), **more}

    def plugins(self, *words: str, **environ: str) -> dict[str, dict[str, object]]:
        """``kuma-cp plugins -o json`` by name."""
        done = self.run("plugins", "-o", "json", *words, **environ)
        assert (done.returncode, done.stderr) == (0, ""), done
        return {row["name"]: row for row in json.loads(done.stdout)["plugins"]}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def free_ports() -> dict[str, str]:
    """Environment variables that give every listener of the kernel a free port, on loopback if it may be."""
    names = [item.env for item in SETTINGS if item.path.endswith(("Port", ".port")) and item.default]
    return {**{name: str(free_port()) for name in names}, "KUMA_API_SERVER_INTERFACE": "127.0.0.1"}


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line ``Error: …`` with which kuma-cp has refused."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removeprefix("Error: ").strip()


def test_an_entry_point_is_all_that_a_plugin_needs(site: Site) -> None:
    site.add("card", GOOD)
    row = site.plugins()["card"]
    assert row == {
        "name": "card",
        "distribution": "acme-card",
        "version": "3.1",
        "state": "loaded",
        "provides": ["kind Card"],
        "problem": "",
    }
    table = site.run("plugins").stdout.splitlines()
    assert table[0].split() == ["NAME", "DISTRIBUTION", "VERSION", "STATE", "PROVIDES"]
    assert ["card", "acme-card", "3.1", "loaded", "kind", "Card"] in [line.split() for line in table]


@pytest.mark.parametrize(
    ("words", "environ", "loaded"),
    [
        ((), {}, {"card", "store_memory"}),
        (("--plugins", "card"), {}, {"card"}),
        (("--plugins", "card,store-memory"), {}, {"card", "store_memory"}),
        (("--plugins", "no:card"), {}, {"store_memory"}),
        (("--plugins", ""), {}, set()),
        ((), {"KUMA_PLUGINS": "card"}, {"card"}),
        ((), {"KUMA_PLUGINS": "no:card"}, {"store_memory"}),
        ((), {"KUMA_PLUGINS": ""}, set()),
    ],
)
def test_plugins_are_chosen(
    site: Site, words: tuple[str, ...], environ: dict[str, str], loaded: set[str]
) -> None:
    site.add("card", GOOD)
    rows = site.plugins(*words, **environ)
    states = {name: rows[name]["state"] for name in ("card", "store_memory")}
    assert {name for name, state in states.items() if state == "loaded"} == loaded
    assert {name for name, state in states.items() if state == "blocked"} == states.keys() - loaded


def test_the_flag_wins_over_the_environment_and_says_so(site: Site) -> None:
    site.add("card", GOOD)
    done = site.run("plugins", "-o", "json", "--plugins", "card", KUMA_PLUGINS="store_memory")
    assert done.stderr == 'Warning: --plugins "card" is used, not KUMA_PLUGINS "store_memory"\n'
    assert {r["name"] for r in json.loads(done.stdout)["plugins"] if r["state"] == "loaded"} == {"card"}


BROKEN = [
    ("import nothing_of_that_name", "cannot be imported: ModuleNotFoundError: No module named"),
    ("def broken(:", "cannot be imported: SyntaxError: "),
    ("raise SystemExit(0)", "cannot be imported: SystemExit: 0"),
]


@pytest.mark.parametrize(("source", "cause"), BROKEN, ids=["import error", "syntax error", "exit"])
def test_a_broken_plugin_stops_the_start_and_can_be_left_out(site: Site, source: str, cause: str) -> None:
    site.add("ugly", source)
    row = site.plugins()["ugly"]
    assert row["state"] == "broken"
    assert cause in str(row["problem"])
    said = sentence(site.run("run"))
    assert said.startswith('plugin "ugly" (acme-ugly 3.1) cannot be imported: ')
    assert said.endswith("Repair or upgrade it, or start without it: --plugins no:ugly")
    assert site.plugins("--plugins", "no:ugly")["ugly"]["state"] == "blocked"


def test_a_plugin_for_another_kernel(site: Site) -> None:
    site.add("old", "raise AssertionError('imported')", requires="kuma-core<0.0.2")
    row = site.plugins()["old"]
    assert row["state"] == "incompatible"
    assert row["problem"] == f"needs kuma-core <0.0.2, and this is kuma-core {__version__}"
    assert sentence(site.run("run")).endswith("--plugins no:old")


def hook(line: str, decorator: str = "@hookimpl") -> str:
    imports = "from kuma_core.sdk import *\nfrom kuma_core.sdk import Route, StoreFactory, hookimpl\n"
    return f"{imports}{decorator}\n{line}\n"


MISTAKES = [
    (hook("def kuma_register_shops(): return []"), "kuma_register_shops"),
    (hook("def kuma_register_stores(): return []", decorator=""), "lacks the @hookimpl decorator"),
    (hook("def kuma_register_stores(a=1): return []"), "kuma_register_stores"),
    (hook("async def kuma_register_stores(): return []"), "not a coroutine"),
    (hook("def kuma_register_stores(): yield", "@hookimpl(wrapper=True)"), "may not be a hook wrapper"),
    (hook("def kuma_register_stores(): return ['x']"), "returned 'x', which is no StoreFactory"),
    (hook("def kuma_register_stores(): return 1 / 0"), "kuma_register_stores failed: ZeroDivisionError"),
    (
        hook("def kuma_register_stores(): return [StoreFactory('memory', None)]"),
        'both bring the store "memory"',
    ),
]


@pytest.mark.parametrize(("source", "cause"), MISTAKES, ids=[mistake[1] for mistake in MISTAKES])
def test_a_plugin_that_gives_what_cannot_be_taken(site: Site, source: str, cause: str) -> None:
    site.add("wrong", source)
    said = sentence(site.run("run"))
    assert 'plugin "wrong"' in said or '"wrong"' in said
    assert cause in said
    assert "Traceback" not in site.run("plugins").stderr


def test_two_distributions_with_one_plugin_name(site: Site) -> None:
    site.add("card", GOOD)
    site.add("map", GOOD, plugin="card")
    said = sentence(site.run("run"))
    assert said == 'acme-card and acme-map both bring a plugin named "card"; uninstall one of them'


def test_a_route_that_is_there_already_stops_the_start(site: Site) -> None:
    route = "Route('/meshes/{x}/dataplanes', object())"
    site.add("wrong", hook(f"def kuma_register_routes(context): return [{route}]"))
    done = site.run("run", "--plugins", "wrong,store_memory", **free_ports())
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert '"builtin.mesh" and "wrong" both bring the route "meshes/{}/dataplanes"' in said


def test_the_kernel_alone_refuses_for_want_of_a_store(site: Site) -> None:
    for done in (site.run("run", "--plugins", ""), site.run("run", KUMA_PLUGINS="")):
        assert sentence(done).startswith("no store plugin is loaded, and the control plane needs one")


def test_store_type_names_a_store_that_is_not_there(site: Site) -> None:
    said = sentence(site.run("run", "--plugins", "store_memory", KUMA_STORE_TYPE="postgres"))
    assert said.startswith('store.type is "postgres", and no loaded plugin brings that store. ')
    assert said.endswith(
        "Install kuma-store-postgres (pip install './plugins/store_postgres[cp]' in a checkout), or choose one that is "
        "loaded: memory"
    )
    unknown = sentence(site.run("run", "--plugins", "store_memory", KUMA_STORE_TYPE="punchcards"))
    assert "Store validation failed: Type should be either postgres, kubernetes or memory" in unknown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--plugins", "nobody"), 'plugin "nobody" is not installed here. Installed plugins: '),
        (("--plugins", "a,no:b"), '--plugins "a,no:b": name either plugins to load'),
        (("--plugins", "a,,b"), '--plugins "a,,b": a plugin name is empty'),
    ],
)
@pytest.mark.parametrize("command", ["run", "plugins"])
def test_a_selection_that_means_nothing(site: Site, command: str, words: tuple[str, ...], said: str) -> None:
    assert sentence(site.run(command, *words)).startswith(said)


def test_an_unknown_output_format(site: Site) -> None:
    done = site.run("plugins", "-o", "xml")
    assert done.returncode == 1
    assert "xml" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def installed_hello(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The example plugin, built and installed by pip into a directory of its own."""
    source = tmp_path_factory.mktemp("source") / "plugin_hello"
    shutil.copytree(HELLO, source, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*pip, "--no-index", "--target", str(site.folder), str(source)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return site


def test_a_distribution_that_pip_installed_serves_its_kind(installed_hello: Site) -> None:
    """The whole way of a third party: pip install, kuma-cp run, PUT."""
    row = installed_hello.plugins()["hello"]
    assert (row["distribution"], row["state"], row["provides"]) == (
        "kuma-hello",
        "loaded",
        ["a feature", "command kumactl greet", "config", "kind Greeting"],
    )
    ports = free_ports()
    words = ["run", "--plugins", "hello,store_memory"]
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        env=installed_hello.environ(ports),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        mesh = f"http://127.0.0.1:{ports['KUMA_API_SERVER_PORT']}/meshes/default"
        url = f"{mesh}/greetings/morning"
        document = {"type": "Greeting", "mesh": "default", "name": "morning", "text": "Good morning"}
        put = urllib.request.Request(
            url, json.dumps(document).encode(), {"Content-Type": "application/json"}, method="PUT"
        )

        eventually(
            lambda: urllib.request.urlopen(mesh, timeout=5).close() is None, what="a mesh to write into"
        )
        with urllib.request.urlopen(put, timeout=30) as answer:
            assert answer.status == 201
        with urllib.request.urlopen(url, timeout=5) as answer:
            assert json.load(answer) == document
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait(timeout=10)


def test_a_plugin_in_quarantine_is_shown_and_released(site: Site) -> None:
    """By the control plane that runs on this machine, which its admin port tells; without one, nothing is said."""
    site.add("card", GOOD)
    with running_platform([kuma_store_memory]) as cp:
        quarantine = cp.platform.catalog.boundary.quarantine
        quarantine.bar("card", "resolve of Card did not come back")
        where = {"KUMA_ADMIN_SERVER_LOCAL_PORT": str(cp.admin)}
        row = site.plugins(**where)["card"]
        assert (row["state"], row["problem"]) == ("quarantined", "resolve of Card did not come back")
        done = site.run("plugins", "release", "card", **where)
        assert (done.returncode, done.stdout, done.stderr) == (0, "called again: card\n", "")
        assert quarantine.barred() == []
        assert site.plugins(**where)["card"]["state"] == "loaded"
        again = sentence(site.run("plugins", "release", "card", **where))
        assert again == 'the plugin "card" is not in quarantine'
    alone = {"KUMA_ADMIN_SERVER_LOCAL_PORT": str(free_port())}
    assert site.plugins(**alone)["card"]["state"] == "loaded"
    assert "no control plane answers at" in sentence(site.run("plugins", "release", "card", **alone))
