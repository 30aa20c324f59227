"""The one error of the representations, apart so that each of them may import it."""


class DecodeError(ValueError):
    """An array that is no material; the message says why."""
