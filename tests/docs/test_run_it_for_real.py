"""The page on running it for real: its commands are executed, the rest is compared with what there is."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.builtin.configuration.settings import SETTINGS
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import PORTS
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from plugins.store_postgres.tests.server import Server, any_server

from ..end_to_end.support import BIN, fetch, start
from ..packaging.units import ROOT, Unit, environment_file

PAGE = (ROOT / "docs" / "how-to" / "run-it-for-real.md").read_text(encoding="utf-8")
BASH = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
CONFIGURE, MIGRATE, READY, FOR_A_PROXY, AT_A_PROXY, INSPECT = BASH
CONF = ROOT / "packaging" / "conf"


# -- executed


class Site:
    """A machine of control planes and proxies below a folder: what the page puts into ``/etc/kuma`` is in it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.etc = folder / "etc"
        self.path = f"{BIN}:{os.environ['PATH']}"

    def local(self, text: str) -> str:
        """Text of the page or of a unit, for this folder."""
        places = {"/opt/kuma/bin": str(BIN), "/etc/kuma": str(self.etc), "-g kuma-dp ": ""}
        return re.sub("|".join(places), lambda found: places[found[0]], text)

    def bash(self, script: str, ports: dict[str, int] | None = None) -> str:
        """Run a block; kumactl finds the control plane with these ports."""
        api = (ports or {}).get("apiServer.port", 5681)
        (self.folder / ".kumactl").mkdir(exist_ok=True)
        (self.folder / ".kumactl" / "config").write_text(
            f"controlPlanes: [{{name: cp, coordinates: {{apiServer: {{url: 'http://127.0.0.1:{api}'}}}}}}]\n"
            "contexts: [{name: cp, controlPlane: cp}]\ncurrentContext: cp\n"
        )
        text = self.local(script).replace("packaging/", f"{ROOT}/packaging/")
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", text],
            cwd=self.folder,
            env={"PATH": self.path, "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def run(self, unit: str, instance: str, environment: Path, **more: str) -> subprocess.Popen[bytes]:
        """What systemd would run: the unit's command, in the unit's environment and in that of its file."""
        runtime = self.folder / "run"
        (runtime / "kuma-dp" / instance).mkdir(parents=True, exist_ok=True)
        found = Unit(unit)
        specifiers = {"d": str(self.etc), "i": instance, "t": str(runtime)}
        own = {name: self.local(value) for name, value in found.environment(specifiers).items()}
        environ = {"PATH": self.path, **own, **environment_file(environment), **more}
        command = [self.local(word) for word in found.command()]
        return start(command, self.folder / f"{instance}.log", self.stack, env=environ)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with any_server() as running:
        yield running


@pytest.fixture
def database(server: Server) -> Iterator[dict[str, str]]:
    """The user and the database of the page, under names of their own; yields what points there."""
    name = f"kuma_page_{os.getpid()}"
    (block,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    with server.connect() as admin:
        try:
            for statement in re.sub(r"(ROLE|OWNER|DATABASE) kuma\b", rf"\1 {name}", block).split(";\n"):
                admin.execute(statement.encode())
            place = {"HOST": server.host, "PORT": str(server.port), "USER": name, "DB_NAME": name}
            yield {f"KUMA_STORE_POSTGRES_{key}": value for key, value in place.items()}
        finally:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            admin.execute(f"DROP ROLE IF EXISTS {name}".encode())


def ports() -> dict[str, int]:
    return {path: free_port() for path in PORTS}


def is_online(site: Site, at: dict[str, int]) -> bool:
    return bool(re.search(r"^default +orders-1 .* Online ", site.bash(INSPECT, at), re.MULTILINE))


@pytest.mark.skipif(sys.platform != "linux", reason="the page is about Linux")
def test_the_page_works_as_written_and_a_proxy_outlives_a_control_plane(
    tmp_path: Path, database: dict[str, str]
) -> None:
    with ExitStack() as stack:
        site = Site(tmp_path, stack)
        site.bash(CONFIGURE)
        assert {path.name: path.stat().st_mode & 0o777 for path in site.etc.iterdir()} == {
            "kuma-cp.yaml": 0o644,
            "kuma-cp.env": 0o600,
            "secrets.key": 0o600,
        }
        machines = [ports(), ports()]
        addresses = ",".join(f"127.0.0.1:{at['xdsServer.grpcPort']}" for at in machines)
        yaml = (site.etc / "kuma-cp.yaml").read_text().replace("192.0.2.11,192.0.2.12", addresses)
        (site.etc / "kuma-cp.yaml").write_text(yaml)
        for number, at in enumerate(machines):
            own = {item.env: str(at[item.path]) for item in SETTINGS if item.path in at}
            own |= {"KUMA_STORE_POSTGRES_TLS_MODE": "disable", "KUMA_API_SERVER_INTERFACE": "127.0.0.1"}
            said = environment_file(site.etc / "kuma-cp.env") | database | own
            said["KUMA_GENERAL_ADVERTISED_HOSTNAME"] = "127.0.0.1"
            (site.etc / f"cp-{number}").write_text("".join(f"{k}={v}\n" for k, v in said.items()))
        site.bash(MIGRATE.replace("kuma-cp.env", "cp-0"))
        running = []
        for number, at in enumerate(machines):
            running.append(site.run("kuma-cp.service", f"cp-{number}", site.etc / f"cp-{number}"))
            diagnostics = at["xdsServer.diagnosticsPort"]
            eventually(lambda port=diagnostics: fetch(port, "/ready") == "", 30, "a ready control plane")
            site.bash(READY.replace("5680", str(diagnostics)))

        service = free_port()
        document = dataplane("orders-1", inbound(f"127.0.0.1:{free_port()}:{service}", "orders"))
        (tmp_path / "orders-1.yaml").write_text(json.dumps(document))
        assert 'created Dataplane "orders-1"' in site.bash(FOR_A_PROXY, machines[0])
        site.bash(AT_A_PROXY)
        token = site.etc / "dataplanes" / "orders-1.token"
        assert token.stat().st_mode & 0o777 == 0o640
        api = f"http://127.0.0.1:{machines[0]['apiServer.port']}"
        proxy = site.run(
            "kuma-dp@.service",
            "orders-1",
            site.etc / "dataplanes" / "orders-1.env",
            KUMA_CONTROL_PLANE_API_SERVER_URL=api,
            KUMA_DATAPLANE_ADMIN_PORT=str(free_port()),
        )
        eventually(lambda: is_online(site, machines[1]), 30, "a proxy that both know")
        (copy,) = (tmp_path / "run" / "kuma-dp" / "orders-1").glob("kuma-dp-*/dataplane-token")
        assert copy.read_text() == token.read_text()

        site.bash(FOR_A_PROXY, machines[0])
        site.bash(AT_A_PROXY)
        eventually(lambda: copy.read_text() == token.read_text(), what="the new token")

        running[0].terminate()
        assert running[0].wait(30) == 0
        eventually(lambda: is_online(site, machines[1]), 30, "a proxy at the other control plane")
        assert proxy.poll() is None


# -- compared


def test_the_files_that_it_shows_are_those_that_are_copied() -> None:
    (yaml,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert (CONF / "kuma-cp.yaml").read_text().endswith("\n\n" + yaml)
    (ini,) = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    assert (CONF / "orders-1.env").read_text().endswith("\n" + ini)


def test_every_file_of_the_checkout_that_it_names_is_there() -> None:
    named = re.findall(r"packaging/[\w@./-]*\w", PAGE)
    assert len(named) > 6
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_units_that_it_starts_are_those_that_it_copies() -> None:
    started = set(re.findall(r"systemctl (?:enable --now|start|stop|restart) ([\w@-]+)", PAGE))
    assert started == {"kuma-cp", "kuma-dp@orders-1"}
    for name in started:
        assert f"{re.sub('@.*', '@', name)}.service /etc/systemd/system/" in PAGE


def test_its_wheels_and_extras_exist() -> None:
    distributions = ["kuma_core", *(f"kuma_{path.parent.name}" for path in ROOT.glob("plugins/*/setup.cfg"))]
    wheels = [f"dist/{name}-0.1.0-py3-none-any.whl" for name in distributions]
    patterns = re.findall(r"dist/[\w*.-]+\.whl", PAGE)
    assert len(patterns) > 4
    assert [pattern for pattern in patterns if not fnmatch.filter(wheels, pattern)] == []
    assert set(re.findall(r"whl\)\[(\w+)\]", PAGE)) == {"cp", "dp"}


IDLE = re.compile(r"Without effect|Kubernetes only|Deprecated|; 0: |^0: ")


def test_every_port_of_a_control_plane_is_in_the_table_of_the_firewall() -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.*?) \|", PAGE, re.MULTILINE))
    listening = {s.path: s.default for s in SETTINGS if s.path.lower().endswith("port") and s.default}
    known = {path: port for path, port in listening.items() if not IDLE.search(_help(path))}
    known.pop("store.postgres.port")
    assert {str(port) for port in known.values()} == {port for port, of in table.items() if "control" in of}


def _help(path: str) -> str:
    return next(setting.help for setting in SETTINGS if setting.path == path)


def test_every_metric_that_it_watches_exists() -> None:
    metrics = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    named = re.findall(r"`((?:kuma|process)_\w+)`", PAGE)
    assert len(named) > 5
    assert [name for name in named if f"| `{name}` |" not in metrics] == []


def test_every_variable_that_it_names_exists() -> None:
    text = PAGE.partition("```ini")[0] + PAGE.partition("```ini")[2].partition("```")[2]
    assert set(re.findall(r"KUMA_[A-Z_]+", text)) <= {setting.env for setting in SETTINGS}
