"""The reduced model of a session: by hand, by exhaustive recursion, and the grid halved."""

from __future__ import annotations

from functools import cache
from itertools import permutations, product

import numpy as np
import pytest

from agents.session_model import SessionModel, grouped, halving_error, myopic, optimum
from music_env.effects import EXPECTED, PASS_COST, PRESETS, Effects, checked_effects


def test_three_steps_by_hand() -> None:
    # Tracks of enjoyment 0.5 and 3, equally often; a play adds 1 to the level, a step halves it;
    # a level of 1 takes 2 away. Levels that occur: 0, 1/4, 1/2, 3/4. V3 is the last step's value:
    #   V3(0) = (0.5 + 3) / 2 = 1.75        V3(1/4) = (0 + 2.5) / 2 = 1.25
    #   V3(1/2) = (0 + 2) / 2 = 1           V3(3/4) = (0 + 1.5) / 2 = 0.75
    #   V2(0) = (max(0.5 + 1, 1.75) + 3 + 1) / 2 = 2.875: the small pleasure is better passed over
    #   V2(1/2) = (max(-0.5 + 0.75, 1.25) + 2 + 0.75) / 2 = 2
    #   V1(0) = (max(0.5 + 2, 2.875) + 3 + 2) / 2 = 3.9375
    # Who plays what is enjoyed now: V2(0) = (1.5 + 4) / 2 = 2.75, V1(0) = (0.5 + 2 + 3 + 2) / 2.
    model = SessionModel([0.5, 3], [0.5, 0.5], Effects(2.0, 0.5), 3)
    best = optimum(model, levels=8)  # cells of 1/8
    assert best.value == 3.9375
    assert best.at(1, 0) == 2.875 and best.at(1, 0.5) == 2 and best.at(2, 0.75) == 0.75
    assert best.at(3, 0) == 0
    assert myopic(model, levels=8).value == 3.75


def exhaustive(model: SessionModel, rule: str) -> float:
    """Return the exact value, by recursion over every level and patience that can occur."""
    effects = model.effects

    def stays(patience: float) -> float:
        return 1 - (1 - patience) ** 4 if effects.patience else 1.0

    @cache
    def value(step: int, level: float, patience: float) -> float:
        if step == model.length:
            return 0.0
        lower = max(patience - effects.patience * PASS_COST, 0.0)
        passed = stays(lower) * value(step + 1, level * effects.decay, lower)
        total = (1 - sum(model.shares.tolist())) * passed
        for fresh, share in zip(model.fresh.tolist(), model.shares.tolist(), strict=True):
            enjoyed = fresh - effects.satiation * level
            after = min(max(patience + effects.patience * (enjoyed - EXPECTED), 0.0), 1.0)
            played = enjoyed + stays(after) * value(step + 1, (level + 1) * effects.decay, after)
            plays = enjoyed > 0 if rule == "myopic" else played > passed
            total += share * (played if plays else passed)
        return total

    return value(0, 0.0, 1.0)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_grid_agrees_with_every_level_and_patience_that_can_occur(preset: str) -> None:
    effects = PRESETS[preset]
    model = SessionModel([-0.5, 0.7, 2.1], [0.4, 0.3, 0.2], effects, 7)
    exact = exhaustive(model, "best")
    fine = optimum(model, levels=400, patiences=200).value
    assert fine == pytest.approx(exact, abs=2e-3 if effects.patience else 5e-4)
    if not effects.patience:
        assert fine >= exact - 1e-12
    assert myopic(model, levels=400, patiences=200).value == pytest.approx(
        exhaustive(model, "myopic"), abs=0.02
    )


def of_all_slates(model: SessionModel, rule: str) -> float:
    """Return the exact value, by recursion over every slate, level and patience that can occur."""
    effects, tracks = model.effects, list(range(len(model.fresh)))
    if model.pool_size is None:
        slates = list(product(tracks, repeat=model.slate_size))
        weights = [np.prod(model.shares[list(slate)]) for slate in slates]
    else:  # a class a track
        slates = list(permutations(tracks, model.slate_size))
        weights = [1 / len(slates)] * len(slates)

    def stays(patience: float) -> float:
        return 1 - (1 - patience) ** 4 if effects.patience else 1.0

    @cache
    def value(step: int, level: float, patience: float) -> float:
        if step == model.length:
            return 0.0
        lower = max(patience - effects.patience * PASS_COST, 0.0)
        passed = stays(lower) * value(step + 1, level * effects.decay, lower)
        enjoyed = [fresh - effects.satiation * level for fresh in model.fresh.tolist()]
        played = []
        for joy in enjoyed:
            after = min(max(patience + effects.patience * (joy - EXPECTED), 0.0), 1.0)
            later = value(step + 1, (level + 1) * effects.decay, after)
            played.append(joy + stays(after) * later)
        total = 0.0
        for slate, weight in zip(slates, weights, strict=True):
            most = max(slate, key=lambda track: enjoyed[track])
            if rule == "myopic":
                total += weight * (played[most] if enjoyed[most] > 0 else passed)
            else:
                total += weight * max(passed, *(played[track] for track in slate))
        return total

    return value(0, 0.0, 1.0)


