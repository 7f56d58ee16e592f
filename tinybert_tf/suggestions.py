"""What somebody who wrote an unknown name may have meant."""

import difflib


def did_you_mean(name, names):
    """A sentence for a message, with a space in front.

    Args:
        name: str, what was written.
        names: iterable of str, what there is.

    Returns:
        str, empty where nothing is near.

    Example:
        did_you_mean("mnli-m", ["cola", "mnli"])  # ' Did you mean "mnli"?'
    """
    near = difflib.get_close_matches(name, names, n=1)
    return f' Did you mean "{near[0]}"?' if near else ""
