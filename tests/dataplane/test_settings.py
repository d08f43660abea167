"""Flags, environment variables, port ranges and their errors."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from kuma_core.dataplane import files
from kuma_core.dataplane.ports import PortRange, parse_range
from kuma_core.dataplane.settings import OPTIONS, check, is_absolute_url, resolve
from kuma_core.errors import ConfigError, KumaError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080", (8080, 8080)),
        ("8080-8081", (8080, 8081)),
        ("8080-", (8080, 65535)),
        ("-8080", (1, 8080)),
        ("7-7", (7, 7)),
        ("1-65535", (1, 65535)),
    ],
)
def test_port_ranges(text: str, expected: tuple[int, int]) -> None:
    assert parse_range(text) == PortRange(*expected)


@pytest.mark.parametrize("text", ["", "-", "0"])
def test_no_admin_port(text: str) -> None:
    assert parse_range(text) is None


@pytest.mark.parametrize(
    "text",
    ["x", "8081-8080", "65536", "0-5", "1-65536", "1-2-3", " 80", "--", "+5", "1,2", "٣", "-0", "123456"],
)
def test_bad_port_ranges(text: str) -> None:
    with pytest.raises(ValueError, match="invalid value") as caught:
        parse_range(text)
    assert str(caught.value) == (
        f'invalid value "{text}". Valid port range formats: "8080", "8080-8081", "8080-", "-8080", "" (empty '
        'range), "-" (empty range). Valid port values are 1-65535.'
    )


@pytest.mark.parametrize(("text", "shown"), [("8080", "8080"), ("80-81", "80-81"), ("60000-", "60000-65535")])
def test_a_range_is_shown_as_it_is_written(text: str, shown: str) -> None:
    assert str(parse_range(text)) == shown


def test_defaults() -> None:
    values, warnings = resolve({}, {"KUMA_DATAPLANE_NAME": "web-1"})
    settings = check(values)
    assert warnings == []
    assert (settings.name, settings.mesh, settings.cp_address) == (
        "web-1",
        "default",
        "http://localhost:5681",
    )
    assert (settings.admin_ports, settings.binary_path, settings.config_dir) == (None, "envoy", "")
    assert (settings.token_file, settings.drain_seconds) == ("", 30)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_flag_over_environment_over_default(option: object) -> None:
    assert resolve({}, {})[0][option.name] == option.default  # type: ignore[attr-defined]
    assert resolve({}, {option.env: "e"})[0][option.name] == "e"  # type: ignore[attr-defined]
    values, warnings = resolve({option.name: "f"}, {option.env: "e"})  # type: ignore[attr-defined]
    assert values[option.name] == "f"  # type: ignore[attr-defined]
    assert len(warnings) == 1
    assert resolve({option.name: "f"}, {option.env: "f"})[1] == []  # type: ignore[attr-defined]


def test_a_variable_that_is_set_but_empty_counts() -> None:
    values, _ = resolve({}, {"KUMA_DATAPLANE_NAME": "w", "KUMA_DATAPLANE_MESH": ""})
    with pytest.raises(ConfigError, match=r"\.Dataplane is not valid: \.Mesh must be non-empty"):
        check(values)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cp_address": ""}, ".ControlPlane is not valid: .ApiServer is not valid: .URL must be non-empty"),
        ({"admin_port": "x"}, '.Dataplane is not valid: .AdminPort: invalid value "x". Valid port range'),
        ({"drain_time": "-1s"}, ".Dataplane is not valid: .DrainTime must be positive"),
        ({"drain_time": "5"}, '.Dataplane is not valid: .DrainTime: "5" is not a duration'),
    ],
)
def test_a_bad_setting_is_told(changes: dict[str, str], sentence: str) -> None:
    values, _ = resolve({"name": "w"}, {})
    with pytest.raises(ConfigError) as caught:
        check(values | changes)
    assert str(caught.value).startswith(f"Invalid configuration: {sentence}")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:5681", True),
        ("https://[::1]:1/x", True),
        ("localhost:5681", False),
        ("http://", False),
        ("http://h:99999", False),
        ("http://h:0", False),
        ("http://[::1", False),
        ("/catalog", False),
        ("ftp://h", False),
    ],
)
def test_absolute_urls(url: str, expected: bool) -> None:
    assert is_absolute_url(url) is expected


def test_a_temporary_directory_that_cannot_be_made_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(prefix: str) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", fail)
    sentence = "could not make a temporary directory: Permission denied. Set TMPDIR to a directory"
    with pytest.raises(KumaError, match=sentence), files.private_directory(required=True):
        pass
    with files.private_directory(required=False) as directory:
        assert directory == ""
    warning = capsys.readouterr().err
    assert warning.startswith(f"Warning: {sentence}")
    assert warning.endswith(". Until then access logs to backends over TCP are off.\n")


@pytest.mark.parametrize("folder", ["logs", "/no/such/folder", "/dev/null", "."])
def test_the_folder_of_access_logs_is_there(folder: str) -> None:
    """With a folder that is not, nothing would be logged, and nobody would be told before the first record."""
    values, _ = resolve({"log_directory": folder}, {"KUMA_DATAPLANE_NAME": "web-1"})
    with pytest.raises(ConfigError) as caught:
        check(values)
    assert f'.AccessLogDirectory "{folder}" must be an absolute path of a folder' in str(caught.value)


def test_the_folder_of_access_logs_is_taken(tmp_path: Path) -> None:
    values, _ = resolve(
        {}, {"KUMA_DATAPLANE_NAME": "w", "KUMA_DATAPLANE_RUNTIME_ACCESS_LOG_DIRECTORY": str(tmp_path)}
    )
    assert check(values).log_directory == str(tmp_path)
    assert check(resolve({}, {"KUMA_DATAPLANE_NAME": "w"})[0]).log_directory == ""
