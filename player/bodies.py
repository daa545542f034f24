"""What requests may contain; anything else is answered with 422 and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

if TYPE_CHECKING:  # it loads pandas, which no first page needs
    from music_env.listener import Preference

MAX_TEXT = 200
"""Characters of a search."""
MAX_NAME = 4_000
"""Characters of an artist or genre: what a catalogue offers can be chosen, if a body holds it."""

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]
PressId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$", strict=True)]


class Body(BaseModel):
    """A JSON object with these entries and no others."""

    model_config = ConfigDict(extra="forbid")


class PressBody(Body):
    """Of ``POST /api/press``."""

    press_id: PressId
    track: Annotated[str, Field(pattern=r"^g?[0-9]{1,9}$", strict=True)]
    liked: StrictBool


class UndoBody(Body):
    """Of ``POST /api/undo``."""

    press_id: PressId


class PreferenceBody(Body):
    """Of ``PUT /api/preference``."""

    artist: Name | None = None
    genre: Name | None = None
    danceability: tuple[Share, Share] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> PreferenceBody:
        if self.danceability is not None and self.danceability[0] > self.danceability[1]:
            raise ValueError("danceability must be [lowest, highest]")
        return self

    def preference(self) -> Preference:
        """Return it as the environment has it."""
        from music_env.listener import Preference

        return Preference(self.artist, self.genre, self.danceability)


class LearnerBody(Body):
    """Of ``PUT /api/learner``."""

    learner: Literal["tabular", "dueling-dqn"]


class SettingsBody(Body):
    """Of ``PUT /api/settings``; what is left out stays."""

    remote_media: StrictBool | None = None
    spotify: StrictBool | None = None


class GenerateBody(Body):
    """Of ``POST /api/generate``."""

    clip_id: PressId | None = None


class EmptyBody(Body):
    """Of requests that say all by their address."""
