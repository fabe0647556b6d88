"""What the verification of links found, in words. Role link runs it; the results are Ansible's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]


def failures(
    host: str, configured: Sequence[Result], read: Sequence[Result], pings: Sequence[Result]
) -> list[dict[str, str]]:
    """Return what failed on this host, as ``link`` and ``what``.

    The arguments are the results of the loops that configured the ends, read them back and sent full
    frames. All three run to their end whatever happens, so that failures are seen here and not earlier.
    """
    found = [
        _failure(result["item"], f"{host}: {result.get('msg', 'the module ended without a word')}")
        for result in (*configured, *read)
        # What the module says only if it ended well.
        if "interface" not in result and not result.get("skipped")
    ]
    found += [
        _failure(result["item"], f"{host}: {_difference(result['diff'])}")
        for result in read
        if "interface" in result and result["diff"]["before"] != result["diff"]["after"]
    ]
    found += [_lost_frames(host, result) for result in pings if not result.get("skipped") and result["rc"] != 0]
    return found


def report(found: Sequence[Mapping[str, str]], restored: Mapping[str, Sequence[str]]) -> str:
    """Return the message that ends a run; ``restored`` says which links went back on which node."""
    lines = []
    for link in dict.fromkeys(failure["link"] for failure in found):
        nodes = [node for node, links in restored.items() if link in links]
        lines.append(
            f"Link {link!r} of link_links is broken; "
            + (
                f"it went back to its former profile on {', '.join(nodes)}."
                if nodes
                else "its profile was not changed."
            )
        )
        lines += [f"  {failure['what']}" for failure in found if failure["link"] == link]
    lines.append(
        "Check cable, addresses and interfaces, and that both devices and everything between them pass frames of "
        "mtu_bytes ('ip -d link', the switch); or lower mtu_bytes of the link. Then run again."
    )
    return "\n".join(lines)


def _failure(link: Mapping[str, Any], what: str) -> dict[str, str]:
    return {"link": link["name"], "what": what}


def _lost_frames(host: str, ping: Result) -> dict[str, str]:
    link, peer = ping["item"]
    way = f"{host} to {peer['node']} ({peer['address']})"
    return _failure(link, f"{way}: frames of {link['mtu_bytes']} bytes do not arrive; ping says: {_said(ping)}")


def _difference(diff: Mapping[str, str]) -> str:
    before, after = diff["before"].splitlines(), diff["after"].splitlines()
    have = [line for line in before if line not in after]
    want = [line for line in after if line not in before]
    return f"the system has {'; '.join(have) or 'nothing'} instead of {'; '.join(want) or 'nothing'}"


def _said(result: Result) -> str:
    complaints = str(result.get("stderr", "")).splitlines()
    counts = [line for line in str(result.get("stdout", "")).splitlines() if "packets transmitted" in line]
    return " / ".join(dict.fromkeys(complaints + counts)) or f"nothing (status {result['rc']})"
