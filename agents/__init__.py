"""Learners with the interface of Stable-Baselines3."""
