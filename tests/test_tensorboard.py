"""Both learners write the same tags, which TensorBoard's own reader finds again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents.progress import read_progress
from agents.training import (
    DuelingDQNSettings,
    QLearningSettings,
    RunSettings,
    train_run,
)

SHARED_TAGS = {
    "rollout/ep_rew_mean",
    "rollout/exploration_rate",
    "rollout/regret",
    "eval/mean_reward",
    "eval/regret",
    "eval/decision_accuracy",
    "eval/balanced_accuracy",
    "eval/precision_at_10",
    "time/fps",
    "train/learning_rate",
}
SETTINGS: dict[str, Any] = {"q-learning": QLearningSettings(), "dueling-dqn": DuelingDQNSettings()}


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[EventAccumulator, Path]]:
    found = {}
    for agent, learner in SETTINGS.items():
        out = tmp_path_factory.mktemp(agent)
        train_run(
            RunSettings(agent=agent, learner=learner, out=out, timesteps=4000, progress_bar=False)
        )
        accumulator = EventAccumulator(str(out), size_guidance={"tensors": 0, "images": 0})
        accumulator.Reload()
        found[agent] = accumulator, out
    return found


@pytest.mark.parametrize(
    ("agent", "own"), [("q-learning", "train/td_error"), ("dueling-dqn", "train/loss")]
)
def test_tags(events: dict[str, Any], agent: str, own: str) -> None:
    accumulator, _ = events[agent]
    tags = accumulator.Tags()
    assert {*SHARED_TAGS, own} <= set(tags["scalars"])
    assert "learning_curve" in tags["images"]
    assert "config/text_summary" in tags["tensors"]
    text = accumulator.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert agent in text and "checksum" in text
    assert "_hparams_/session_start_info" in accumulator.summary_metadata
    for tag in SHARED_TAGS:
        points = accumulator.Scalars(tag)
        steps = [point.step for point in points]
        assert steps == sorted(set(steps)), f"{tag} holds a step twice: {steps}"
        if tag.startswith("eval/"):
            assert len(points) >= 38, tag


@pytest.mark.parametrize("agent", SETTINGS)
def test_events_equal_progress_csv_and_the_final_figures(
    events: dict[str, Any], agent: str
) -> None:
    accumulator, out = events[agent]
    progress = read_progress(out / "progress.csv")
    steps = progress["time/total_timesteps"]
    by_step = {point.step: point.value for point in accumulator.Scalars("eval/regret")}
    for step, value in zip(steps, progress["eval/regret"], strict=True):
        assert by_step[int(step)] == pytest.approx(value, abs=1e-6), step
    assert steps[-1] >= 4000
    final = json.loads((out / "metrics.json").read_text())
    assert progress["eval/regret"][-1] == pytest.approx(final["relative_regret"])
    assert progress["eval/mean_reward"][-1] == pytest.approx(final["mean_reward"])
