"""Which of several files are worth having: those that no other one beats at everything."""

# What a file is judged by: smaller is better of the first two, greater of the last.
_COSTS, _GAINS = ("size_bytes", "latency_ms"), ("metric",)


def mark_dominated(rows):
    """Says of each file whether another one is at least as good at everything, and better at one.

    Args:
        rows: list of dicts with `name`, `size_bytes`, `latency_ms` and `metric` (greater is
            better).

    Returns:
        The rows in the same order, each with `dominated_by`: the name of the first file that
        dominates it, or `None`.

    Example:
        >>> small = {"name": "int8", "size_bytes": 14, "latency_ms": 1.0, "metric": 0.9}
        >>> large = {"name": "float", "size_bytes": 57, "latency_ms": 3.0, "metric": 0.9}
        >>> [row["dominated_by"] for row in mark_dominated([small, large])]
        [None, 'int8']
    """
    return [
        row | {"dominated_by": next((o["name"] for o in rows if _dominates(o, row)), None)}
        for row in rows
    ]


def _dominates(one, other):
    mine, theirs = _badness(one), _badness(other)
    return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def _badness(row):
    return [row[name] for name in _COSTS] + [-row[name] for name in _GAINS]
