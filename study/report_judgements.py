"""The results on a real person's judgements: cross-validated AUC and accuracy, and who is ahead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.report import markdown_table
from study.cross_validation import corrected_mean
from study.judgement_learners import BOOSTING, CHOICE, LEARNERS, OURS
from study.statistics import Estimate
from study.tasks import Row
from study.wording import percent

METHOD = (
    "`MusicRecLogged-v0`, 2,017 judgements of songs by one person: ten-fold cross-validation, "
    "repeated with other folds for each seed, the same folds for every learner. Judgements of one "
    "song in whatever version are never on both sides: those that share an artist and the title up "
    "to brackets, a dash or *feat.* (whatever case and punctuation), or every audio feature "
    "(`music_env.songs.related_songs`). The dueling DQN steps the environment over the training "
    "fold (an ensemble of learners that differ by the seed; *one network* is the mean of its "
    "members); its score is Q(like) - Q(dislike). scikit-learn's models are fitted to the training "
    "fold. All see the audio features and the artist. Intervals are Nadeau and Bengio's corrected "
    "t intervals of the mean over folds, which allow for folds that share their training data."
)

_HEADINGS = (
    "learner",
    "repetitions",
    "AUC",
    "accuracy",
    "AUC, untouched songs",
    "AUC, one network",
    "processor time of ten folds [s]",
)


def judgements_section(rows: Sequence[Row]) -> list[str]:
    """Return the section: the table, and ours against each of the others, fold by fold."""
    done = [row for row in rows if row["status"] == "done"]
    names = [name for name in LEARNERS if any(row["learner"] == name for row in done)]
    table = []
    for name in names:
        mine = [row for row in done if row["learner"] == name]
        cells = [
            _cell(mine, measure) for measure in ("auc", "accuracy", "untouched_auc", "single_auc")
        ]
        seconds = float(np.median([row["total_seconds"] for row in mine]))
        table.append((name, str(len(mine)), *cells, f"{seconds:.0f}"))
    lines = [METHOD, "", CHOICE, "", *markdown_table(_HEADINGS, table), ""]
    against = [name for name in names if name != OURS]
    if OURS in names and against:
        lines += [f"{OURS} less the other, on the same folds:", ""]
        lines += [_verdict(done, name) for name in against]
        lines += ["", *_aim(done)]
    return lines


def paired(rows: Sequence[Row], first: str, second: str, measure: str) -> Estimate:
    """Return the mean difference of two learners over the folds that both have done.

    Raises:
        ValueError: if they have no repetition in common.
    """
    ours, theirs = (_by_seed(rows, name, measure) for name in (first, second))
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        raise ValueError(f"{first} and {second} have no folds in common")
    return corrected_mean(np.array([ours[seed] - theirs[seed] for seed in seeds]))


def _by_seed(rows: Sequence[Row], learner: str, measure: str) -> dict[int, NDArray[np.float64]]:
    return {
        row["seed"]: np.array(row[measure])
        for row in rows
        if row["learner"] == learner and measure in row
    }


def _cell(rows: Sequence[Row], measure: str) -> str:
    values = [row[measure] for row in rows if measure in row]
    return _share(corrected_mean(np.array(values))) if values else ""


def _share(found: Estimate) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _verdict(rows: Sequence[Row], other: str) -> str:
    area, accuracy = (paired(rows, OURS, other, measure) for measure in ("auc", "accuracy"))
    return (
        f"- {other}: AUC {area.value:+.3f} [{area.low:+.3f}, {area.high:+.3f}] ({_word(area)}), "
        f"accuracy {percent(accuracy, 1)}."
    )


def _word(found: Estimate) -> str:
    if found.low > 0:
        return "ours is better"
    return "ours is worse" if found.high < 0 else "not told apart"


def _aim(rows: Sequence[Row]) -> list[str]:
    """Say whether the best gradient boosting's AUC was reached."""
    names = {row["learner"] for row in rows}
    boosting = {
        name: float(np.mean([row["auc"] for row in rows if row["learner"] == name]))
        for name in BOOSTING
        if name in names
    }
    if not boosting:
        return []
    best = max(boosting, key=lambda name: boosting[name])
    gap = paired(rows, OURS, best, "auc")
    if gap.value >= 0:
        found = "reached"
    elif gap.high >= 0:
        found = "not reached, by a difference that these folds do not tell from none"
    else:
        found = "not reached"
    return [f"The aim, the AUC of gradient boosting (the better one, {best}): {found}.", ""]
