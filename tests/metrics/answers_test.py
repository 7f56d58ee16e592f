import functools
import gzip
import json
import pathlib

import pytest

from tinybert_tf.metrics import METRICS, answer_f1, exact_match

SCORES = pathlib.Path(__file__).parents[1] / "goldens" / "squad_scores.json.gz"
PROGRAMS = {"v1": False, "v2": True}


@functools.cache
def scores(version):
    """What SQuAD's own programs say: answers, predictions, whether they match, their F1."""
    rows = json.loads(gzip.decompress(SCORES.read_bytes()))[version]
    assert len(rows) == 1_000
    return [*zip(*rows, strict=True)]


@pytest.mark.parametrize("version", PROGRAMS)
def test_each_question_scores_as_in_the_program_of_squad(version):
    for answers, prediction, matches, overlap in zip(*scores(version), strict=True):
        question = [tuple(answers)], [prediction], PROGRAMS[version]
        assert (exact_match(*question), answer_f1(*question)) == (matches, pytest.approx(overlap))


@pytest.mark.parametrize("version", PROGRAMS)
def test_means_equal_those_of_squad(version):
    answers, predictions, matches, overlaps = scores(version)
    assert all(answers) == (version == "v1")
    expected = sum(matches) / 1_000, sum(overlaps) / 1_000
    assert METRICS["exact_match"](answers, predictions) == pytest.approx(expected[0])
    assert METRICS["answer_f1"](answers, predictions) == pytest.approx(expected[1])


def test_by_hand():
    labels = [("the Eiffel Tower", "Paris"), (), ()]
    predictions = ["tall Eiffel tower!", "Paris", ""]
    assert exact_match(labels, predictions) == pytest.approx(1 / 3)
    assert answer_f1(labels, predictions) == pytest.approx((0.8 + 0 + 1) / 3)


@pytest.mark.parametrize("metric", [exact_match, answer_f1])
def test_refusals(metric):
    for labels, predictions in (([], []), ([("a",)], []), ([("a",)], ["a", "b"])):
        with pytest.raises(ValueError, match=f"are {len(labels)} `labels` and {len(predictions)}"):
            metric(labels, predictions)
    with pytest.raises(ValueError, match="A question has no answer, which SQuAD 1.1 does not know"):
        metric([()], [""], allows_no_answer=False)
