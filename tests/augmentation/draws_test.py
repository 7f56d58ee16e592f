import numpy as np
import tensorflow as tf
from scipy import stats

from tinybert_tf.augmentation.draws import choose, random_bits

MASK = 2**64 - 1


def splitmix(state):
    """The next number of SplitMix64, as its authors write it."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def many_bits(count=40_000):
    return random_bits(3, np.arange(count) // 200, 1, np.arange(count) % 200)


def test_known_numbers():
    # The first two of SplitMix64 from seed 1234567, as published with it.
    assert int(random_bits(1234567)) == 6457827717110365317
    assert int(random_bits((1234567 + 0x9E3779B97F4A7C15) & MASK)) == 3203168211198807973


def test_is_splitmix_once_for_each_counter():
    expected = [
        [splitmix((splitmix((splitmix(5) + a)) + b) & MASK) for b in (0, 9)] for a in (1, 2)
    ]
    assert random_bits(5, [[1], [2]], [0, 9]).numpy().tolist() == expected


def test_is_the_same_in_a_graph():
    found = tf.function(lambda numbers: random_bits(3, numbers, 7))(tf.range(50))
    np.testing.assert_array_equal(found, random_bits(3, tf.range(50), 7))


def test_every_bit_is_even():
    bits = many_bits().numpy()
    ones = [int(((bits >> np.uint64(place)) & np.uint64(1)).sum()) for place in range(64)]
    assert np.abs(np.array(ones) / len(bits) - 0.5).max() < 0.015  # six standard deviations


def test_no_number_comes_twice():
    assert len(np.unique(many_bits())) == 40_000


def test_choice_is_uniform():
    options = choose(many_bits(), 1.0, tf.fill([40_000], 15))
    counts = np.bincount(options, minlength=15)
    assert len(counts) == 15
    assert stats.chisquare(counts).pvalue > 0.001


def test_share_and_independence_of_what_is_chosen():
    options = choose(many_bits(), 0.4, tf.fill([40_000], 5)).numpy()
    assert abs((options >= 0).mean() - 0.4) < 0.01
    assert stats.chisquare(np.bincount(options[options >= 0], minlength=5)).pvalue > 0.001


def test_neighbouring_counters_are_independent():
    chosen = choose(many_bits(), 0.4, tf.fill([40_000], 5)).numpy() >= 0
    for step in (1, 200):
        assert abs(np.corrcoef(chosen[:-step], chosen[step:])[0, 1]) < 0.02


def test_never_and_always():
    assert (choose(many_bits(100), 0.0, tf.fill([100], 3)).numpy() == -1).all()
    assert (choose(many_bits(100), 1.0, tf.fill([100], 1)).numpy() == 0).all()
