"""A figure of matplotlib as an SVG element that may stand in one HTML page with others."""

from __future__ import annotations

import io
from collections.abc import Mapping
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

#: Who made it and when does not belong into the page: the same figures are the same bytes.
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def export(figure: Figure, key: str, title: str, replaced: Mapping[str, str]) -> str:
    """Return the figure as ``<svg>``: each id begins with ``key``, nothing refers to what is outside of the page."""
    written = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": key}):
        figure.savefig(written, format="svg", metadata=_NO_METADATA)
    root = ET.fromstring(written.getvalue())  # noqa: S314 (matplotlib wrote it just now)
    # The first element is a style, which would hold for the whole page.
    root.remove(root[0])
    for element in root.iter():
        # HTML knows SVG and its links without their namespaces.
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            name.rpartition("}")[2]: _attribute(name.rpartition("}")[2], value, key, replaced)
            for name, value in element.attrib.items()
        }
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-label": title}
    return ET.tostring(root, encoding="unicode")


def _attribute(name: str, value: str, key: str, replaced: Mapping[str, str]) -> str:
    if name == "id":
        return f"{key}-{value}"
    if name == "href":
        return f"#{key}-{value.removeprefix('#')}"
    value = value.replace("url(#", f"url(#{key}-")
    for old, new in replaced.items():
        value = value.replace(old, new)
    return value
