import random

import numpy as np
import pytest
import tensorflow as tf
from tiny_augmentation import candidates_of

from tinybert_tf.augmentation import Variants
from tinybert_tf.augmentation.draws import choose, random_bits


def drawn(candidates, texts, examples, side, numbers, **settings):
    found = Variants(candidates, **settings).texts(
        np.array(texts), np.array(examples), side, np.array(numbers)
    )
    return [text.decode() for text in found.numpy()]


def naive(candidates, text, example, side, number, probability, seed):
    """One variant, a word after the other."""
    source, made, end = candidates.texts[text], "", 0
    for _, start, stop, options in candidates.words_of(text):
        bits = random_bits(seed, example, side, number, start)
        option = int(choose(bits, probability, len(options)))
        own = source[start:stop]
        made += source[end:start] + (own if option < 0 else candidates.strings[options[option]])
        end = stop
    return made + source[end:]


def test_is_a_word_after_the_other(candidates):
    rows = [(text, example, number) for text in range(4) for example in (0, 7) for number in (1, 2)]
    random.Random(0).shuffle(rows)
    texts, examples, numbers = zip(*rows, strict=True)
    expected = [naive(candidates, t, e, 1, n, 0.6, 5) for t, e, n in rows]
    assert drawn(candidates, texts, examples, 1, numbers, probability=0.6, seed=5) == expected
    assert len(set(expected)) > 6


def test_variant_0_is_the_text_itself(candidates):
    found = drawn(candidates, range(4), range(4), 0, [0] * 4, probability=1.0)
    assert found == candidates.texts


def test_always_and_never(candidates):
    count = range(1, 40)
    texts = [0] * len(count)
    assert set(drawn(candidates, texts, texts, 0, count, probability=0.0)) == {candidates.texts[0]}
    found = set(drawn(candidates, texts, texts, 0, count, probability=1.0))
    assert found == {f"  {a} é-{b}! {c}" for a in "bc" for b in ("Cd", "ab") for c in "ef日"}


def test_depends_on_its_own_row_alone(candidates):
    numbers = np.arange(1, 60)
    texts, examples = numbers % 4, numbers % 5
    together = drawn(candidates, texts, examples, 0, numbers)
    order = np.random.default_rng(0).permutation(len(numbers))
    shuffled = drawn(candidates, texts[order], examples[order], 0, numbers[order])
    assert shuffled == [together[place] for place in order]
    for place in (3, 17):
        row = slice(place, place + 1)
        assert drawn(candidates, texts[row], examples[row], 0, numbers[row]) == together[row]


@pytest.mark.parametrize("changed", ["examples", "side", "numbers", "seed"])
def test_everything_named_matters(candidates, changed):
    rows = {"texts": [0] * 30, "examples": [1] * 30, "side": 0, "numbers": np.arange(1, 31)}
    rows["seed"] = 0
    more = {"examples": [2] * 30, "numbers": np.arange(101, 131)}
    other = rows | {changed: more.get(changed, 1)}
    assert drawn(candidates, **rows) != drawn(candidates, **other)


def test_share_replaced():
    candidates = candidates_of([[["a", "b"], " "] * 40])
    count = np.arange(1, 501)
    found = drawn(candidates, 0 * count, 0 * count, 0, count, probability=0.4)
    share = "".join(found).count("b") / (40 * 500)
    assert abs(share - 0.4) < 0.014  # four standard deviations


def test_runs_in_tf_data(candidates):
    variants = Variants(candidates)
    dataset = tf.data.Dataset.range(1, 30).batch(4)
    dataset = dataset.map(lambda n: variants.texts(tf.zeros_like(n), tf.zeros_like(n), 0, n))
    found = [text.decode() for batch in dataset for text in batch.numpy()]
    assert found == drawn(candidates, [0] * 29, [0] * 29, 0, range(1, 30))


def test_no_rows(candidates):
    assert drawn(candidates, np.zeros(0, int), np.zeros(0, int), 0, np.zeros(0, int)) == []


@pytest.mark.parametrize("settings", [{"probability": 1.1}, {"seed": -1}, {"probability": -0.1}])
def test_errors(candidates, settings):
    with pytest.raises(ValueError, match="expected 0 to 1, and 0 or more"):
        Variants(candidates, **settings)
