"""How fast a masked LM proposes words, against the released program's way of asking it.

    python -m benchmarks.augmentation_speed --train glue/MRPC/train.tsv \\
        --text-columns "#1 String" "#2 String" --masked-lm runs/masked_lm \\
        --output runs/augmentation_speed.jsonl

The released program asks for one word a call and computes the logits of every token of both
sentences. Each further way changes one thing: last layer and logits of the masked word alone; many
words a call, the weights being constants of its graph; bfloat16. All these ask the same model, in a
compiled forward pass, in turns, for the words of sentences that stand evenly through the file:
those that take many a call of more of them, for a call takes words of sentences of one length. The
last row is not measured: it is the one before, times the number of sentences in the file for each
distinct one, since each distinct one is asked for once.
"""

import argparse
import pathlib
import statistics
import time

import numpy as np
import tensorflow as tf

import tinybert_tf as tb
from benchmarks import environment
from tinybert_tf.augmentation.masked_lm_candidates import MaskedWords, compute_top_tokens
from tinybert_tf.augmentation.text_words import find_words, read_stop_words

COUNT = 15
# Sentences that many words a call are measured on, for each one that one word a call is.
MORE_TEXTS = 20


def one_word(masked_lm, texts, all_logits=False):
    """Function that asks for every word of some texts, one a call; returns their number."""
    rows = words_of(masked_lm, texts)
    inputs = [row for number in range(rows.num_batches) for row in alone(rows, number)]

    @tf.function(reduce_retracing=True, autograph=False)
    def top(inputs, place):
        if all_logits:
            inputs = {name: value for name, value in inputs.items() if name != "masked_positions"}
            logits = masked_lm(inputs, training=False)["logits"][0, place]
        else:
            logits = masked_lm.predict_masked(inputs)[0, 0]
        return tf.math.top_k(tf.cast(logits, tf.float32), COUNT).indices

    shape = tf.TensorSpec([1, None], tf.int32)
    ask = top.get_concrete_function(dict.fromkeys(inputs[0][0], shape), tf.TensorSpec([], tf.int32))

    def run():
        for row, place in inputs:
            ask({name: tf.constant(value) for name, value in row.items()}, tf.constant(place))
        return len(inputs)

    return run


def all_logits_of_one_word(masked_lm, texts):
    """As `one_word`, computing the logits of every token."""
    return one_word(masked_lm, texts, all_logits=True)


def many_words(masked_lm, texts):
    """As `one_word`, as many a call as augment takes."""
    rows = words_of(masked_lm, texts)
    return lambda: sum(len(found) for found, _ in compute_top_tokens(masked_lm, rows, COUNT))


# What it is called: dtype of the model, and what makes the function that asks it.
WAYS = {
    "one word a call, all logits (as released)": ("float32", all_logits_of_one_word),
    "one word a call, last layer and logits of it alone": ("float32", one_word),
    "many words a call": ("float32", many_words),
    "many words a call, bfloat16": ("bfloat16", many_words),
}
ONCE = "each distinct sentence once (computed, not measured)"


def words_of(masked_lm, texts):
    """The `MaskedWords` of all words of one word-piece."""
    words = find_words(texts, masked_lm.vocabulary, read_stop_words())
    asked = np.flatnonzero(words.replaceable & (words.num_pieces == 1))
    return MaskedWords(words, asked, masked_lm.vocabulary, masked_lm.config.max_sequence_length)


def alone(rows, number):
    """Each row of a batch alone, and the place of its masked word."""
    _, inputs = rows.batch(number)
    for index, (place,) in enumerate(inputs["masked_positions"]):
        yield {name: value[index : index + 1] for name, value in inputs.items()}, place


def read_texts(path, columns):
    """All texts of a training file's columns, list of str."""
    return [text for column in columns for text in tb.data.read_examples(path, column).texts]


def measure(settings):
    """One record for each way, of the texts that the settings name."""
    everything = read_texts(settings.train, settings.text_columns)
    distinct = list(dict.fromkeys(everything))
    models = {dtype: tb.load(settings.masked_lm, dtype=dtype) for dtype in ("float32", "bfloat16")}
    runs, texts = {}, {}
    for way, (dtype, make) in WAYS.items():
        more = MORE_TEXTS if make is many_words else 1
        texts[way] = evenly(distinct, settings.num_texts * more)
        runs[way] = make(models[dtype], texts[way])
    num_words = {way: run() for way, run in runs.items()}  # which compiles
    speeds = {way: [] for way in runs}  # words a second
    for _ in range(settings.rounds):
        for way, run in runs.items():
            start = time.perf_counter()
            speeds[way].append(run() / (time.perf_counter() - start))
    first, *_ = speeds.values()
    for way, found in speeds.items():
        times = statistics.median(new / old for new, old in zip(found, first, strict=True))
        words = num_words[way] / len(texts[way])
        counts = {"num_texts": len(texts[way]), "num_words": num_words[way]}
        yield record(settings, way, counts, statistics.median(found) / words, times)
    repeats = len(everything) / len(distinct)
    speed = statistics.median(found) / words * repeats
    yield record(settings, ONCE, counts, speed, times * repeats)


def evenly(texts, count):
    """So many of the texts, evenly through the list."""
    return texts[:: max(1, len(texts) // count)][:count]


def record(settings, way, counts, sentences_per_second, times):
    """The figures of one way."""
    return environment.describe() | {
        "train": "/".join(pathlib.PurePath(settings.train).parts[-2:]),
        "way": way,
        **counts,
        "sentences_per_second": sentences_per_second,
        "times_released": times,
    }


def main():
    """Measures every way and writes a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", required=True, help="training file")
    parser.add_argument("--text-columns", nargs="+", required=True)
    parser.add_argument("--masked-lm", required=True, help="model folder")
    parser.add_argument("--num-texts", type=int, default=60, help="sentences that are timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, required=True, help=".jsonl file")
    settings = parser.parse_args()
    environment.write_lines(list(measure(settings)), settings.output)


if __name__ == "__main__":
    main()
