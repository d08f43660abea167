"""``kuma-cp config`` and the file of defaults that is shipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from kuma_core.builtin.configuration.settings import SETTINGS
from kuma_core.commandline import exit_code
from kuma_core.config import MASK, build_config
from kuma_core.documents import load_documents
from kuma_core.kumactl.tls_pair import generate, save
from kuma_core.runtime.kuma_cp import root

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "conf" / "kuma-cp.conf"
HOW_TO = (ROOT / "docs" / "how-to" / "configure.md").read_text()

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def kuma_cp(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """``kuma-cp config …`` with the memory store, without variables of this machine."""
    monkeypatch.setenv("KUMA_PLUGINS", "store_memory")

    def call(*argv: str, **environ: str) -> tuple[int, str, str]:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        code = exit_code(root, ["config", *argv])
        for name in environ:
            monkeypatch.delenv(name)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cp.yaml"
    path.write_text("apiServer:\n  port: 7000\n  prot: 7\nstore:\n  postgres:\n    password: hush\n")
    return path


def test_the_shipped_file_is_what_the_command_prints(kuma_cp: Call) -> None:
    code, out, err = kuma_cp("defaults", "--plugins", "", KUMA_PLUGINS="")
    assert (code, err) == (0, "")
    assert out == SHIPPED.read_text(), "run: kuma-cp config defaults --plugins '' > conf/kuma-cp.conf"


@pytest.mark.parametrize("read", [lambda text: load_documents(text, "conf")[0], yaml.safe_load])
def test_the_shipped_file_changes_nothing(read: Callable[[str], Any]) -> None:
    config = build_config(SETTINGS, read(SHIPPED.read_text()), "conf", {})
    assert config.warnings == ()
    assert {s.path: config.value(s.path) for s in SETTINGS} == {s.path: s.default for s in SETTINGS}
    assert set(config.sources.values()) == {"conf"}


def test_the_shipped_file_names_every_variable() -> None:
    text = SHIPPED.read_text()
    for setting in SETTINGS:
        assert all(name in text for name in (setting.env, *setting.aliases)), setting.path


def test_view_prints_the_effective_values(kuma_cp: Call, file: Path) -> None:
    code, out, err = kuma_cp("view", "-c", str(file))
    assert code == 0
    unknown = f'{file}: unknown configuration key "apiServer.prot" is ignored'
    assert err == f'Warning: {unknown}; did you mean "apiServer.port"?\n'
    shown = yaml.safe_load(out)
    assert shown["apiServer"]["port"] == 7000
    assert shown["bootstrapServer"]["params"]["xdsHost"] == "localhost"
    assert json.loads(kuma_cp("view", "-c", str(file), "-o", "json")[1]) == shown


def test_view_tells_the_source_of_each_value(kuma_cp: Call, file: Path) -> None:
    _, out, _ = kuma_cp("view", "-c", str(file), "--sources", KUMA_API_SERVER_READ_ONLY="true")
    lines = [line.strip() for line in out.splitlines()]
    assert f"port: 7000  # {file}" in lines
    assert "readOnly: true  # KUMA_API_SERVER_READ_ONLY" in lines
    assert "xdsHost: localhost  # autoconfiguration" in lines
    assert "type: memory  # default" in lines
    assert "mesh: |  # default" in lines
    assert yaml.safe_load(out) == yaml.safe_load(
        kuma_cp("view", "-c", str(file), KUMA_API_SERVER_READ_ONLY="true")[1]
    )
    sources = json.loads(kuma_cp("view", "-c", str(file), "--sources", "-o", "json")[1])
    assert sources["apiServer.port"] == {"value": 7000, "source": str(file)}
    assert set(sources) == {setting.path for setting in SETTINGS}


@pytest.mark.parametrize("more", [(), ("--sources",), ("-o", "json"), ("-o", "json", "--sources")])
def test_view_masks_secrets(kuma_cp: Call, file: Path, more: tuple[str, ...]) -> None:
    code, out, err = kuma_cp("view", "-c", str(file), *more)
    assert (code, "hush" in out + err, MASK in out) == (0, False, True)


def test_validate(kuma_cp: Call, file: Path) -> None:
    code, out, err = kuma_cp("validate", "-c", str(file))
    assert (code, out, err.count("Warning: ")) == (0, "the configuration is valid\n", 1)
    code, out, err = kuma_cp("validate", "-c", str(file), KUMA_API_SERVER_PORT="-1")
    assert (code, out) == (1, "")
    assert err == (
        "Error: Invalid configuration: ApiServer validation failed: Port cannot be negative "
        "(apiServer.port is -1, from KUMA_API_SERVER_PORT)\n"
    )
    code, _, err = kuma_cp("validate", KUMA_STORE_TYPE="postgres")
    assert (code, "Install kuma-store-postgres" in err) == (1, True)
    code, _, err = kuma_cp("validate", "-c", str(file) + "x")
    assert (code, err.startswith("Error: Failed to access configuration file")) == (1, True)


def test_a_secret_that_breaks_a_rule_is_not_told(kuma_cp: Call) -> None:
    _, _, err = kuma_cp("validate", KUMA_STORE_TYPE="postgres", KUMA_STORE_POSTGRES_PASSWORD="")
    assert "Password should not be empty" in err


def test_the_group_alone_prints_its_help() -> None:
    done = CliRunner().invoke(root, ["config"])
    assert done.exit_code == 0
    for name in ("view", "validate", "defaults"):
        assert name in done.output


def certificates_of_the_page(folder: Path) -> None:
    """The files that the page names, where they are expected to be."""
    (folder / "clients").mkdir()
    save(generate(["localhost"], is_client=False), str(folder / "admin-key.pem"), str(folder / "admin.pem"))
    save(generate([], is_client=True), str(folder / "alice-key.pem"), str(folder / "clients" / "alice.pem"))


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"KUMA_GENERAL_ADVERTISED_HOSTNAME": "http://cp"}, "general.advertisedHostname"),
        ({"KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_HOST": "a:b"}, "bootstrapServer.params.xdsHost"),
        ({"KUMA_STORE_ENCRYPTION_KEY_FILE": "/nowhere/keys"}, "/nowhere/keys"),
        (
            {"KUMA_SDS_SERVER_TLS_CERT_FILE": "/nowhere/c", "KUMA_SDS_SERVER_TLS_KEY_FILE": "/nowhere/k"},
            "sdsServer.tlsCertFile",
        ),
    ],
)
def test_what_stops_a_start_is_told_by_validate(kuma_cp: Call, environ: dict[str, str], named: str) -> None:
    code, out, err = kuma_cp("validate", **environ)
    assert (code, out) == (1, "")
    assert named in err


def test_the_examples_of_the_how_to_page_load(kuma_cp: Call, tmp_path: Path) -> None:
    blocks = [part.partition("```")[0] for part in HOW_TO.split("```yaml\n")[1:]]
    assert len(blocks) == 3
    certificates_of_the_page(tmp_path)
    for block in blocks[:2]:
        (tmp_path / "cp.yaml").write_text(block.replace("/etc/kuma", str(tmp_path)))
        assert kuma_cp("validate", "-c", str(tmp_path / "cp.yaml")) == (0, "the configuration is valid\n", "")
    (tmp_path / "cp.yaml").write_text(blocks[2])
    assert kuma_cp("view", "-c", str(tmp_path / "cp.yaml"))[0] == 0
    for sentence in ("the configuration is valid", "did you mean", "--sources"):
        assert sentence in HOW_TO
