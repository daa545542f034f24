"""What a run on MusicRecSlate-v0 learnt, for other slates: more candidates, fewer, other tracks."""

from __future__ import annotations

from agents.runs import Run, RunError
from agents.slate_policy import SlateDQNPolicy
from music_env.slate_setup import SlateSetup

ANY_CATALOGUE = "summary"
"""The encoding whose columns mean the same in every catalogue."""


def policy_for(run: Run, setup: SlateSetup) -> SlateDQNPolicy:
    """Return the policy of a run for slates that it was not trained on, without training.

    Args:
        run: on MusicRecSlate-v0.
        setup: ``tables`` of the environment that shows them. ``slate_size`` may be another; with
            the encoding ``summary`` so may catalogue and listener.

    Raises:
        RunError: if the run is on another environment, or the observations would mean something
            else than they meant in training; the message says what.
    """
    policy = run.learner.policy
    if not isinstance(policy, SlateDQNPolicy):
        raise RunError(f"{run.folder} is a run on {run.env_id}: it has no candidates to score")
    trained: SlateSetup = run.make_env().unwrapped.tables  # type: ignore[attr-defined]
    mine = trained.encoded.name
    if setup.encoded.name != mine:
        raise RunError(
            f"{run.folder} observes {mine!r}, these slates are shown as {setup.encoded.name!r}: "
            f"make the environment with encoding={mine!r}"
        )
    of_catalogue = mine != ANY_CATALOGUE or policy.slate_arguments["sees_levels"]
    if of_catalogue and setup.catalogue.checksum != trained.catalogue.checksum:
        raise RunError(
            f"{run.folder} observes {mine!r}, whose columns belong to the catalogue that it was "
            f"trained on: to use it on others, train with --encoding {ANY_CATALOGUE}"
        )
    if setup.encoded.top != trained.encoded.top:
        raise RunError(
            f"{run.folder} observes satiation as a share of {trained.encoded.top:.4g}, the "
            f"greatest level that its sessions can reach, these sessions {setup.encoded.top:.4g}: "
            "give them the session_length and the decay that it was trained with"
        )
    try:
        return policy.fitted(setup.encoded)
    except ValueError as error:
        raise RunError(f"{run.folder}: {error}") from error
