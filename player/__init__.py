"""The player: a page on which a person presses Like and Dislike, and the JSON API behind it.

`player.app.create_app` makes the server, ``recommend.py`` runs it. ``API.md`` is the contract. What
needs torch (`player.learners`, `player.policy`) is imported in the background, after the first page
is served.
"""
