"""A plan as a picture: the memory of each rank, and the speed against the latency of the link."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from tandem.errors import TandemError
from tandem.fabric.words import amount
from tandem.plan.latencies import Curve
from tandem.plan.request import GIB, Link

#: By the ends of files' names.
FORMATS = {".svg": "svg", ".png": "png"}
_FIRST, _SECOND, _INK, _GRID, _LIMIT, _TEXT = "#0072b2", "#c75000", "#4a525c", "#e4e7eb", "#7d3c98", "#1b1f24"
_PARTS = (
    ("weights", "weight_bytes", _FIRST),
    ("KV cache", "kv_cache_bytes", "#56b4e9"),
    ("activations", "activation_bytes", _SECOND),
    ("communication", "communication_bytes", "#f0a030"),
    ("reserve", "reserve_bytes", _GRID),
)
_COLOURS = (_FIRST, _SECOND, "#009e73", "#b8860b", "#56b4e9")
_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _INK,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": _TEXT,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 9,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    # Text stays text, and the same plan is the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "tandem",
    "text.color": _TEXT,
    # Names are no formulas.
    "text.parse_math": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_HEIGHT_INCHES, _BOTTOM, _TOP = 4.4, 0.25, 0.79
#: Room for words between a plot and its title, in points.
_TITLE_PAD = 17


def write(path: Path, plan: Mapping[str, Any], curves: Sequence[Curve], link: Link | None) -> None:
    """Write the picture of a plan; without a link there is nothing to be said about its latency."""
    kind = FORMATS.get(path.suffix)
    if kind is None:
        raise TandemError(f"--picture {path}: the name must end in {' or '.join(FORMATS)}")
    with style.context(_STYLE, after_reset=True):
        figure = _draw(plan, curves, link)
        metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {}
        try:
            figure.savefig(path, format=kind, dpi=150, metadata=metadata)
        except OSError as error:
            raise TandemError(f"--picture {path} cannot be written: {error.strerror}") from error


def _draw(plan: Mapping[str, Any], curves: Sequence[Curve], link: Link | None) -> Figure:
    shown = link is not None and bool(curves)
    figure = Figure(figsize=(10.5 if shown else 5.2, _HEIGHT_INCHES))
    wide = 0.40 if shown else 0.84
    _memory(figure.add_axes((0.065 if shown else 0.12, _BOTTOM, wide, _TOP - _BOTTOM)), plan)
    if link is not None and curves:
        _speed(figure.add_axes((0.55, _BOTTOM, 0.435, _TOP - _BOTTOM)), plan, curves, link)
    answer = "fits" if plan["fits"] else "DOES NOT FIT"
    ways = f"tensor parallel {plan['tensor_parallel_size']}, pipeline parallel {plan['pipeline_parallel_size']}"
    figure.text(0.012, 0.985, f"{plan['architecture']}: {answer}", va="top", fontsize=11.5, weight="bold")
    figure.text(0.012, 0.93, f"{ways}, {plan['max_model_len']} tokens of context", va="top", color=_INK)
    return figure


def _memory(axes: Axes, plan: Mapping[str, Any]) -> None:
    ranks = [stage for stage in plan["memory_per_rank"] for _ in range(plan["tensor_parallel_size"])]
    bottoms = [0.0] * len(ranks)
    for title, key, colour in _PARTS:
        sizes = [rank[key] / GIB for rank in ranks]
        axes.bar(range(len(ranks)), sizes, 0.62, bottom=bottoms, color=colour, label=title)
        bottoms = [bottom + size for bottom, size in zip(bottoms, sizes, strict=True)]
    total = plan["memory_per_rank"][0]["total_bytes"] / GIB
    axes.axhline(total, color=_LIMIT, linestyle=(0, (1.5, 1.5)), linewidth=1.3, label=f"memory, {total:.4g} GiB")
    axes.set_title("Memory of each rank", pad=_TITLE_PAD)
    axes.set_xlabel("rank")
    axes.set_ylabel("GiB")
    axes.set_xlim(-0.6, len(ranks) - 0.4)
    axes.set_ylim(0, 1.06 * max([total, *bottoms]))
    axes.set_xticks(range(0, len(ranks), math.ceil(len(ranks) / 16)))
    axes.grid(visible=False, axis="x")
    _legend(axes, 3)


def _speed(axes: Axes, plan: Mapping[str, Any], curves: Sequence[Curve], link: Link) -> None:
    chosen = plan["tensor_parallel_size"], plan["pipeline_parallel_size"]
    for number, curve in enumerate(curves):
        usec, speeds = zip(*((1e6 * latency_s, speed) for latency_s, speed in curve.points), strict=True)
        here = [usec.index(at) for at in usec if at == 1e6 * link.latency_s]
        axes.plot(
            usec,
            speeds,
            color=_COLOURS[number % len(_COLOURS)],
            linewidth=2.6 if (curve.tensor, curve.pipeline) == chosen else 1.3,
            linestyle="-" if curve.fits else (0, (4, 2)),
            marker="o",
            markevery=here,
            label=f"TP {curve.tensor} x PP {curve.pipeline}{'' if curve.fits else ', does not fit'}",
        )
    axes.set_title("Speed of one answer, at most", pad=_TITLE_PAD)
    axes.set_xlabel("latency of the link, one way (usec)")
    axes.set_ylabel("tokens/s")
    axes.set_xscale("log")
    axes.set_ylim(0, 1.08 * max(speed for curve in curves for _, speed in curve.points))
    axes.xaxis.set_major_locator(LogLocator())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if link.latency_s > 0:
        own = 1e6 * link.latency_s
        axes.axvline(own, color=_LIMIT, linestyle=(0, (1.5, 1.5)), linewidth=1.3)
        low, high = axes.get_xlim()
        # Near an end the words would leave the picture.
        side = "left" if own < low * (high / low) ** 0.2 else "right" if own > low * (high / low) ** 0.8 else "center"
        words = f"this link: {amount(own)} usec"
        axes.text(own, 1.02, words, transform=axes.get_xaxis_transform(), ha=side, color=_LIMIT, fontsize=8.5)
    _legend(axes, 3 if all(curve.fits for curve in curves) else 2)


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns, fontsize=8.5, columnspacing=1.2)
