"""Learners with the interface of Stable-Baselines3, and what surrounds them.

The distribution ``openai-agents`` installs a top-level module of the same name: the two cannot be
used in one environment.
"""

from agents.dueling_dqn import DuelingDQN
from agents.linear_bandits import LinearThompson, LinUCB
from agents.logistic_regression import OnlineLogisticRegression
from agents.policies import DuelingDQNPolicy, DuelingMultiInputPolicy
from agents.q_learning import QLearning
from agents.recommender import OnlineListener, OnlineRecommender, recommend, track_values
from agents.replay import PrioritizedReplayBuffer
from agents.runs import Run, RunError, load_run
from agents.two_tower import TwoTowerExtractor
from agents.vec_env import GymVecEnv
from agents.vowpal_wabbit import VowpalWabbit

__all__ = [
    "DuelingDQN",
    "DuelingDQNPolicy",
    "DuelingMultiInputPolicy",
    "GymVecEnv",
    "LinUCB",
    "LinearThompson",
    "OnlineListener",
    "OnlineLogisticRegression",
    "OnlineRecommender",
    "PrioritizedReplayBuffer",
    "QLearning",
    "Run",
    "RunError",
    "TwoTowerExtractor",
    "VowpalWabbit",
    "load_run",
    "recommend",
    "track_values",
]
