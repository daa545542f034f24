"""Which network a run's settings ask for: its policy, and what turns observations into features."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.dqn.policies import DQNPolicy

from agents.extractors import CodesExtractor
from agents.session_extractor import SessionExtractor
from agents.settings import (
    AnyListenerSettings,
    DuelingDQNSettings,
    SessionDQNSettings,
    SlateDQNSettings,
)
from agents.slate_policy import DuelingSlateDQNPolicy, SlateDQNPolicy
from agents.two_tower import TwoTowerExtractor


def policy_of(
    settings: DuelingDQNSettings, env: Any
) -> tuple[str | type[DQNPolicy], dict[str, Any]]:
    """Return the policy of `agents.DuelingDQN` for some settings, and its arguments.

    Args:
        settings: of the learner.
        env: an `agents.GymVecEnv` of the environment that they are for.
    """
    policy_kwargs: dict[str, Any] = {
        "net_arch": list(settings.net_arch),
        "optimizer_kwargs": {"fused": True},  # Adam in one call: an update takes a fifth less
    }
    extractor = _extractor(settings)
    embedding: dict[str, Any] = {"embedding_dim": settings.embedding_dim}
    if isinstance(settings, SlateDQNSettings):
        (encoded,) = env.get_attr("encoded", 0)
        return DuelingSlateDQNPolicy if settings.dueling else SlateDQNPolicy, {
            **policy_kwargs,
            "layout": asdict(encoded.layout),
            # A level of each genre would tie the weights to the catalogue's genres.
            "sees_levels": False,
            "row_extractor_class": extractor,
            "row_extractor_kwargs": None if extractor is None else embedding,
        }
    if extractor is not None:
        if extractor is TwoTowerExtractor and settings.encoding == "one-hot":
            (encoded,) = env.get_attr("encoded", 0)
            embedding["vocabulary_sizes"] = [encoded.n_genres, encoded.n_artists]
        policy_kwargs["features_extractor_class"] = extractor
        policy_kwargs["features_extractor_kwargs"] = embedding
    return "MlpPolicy" if settings.dueling else DQNPolicy, policy_kwargs


def _extractor(settings: DuelingDQNSettings) -> type[BaseFeaturesExtractor] | None:
    """Return what turns observations into features; None: they are numbers, taken as they are."""
    if isinstance(settings, SessionDQNSettings):
        return SessionExtractor if settings.encoding in ("summary", "codes") else None
    if isinstance(settings, AnyListenerSettings):
        return TwoTowerExtractor
    return CodesExtractor if settings.encoding == "codes" else None