@pytest.mark.parametrize("pool_size", [None, 4])
@pytest.mark.parametrize("preset", ["satiation", "both"])
def test_slates_agree_with_every_slate_that_can_occur(preset: str, pool_size: int | None) -> None:
    fresh = [-0.5, 0.7, 1.2, 2.1]
    shares = [0.4, 0.3, 0.2, 0.1] if pool_size is None else [0.25] * 4
    model = SessionModel(fresh, shares, PRESETS[preset], 5, slate_size=2, pool_size=pool_size)
    exact = of_all_slates(model, "best")
    assert optimum(model, levels=400, patiences=200).value == pytest.approx(exact, abs=2e-3)
    greedy = of_all_slates(model, "myopic")
    assert myopic(model, levels=400, patiences=200).value == pytest.approx(greedy, abs=0.02)
    assert exact > greedy


def test_a_slate_of_one_is_no_slate_and_more_are_worth_more() -> None:
    def value(**slate: int) -> float:
        return optimum(SessionModel([-1, 1, 3], [0.4, 0.3, 0.2], PRESETS["both"], 9, **slate)).value

    assert value(slate_size=1, pool_size=30) == pytest.approx(value())
    # Without replacement the best of a slate is better.
    assert value() < value(slate_size=3) < value(slate_size=3, pool_size=30) < value(slate_size=9)
    with pytest.raises(ValueError, match="at most pool_size = 2, got 3"):
        value(slate_size=3, pool_size=2)


def test_groups_for_slates_are_equally_likely_to_have_the_best() -> None:
    fresh = np.random.default_rng(0).normal(size=2000)
    means, shares = grouped(fresh, 8, drawn=10)
    assert len(means) == 8 and shares @ means == pytest.approx(fresh.mean())
    np.testing.assert_allclose(np.diff(np.cumsum(shares) ** 10, prepend=0), 1 / 8, atol=0.01)
    greatest, _ = grouped(fresh, 8, by="greatest", drawn=10)
    assert greatest[-1] == fresh.max() and (greatest >= means).all()


ISSUE = {"fresh": np.array([-1.0, 1, 2, 3]), "shares": np.array([0.3, 0.3, 0.2, 0.2]), "length": 50}


@pytest.mark.parametrize(("decay", "best", "ratio"), [(0.95, 18.65, 1.41), (0.8, 35.88, 1.11)])
def test_what_planning_is_worth_in_the_one_genre_model(
    decay: float, best: float, ratio: float
) -> None:
    model = SessionModel(effects=Effects(0.5, decay), **ISSUE)
    found = optimum(model, levels=512).value
    assert found == pytest.approx(best, abs=0.005)
    assert found / myopic(model, levels=2048).value == pytest.approx(ratio, abs=0.01)


def test_halving_the_grid_moves_the_optimum_as_stated() -> None:
    model = SessionModel(effects=Effects(0.5, 0.95), **ISSUE)
    values = [optimum(model, levels=levels).value for levels in (64, 128, 256, 512)]
    steps = -np.diff(values)
    assert (steps > 0).all()  # from above: without patience the values are convex in the level
    assert (steps[1:] < 0.4 * steps[:-1]).all()  # about a quarter: the square of the cells' size
    assert halving_error(model, levels=256) == pytest.approx(steps[-1])
    assert halving_error(model, levels=256) < 0.003


@pytest.mark.parametrize("effects", [Effects(0.0, 0.95, 0.2), Effects(0.5, 0.95, 0.2)])
def test_halving_both_grids_moves_the_optimum_less_each_time(effects: Effects) -> None:
    model = SessionModel(effects=effects, **{**ISSUE, "length": 20})
    values = [optimum(model, levels=2 * n, patiences=n).value for n in (16, 32, 64, 128)]
    steps = np.abs(np.diff(values))
    assert (steps[1:] < 0.7 * steps[:-1]).all()
    assert halving_error(model, levels=128, patiences=64) == pytest.approx(steps[-1])


def test_the_myopic_value_needs_a_finer_grid() -> None:
    # Its values jump in the level, so that the error falls in proportion to the cells' size only.
    model = SessionModel(effects=PRESETS["both"], **{**ISSUE, "length": 20})
    coarse, fine = (
        halving_error(model, solve=myopic, levels=levels, patiences=32) for levels in (128, 1024)
    )
    assert coarse > 10 * halving_error(model, levels=1024, patiences=32) and fine < coarse / 3


def test_without_effects_nothing_is_gained_by_planning() -> None:
    model = SessionModel(effects=Effects(), **ISSUE)
    assert optimum(model).value == myopic(model).value == pytest.approx(50 * 1.3)


def test_groups_keep_the_mean() -> None:
    fresh = np.random.default_rng(0).normal(size=101)
    means, shares = grouped(fresh, 8)
    assert len(means) == 8 and shares.sum() == pytest.approx(1)
    assert means @ shares == pytest.approx(fresh.mean())
    assert (np.diff(means) > 0).all()
    greatest, _ = grouped(fresh, 8, by="greatest")
    assert (greatest >= means).all() and greatest[-1] == fresh.max()
    values, shares = grouped([2, 1, 2, 2], 3)  # few enough to keep
    assert values.tolist() == [1, 2] and shares.tolist() == [0.25, 0.75]


def test_effects_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"decay must be a number from 0 to below 1, got 1"):
        Effects(0.5, 1)
    with pytest.raises(ValueError, match=r"patience must be a number from 0 to 1, got -0.1"):
        Effects(patience=-0.1)
    with pytest.raises(ValueError, match=r"preset must be one of .* Nearest: 'satiation'"):
        checked_effects("saturation", None, None, None)
    assert checked_effects("both", None, 0.5, 0.0) == Effects(0.75, 0.5, 0.0)
    assert Effects(0.5, 0.5).greatest_level(3) == 0.875
    with pytest.raises(ValueError, match="the shares must be probabilities"):
        SessionModel([1, 2], [0.5, 0.6], Effects(), 3)
