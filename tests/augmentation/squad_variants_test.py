import copy
import json

import pytest
from tiny_augmentation import candidates_of

from tinybert_tf.augmentation import Variants
from tinybert_tf.augmentation.augmented_examples import Tally
from tinybert_tf.augmentation.squad_variants import augment_squad, squad_contexts
from tinybert_tf.data import read_squad

CONTEXT = ["The ", ["cat", "dog", "elephant"], ", é ", ["red", "blue"], " ", ["one", "x"], " ran."]


def question(name, *answers, **more):
    answers = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": name, "question": "Who?", "answers": answers, **more}


def make_document():
    qas = [
        question("q1", ("red", 11), ("cat, é red", 4)),
        question("q2", is_impossible=True, plausible_answers=[{"text": "one", "answer_start": 15}]),
        question("q3", ("ran", 19)),
    ]
    context = "".join(part if isinstance(part, str) else part[0] for part in CONTEXT)
    first = {"context": context, "qas": qas[:1]}
    second = {"context": context, "qas": qas[1:]}
    return {"version": "2", "data": [{"title": "T", "paragraphs": [first, second]}]}


@pytest.fixture(name="articles")
def make_articles():
    variants = Variants(candidates_of([CONTEXT]), probability=0.5)
    return [*augment_squad(make_document(), variants, 30, Tally())]


def test_contexts():
    assert squad_contexts(make_document()) == ["The cat, é red one ran."] * 2


def test_originals_come_first(articles):
    document = make_document()
    paragraphs = articles[0]["paragraphs"]
    originals = [p for p in paragraphs if p["context"] == "The cat, é red one ran."]
    assert originals == document["data"][0]["paragraphs"]
    assert paragraphs[0] == originals[0]
    assert articles[0]["title"] == "T"


def test_answers_stay_and_are_found(articles, tmp_path):
    (tmp_path / "squad.json").write_text(json.dumps({"data": articles}))
    examples = read_squad(tmp_path / "squad.json")  # which checks where answers stand
    of_first = {c for c, i in zip(examples.text_pairs, examples.ids, strict=True) if "q1" in i}
    assert of_first == {"The cat, é red one ran.", "The cat, é red x ran."}
    answers = {i: a for i, a in zip(examples.ids, examples.labels, strict=True) if "q3" in i}
    assert {text for ((text, _),) in answers.values()} == {"ran"}
    assert len({start for ((_, start),) in answers.values()}) > 3


def test_contexts_differ_and_ids_name_their_variant(articles):
    paragraphs = [p for p in articles[0]["paragraphs"] if p["qas"][-1]["id"].startswith("q3")]
    contexts = [paragraph["context"] for paragraph in paragraphs]
    assert len(contexts) == len(set(contexts)) > 6
    ids = [q["id"] for p in paragraphs[1:] for q in p["qas"]]
    assert all(name[:11] in ("q2-variant-", "q3-variant-") for name in ids)
    assert len(ids) == len(set(ids))


def test_plausible_answers_are_left_out(articles):
    questions = [q for p in articles[0]["paragraphs"] for q in p["qas"] if "q2-" in q["id"]]
    assert questions
    assert all(q["is_impossible"] and "plausible_answers" not in q for q in questions)


def test_the_document_stays_as_it_is():
    document, variants = make_document(), Variants(candidates_of([CONTEXT]))
    before, tally = copy.deepcopy(document), Tally()
    made = [*augment_squad(document, variants, 5, tally)]
    assert document == before
    assert tally.rows == sum(len(p["qas"]) for p in made[0]["paragraphs"])


def test_words_of_answers_are_no_draws():
    tally = Tally()
    variants = Variants(candidates_of([CONTEXT]), probability=1.0)
    assert [*augment_squad(make_document(), variants, 5, tally)]
    assert (tally.draws, tally.replaced) == (5 * (1 + 3), 5 * (1 + 3))
    assert tally.shares()["replaced_share"] == 1


def test_draws_do_not_depend_on_what_stands_before():
    variants = Variants(candidates_of([CONTEXT]))
    whole = [*augment_squad(make_document(), variants, 9, Tally())]
    again = [*augment_squad(make_document(), variants, 9, Tally())]
    assert whole == again
