"""Charts as inline SVG: small, sharp at any size, coloured by the page's own style sheet.

They hold no words of their own: labels and the notation of numbers come in with each :class:`Axis`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from pricing.arrays import Floats

__all__ = [
    "Axis",
    "Bar",
    "Pair",
    "band_chart",
    "calibration_chart",
    "curve_chart",
    "histogram",
    "interval_chart",
    "pair_chart",
    "reliability_chart",
    "scatter_chart",
    "share_chart",
]

_FACTORS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Round factors, about evenly apart in logarithms."""

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 480.0, 58.0, 14.0, 30.0, 46.0


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis measures, and how its numbers are written.

    Attributes
    ----------
    label
        In the reader's language.
    form
        Writes a number in the reader's notation.
    """

    label: str
    form: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of an interval chart.

    Attributes
    ----------
    label, text
        Left of it and right of it.
    value, lower, upper
        Where the dot and the ends of its line are.
    """

    label: str
    text: str
    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Pair:
    """One row of a pair chart: what was said and what came.

    Attributes
    ----------
    label, text
        Left of it and right of it.
    said, came
        Where the open and the filled dot are.
    """

    label: str
    text: str
    said: float
    came: float


@dataclass(frozen=True, slots=True)
class _Frame:
    """Maps data to a plotting area."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, value: float) -> float:
        low, high = self.x
        room = self.width - _LEFT - _RIGHT
        return _LEFT + room * (value - low) / max(high - low, 1e-12)

    def up(self, value: float) -> float:
        low, high = self.y
        room = self.height - _TOP - _BOTTOM
        return self.height - _BOTTOM - room * (value - low) / max(high - low, 1e-12)

    def line(self, x: Floats, y: Floats, kind: str) -> str:
        points = " ".join(
            f"{self.across(float(a)):.1f},{self.up(float(b)):.1f}" for a, b in zip(x, y, strict=True)
        )
        return f'<polyline class="{kind}" points="{points}"/>'

    def band(self, x: Floats, lower: Floats, upper: Floats) -> str:
        edge = [(a, b) for a, b in zip(x, lower, strict=True)]
        edge += [(a, b) for a, b in zip(x[::-1], upper[::-1], strict=True)]
        points = " ".join(f"{self.across(float(a)):.1f},{self.up(float(b)):.1f}" for a, b in edge)
        return f'<polygon class="band" points="{points}"/>'

    def rules(self, ticks: Sequence[float], labels: Sequence[str]) -> str:
        parts: list[str] = []
        for value, label in zip(ticks, labels, strict=True):
            y = self.up(value)
            parts.append(
                f'<line class="rule" x1="{_LEFT}" x2="{self.width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
            parts.append(f'<text class="tick end" x="{_LEFT - 8}" y="{y + 4:.1f}">{label}</text>')
        return "".join(parts)

    def feet(self, ticks: Sequence[float], labels: Sequence[str]) -> str:
        parts: list[str] = []
        for value, label in zip(ticks, labels, strict=True):
            x, kind = self.across(value), "mid"
            if x > self.width - _RIGHT - 1.0:  # what stands at the very end must not be cut off
                x, kind = self.width - 2.0, "end"
            parts.append(
                f'<text class="tick {kind}" x="{x:.1f}" y="{self.height - 28}">{escape(label)}</text>'
            )
        return "".join(parts)

    def named(self, across: str, up: str) -> str:
        """Name the axes: the upright one above it, the level one below its right end."""
        parts = [f'<text class="axis" x="4" y="14">{escape(up)}</text>'] if up else []
        if across:
            x, y = self.width - _RIGHT, self.height - 8
            parts.append(f'<text class="axis end" x="{x}" y="{y}">{escape(across)}</text>')
        return "".join(parts)


def band_chart(
    feet: Sequence[str], actual: Floats, expected: Floats, lower: Floats, upper: Floats, up: Axis
) -> str:
    """Draw what was sold (dots) against what was predicted (line) and its band, by period; arrays [H].

    `feet` [H] says which period each is.
    """
    x = np.arange(len(feet), dtype=np.float64)
    top = float(max(upper.max(), actual.max())) * 1.05
    frame = _Frame(_WIDTH, 260.0, (-0.3, len(feet) - 0.7), (0.0, top))
    ticks = _ticks(0.0, top)
    dots = "".join(
        f'<circle class="actual" cx="{frame.across(float(a)):.1f}" cy="{frame.up(float(b)):.1f}" r="4.5"/>'
        for a, b in zip(x, actual, strict=True)
    )
    step = max(-(-len(feet) // 6), 1)
    body = frame.rules(ticks, [up.form(t) for t in ticks]) + frame.band(x, lower, upper)
    body += frame.line(x, expected, "expected") + dots + frame.named("", up.label)
    return _svg(frame, body + frame.feet([float(i) for i in range(0, len(feet), step)], feet[::step]))


def histogram(values: Floats, low: float, high: float, axes: tuple[Axis, Axis], bins: int = 40) -> str:
    """Draw how `values` [N] are spread between two bounds; what lies beyond is counted at the edge.

    `axes` are the level and the upright one.
    """
    across, up = axes
    counts, edges = np.histogram(np.clip(values, low, high), bins=bins, range=(low, high))
    top = float(max(counts.max(), 1)) * 1.05
    frame = _Frame(_WIDTH, 260.0, (low, high), (0.0, top))
    bars: list[str] = []
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        x, y = frame.across(float(left)), frame.up(float(count))
        wide, tall = frame.across(float(right)) - x - 1.0, frame.up(0.0) - y
        bars.append(f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"/>')
    feet = [float(v) for v in np.linspace(low, high, 7)]
    ticks = [t for t in _ticks(0.0, top) if t == round(t)]
    marks = frame.rules(ticks, [up.form(t) for t in ticks]) + frame.feet(feet, [across.form(v) for v in feet])
    return _svg(frame, marks + "".join(bars) + frame.named(across.label, up.label))


@dataclass(frozen=True, slots=True)
class _Row:
    """A line from `start` to `end` between two texts, and the dots on it: class, place and radius."""

    label: str
    text: str
    start: float
    end: float
    dots: tuple[tuple[str, float, int], ...]


def interval_chart(rows: Sequence[Bar], origin: float, across: Axis) -> str:
    """Draw one dot with its interval a row, against the line at `origin`."""
    listed = [_Row(r.label, r.text, r.lower, r.upper, (("dot", r.value, 5),)) for r in rows]
    return _listed(listed, origin, across, left=178.0, right=76.0)


def pair_chart(rows: Sequence[Pair], origin: float, across: Axis) -> str:
    """Draw what was said (open dot) and what came (filled dot) a row, against the line at `origin`."""
    listed = [
        _Row(r.label, r.text, r.said, r.came, (("actual", r.came, 4), ("said", r.said, 7))) for r in rows
    ]
    return _listed(listed, origin, across, left=158.0, right=152.0)


def _listed(rows: Sequence[_Row], origin: float, across: Axis, *, left: float, right: float) -> str:
    ends = [origin, *(row.start for row in rows), *(row.end for row in rows)]
    room = max(max(ends) - min(ends), 1e-9) * 0.08
    low, high = min(ends) - room, max(ends) + room
    frame = _Frame(_WIDTH, 34.0 * len(rows) + _BOTTOM, (low, high), (0.0, 1.0))

    def place(value: float) -> float:
        return left + (frame.width - left - right) * (value - low) / (high - low)

    x0, foot = place(origin), frame.height - _BOTTOM
    parts = [f'<line class="rule strong" x1="{x0:.1f}" x2="{x0:.1f}" y1="4" y2="{foot:.1f}"/>']
    for number, row in enumerate(rows):
        y, start, end = 34.0 * number + 17.0, place(row.start), place(row.end)
        parts += [
            f'<text class="label" x="4" y="{y + 4:.1f}">{escape(row.label)}</text>',
            f'<line class="whisker" x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}"/>',
            *(f'<circle class="{kind}" cx="{place(at):.1f}" cy="{y}" r="{r}"/>' for kind, at, r in row.dots),
            f'<text class="label end" x="{frame.width - 4}" y="{y + 4:.1f}">{escape(row.text)}</text>',
        ]
    tick = escape(across.form(origin))
    parts.append(f'<text class="tick mid" x="{x0:.1f}" y="{frame.height - 28:.1f}">{tick}</text>')
    return _svg(frame, "".join(parts) + frame.named(across.label, ""))


def scatter_chart(said: Floats, came: Floats, weight: Floats, axes: tuple[Axis, Axis]) -> str:
    """Draw factors that came against those that were said, on logarithmic axes with their diagonal.

    Parameters
    ----------
    said, came, weight
        float64 [K]; positive factors, and how much each dot stands for (its area).
    axes
        The level one and the upright one.
    """
    return _diagonal(said, came, weight, axes, [1.0])


def calibration_chart(expected: Floats, came: Floats, weight: Floats, axes: tuple[Axis, Axis]) -> str:
    """Draw amounts that came against those expected, on logarithmic axes with their diagonal.

    Parameters
    ----------
    expected, came, weight
        float64 [K]; positive amounts, and how much each dot stands for (its area).
    axes
        The level one and the upright one.
    """
    return _diagonal(expected, came, weight, axes, [])


def _diagonal(
    said: Floats, came: Floats, weight: Floats, axes: tuple[Axis, Axis], shown_too: Sequence[float]
) -> str:
    both = np.log(np.concatenate([said, came, shown_too]))
    room = 0.08 * max(float(both.max() - both.min()), 0.1)
    low, high = float(both.min()) - room, float(both.max()) + room
    frame = _Frame(_WIDTH, 340.0, (low, high), (low, high))
    shown = [tick for tick in _round_factors(low, high) if low <= np.log(tick) <= high]
    ticks = [float(np.log(tick)) for tick in shown]
    body = frame.rules(ticks, [axes[1].form(t) for t in shown]) + frame.feet(
        ticks, [axes[0].form(t) for t in shown]
    )
    ends = np.array([low, high])
    body += frame.line(ends, ends, "diagonal")
    largest = max(float(weight.max(initial=0.0)), 1e-12)
    for x, y, w in zip(np.log(said), np.log(came), weight, strict=True):
        radius = 3.0 + 6.0 * float(np.sqrt(w / largest))
        place = f'cx="{frame.across(float(x)):.1f}" cy="{frame.up(float(y)):.1f}"'
        body += f'<circle class="dot soft" {place} r="{radius:.1f}"/>'
    return _svg(frame, body + frame.named(axes[0].label, axes[1].label))


def reliability_chart(said: Floats, came: Floats, axes: tuple[Axis, Axis]) -> str:
    """Draw shares that came true against the probabilities that were said, [K] each, with their diagonal.

    Both axes go from 0 to the next tenth above all of them; `axes` are the level and the upright one.
    """
    top = min(max(float(np.ceil(10.0 * max(said.max(), came.max()))) / 10.0, 0.1), 1.0)
    room = 0.03 * top
    frame = _Frame(_WIDTH, 340.0, (-room, top + room), (-room, top + room))
    ticks = _ticks(0.0, top, 5)
    body = frame.rules(ticks, [axes[1].form(t) for t in ticks])
    body += frame.feet(ticks, [axes[0].form(t) for t in ticks])
    ends = np.array([0.0, top])
    body += frame.line(ends, ends, "diagonal") + frame.line(said, came, "expected")
    for x, y in zip(said, came, strict=True):
        place = f'cx="{frame.across(float(x)):.1f}" cy="{frame.up(float(y)):.1f}"'
        body += f'<circle class="actual" {place} r="4.5"/>'
    return _svg(frame, body + frame.named(axes[0].label, axes[1].label))


def _round_factors(low: float, high: float) -> list[float]:
    """Return round numbers between two logarithms: about evenly apart, fewer the farther these are apart."""
    if low >= -2.31 and high <= 2.31:
        return list(_FACTORS)
    if high - low < 1.6:
        return _ticks(float(np.exp(low)), float(np.exp(high)))
    steps = (1.0, 2.0, 5.0) if high - low < 7.0 else (1.0,)
    first, last = int(np.floor(low / np.log(10.0))), int(np.ceil(high / np.log(10.0)))
    return [step * 10.0**power for power in range(first, last + 1) for step in steps]


def share_chart(shares: Floats, band: tuple[float, float], axes: tuple[Axis, Axis]) -> str:
    """Draw the share of each of K equal parts as a bar, before the band in which it should end.

    `axes` are the level and the upright one; the parts are numbered from 1.
    """
    count = len(shares)
    top = max(float(shares.max()), band[1]) * 1.25
    frame = _Frame(_WIDTH, 260.0, (0.5, count + 0.5), (0.0, top))
    wide = frame.across(float(count) + 0.5) - frame.across(0.5)
    ticks = _ticks(0.0, top)
    body = frame.rules(ticks, [axes[1].form(t) for t in ticks])
    for number, share in enumerate(shares):
        x, y = frame.across(number + 0.58), frame.up(float(share))
        size = f'width="{0.84 * wide / count:.1f}" height="{frame.up(0.0) - y:.1f}"'
        body += f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" {size}/>'
    roof, floor = frame.up(band[1]), frame.up(band[0])
    body += f'<rect class="goal" x="{_LEFT}" y="{roof:.1f}" width="{wide:.1f}" height="{floor - roof:.1f}"/>'
    feet = [float(i + 1) for i in range(count)]
    return _svg(
        frame,
        body + frame.feet(feet, [axes[0].form(v) for v in feet]) + frame.named(axes[0].label, axes[1].label),
    )


def curve_chart(
    curve: tuple[Floats, Floats, Floats, Floats],
    now: float,
    chosen: float,
    seen: tuple[float, float],
    axes: tuple[Axis, Axis],
) -> str:
    """Draw expected profit along a ladder, today's and the chosen price, and what was seen.

    Parameters
    ----------
    curve
        Price, profit, and the ends of its band, float64 [K] each.
    now, chosen
        Prices.
    seen
        Lowest and highest price ever observed.
    axes
        The level one and the upright one.
    """
    price, profit, lower, upper = curve
    low, high = float(min(lower.min(), 0.0)), float(max(upper.max(), 1e-9)) * 1.08
    frame = _Frame(340.0, 230.0, (float(price[0]), float(price[-1])), (low, high))
    left, right = (frame.across(float(np.clip(v, price[0], price[-1]))) for v in seen)
    ground, roof = frame.up(low), frame.up(high)
    size = f'width="{right - left:.1f}" height="{ground - roof:.1f}"'
    shade = f'<rect class="seen" x="{left:.1f}" y="{roof:.1f}" {size}/>'
    marks: list[str] = []
    for value, kind in ((now, "now"), (chosen, "chosen")):
        x = frame.across(value)
        y = frame.up(float(np.interp(value, price, profit)))
        marks.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{ground:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>')
    ticks, feet = _ticks(low, high, 3), [float(price[0]), float(price[-1])]
    body = shade + frame.rules(ticks, [axes[1].form(t) for t in ticks]) + frame.band(price, lower, upper)
    body += frame.line(price, profit, "expected") + "".join(marks)
    names = frame.named(axes[0].label, axes[1].label)
    return _svg(frame, body + frame.feet(feet, [axes[0].form(v) for v in feet]) + names)


def _svg(frame: _Frame, body: str) -> str:
    box = f"0 0 {frame.width:.0f} {frame.height:.0f}"
    return f'<svg viewBox="{box}" role="img" xmlns="http://www.w3.org/2000/svg">{body}</svg>'


def _ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round numbers within two bounds."""
    rough = max(high - low, 1e-9) / count
    size = 10.0 ** np.floor(np.log10(rough))
    step = next(size * m for m in (1.0, 2.0, 5.0, 10.0) if size * m >= rough)
    first = np.ceil(low / step) * step
    return [float(v) for v in np.arange(first, high + 1e-9, step)]
