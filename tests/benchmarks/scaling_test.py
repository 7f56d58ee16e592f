"""What the benchmark of replicas reckons and whom it starts."""

import json
import types

import pytest

from benchmarks import scaling


def test_first_steps_do_not_count():
    ends = [0.0, 50.0, 60.0, 61.0, 62.0, 64.0]  # three steps of 1, 1 and 2 seconds after the third
    assert scaling.WARM_UP_STEPS == 3
    assert scaling.examples_per_second(ends, batch_size=8) == 3 * 8 / 4


def test_record_has_medians():
    record = scaling.make_record("two processes", [1.0, 3.0, 2.0], [2.0, 2.0, 8.0])
    assert (record["processes"], record["replicas"]) == (2, 2)
    assert record["examples_per_second"] == 2
    assert record["times_one_replica"] == 0.5  # of 0.5, 1.5, 0.25
    assert "not speed-up" in record["note"]


def test_every_process_knows_all_and_itself():
    one, two = (json.loads(each["TF_CONFIG"]) for each in scaling.cluster_settings(2))
    assert one["cluster"] == two["cluster"]
    assert len(set(one["cluster"]["worker"])) == 2
    assert [each["task"]["index"] for each in (one, two)] == [0, 1]


def test_one_process_is_no_cluster():
    assert scaling.cluster_settings(1) == [{}]


def test_a_process_that_fails_is_told():
    arguments = types.SimpleNamespace(
        teacher="nothing", student="bert_tiny", batch_size=0, length=8, steps=-1, timeout=60
    )
    with pytest.raises(RuntimeError, match="(?s)one replica: exit status 1.*nothing"):
        scaling.launch("one replica", arguments)


@pytest.mark.slow
@pytest.mark.parametrize("case", scaling.CASES)
def test_every_case_runs(case):
    arguments = types.SimpleNamespace(
        teacher="bert_tiny", student="bert_tiny", batch_size=4, length=8, steps=2, timeout=300
    )
    assert scaling.launch(case, arguments) > 0
