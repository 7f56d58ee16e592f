"""Errors of a length that a person reads, however long what they quote from a file is."""

import contextlib

MOST_CHARACTERS = 1000


def shortened(text):
    """A text for a message, a long one without its middle."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[: MOST_CHARACTERS * 3 // 4]} [...] {text[-MOST_CHARACTERS // 5 :]}"


@contextlib.contextmanager
def short_errors():
    """Shortens the `ValueError` that a function raises; for use as its decorator.

    Example:
        @short_errors()
        def read_labels(path): ...
    """
    try:
        yield
    except ValueError as error:
        if len(str(error)) <= MOST_CHARACTERS:
            raise
        raise ValueError(shortened(str(error))) from error
