"""Made-up wheels."""

import hashlib
import zipfile
from pathlib import Path


def make_wheel(directory: Path, name: str, version: str, tag: str = "py3-none-any") -> str:
    """Write the smallest wheel that installs, and return its sha256."""
    info = f"{name}-{version}.dist-info"
    path = directory / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()
