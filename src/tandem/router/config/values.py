"""Values with a grammar of their own: durations, token counts, addresses, references to the environment."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from tandem.inventory.problems import suggest
from tandem.router.config.constraints import Reads, Wrong
from tandem.router.config.provider_names import OTHER_PROVIDERS, PROVIDERS

#: What upstream replaces by a variable of its environment, in any text of the file.
_REFERENCE = re.compile(r"\$\{[^}]*\}|\$[A-Za-z0-9_]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FROM_ENVIRONMENT = re.compile(rf"([A-Za-z]+ )?\$\{{({_VARIABLE.pattern})\}}")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?(?:ms|s|m|h))+")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TOKENS = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([KM]?)", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~%!$&'()*+,;=:@-]*)*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
#: Conditions of Envoy that mean something before the first byte of an answer.
_RETRY_ON = ("connect-failure", "refused-stream", "reset", "reset-before-request", "gateway-error", "5xx")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """A secret that is in the environment of the router, never in the file; `prefix` comes before it."""

    variable: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a backend is. Without a scheme its protocol decides; the path has no slash at its end."""

    scheme: str | None
    host: str
    port: int | None
    path: str = ""


def plain_text(value: object) -> str:
    """Return text as upstream would after its replacement of variables, which we refuse."""
    if not isinstance(value, str):
        raise Wrong(describe(value), "write text, in quotes if it looks like anything else")
    if reference := _REFERENCE.search(value.replace("$$", "")):
        raise Wrong(
            f"the reference {reference[0][:40]!r}",
            "write the value itself ($$ for a dollar sign); only keys and headers come from the environment",
        )
    return value.replace("$$", "$")


def name(value: object) -> str:
    """Return a name, which ends up in headers and metrics."""
    text = plain_text(value)
    if not text or text != text.strip() or not text.isprintable() or len(text) > 256:
        raise Wrong(describe(text), "write a name: printable, without space around it, at most 256 characters")
    return text


def not_blank(value: object) -> str:
    """Return text that holds more than space."""
    text = plain_text(value)
    if not text.strip():
        raise Wrong("blank text", "write something, or remove it")
    return text


def seconds(value: object) -> float:
    """Return a duration ("300s", "1m30s", "250ms") in seconds."""
    text = value if isinstance(value, str) else ""
    if not _DURATION.fullmatch(text):
        raise Wrong(describe(value), 'write a duration with a unit, such as "300s"')
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not 0 < total <= 7 * 86400:
        raise Wrong(describe(value), "write a duration above 0 and of at most a week")
    return total


