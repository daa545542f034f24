"""The scalar environment MusicRecLogged-v0. The class docstring is its specification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from music_env.judgements import Judgements
from music_env.logged_tables import LoggedTables, OverLogged
from music_env.scalar import SessionEnv


class MusicRecLoggedEnv(OverLogged, SessionEnv):
    """The reward is a real person's recorded judgement.

    ## Description
    A table says of each track whether somebody liked it. A session shows its rows one by one, the
    agent says *like* or *dislike*, and is rewarded for saying what the person said. No listener is
    simulated: nobody knows what the preference is, or whether there is a simple one.

    Every row is one judgement: a song that was judged twice is shown twice, also where the
    judgements contradict each other. Then no policy is right about both, and the oracle's return
    cannot be reached. `groups` numbers what cross-validation has to keep on one side: the
    judgements of a song in whatever version (`music_env.songs.related_songs`).

    The next row does not depend on the action: this is a contextual bandit, like MusicRec-v0, and
    a discount of 0 is right for it.

    ## Action Space
    ``Discrete(2)``: `Action.DISLIKE` = 0, `Action.LIKE` = 1.

    ## Observation Space
    The encodings of `MusicRecEnv`, with a row for each judgement: ``one-hot`` (default),
    ``codes``, ``hash`` and ``profile``; the table there has index, name, min, max and unit. The
    numbers are those that the file has. Judgements of one track id share their ``hash``.

    ## Rewards
    +1 where the action agrees with the judgement (*like* on what was liked, *dislike* on what was
    not), -1 where it does not. The reward of one action reveals the other's: it is its negative.

    ## Starting State
    The first row of a session. A session shows ``session_length`` different rows in an order that
    depends on the seed and on the number of sessions begun since (`music_env.order`); every order
    is equally likely. The same seed gives the same sessions, in any process, here and in the
    vector environment.

    ## Episode End
    - Termination: after the last row of the session. The terminal observation repeats it.
    - Truncation: never by itself; ``max_episode_steps`` of `gymnasium.make` truncates.

    ## Info
    As in `MusicRecEnv`: ``track_index`` (the judgement's index), ``track_id``, ``score`` (+1
    liked, -1 not), ``reward_terms`` with the only term ``judgement``, and at the end
    ``episode_return`` and ``episode_regret``.

    ## Arguments
    ```python
    gymnasium.make(
        "MusicRecLogged-v0", judgements="likes.csv", columns={"title": "song_title"}, like="target"
    )
    ```

    - ``judgements``: a path of a CSV or Parquet file (read once per process) or `Judgements`;
      there is no default, and without them ``ValueError``.
    - ``columns``: canonical name -> column of the file, see `Catalogue.read`. A file needs title or
      track id, artist and danceability; the rest is optional.
    - ``like``: the column of judgements, default ``"like"``: 1 or 0, true or false, yes or no.
      Rows where it is empty are dropped and counted in the report; anything else is an error, and
      so is a column that is also observed.
    - ``encoding``, ``encoding_options``: see `MusicRecEnv`.
    - ``tracks``: indices of judgements; only these are shown (the folds of a cross-validation).
    - ``session_length``: rows in a session, default 100, at most the number of judgements.
    - ``render_mode``: ``"ansi"`` or ``"rgb_array"``.

    Arguments of str, numbers, lists and dictionaries serialise to JSON with the spec; `Judgements`
    do not.

    Raises `CatalogueError` for a file that cannot be read or holds no judgements, ``ValueError``
    for whatever else is not as said, with the nearest names.

    ## Version History
    - v0: first version.

    ## References
    Replaying logged judgements of every row is a full-information evaluation: no action is
    unobserved, so that none of the corrections of off-policy evaluation is needed.
    """

    _id = "MusicRecLogged-v0"
    _tables: LoggedTables

    def __init__(
        self,
        *,
        judgements: Judgements | str | PathLike[str] | None = None,
        columns: Mapping[str, str] | None = None,
        like: str = "like",
        encoding: str = "one-hot",
        encoding_options: Mapping[str, int] | None = None,
        tracks: Sequence[int] | NDArray[np.int64] | None = None,
        session_length: int = 100,
        render_mode: str | None = None,
    ) -> None:
        tables = LoggedTables.build(
            judgements=judgements,
            columns=columns,
            like=like,
            encoding=encoding,
            encoding_options=encoding_options,
            tracks=tracks,
            session_length=session_length,
        )
        self._set_up(tables, tables.encoded.space, render_mode)

    def _bind(self) -> None:
        super()._bind()
        self._observe = self._tables.encoded.rows.row
