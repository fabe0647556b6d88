"""`tandem router serve`: from the configuration to the end of the process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvloop

from tandem.errors import TandemError
from tandem.rank.notify import Notifier
from tandem.router.serve.app import Settings
from tandem.router.serve.clients import ClientKeys
from tandem.router.serve.compose import compose
from tandem.router.serve.connection import Clients, Limits
from tandem.router.serve.listen import Listeners, Place, load_certificate, tls_context
from tandem.router.serve.log import LineLog
from tandem.router.upstream import keys as key_files
from tandem.router.upstream.keys import Keys

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path

    from tandem.router.config.settings import Config
    from tandem.router.serve.app import App
    from tandem.router.serve.log import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command."""

    log_format: Format = "text"
    stop_timeout_sec: float = 30.0
    limits: Limits = field(default_factory=Limits)
    certificate: Path | None = None
    key: Path | None = None
    admin: tuple[str, int] | None = None


def run(config: Config, file: str, text: str, options: Options, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status. Raises TandemError for what cannot be served."""
    keys = Keys(environ)
    key_files.check(config, keys, file, text)
    if (options.certificate is None) != (options.key is None):
        raise TandemError("--tls-certificate and --tls-key belong together; give both")
    _allow_files()
    return uvloop.run(_serve(config, keys, options, environ))


async def _serve(config: Config, keys: Keys, options: Options, environ: Mapping[str, str]) -> int:
    loop, notifier = asyncio.get_running_loop(), Notifier(environ)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = LineLog(options.log_format, loop)
    tls = tls_context(options.certificate, options.key) if options.certificate and options.key else None
    _reload_on_hangup(tls, options, log)
    clients = Clients(options.limits)
    parts = await compose(Settings(config=config, limits=options.limits), keys, log)
    listeners = Listeners(clients)
    try:
        places = _places(config, parts.app, keys, tls, options)
        await listeners.open(places)
        for place in places:
            scheme = "https" if place.tls else "http"
            host = f"[{place.address}]" if ":" in place.address else place.address
            log.event("listening", {"listener": place.name, "at": f"{scheme}://{host}:{place.port}"})
        notifier.send(READY="1", STATUS=f"serving {len(config.providers.models)} models")
        log.flush()
        # What was loaded stays: the collector need not look at it again in the middle of requests.
        gc.collect()
        gc.freeze()
        watchdog = asyncio.create_task(_keep_alive(notifier))
        await stop.wait()
        notifier.send(STOPPING="1", STATUS="finishing requests")
        log.event("stopping", {"connections": len(clients.connections)})
        clean = await listeners.close(options.stop_timeout_sec)
        log.event("stopped", {"clean": clean})
        watchdog.cancel()
        await asyncio.gather(watchdog, return_exceptions=True)
    finally:
        await parts.close()
        log.flush()
    return 0


def _places(config: Config, app: App, keys: Keys, tls: ssl.SSLContext | None, options: Options) -> list[Place]:
    places = []
    for listener in config.listeners:
        known = ClientKeys({key.variable: keys.text(key) for key in listener.api_keys})
        entrance = app.entrance(known, listener.timeout)
        places.append(Place(listener.name, listener.address, listener.port, entrance, tls))
    if options.admin is not None:
        places.append(Place("admin", *options.admin, app.entrance(ClientKeys({}), 10.0, admin=True)))
    return places


def _reload_on_hangup(tls: ssl.SSLContext | None, options: Options, log: LineLog) -> None:
    """Read a renewed certificate on SIGHUP; a bad one changes nothing."""

    def reload() -> None:
        if tls is None or options.certificate is None or options.key is None:
            log.event("not_reloaded", {"reason": "there is no certificate; everything else takes a restart"})
            return
        try:
            load_certificate(tls, options.certificate, options.key)
            log.event("reloaded", {"certificate": str(options.certificate)})
        except TandemError as error:
            log.event("not_reloaded", {"reason": str(error)})

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)


async def _keep_alive(notifier: Notifier) -> None:
    while notifier.watchdog_sec is not None:
        notifier.send(WATCHDOG="1")
        await asyncio.sleep(notifier.watchdog_sec / 3)


def _allow_files() -> None:
    """Take as many open files as the kernel lets us: each request needs two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
