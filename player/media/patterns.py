"""Patterns of one bar of sixteen sixteenths: drums, bass lines and how chords are struck.

Textbook patterns of the styles, written as one writes them on a drum machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["BASSLINES", "COMPINGS", "FILLS", "GROOVES", "STEPS", "Choices", "Layer", "pattern_for"]

STEPS = 16
"""Sixteenths in a bar of four beats."""


@dataclass(frozen=True)
class Layer:
    """One drum's part of a groove, played by tracks of at least some energy and danceability."""

    drum: str
    """See `player.media.composition.DRUMS`."""
    steps: str
    """`STEPS` long: 1..9 = struck that hard, "." = not struck."""
    energy: float = 0.0
    danceability: float = 0.0


GROOVES: dict[str, tuple[Layer, ...]] = {
    "none": (),
    "four-on-the-floor": (
        Layer("kick", "9...9...9...9..."),
        Layer("hat", "..5...5...5...5."),
        Layer("clap", "....7.......7...", energy=0.2),
        Layer("open hat", "..6...6...6...6.", energy=0.4, danceability=0.4),
        Layer("hat", "4.3.4.3.4.3.4.3.", energy=0.45),
        Layer("hat", ".2.3.2.3.2.3.2.3", energy=0.65),
        Layer("shaker", "3333333333333333", energy=0.8),
        Layer("conga", "...4..4....4..3.", danceability=0.7),
        Layer("rim", ".......4......4.", danceability=0.8),
    ),
    "half-time": (
        Layer("kick", "9...............", energy=0.0),
        Layer("kick", "..........8.....", energy=0.3),
        Layer("snare", "........9......."),
        Layer("clap", "........7.......", energy=0.4),
        Layer("hat", "5...4...5...4..."),
        Layer("hat", "..4...4...4...44", energy=0.5),
        Layer("kick", "...5..7.........", energy=0.7),
        Layer("open hat", "......5.......5.", danceability=0.6),
    ),
    "breakbeat": (
        Layer("kick", "9.........8....."),
        Layer("snare", "....9.......9..."),
        Layer("hat", "6.4.6.4.6.4.6.4."),
        Layer("snare", ".......3.3.....3", energy=0.4),
        Layer("open hat", "..............5.", danceability=0.5),
        Layer("shaker", "3232323232323232", energy=0.7),
    ),
    "hip-hop": (
        Layer("kick", "9.........8....."),
        Layer("snare", "....8.......8..."),
        Layer("hat", "6.4.6.4.6.4.6.4."),
        Layer("kick", ".......6........", energy=0.35),
        Layer("clap", "....5.......5...", energy=0.5),
        Layer("hat", "...2.......3.2.3", energy=0.6),
        Layer("open hat", "......5.........", danceability=0.6),
        Layer("rim", "..........3..3..", danceability=0.75),
    ),
    "double kick": (
        Layer("kick", "9.......9......."),
        Layer("snare", "....9.......9..."),
        Layer("ride", "6...5...6...5..."),
        Layer("kick", "..7.......7...7.", energy=0.4),
        Layer("kick", "...67.67..676.67", energy=0.7),
        Layer("ride", "..4...4...4...4.", energy=0.6),
        Layer("kick", ".5..............", energy=0.9),
    ),
    "backbeat": (
        Layer("kick", "9.......8......."),
        Layer("snare", "....8.......8..."),
        Layer("hat", "6.4.6.4.6.4.6.4."),
        Layer("kick", "..........7.....", energy=0.4),
        Layer("kick", ".......5......6.", energy=0.7),
        Layer("open hat", "..............5.", energy=0.55),
        Layer("snare", ".......2.2.....2", energy=0.8),
        Layer("tambourine", "....4.......4...", danceability=0.6),
    ),
    "dembow": (
        Layer("kick", "9...8...9...8..."),
        Layer("snare", "...7..8....7..8."),
        Layer("hat", "4.3.4.3.4.3.4.3.", energy=0.3),
        Layer("conga", "..4..4....4..45.", danceability=0.5),
        Layer("shaker", "3232323232323232", energy=0.6),
        Layer("cowbell", "4...3...4.3.3...", danceability=0.8),
    ),
    "one drop": (
        Layer("kick", "........9......."),
        Layer("rim", "........8......."),
        Layer("hat", "5.3.5.3.5.3.5.3."),
        Layer("kick", "9...............", energy=0.5),
        Layer("conga", "...4......4.4...", danceability=0.6),
        Layer("open hat", "..............4.", energy=0.6),
    ),
    "ride": (
        Layer("ride", "6...6.4.6...6.4."),
        Layer("pedal hat", "....5.......5..."),
        Layer("kick", "5.......4.......", energy=0.2),
        Layer("snare", "......3........3", energy=0.35),
        Layer("kick", "..........6.....", energy=0.6),
        Layer("snare", "....5.......5...", danceability=0.6),
    ),
    "ghost notes": (
        Layer("kick", "9.....6.........", energy=0.0),
        Layer("snare", "....8.......8..."),
        Layer("hat", "5.4.5.4.5.4.5.4."),
        Layer("kick", "..........7..5..", energy=0.35),
        Layer("snare", ".......2.2.2...2", energy=0.45),
        Layer("hat", ".2.2.2.2.2.2.2.2", energy=0.7),
        Layer("tambourine", "....4.......4...", danceability=0.6),
        Layer("conga", "..3..4.3..3..4.3", danceability=0.75),
    ),
    "train beat": (
        Layer("kick", "8.......8......."),
        Layer("brush", "3242324232423242"),
        Layer("snare", "....6.......6...", energy=0.4),
        Layer("kick", "....5.......5...", energy=0.75),
        Layer("tambourine", "..3...3...3...3.", danceability=0.6),
    ),
    "pop": (
        Layer("kick", "9.......9......."),
        Layer("clap", "....8.......8..."),
        Layer("hat", "5.4.5.4.5.4.5.4."),
        Layer("kick", "......6.........", energy=0.4),
        Layer("snare", "....6.......6...", energy=0.5),
        Layer("kick", "....8.......8...", energy=0.6, danceability=0.6),
        Layer("shaker", "2323232323232323", energy=0.55),
        Layer("open hat", "..5...5...5...5.", danceability=0.75),
    ),
}
"""Name -> layers of a bar."""

