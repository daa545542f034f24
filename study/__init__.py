"""The study: every learner, many listeners and environments, many seeds, and what follows from it.

``python -m study run`` fills tables, ``python -m study report`` writes ``docs/results.md`` and its
figures from them. See `study.__main__`.
"""
