"""Whose choices the defaults follow: the paper's or the released program's."""

COMPATS = ("paper", "reference")


def check_compat(compat):
    """Returns `compat`; raises ValueError unless it is "paper" or "reference"."""
    if compat not in COMPATS:
        raise ValueError(f"`compat` is {compat!r}, expected one of {', '.join(COMPATS)}.")
    return compat