FILLS: tuple[str, ...] = ("........5.5.6.78", "............5678", "..........77.888")
"""Struck on toms and snare in place of the end of every fourth bar."""

Choices: TypeAlias = tuple[tuple[float, str], ...]

BASSLINES: dict[str, Choices] = {
    "held": ((0.0, "R---------------"), (0.6, "R-------R-----O-")),
    "offbeat": ((0.0, "R-----..R-----.."), (0.4, "..R-..R-..R-..O-"), (0.8, "..RR..RO..RR..FO")),
    "sixteenths": ((0.0, "R-------R-------"), (0.4, "..R-..R-..R-..O-"), (0.7, ".RRR.RRR.RRR.ROO")),
    "eight-oh-eight": (
        (0.0, "R-----.........."),
        (0.35, "R-----....R---.."),
        (0.65, "R--...R---R-.O.."),
    ),
    "gallop": ((0.0, "R-R-R-R-R-R-R-R-"), (0.6, "R-RRR-RRR-RRR-RR")),
    "eighths": ((0.0, "R-------R---F---"), (0.35, "R-R-R-R-R-R-R-R-"), (0.8, "R-R-R-O-R-R-F-O-")),
    "tresillo": ((0.0, "R-----R-----F---"), (0.45, "R--R--F-R--R--F-")),
    "wobble": ((0.0, "R-------R-------"), (0.5, "R-------R---R-O-"), (0.8, "R---R---R-R-O-R-")),
    "walking": ((0.0, "R-------F-------"), (0.25, "R---T---F---a---")),
    "funk": ((0.0, "R---..R-..F-O-.."), (0.5, "R-.OR.R-..F-O.aR")),
    "root and fifth": ((0.0, "R-------F-------"), (0.4, "R---....F---..a-")),
}
"""Name -> (least energy, pattern), the calmest first. R root, F fifth, T third, O octave, a = a
step below the next root; "-" holds, "." is silent."""

COMPINGS: dict[str, Choices] = {
    "pad": ((0.0, "x---------------"),),
    "stabs": ((0.0, "x-------x-------"), (0.4, "..x-..x...x-..x."), (0.7, "x..x..x...x..x..")),
    "trance gate": (
        (0.0, "x-------x-------"),
        (0.5, "x.x-x.x-x.x-x.x-"),
        (0.75, "x.xxx.xxx.xxx.xx"),
    ),
    "loop": ((0.0, "x-----..x-----.."), (0.5, "x--.x---..x-....")),
    "power chords": (
        (0.0, "x---------------"),
        (0.4, "x-----x-x-----x-"),
        (0.7, "x-x-x-x-x-x-x-x-"),
    ),
    "montuno": ((0.0, "x-----x-----x---"), (0.4, "x-.x-.x-.x-.x.x-")),
    "skank": ((0.0, "..x...x...x...x."), (0.7, "..xx..x...xx..x.")),
    "charleston": ((0.0, "x-------..x-----"), (0.3, "x-----x-........"), (0.6, "x-----x-..x-..x-")),
    "strum": ((0.0, "x-------x-------"), (0.35, "x---x-x-..x-x-x-"), (0.75, "x-x-xxx-x-x-xxxx")),
    "arpeggio": ((0.0, "a-a-a-a-a-a-a-a-"), (0.5, "aaaaaaaaaaaaaaaa")),
    "push": ((0.0, "x-------x-------"), (0.4, "x-----x-----x---"), (0.7, "x-----x---x-x---")),
}
"""Name -> (least energy, pattern). x strikes the chord, a its next tone; as above."""


def pattern_for(choices: Choices, energy: float) -> str:
    """The liveliest pattern that a track of this energy (0..1) plays."""
    return [pattern for least, pattern in choices if energy >= least][-1]
