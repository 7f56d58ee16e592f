import numpy as np

from tinybert_tf.report.pareto import mark_dominated


def row(name, size_bytes, latency_ms, metric):
    return {"name": name, "size_bytes": size_bytes, "latency_ms": latency_ms, "metric": metric}


def dominated_by(*rows):
    return [found["dominated_by"] for found in mark_dominated(list(rows))]


def test_worse_at_everything_is_dominated():
    assert dominated_by(row("a", 1, 1.0, 0.9), row("b", 2, 2.0, 0.8)) == [None, "a"]


def test_better_at_one_thing_is_not():
    rows = row("a", 1, 1.0, 0.9), row("b", 2, 0.5, 0.8), row("c", 9, 9.0, 0.95)
    assert dominated_by(*rows) == [None, None, None]


def test_equal_at_some_and_better_at_one_dominates():
    assert dominated_by(row("a", 1, 1.0, 0.9), row("b", 1, 1.0, 0.8)) == [None, "a"]


def test_equals_do_not_dominate_each_other():
    assert dominated_by(row("a", 1, 1.0, 0.9), row("b", 1, 1.0, 0.9)) == [None, None]


def test_as_every_pair_tells():
    values = np.random.default_rng(0).integers(0, 4, (40, 3))
    found = dominated_by(*(row(str(i), *map(int, v)) for i, v in enumerate(values)))
    costs = values * [1, 1, -1]
    less_or_equal = (costs[:, None] <= costs[None]).all(-1) & (costs[:, None] < costs[None]).any(-1)
    assert [name is not None for name in found] == less_or_equal.any(0).tolist()
    assert all(less_or_equal[int(name), i] for i, name in enumerate(found) if name is not None)
