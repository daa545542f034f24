"""The same work on a Ray cluster: studies, tuning, training, batches of recommendations.

All but the local engine of a batch needs Ray (``pip install "musicrec[ray]"``), and nothing outside
imports it before it is asked for with ``--engine ray``.
"""
