"""Images for the node, made in a moment: nearly empty, since the node shows containers the programs of this machine.

An image holds folders, a file of users, and programs of one line; what they run is mounted read-only by the runtime
(``mounts``), so that manifests are those that people apply.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ENVIRONMENT = Path(sys.prefix)
PACKAGES = Path("/kuma/packages")
"""Where containers find the packages of this environment, and in ``SOURCE`` what it has only links to."""
SOURCE = Path("/kuma/source")
PROGRAMS = ("kuma-cp", "kuma-dp", "kuma-init", "kuma-injector", "envoy")
USER = "5678:5678"
SYSTEM = ("bin", "sbin", "lib", "lib64")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PREFIX = "application/vnd.oci.image"


@dataclass(frozen=True)
class Image:
    """What is different from image to image."""

    name: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = "0:0"
    files: tuple[str, ...] = ()
    """Of this machine, with what they link to, for an image that the runtime shows nothing of it."""


def images(registry: str, version: str) -> list[Image]:
    """Those of packaging/Dockerfile, by the names that the how-to gives them, and what Kubernetes needs itself."""
    return [
        Image(f"{registry}/kuma-cp:{version}", ("kuma-cp",), ("run",), USER),
        Image(f"{registry}/kuma-injector:{version}", ("kuma-injector",), ("run",), USER),
        Image(f"{registry}/kuma-dp:{version}", ("kuma-dp",), ("run",), USER),
        Image(f"{registry}/kuma-init:{version}", ("kuma-init",), ("--help",)),
        Image(PAUSE, ("/usr/bin/sleep", "infinity"), files=("/usr/bin/sleep",)),
        Image("docker.io/library/python:3.11-slim", (), ("python3",)),
    ]


PAUSE = "kuma.test/pause:1"


def mounts() -> list[dict[str, Any]]:
    """What the runtime shows every container of this machine, for its base specification."""
    packages = (
        ENVIRONMENT / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    )
    shown = {Path("/usr"): Path("/usr"), packages: PACKAGES, ROOT: SOURCE}
    python = Path(sys.base_prefix)
    if not python.is_relative_to("/usr"):
        shown[python] = python
    for path in (Path("/") / name for name in (*SYSTEM, "etc/alternatives")):
        if path.is_dir() and not path.is_symlink():
            shown[path] = path
    options = ["rbind", "ro", "nosuid", "nodev"]
    return [
        {"destination": str(there), "type": "bind", "source": str(here), "options": options}
        for here, there in shown.items()
    ]


def write_image(image: Image, path: Path) -> None:
    """Write an image as a tar in the layout of OCI."""
    layer = _layer(image.files)
    config = json.dumps(_config(image, layer)).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{PREFIX}.manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [_descriptor("layer.v1.tar", layer)],
        }
    ).encode()
    named = {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": image.name}
    index = {
        "schemaVersion": 2,
        "manifests": [_descriptor("manifest.v1+json", manifest) | {"annotations": named}],
    }
    files = {f"blobs/sha256/{_digest(blob)}": blob for blob in (config, manifest, layer)}
    files |= {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            _add(archive, name, content)


def _layer(files: Sequence[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("dev", "etc", "kuma", "kuma/bin", "proc", "run", "sys", "tmp", "var", "var/run"):
            _add(archive, folder, kind=tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        for name in SYSTEM:
            path = Path("/") / name
            if path.is_symlink():
                _add(archive, name, kind=tarfile.SYMTYPE, link=str(path.readlink()))
        _add(
            archive,
            "etc/passwd",
            b"root:x:0:0::/:/bin/sh\nkuma:x:5678:5678::/:/bin/sh\n",
        )
        _add(archive, "etc/group", b"root:x:0:\nkuma:x:5678:\n")
        for name, content in _programs().items():
            _add(archive, f"kuma/bin/{name}", content, mode=0o755)
        for path in (item for file in files for item in (file, *_libraries(file))):
            _add(archive, path.lstrip("/"), Path(path).read_bytes(), mode=0o755)
        for name in ("python", "python3"):
            _add(archive, f"kuma/bin/{name}", kind=tarfile.SYMTYPE, link=_python())
    return buffer.getvalue()


def _libraries(program: str) -> list[str]:
    """What a program is linked to, at the places where its loader looks."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=60, check=True).stdout
    return [str(Path(path).parent.resolve() / Path(path).name) for path in re.findall(r"(/\S+) \(0x", listed)]


def _python() -> str:
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


def _programs() -> Mapping[str, bytes]:
    """The programs of this environment, for another place of Python."""
    texts = {name: (ENVIRONMENT / "bin" / name).read_text() for name in PROGRAMS}
    return {name: f"#!{_python()}\n{text.partition(chr(10))[2]}".encode() for name, text in texts.items()}


def _config(image: Image, layer: bytes) -> dict[str, Any]:
    parts = sorted(path for path in (ROOT / "plugins").iterdir() if path.is_dir())
    places = [SOURCE, *(SOURCE / path.relative_to(ROOT) for path in parts), PACKAGES]
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "User": image.user,
            "Entrypoint": _words(image.entrypoint),
            "Cmd": _words(image.command),
            "Env": [
                "PATH=/kuma/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                f"PYTHONPATH={':'.join(map(str, places))}",
                "PYTHONDONTWRITEBYTECODE=1",
            ],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]},
    }


def _words(words: Sequence[str]) -> list[str] | None:
    return list(words) or None


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": f"{PREFIX}.{kind}", "digest": f"sha256:{_digest(blob)}", "size": len(blob)}


def _digest(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def _add(
    archive: tarfile.TarFile,
    name: str,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o644,
    link: str = "",
) -> None:
    item = tarfile.TarInfo(name)
    item.type, item.mode, item.linkname, item.size = kind, mode, link, len(content)
    archive.addfile(item, io.BytesIO(content))
