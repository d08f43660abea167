"""The file of the configuration: what is read from it, and what is said of one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from kuma_core.builtin import FEATURES
from kuma_core.config import Config
from kuma_core.errors import ConfigError
from kuma_core.plugin.catalog import build_catalog
from kuma_core.runtime.configuration import MAX_CONFIG_BYTES, read_config

CATALOG = build_catalog(FEATURES, [])


def read(path: Path) -> Config:
    return read_config(CATALOG, str(path), {})


@pytest.mark.parametrize("text", ["", "---\n", "# only a comment\n", "{}", "null"])
def test_an_empty_file_is_no_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "cp.yaml").write_text(text)
    assert read(tmp_path / "cp.yaml").number("apiServer.port") == 5681


def test_a_file_in_yaml_and_in_json(tmp_path: Path) -> None:
    (tmp_path / "cp.yaml").write_text("apiServer:\n  port: 7000\n  corsAllowedDomains: [a, b]\n")
    (tmp_path / "cp.json").write_text('{"apiServer": {"port": 7000, "corsAllowedDomains": ["a", "b"]}}')
    for name in ("cp.yaml", "cp.json"):
        config = read(tmp_path / name)
        assert config.number("apiServer.port") == 7000
        assert config.texts("apiServer.corsAllowedDomains") == ("a", "b")
        assert config.sources["apiServer.port"] == str(tmp_path / name)


def test_a_file_that_is_missing_or_a_directory(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            read(path)
        assert str(caught.value).startswith(f'Failed to access configuration file "{path}": {reason}')


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"apiServer: [", "neither YAML nor JSON"),
        (b"- 1\n- 2\n", "expected one YAML mapping"),
        (b"just words", "expected one YAML mapping"),
        (b"a: 1\n---\nb: 2\n", "expected one YAML mapping"),
        (b"a: 1\na: 2\n", 'key "a" occurs twice'),
        (b"a: " + b"[" * 200 + b"]" * 200, "nested deeper than 64"),
        (b"a: " + b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested deeper than 64"),
        (
            b"a: &a [x,x,x,x]\n"
            + b"".join(
                b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c]\n" % (c + 1, c + 1, *[c] * 6) for c in range(97, 110)
            ),
            "more than 500000 values",
        ),
        (b"a: !!python/object:os.system x\n", "is not understood"),
    ],
    ids=["broken", "list", "text", "two", "twice", "deep", "deep JSON", "bomb", "tag"],
)
def test_a_file_that_cannot_be_parsed(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "cp.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert str(caught.value).startswith(f'Failed to parse configuration from file "{path}": ')
    assert said in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "cp.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="Failed to access configuration file"):
        read(tmp_path / "cp.yaml")


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "cp.yaml"
    path.write_text("# " + "x" * MAX_CONFIG_BYTES)
    with pytest.raises(ConfigError, match="it has more than 1 MiB"):
        read(path)
    with pytest.raises(ConfigError):
        read(Path("/dev/zero"))


def test_a_file_with_keys_that_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "cp.yaml"
    path.write_text("apiServer:\n  prot: 7000\n")
    (warning,) = read(path).warnings
    assert warning.startswith(f'{path}: unknown configuration key "apiServer.prot" is ignored')
