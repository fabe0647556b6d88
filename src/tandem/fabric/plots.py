"""Plots against message size, as SVG to be put into a page.

Colours are variables of the page's style sheet, so that plots follow its light and dark mode.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from tandem.fabric.curves import Curve, Level, Plot
from tandem.fabric.svg import export
from tandem.fabric.words import amount, message_size

#: What matplotlib is told, and what the page makes of it.
_FIRST, _SECOND, _INK, _GRID, _LIMIT, _PAPER = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_VARIABLES = {
    _FIRST: "var(--first)",
    _SECOND: "var(--second)",
    _INK: "var(--ink)",
    _GRID: "var(--grid)",
    _LIMIT: "var(--limit)",
    _PAPER: "var(--paper)",
}
#: By number of the direction. The second is thin and hollow and lies on the first: both are seen where they are alike.
_DIRECTIONS: Sequence[Mapping[str, Any]] = (
    {"color": _FIRST, "linewidth": 3, "marker": "o", "markersize": 7.5, "markerfacecolor": _FIRST},
    {"color": _SECOND, "linewidth": 1.3, "marker": "s", "markersize": 4.5, "markerfacecolor": _PAPER},
)
#: Markers of the other curve are smaller, or single points of typical latency and p99 would look the same.
_SMALLER = 0.65
_STYLE: dict[str, Any] = {
    "axes.edgecolor": _INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": _INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 9,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    # Text stays text: it can be searched, and the page is small.
    "svg.fonttype": "none",
    "text.color": _INK,
    # Names are no formulas.
    "text.parse_math": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_SIZE_INCHES = (5.7, 3.3)
#: Left, bottom, width, height, as shares of the figure; the words of the levels have the rest to the right.
_AREA = (0.1, 0.145, 0.635, 0.755)
#: Of the two lines of words of a level, as a share of the axes' height.
_WORDS_HEIGHT = 0.125


def draw(plot: Plot, key: str) -> str:
    """Return a plot as ``<svg>``. Ids in it begin with ``key``: ``KEY-typical-0`` is a curve of the first direction."""
    with style.context(_STYLE, after_reset=True), warnings.catch_warnings():
        # The browser brings the glyphs of names, not matplotlib.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure = Figure(figsize=_SIZE_INCHES)
        axes = figure.add_axes(_AREA)
        axes.set_title(f"{plot.title} ({plot.unit})")
        for curve in plot.curves:
            sizes, values = zip(*curve.points, strict=True)
            axes.plot(sizes, values, gid=f"{curve.name}-{curve.direction}", **_looks(curve))
        _size_axis(axes, plot.sizes)
        if plot.unit == "usec":
            _latency_axis(axes, min(plot.values), max(plot.values))
        else:
            _bandwidth_axis(axes, max(plot.values))
        _draw_levels(axes, plot.levels)
        return export(figure, key, f"{plot.title} against message size", _VARIABLES)


def _looks(curve: Curve) -> dict[str, Any]:
    looks = dict(_DIRECTIONS[curve.direction])
    if curve.kind == "baseline":
        # A pale band behind what was measured now; one point makes no band.
        band = {"color": looks["color"], "linewidth": 7, "alpha": 0.22, "zorder": 1.7}
        return band | ({"marker": "D", "markersize": 13, "markeredgewidth": 0} if len(curve.points) == 1 else {})
    if curve.kind == "other":
        return looks | {"linestyle": (0, (3, 1.5)), "markersize": looks["markersize"] * _SMALLER}
    return looks


def _size_axis(axes: Axes, sizes: Sequence[float]) -> None:
    """Mark the sizes that were measured, as far as their names have room."""
    span = sizes[-1] / sizes[0]
    margin = max(span**0.07, 1.5)
    axes.set_xscale("log", base=2)
    axes.set_xlim(sizes[0] / margin, sizes[-1] * margin)
    marks: list[float] = []
    # From the largest, as it is the one that is judged.
    for size in reversed(sizes):
        if not marks or size * span**0.13 <= marks[-1]:
            marks.append(size)
    axes.xaxis.set_major_locator(FixedLocator(marks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: message_size(round(size))))
    axes.set_xlabel("message size")


def _latency_axis(axes: Axes, least: float, most: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(least / 1.4, most * 1.4)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most / least < 1000 else (1,), numticks=20))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))


def _bandwidth_axis(axes: Axes, most: float) -> None:
    axes.set_ylim(0, most * 1.08)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))


def _draw_levels(axes: Axes, levels: Sequence[Level]) -> None:
    """Draw lines across the axes; their words stand to the right, where no curve is, and keep off each other."""
    left, right = axes.get_xlim()
    to_shares = axes.transData + axes.transAxes.inverted()
    heights = [float(to_shares.transform((right, level.value))[1]) for level in levels]
    for level, height, place in zip(levels, heights, spread(heights, _WORDS_HEIGHT), strict=True):
        colour = _LIMIT if level.kind == "threshold" else _INK
        # What is asked of one size is drawn there: the others need not reach it.
        begin = left if level.size_bytes is None else max(left, level.size_bytes / (right / left) ** 0.2)
        axes.plot(
            [begin, right],
            [level.value, level.value],
            gid=level.name,
            color=colour,
            linestyle=(0, (1.5, 1.5)) if level.kind == "threshold" else "-",
            linewidth=1.3,
        )
        axes.plot(
            [1, 1.025, 1.04],
            [height, place, place],
            transform=axes.transAxes,
            clip_on=False,
            color=colour,
            linewidth=0.7,
        )
        axes.text(1.05, place, level.words, transform=axes.transAxes, va="center", fontsize=8.5, color=colour)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return places from 0 to 1 near the wanted ones, in their order, a gap apart as long as there is room."""
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    places = list(wanted)
    least = 0.0
    for number in order:
        places[number] = max(places[number], least)
        least = places[number] + gap
    most = 1.0
    for number in reversed(order):
        places[number] = min(places[number], most)
        most = places[number] - gap
    return places