def tokens(value: object) -> int:
    """Return a number of tokens ("8001", "64K", "1.5M")."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not (match := _TOKENS.fullmatch(text.strip())):
        raise Wrong(describe(value), "write a number of tokens, such as 8001, 64K or 1.5M")
    return int(float(match[1]) * {"": 1, "K": 1_000, "M": 1_000_000}[match[2].upper()])


def host(value: object) -> str:
    """Return an address to listen on: an IP address, or a name."""
    text = plain_text(value)
    if not (is_ip(text) or (_HOST.fullmatch(text) and not re.fullmatch(r"[0-9.]+", text))):
        raise Wrong(describe(text), "write an IP address such as 0.0.0.0, or a host name")
    return text


def url(value: object) -> Address:
    """Return where an http(s) URL points."""
    text = plain_text(value)
    wrong = Wrong(describe(_mask(text)), "write a URL such as http://192.168.100.1:8000")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 # raises where it is no number up to 65535
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.startswith(f"{parts.scheme}://"):
        raise wrong
    return _address(parts, wrong)


def endpoint(value: object) -> Address:
    """Return where ``host:port``, ``host:port/path`` or a URL points."""
    text = plain_text(value)
    if "://" in text:
        return url(value)
    wrong = Wrong(describe(_mask(text)), "write host:port, such as 192.168.100.1:8000 (an IPv6 address in brackets)")
    try:
        parts = urlsplit(f"//{text}")
        parts.port  # noqa: B018
    except ValueError:
        raise wrong from None
    if not parts.hostname:
        raise wrong
    return _address(parts, wrong)


def _address(parts: SplitResult, wrong: Wrong) -> Address:
    if parts.username is not None or parts.password is not None:
        raise Wrong("a user or a password in the address", "take it out: keys come from the environment (api_key_env)")
    if parts.query or parts.fragment or "?" in parts.geturl() or "#" in parts.geturl():
        raise Wrong("an address with ? or #", "end it with the path")
    hostname, port = str(parts.hostname), parts.port
    brackets = "[" in parts.netloc
    known = is_ip(hostname) if brackets or re.fullmatch(r"[0-9.]+", hostname) else _HOST.fullmatch(hostname)
    if not known or port == 0 or parts.netloc.endswith(":") or not _PATH.fullmatch(parts.path):
        raise wrong
    return Address(parts.scheme or None, hostname, port, parts.path.rstrip("/"))


def default_port(scheme: str) -> int:
    """Return the port of http or https."""
    return _DEFAULT_PORTS[scheme]


def variable(value: object) -> str:
    """Return the name of an environment variable; never shows what was there, which may be the key itself."""
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise Wrong("what is no name of a variable", "write the variable that holds the key, such as OPENAI_API_KEY")
    return value


def secret(value: object) -> FromEnvironment:
    """Return a reference to a key; a literal one is refused and never shown."""
    if isinstance(value, str) and (match := _FROM_ENVIRONMENT.fullmatch(value)) and not match[1]:
        return FromEnvironment(match[2])
    raise Wrong("a literal key", "keep it in the environment and write ${NAME}, without a default")


def header(value: object) -> str | FromEnvironment:
    """Return the value of a header: text, or a reference to the environment, maybe after a word such as Bearer."""
    if isinstance(value, str):
        if match := _FROM_ENVIRONMENT.fullmatch(value):
            return FromEnvironment(match[2], match[1] or "")
        if value.isascii() and value.isprintable() and not _REFERENCE.search(value.replace("$$", "")):
            return value.replace("$$", "$")
    raise Wrong("what cannot be a header", "write printable ASCII in quotes, or ${NAME} alone or after a word")


def header_name(value: object) -> str:
    """Return the name of a header."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise Wrong("what cannot be the name of a header", "write one such as Authorization")
    return value


def header_prefix(value: object) -> str:
    """Return the word before a key in its header, which may be none."""
    text = plain_text(value)
    if text and not _TOKEN.fullmatch(text):
        raise Wrong(describe(text), 'write one word such as Bearer, or ""')
    return text


def provider(value: object) -> str:
    """Return the kind of server a backend is."""
    text = plain_text(value)
    if text in OTHER_PROVIDERS:
        raise Wrong(f"{text}, whose protocol or keys are not OpenAI's", "put a gateway such as vllm before it")
    if text not in PROVIDERS:
        raise Wrong(
            describe(text), suggest(text, PROVIDERS) if text[:1].isalpha() else "write vllm, or another provider"
        )
    return text


def currency(value: object) -> str:
    """Return a currency's code."""
    text = plain_text(value)
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise Wrong(describe(text), "write three capital letters, such as USD")
    return text


def retry_conditions(value: object) -> tuple[str, ...]:
    """Return what is tried again: a list with commas."""
    conditions = tuple(part.strip() for part in plain_text(value).split(","))
    for condition in conditions:
        if condition not in _RETRY_ON:
            raise Wrong(describe(condition), f"write some of {','.join(_RETRY_ON)}")
    return conditions


def operator(value: object) -> str:
    """Return the operator of a condition."""
    text = plain_text(value).upper()
    if text not in ("AND", "OR", "NOT"):
        remedy = "write NOT over one OR" if text == "NOR" else "write AND, OR or NOT"
        raise Wrong(describe(value), remedy)
    return text


def url_path(value: object) -> str:
    """Return the path of a URL."""
    text = plain_text(value)
    if not text.startswith("/") or not _PATH.fullmatch(text):
        raise Wrong(describe(text), "write a path such as /health")
    return text


def describe(value: object) -> str:
    """Return a value for an error: short, on one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:60]}...") if value else "empty text"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a list" if isinstance(value, tuple | list) else "a mapping"


def is_ip(text: str) -> bool:
    """Tell an IP address from a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _mask(text: str) -> str:
    return re.sub(r"[^/@]*@", "***@", text)


Name = Annotated[str, Reads(name, "")]
Text = Annotated[str, Reads(not_blank, "")]
Seconds = Annotated[float, Reads(seconds)]
