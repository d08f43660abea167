"""What the conformance tests share: the documents they compare with, the plugins, and a shell for commands."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from cryptography.x509.oid import NameOID

from kuma_core.testing.waiting import eventually

from ..end_to_end.support import start

DATA = Path(__file__).parent / "data"
BIN = Path(sys.executable).parent
USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)

PLUGINS = ("kuma_store_memory", "kuma_policy_traffic", "kuma_ca_builtin", "kuma_ca_provided")


def document(name: str) -> Any:
    """A JSON document of the folder ``data``."""
    return json.loads((DATA / name).read_text())


def has(plugin: str) -> bool:
    """Whether a plugin's package is installed."""
    return importlib.util.find_spec(plugin) is not None


def plugins() -> list[ModuleType]:
    """The modules of the plugins of this repository that are there."""
    return [importlib.import_module(name) for name in PLUGINS if has(name)]


def needs(condition: object, what: str) -> None:
    """Skip the test unless what it needs is there; ``what`` names that."""
    if not condition:
        pytest.skip(f"needs {what}")


class Shell:
    """Runs lines as a person types them: the programs of this installation, and a home of its own."""

    def __init__(self, home: Path, stack: ExitStack, inside: list[str] | None = None) -> None:
        self.home = home
        self._stack = stack
        self._inside = inside or []
        kept = {key: value for key, value in os.environ.items() if not key.startswith("KUMA_")}
        self._environ = {**kept, "HOME": str(home), "PATH": f"{BIN}:{os.environ['PATH']}"}

    def run(self, line: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a line to its end."""
        return subprocess.run(
            [*self._inside, "bash", "-c", line],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=self._environ,
            cwd=self.home,
            check=False,
        )

    def good(self, line: str, stdin: str = "") -> str:
        """Run a line that must end well; its output."""
        done = self.run(line, stdin)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    def start(self, line: str) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a line's program, which goes on until the test ends; also the file that has its output."""
        log = self.home / f"{len(list(self.home.glob('*.log')))}.log"
        command = [*self._inside, "bash", "-c", f"exec env {line}"]
        return start(command, log, self._stack, env=self._environ, cwd=self.home), log

    def control_plane(self, line: str = "kuma-cp run") -> subprocess.Popen[bytes]:
        """Start a control plane on the well-known ports and wait until it says that it is ready."""
        process, log = self.start(line)

        def ready() -> bool:
            if process.poll() is not None:
                pytest.fail(f"{line} ended: {log.read_text()[-3000:]}")
            return self.run("curl -sf http://127.0.0.1:5680/ready").returncode == 0

        eventually(ready, 60, f"a ready control plane: {line}")
        return process


def dataplane_token(shell: Shell, name: str) -> str:
    """The flag with which kuma-dp proves its name, for a control plane that asks for it; else ``""``."""
    catalog = json.loads(shell.good("curl -s http://127.0.0.1:5681/catalog"))
    if not catalog["apis"]["dataplaneToken"]["localUrl"]:
        return ""
    file = shell.home / f"kuma-dp-{name}"
    file.write_text(shell.good(f"kumactl generate dataplane-token --dataplane={name} --mesh=default"))
    return f"--dataplane-token-file={file}"


def signing_pair() -> dict[str, str]:
    """A key and a self-signed root, as PEM texts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cellar-root")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=30))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    usage = dict.fromkeys(USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
    certificate = builder.add_extension(x509.KeyUsage(**usage), critical=True).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain).decode()
    return {"cert": certificate.public_bytes(Encoding.PEM).decode(), "key": pem}
