"""Fill a directory with everything that one release of an app is installed from."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import itertools
import shutil
import sys
import time
import tomllib
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tandem.app.index import NotOfferedError, Target, build_wheel, configuration, download
from tandem.app.lock import Lock, Requirement, parse_pins
from tandem.app.release import App, digest, file_sha256, project_files, read_lock, wheel_identity
from tandem.errors import TandemError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_BATCH = 8  # requirements per run of pip: starting pip costs half a second
_WORKERS = 4
_REPORT_EVERY_SEC = 5.0
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result: where the wheels lie and what it took."""

    digest: str
    directory: Path
    changed: bool
    downloaded_bytes: int


class _Collection:
    """The wheels gathered in one directory, by sha256, and the telling of it on standard error."""

    def __init__(self, name: str, directory: Path, target: Target, total: int) -> None:
        self.name, self.directory, self.target, self.total = name, directory, target, total
        self.wheels: dict[str, Path] = {}
        self._started = self._shown = time.monotonic()

    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.wheels.values())

    def missing(self, requirements: Sequence[Requirement]) -> list[Requirement]:
        return [item for item in requirements if not item.hashes & self.wheels.keys()]

    def show(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._shown >= _REPORT_EVERY_SEC:
            self._shown = now
            size_mib, elapsed = self.size_bytes() / _MIB, now - self._started
            line = f"{self.name}: {len(self.wheels)} of {self.total} wheels, {size_mib:.0f} MiB, {elapsed:.0f} s"
            print(line, file=sys.stderr, flush=True)


def release_directory(app: App, out_root: Path) -> Path:
    """Return the directory that the app's release is fetched to."""
    return out_root / f"{app.name}-{digest(app)}"


def is_fetched(directory: Path) -> bool:
    """Say whether a release directory is whole: it gets its name only when it is."""
    return (directory / "requirements.txt").is_file()


def fetch(app: App, out_root: Path, *, extra_index_urls: Sequence[str] = ()) -> Fetched:
    """Make the app's release directory below `out_root`, or find it made.

    It is filled under the name `.partial` and renamed when whole, so a run that was killed leaves nothing that looks
    finished, and the next run takes over its wheels. Two runs at once wait for each other.
    """
    lock = read_lock(app)
    directory = release_directory(app, out_root)
    name = digest(app)
    if is_fetched(directory):
        return Fetched(name, directory, changed=False, downloaded_bytes=0)
    try:
        out_root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TandemError(f"cannot make the cache {out_root}: {error.strerror}") from error
    with _only_one(out_root / f".{app.name}.lock"):
        if is_fetched(directory):
            return Fetched(name, directory, changed=False, downloaded_bytes=0)
        partial = directory.with_name(directory.name + ".partial")
        partial.mkdir(exist_ok=True)
        _drop_leftovers(partial)
        target = Target(app.python_version, app.platform)
        collection = _Collection(app.name, partial, target, len(lock.requirements))
        _reuse(lock, collection, out_root)
        size_bytes = _fetch_missing(lock, collection, extra_index_urls)
        wheels = {path.name: sha for sha, path in collection.wheels.items()} | _build_projects(app, partial)
        for path in partial.glob("*.whl"):
            if path.name not in wheels:
                path.unlink()
        (partial / "requirements.txt").write_text(render_requirements(wheels), encoding="utf-8")
        shutil.rmtree(directory, ignore_errors=True)
        partial.rename(directory)
    return Fetched(name, directory, changed=True, downloaded_bytes=size_bytes)


def render_requirements(wheels: dict[str, str]) -> str:
    """Return the exact list that nodes install: each wheel's version and the sha256 it has here."""
    pins = [Requirement(*wheel_identity(name), frozenset({sha})) for name, sha in wheels.items()]
    return "".join(f"{pin.line()}\n" for pin in sorted(pins, key=lambda pin: pin.name))


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _drop_leftovers(partial: Path) -> None:
    """Remove the working directories of a run that was killed; its finished wheels stay."""
    for path in partial.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


def _reuse(lock: Lock, collection: _Collection, out_root: Path) -> None:
    """Take the wheels that need no download: from a killed run, or linked from other releases of the app."""
    wanted = {sha for requirement in lock.requirements for sha in requirement.hashes}
    for path in collection.directory.glob("*.whl"):
        sha = file_sha256(path)
        if sha in wanted:
            collection.wheels[sha] = path
        else:
            path.unlink()
    for listing in sorted(out_root.glob(f"{collection.name}-*/requirements.txt")):
        pins = {str(pin): pin for pin in parse_pins(listing.read_text(encoding="utf-8"), str(listing))}
        missing = {str(item): item for item in collection.missing(lock.requirements)}
        for path in listing.parent.glob("*.whl"):
            pin = "==".join(wheel_identity(path.name))
            # The list there says which files are worth reading; the file itself is trusted by its content only.
            if pin in missing and pin in pins and missing[pin].hashes & pins[pin].hashes:
                sha = file_sha256(path)
                if sha in missing[pin].hashes:
                    collection.wheels[sha] = collection.directory / path.name
                    _link(path, collection.wheels[sha])


def _link(source: Path, destination: Path) -> None:
    try:
        destination.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, destination)


