"""The player: a page on which a person presses Like and Dislike."""
