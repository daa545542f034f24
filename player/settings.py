"""What the player is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = Path("runs") / "player"
"""Where policies and listeners are kept, by default."""

LEARNERS = ("tabular", "dueling-dqn")
"""Who can recommend; the last one does where nothing else is chosen."""

DEFAULT_SETTINGS: Mapping[str, bool] = {"remote_media": False, "spotify": False}
"""A listener's switches: what is loaded from other hosts."""


@dataclass(frozen=True)
class PlayerSettings:
    """What the player is started with.

    Attributes:
        catalogue: the tracks' file; None: the embedded catalogue.
        run: a run of ``train.py --listener any`` on this catalogue, whose policy is used; None: the
            one in the data folder, trained on the first start.
        data: the folder for policies and listeners. Each catalogue has its own in it, named by the
            first twelve digits of its checksum: ``policy/`` (a run's folder) and
            ``listeners.sqlite3``.
        listeners: the file of the listeners; None: the one in the data folder.
        host: the address to be bound to.
        port: of it.
        allowed_hosts: further names by which the server may be called.
        learning: whether the dueling DQN and the table learn from presses; switched off to measure
            what learning is worth.
        music_model: name or folder of a MusicGen model that makes the clips of *Generate for me*;
            None: they are composed.
        timesteps: tracks to judge in the training of the policy; None: the learner's default.
    """

    catalogue: Path | None = None
    run: Path | None = None
    data: Path = DATA
    listeners: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: tuple[str, ...] = ()
    learning: bool = True
    music_model: str | None = None
    timesteps: int | None = None