def _fetch_missing(lock: Lock, collection: _Collection, extra_index_urls: Sequence[str]) -> int:
    """Download what the collection lacks and return the bytes that came."""
    missing = collection.missing(lock.requirements)
    if not missing:
        return 0
    reused_bytes = collection.size_bytes()
    _check_space(max(lock.download_bytes - reused_bytes, 0), collection.directory)
    print(f"{collection.name}: {len(missing)} of {collection.total} wheels to download", file=sys.stderr, flush=True)
    _download(missing, collection, extra_index_urls)
    return collection.size_bytes() - reused_bytes


def _download(missing: Sequence[Requirement], collection: _Collection, extra_index_urls: Sequence[str]) -> None:
    """Add the missing wheels to the collection.

    The user's own configuration is asked first and the extra indexes only for what it does not offer: an index that
    answers slowly, or not at all, costs time for its own packages and not for every package of the lock.
    """
    absent = _download_offered(missing, collection, ())
    if absent and extra_index_urls:
        absent = _download_offered(absent, collection, extra_index_urls)
    if absent:
        target = collection.target
        raise TandemError(
            f"no index offers {', '.join(map(str, absent))} as a wheel for Python {target.python_version} on "
            f"{target.platform}. Indexes: {configuration()}; extra: {', '.join(extra_index_urls) or 'none'}"
        )
    collection.show(force=True)


def _check_space(remaining_bytes: int, directory: Path) -> None:
    """Refuse to start a download that cannot end: pip holds a wheel twice for a moment."""
    needed = remaining_bytes * 3 // 2
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise TandemError(
            f"no space for the download: {directory.parent} has {free / _MIB:.0f} MiB free and needs "
            f"{needed / _MIB:.0f} MiB; free some or choose another cache directory"
        )


def _download_offered(
    missing: Sequence[Requirement], collection: _Collection, extra_index_urls: Sequence[str]
) -> list[Requirement]:
    """Download in batches side by side; return what the indexes do not offer.

    pip gives up a batch as a whole when it lacks one package, so such a batch is tried again one by one.
    """
    queue = [list(missing[start : start + _BATCH]) for start in range(0, len(missing), _BATCH)]
    absent: list[Requirement] = []
    numbers = itertools.count()
    running: dict[concurrent.futures.Future[None], tuple[list[Requirement], Path]] = {}
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        while queue or running:
            while queue and len(running) < _WORKERS:
                batch, directory = queue.pop(0), collection.directory / f"batch-{next(numbers)}"
                job = pool.submit(download, batch, collection.target, directory, extra_index_urls=extra_index_urls)
                running[job] = (batch, directory)
            done, _ = concurrent.futures.wait(running, _REPORT_EVERY_SEC, concurrent.futures.FIRST_COMPLETED)
            for job in done:
                batch, directory = running.pop(job)
                try:
                    job.result()
                except NotOfferedError:
                    if len(batch) == 1:
                        absent += batch
                    else:
                        queue += [[item] for item in batch]
                else:
                    _take(batch, directory, collection)
                shutil.rmtree(directory)
            collection.show()
    return sorted(absent, key=lambda item: item.name)


def _take(batch: Sequence[Requirement], directory: Path, collection: _Collection) -> None:
    """Move a batch's wheels into the collection, each under the sha256 that its requirement allows."""
    wheels = {"==".join(wheel_identity(path.name)): path for path in directory.glob("*.whl")}
    for requirement in batch:
        path = wheels.get(str(requirement))
        sha = file_sha256(path) if path else ""
        if path is None or (requirement.hashes and sha not in requirement.hashes):
            raise TandemError(f"pip left no wheel of {requirement} that the lock allows")
        collection.wheels[sha] = path.replace(collection.directory / path.name)


def _build_projects(app: App, partial: Path) -> dict[str, str]:
    """Build the local projects and return their wheels' names and hashes.

    Only the files that the digest counts are built: the same digest is the same program. A README that pyproject.toml
    names stands in empty.
    """
    wheels: dict[str, str] = {}
    for project in app.projects:
        work = partial / "build"
        source = work / project.resolve().name
        for name, path in project_files(project):
            copy = source / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        readme = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8")).get("project", {}).get("readme")
        if isinstance(readme, str):
            (source / readme).touch()
        out = work / "out"
        build_wheel(source, out)
        for wheel in out.glob("*.whl"):
            wheels[wheel.name] = file_sha256(wheel.replace(partial / wheel.name))
        shutil.rmtree(work)
    return wheels


def installed_bytes(wheels: Sequence[Path]) -> int:
    """Return what the wheels take when unpacked."""
    total = 0
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            total += sum(member.file_size for member in archive.infolist())
    return total


def lock_pins(
    pins: Sequence[Requirement], target: Target, cache: Path, *, extra_index_urls: Sequence[str] = ()
) -> tuple[list[Requirement], int, int]:
    """Download the pinned wheels and return the pins with their hashes, and the bytes to download and to install.

    Wheels stay in `cache`, so that making a lock again downloads only what changed.
    """
    cache.mkdir(parents=True, exist_ok=True)
    _drop_leftovers(cache)
    collection = _Collection("lock", cache, target, len(pins))
    present = {"==".join(wheel_identity(path.name)): path for path in cache.glob("*.whl")}
    bare = [replace(pin, hashes=frozenset()) for pin in pins]
    collection.wheels = {file_sha256(present[str(pin)]): present[str(pin)] for pin in bare if str(pin) in present}
    _download([pin for pin in bare if str(pin) not in present], collection, extra_index_urls)
    locked = [Requirement(*wheel_identity(path.name), frozenset({sha})) for sha, path in collection.wheels.items()]
    return locked, collection.size_bytes(), installed_bytes(list(collection.wheels.values()))
