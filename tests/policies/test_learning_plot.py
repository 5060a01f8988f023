from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from policies.train.learning_plot import learning_plot, smoothed

CURVE = np.array([[90.0, 100.0], [110.0, 100.0], [260.0, 200.0]])


def test_each_value_is_averaged_with_those_before_it() -> None:
    assert smoothed(np.array([1.0, 3.0, 5.0, 7.0]), 2).tolist() == [1.0, 2.0, 4.0, 6.0]
    assert smoothed(np.array([1.0, 3.0, 5.0]), 9).tolist() == [1.0, 2.0, 3.0]


def _spy(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple[Any, ...]]:
    """Note what a method of the axes is called with, and let it draw."""
    seen, draw = list[tuple[Any, ...]](), getattr(Axes, name)

    def noting(axes: Axes, *words: Any, **named: Any) -> Any:
        seen.append(words)
        return draw(axes, *words, **named)

    monkeypatch.setattr(Axes, name, noting)
    return seen


def test_the_curve_is_drawn_in_per_cent_of_keeping_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, lines, said = (_spy(monkeypatch, name) for name in ("plot", "axhline", "annotate"))
    picture = learning_plot(CURVE, {"static": 1.05, "re-solve": 1.05}, 1.2)
    assert picture == learning_plot(CURVE, {"static": 1.05, "re-solve": 1.05}, 1.2)
    assert np.allclose(drawn[0][1], [-10.0, 10.0, 30.0])
    assert np.allclose(drawn[1][1], [-10.0, 0.0, 10.0])
    assert np.allclose(drawn[2][1], [20.0])
    assert np.allclose([line[0] for line in lines[:3]], [0.0, 5.0, 5.0])
    assert [words[0] for words in said[:3]] == ["keep every price", "static +5.0 %", "re-solve +5.0 %"]
