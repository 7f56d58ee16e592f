from tinybert_tf.suggestions import did_you_mean


def test_a_near_name_is_proposed():
    assert did_you_mean("mnli-m", ["cola", "mnli", "mrpc"]) == ' Did you mean "mnli"?'


def test_nothing_is_said_where_nothing_is_near():
    assert did_you_mean("zebra", ["cola", "mnli"]) == did_you_mean("zebra", []) == ""
