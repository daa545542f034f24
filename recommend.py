"""Serve the player: a page on which you press Like and Dislike, and which learns from each press.

python recommend.py

python recommend.py --catalogue tracks.csv --run runs/any --port 8080

python recommend.py --simulate 200
"""

from __future__ import annotations

import sys

from player.command import main

if __name__ == "__main__":
    sys.exit(main(__doc__))
