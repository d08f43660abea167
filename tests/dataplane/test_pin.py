"""The pinned certificate of the control plane: which files are taken, and what https then trusts."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kuma_core.dataplane import pin
from kuma_core.errors import KumaError

from .certificates import DAY, Authority
from .support import FakeControlPlane, Program

Start = Callable[..., Program]
PRINT_IT = "Print it with 'kumactl inspect control-plane-ca' on the machine of the control plane."
BROKEN = "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n"


def test_the_certificates_of_a_file_are_taken_and_nothing_beside_them(tmp_path: Path) -> None:
    old, new = Authority(), Authority()
    (tmp_path / "ca.pem").write_text(f"old\n{old.pem}{old.key}\n# new\r\n{new.pem}")
    read = pin.read(str(tmp_path / "ca.pem"))
    assert read.pem == old.pem + new.pem
    assert (read.covers(new.pem), read.covers(Authority().pem)) == (True, False)
    assert read.covers(old.pem.replace("\n", "\r\n"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", f"is refused: the file holds no certificate in PEM. {PRINT_IT}"),
        ("eyJ.token.here", f"is refused: the file holds no certificate in PEM. {PRINT_IT}"),
        (BROKEN, f"is refused: it cannot be read. {PRINT_IT}"),
        ("x" * (pin.LARGEST + 1), f"is refused: the file is larger than 1 MiB. {PRINT_IT}"),
        (Authority(-20 * DAY).pem, rf"is refused: it expired on \w+ +\d+ [\d:]+ \d+ GMT. {PRINT_IT}"),
        (
            Authority(5 * DAY).pem,
            r"is refused: it is not valid before \w+ +\d+ [\d:]+ \d+ GMT. Look at the clock of this machine.",
        ),
    ],
    ids=["empty", "token", "broken", "large", "expired", "early"],
)
def test_a_file_of_no_use_is_told(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(content)
    with pytest.raises(KumaError) as caught:
        pin.read(str(path))
    assert re.fullmatch(f"the pinned certificate {re.escape(str(path))} {sentence}", str(caught.value))


def test_of_several_certificates_one_that_is_valid_is_enough(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(Authority(-20 * DAY).pem + Authority().pem)
    assert pin.read(str(tmp_path / "ca.pem"))


def test_a_certificate_need_not_be_an_authority(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(Authority(is_ca=False).pem)
    assert pin.read(str(tmp_path / "ca.pem"))


def test_a_missing_file_ends_kuma_dp_before_it_asks(kuma_dp: Start, control_plane: FakeControlPlane) -> None:
    dp = kuma_dp("--ca-cert-file=nowhere.pem")
    assert dp.end() == 1
    assert dp.err == (
        "Error: could not read the pinned certificate: nowhere.pem: No such file or directory. "
        "Check the path given with --ca-cert-file and who may read it.\n"
    )
    assert control_plane.requests == []


# -- requests over https


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def encrypted(authority: Authority, tmp_path: Path) -> Iterator[FakeControlPlane]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server(tmp_path))
    server = FakeControlPlane(tls=context)
    yield server
    server.close()


def test_over_https_the_pinned_certificate_is_trusted_for_both_requests(
    start: Start, kuma_dp: Start, encrypted: FakeControlPlane, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text(authority.pem)
    dp = kuma_dp(f"--cp-address={encrypted.url}", KUMA_CONTROL_PLANE_CA_CERT_FILE="ca.pem")
    assert dp.end() == 1
    assert [path for _, path, _ in encrypted.requests] == ["/catalog", "/bootstrap"]
    assert "would have Envoy speak to the control plane without TLS" in dp.err


@pytest.mark.parametrize("pinned", [True, False])
def test_over_https_nothing_else_is_trusted(
    kuma_dp: Start, encrypted: FakeControlPlane, tmp_path: Path, pinned: bool
) -> None:
    (tmp_path / "ca.pem").write_text(Authority().pem)
    flags = ["--ca-cert-file=ca.pem"] if pinned else []
    dp = kuma_dp(f"--cp-address={encrypted.url}", *flags)
    assert dp.end() == 1
    assert dp.err.startswith("Error: could not retrieve the catalog: could not execute the request: ")
    assert encrypted.requests == []
