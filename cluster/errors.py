"""What stops a batch of recommendations."""


class BatchError(ValueError):
    """Listeners, a run or a folder that cannot be used; the message says what to do."""
