"""The search of `tune.py` on a Ray cluster: the driver asks Optuna, the cluster tries the points.

Only the driver has the study: nodes see neither its journal nor a database. What a node is sent is
a point's settings and a listener; what it returns is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
import ray
import torch as th
from optuna.trial import TrialState

from cluster.connection import RETRIES, ClusterError, connected
from cluster.parcels import Parcel, Sender, unpack
from study.search import Settings, log_regret

_LOOK_AGAIN = 10.0  # [s] between looks at how large the cluster is, while nothing ends


@dataclass
class _Point:
    """A trial that is being tried: its listeners take turns, so that it may be pruned between."""

    trial: optuna.Trial
    settings: Settings
    values: list[float] = field(default_factory=list)


def optimise(
    study: optuna.Study,
    space: Callable[[optuna.Trial], Settings],
    listeners: Sequence[Mapping[str, Any]],
    checks: Sequence[int],
    *,
    seed: int,
    trials: int,
    address: str | None = None,
) -> None:
    """Try points, as many at once as there are processors, until the study has enough trials.

    What a trial minimises, reports and is pruned by is the same as in one process: the mean of
    `study.search.log_regret` over the listeners so far. Which points are tried depends on which
    ends first. Trials that are being tried when this is interrupted count as failed.

    Args:
        study: kept where the driver can write to it; may be gone on with.
        space: the settings of a trial.
        listeners: arguments of `gym.make`.
        checks: see `study.search.RegretCurve`.
        seed: of the first listener's runs; each further one has the next.
        trials: complete and pruned ones of the whole study.
        address: see `cluster.connection.connected`.

    Raises:
        ClusterError: if there is no Ray, or a point's processes died again and again.
        Exception: what a point's run raises; its trial is failed.
    """
    with connected(address), _ended(study) as running:
        sender = Sender()
        remote = ray.remote(_log_regret).options(max_retries=RETRIES)

        def start_turn(point: _Point) -> None:
            turn = len(point.values)
            listener = dict(listeners[turn])
            parcel = sender.parcel(listener)
            reference = remote.remote(point.settings, listener, parcel, checks, seed + turn)
            running[reference] = point

        while True:
            processors = int(ray.cluster_resources().get("CPU", 0))
            # Counted in the study: other drivers may be working on it too.
            left = trials - _n_over(study)
            while len(running) < min(left, max(1, processors)):
                trial = study.ask()
                start_turn(_Point(trial, space(trial)))
            if not running:
                return
            ended, _ = ray.wait(list(running), timeout=_LOOK_AGAIN)
            for reference in ended:
                value = _value(reference)
                point = running.pop(reference)
                if not _told(study, point, value, len(listeners)):
                    start_turn(point)


def _told(study: optuna.Study, point: _Point, value: float, n_turns: int) -> bool:
    """Add a listener's value to a point; return whether that was all, and the study was told."""
    point.values.append(value)
    mean = float(np.mean(point.values))
    point.trial.report(mean, len(point.values) - 1)
    if point.trial.should_prune():
        study.tell(point.trial, state=TrialState.PRUNED)
        return True
    if len(point.values) == n_turns:
        study.tell(point.trial, mean)
        return True
    return False


def _value(reference: ray.ObjectRef) -> float:
    try:
        return float(ray.get(reference))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None  # as if it had been raised here
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"the processes that tried a point died, {1 + RETRIES} times ({type(error).__name__}): "
            "see Ray's logs on the nodes; a point may want more memory than they have"
        ) from error


@contextmanager
def _ended(study: optuna.Study) -> Iterator[dict[ray.ObjectRef, _Point]]:
    """Let no trial be left open: those still being tried at the end have failed."""
    running: dict[ray.ObjectRef, _Point] = {}
    try:
        yield running
    finally:
        for reference, point in running.items():
            ray.cancel(reference, force=True)
            study.tell(point.trial, state=TrialState.FAIL)


def _n_over(study: optuna.Study) -> int:
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    return len(study.get_trials(deepcopy=False, states=states))


def _log_regret(
    settings: Settings,
    listener: dict[str, Any],
    parcel: Parcel,
    checks: Sequence[int],
    seed: int,
) -> float:
    th.set_num_threads(1)
    return log_regret(settings, unpack(parcel, listener), checks, seed=seed)
