import copy
import gzip
import json
import random
import re

import pytest

from tinybert_tf.data.examples import Examples
from tinybert_tf.data.squad_files import read_squad

CONTEXT = "It is 5 o'clock in Paris."


def question(**changes):
    answers = [{"text": "5 o'clock", "answer_start": 6}, {"text": "5", "answer_start": 6}]
    entry = {"id": "q1", "question": "What time is it?", "answers": answers, **changes}
    return {key: value for key, value in entry.items() if value is not None}


def document(*questions):
    questions = list(questions or [question()])
    return {"version": "1", "data": [{"paragraphs": [{"context": CONTEXT, "qas": questions}]}]}


def written(folder, content, name="dev.json"):
    path = folder / name
    content = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(content.encode("utf-8"))
    return path


def assert_refused(path, message):
    with pytest.raises(ValueError, match=re.escape(f"{path}{message}")):
        read_squad(path)


def assert_question_refused(folder, message, **changes):
    place = ', data[0].paragraphs[0].qas[0] (question "q1"): '
    assert_refused(written(folder, document(question(**changes))), place + message)


def test_reads_questions_contexts_answers_and_ids(tmp_path):
    second = question(id="q2", question="Where?", answers=[{"text": "Paris", "answer_start": 19}])
    assert read_squad(written(tmp_path, document(question(), second))) == Examples(
        ["What time is it?", "Where?"],
        [CONTEXT, CONTEXT],
        [(("5 o'clock", 6), ("5", 6)), (("Paris", 19),)],
        ["q1", "q2"],
    )


def test_reads_gzip(tmp_path):
    path = tmp_path / "dev.json.gz"
    path.write_bytes(gzip.compress(json.dumps(document()).encode()))
    assert read_squad(path).ids == ["q1"]


def test_impossible_questions_have_no_answer(tmp_path):
    questions = [
        question(is_impossible=False),
        question(id="q2", is_impossible=True, answers=[]),
        question(id="q3", is_impossible=True, answers=None),
        question(id="q4", is_impossible=True),
        question(id="q5", answers=[]),
    ]
    labels = read_squad(written(tmp_path, document(*questions))).labels
    assert [len(label) for label in labels] == [2, 0, 0, 0, 0]


def test_file_without_answers_has_no_labels(tmp_path):
    questions = [question(answers=None), question(id="q2", answers=None)]
    assert read_squad(written(tmp_path, document(*questions))).labels is None


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="No file .*dev.json"):
        read_squad(tmp_path / "dev.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": not JSON: Expecting value: line 1 column 1"),
        ('{"data":\n[}', ": not JSON: Expecting value: line 2 column 2"),
        ("[" * 100_000, ": lists or objects stand too deep inside one another."),
        ('{"data": 1' + "0" * 5_000 + "}", ": not JSON: Exceeds the limit"),
        ("[]", ": found a list, expected an object."),
        ("{}", ': "data" is missing.'),
        ({"data": {}}, ': "data" is an object, expected a list.'),
        ({"data": []}, " holds no questions."),
        ({"data": [7]}, ", data[0]: found a whole number, expected an object."),
        ({"data": [{"paragraphs": None}]}, ', data[0]: "paragraphs" is null, expected a list.'),
        (
            {"data": [{"paragraphs": [{"context": 0.5, "qas": [{}]}]}]},
            ', data[0].paragraphs[0]: "context" is a number, expected a text.',
        ),
        (
            {"data": [{"paragraphs": [{"context": "", "qas": [True]}]}]},
            ", data[0].paragraphs[0].qas[0]: found true or false, expected an object.",
        ),
    ],
)
def test_other_documents(tmp_path, content, message):
    assert_refused(written(tmp_path, content), message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": None}, '"question" is missing.'),
        ({"question": "\ud800"}, '"question" holds half of a surrogate pair'),
        ({"is_impossible": 1}, '"is_impossible" is a whole number, expected true or false.'),
        ({"answers": "5"}, '"answers" is a text, expected a list.'),
        ({"answers": [], "is_impossible": False}, '"answers" is empty, though "is_impossible"'),
    ],
)
def test_other_questions(tmp_path, changes, message):
    assert_question_refused(tmp_path, message, **changes)


@pytest.mark.parametrize(
    ("text", "start", "found"),
    [
        ("Paris", 18, "' Pari'"),
        (" Paris", 19, "'Paris.'"),
        ("Rome", -6, "''"),
        ("Paris", 10**30, "''"),
        ("", 3, "''"),
    ],
)
def test_answer_that_is_elsewhere(tmp_path, text, start, found):
    message = (
        f"the answer {text!r} is said to start at character {start}, "
        f"where the context of 25 characters has {found}."
    )
    answers = [{"text": text, "answer_start": start}]
    assert_question_refused(tmp_path, message, answers=answers)


def test_long_answers_are_shortened_in_messages(tmp_path):
    answers = [{"text": "x" * 1_000, "answer_start": 0}]
    assert_question_refused(tmp_path, f"the answer '{'x' * 47}...' is said", answers=answers)


@pytest.mark.parametrize("start", [True, 6.0, "6", None])
def test_start_that_is_no_whole_number(tmp_path, start):
    path = written(tmp_path, document(question(answers=[{"text": "5", "answer_start": start}])))
    assert_refused(path, ', data[0].paragraphs[0].qas[0].answers[0]: "answer_start" is ')


def test_questions_without_answers_beside_others(tmp_path):
    path = written(tmp_path, document(question(), question(id="q2", answers=None)))
    place = ', data[0].paragraphs[0].qas[1] (question "q2")'
    assert_refused(path, f'{place}: "answers" is missing.')


def test_id_twice(tmp_path):
    path = written(tmp_path, document(question(), question()))
    assert_refused(
        path,
        ', data[0].paragraphs[0].qas[1] (question "q1"): its id is also that of '
        "data[0].paragraphs[0].qas[0].",
    )


def places(value):
    """Every container in a JSON value with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def test_whatever_stands_somewhere_is_read_or_refused(tmp_path):
    chance = random.Random(0)
    others = [None, True, 0, -1, 1e400, "", "\udc00", [], {}, [[]], [{}], "x" * 99, 10**40]
    refused = 0
    for count in range(400):
        changed = copy.deepcopy(document(question(), question(id="q2", is_impossible=False)))
        for _ in range(chance.choice((1, 1, 3))):
            container, key = chance.choice([*places(changed)])
            if chance.random() < 0.2:
                del container[key]
            else:
                container[key] = copy.deepcopy(chance.choice(others))
        try:
            assert len(read_squad(written(tmp_path, changed, f"{count}.json"))) > 0
        except ValueError as error:
            refused += 1
            assert f"{count}.json" in str(error)
    assert 200 < refused < 400


def test_ids_may_be_whole_numbers(tmp_path):
    assert read_squad(written(tmp_path, document(question(id=262)))).ids == ["262"]
