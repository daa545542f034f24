"""What learning is worth: shares and intervals of what simulated listeners met, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from player.learning_plot import Shares, figure_of, liked_of, table
from player.simulate import Outcome

LIKED = {
    "learning": np.array([[0, 1, 1, 1], [0, 0, 1, 1]], dtype=float),
    "learning switched off": np.array([[0, 1, 0, 0], [0, 0, 1, 0]], dtype=float),
}


def outcome(liked: list[bool], faults: list[str] | None = None) -> Outcome:
    return Outcome(liked, [0.0] * len(liked), {}, faults or [])


def test_the_table_by_hand() -> None:
    lines = table(LIKED)
    assert lines[0] == "press | learning | learning switched off"
    shares = [[cell.split(" [")[0] for cell in line.split(" | ")[1:]] for line in lines[1:5]]
    assert shares == [["0.0%", "0.0%"], ["50.0%", "50.0%"], ["100.0%", "50.0%"], ["100.0%", "0.0%"]]
    text = "\n".join(lines[5:])
    assert "learning: 62.5% [50.0%, 75.0%] of the first 4 liked" in text
    assert "learning: second half less first half 75.0% [50.0%, 100.0%]" in text
    assert "learning switched off: second half less first half 0.0% [-50.0%, 50.0%]" in text
    assert "learning less learning switched off: 37.5% [25.0%, 50.0%]" in text


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    held = 0
    for _ in range(60):
        values = (generator.random((40, 1)) < 0.3).astype(float)
        shares = Shares.of(values)
        held += bool(shares.low[0] <= 0.3 <= shares.high[0])
    assert held >= 51, "95 % of 60 are 57; four deviations below that"


def test_outcomes_that_are_no_measurement() -> None:
    whole = outcome([True, False, True])
    np.testing.assert_array_equal(liked_of([whole], 2), [[1, 0]])
    with pytest.raises(RuntimeError, match=r"shown 3 tracks, expected 4.*larger catalogue"):
        liked_of([whole], 4)
    with pytest.raises(RuntimeError, match="a fault: 500"):
        liked_of([whole, outcome([True] * 3, ["500"])], 3)


def test_the_figure_is_written(tmp_path: Path) -> None:
    figure = figure_of(LIKED)
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(drawn["learning"], [0, 50, 100, 100])
    np.testing.assert_allclose(drawn["learning switched off"], [0, 50, 50, 0])
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000
