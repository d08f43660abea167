#!/usr/bin/env python3
"""Make everything that a release consists of, in dist/, and check it: wheels, sdists, a bill of materials.

    make release

A wheel is built from its sdist, so that the sdist is known to be whole. The bill of materials (CycloneDX) names every
library, with its version, that a control plane and a data plane with all our plugins have. Nothing is uploaded.
"""

from __future__ import annotations

import configparser
import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
PARTS = (ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/setup.cfg")))
BILL = DIST / "kuma.cdx.json"
SUMS = DIST / "SHA256SUMS"


def call(*words: str | Path) -> None:
    print("$", *(Path(word).name if isinstance(word, Path) else word for word in words), flush=True)
    if code := subprocess.run([str(word) for word in words], cwd=ROOT, check=False).returncode:
        sys.exit(code)


def tools() -> list[str]:
    """What the extra ``release`` of the kernel names; it is installed by itself, not beside the programs."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["options.extras_require"]["release"].strip().splitlines()


def environment(folder: Path, *wanted: str | Path) -> Path:
    """The folder of programs of a new environment."""
    venv.create(folder, with_pip=True)
    quiet = ("--quiet", "--disable-pip-version-check")
    call(folder / "bin/python", "-m", "pip", "install", *quiet, *wanted)
    return folder / "bin"


def build(programs: Path) -> list[Path]:
    """The sdist and the wheel of each part."""
    shutil.rmtree(DIST, ignore_errors=True)
    for part in PARTS:
        call(programs / "python", "-m", "build", "--outdir", DIST, part)
    found = sorted([*DIST.glob("*.whl"), *DIST.glob("*.tar.gz")])
    if len(found) != 2 * len(PARTS):
        sys.exit(
            f"expected a wheel and an sdist of {len(PARTS)} distributions in {DIST}, found {len(found)} files"
        )
    return found


def bill_of_materials(programs: Path, folder: Path) -> None:
    """What somebody who installs these wheels has beside them."""
    (kernel,) = DIST.glob("kuma_core-*.whl")
    plugins = sorted({*DIST.glob("*.whl")} - {kernel})
    # the kernel comes first: pip would ask the index for what a plugin needs before it has seen the wheel
    installed = environment(folder, f"{kernel}[cp,dp,kumactl]", *(f"{wheel}[cp]" for wheel in plugins))
    call(programs / "cyclonedx-py", "environment", "--output-reproducible", "-o", BILL, installed / "python")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="kuma-release-") as folder:
        programs = environment(Path(folder, "tools"), *tools())
        built = build(programs)
        call(programs / "twine", "check", "--strict", *built)
        bill_of_materials(programs, Path(folder, "installed"))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in (*built, BILL)]
    SUMS.write_text("\n".join(lines) + "\n")
    print(f"{len(built)} distributions, {BILL.name} and {SUMS.name} are in {DIST}")


if __name__ == "__main__":
    main()
