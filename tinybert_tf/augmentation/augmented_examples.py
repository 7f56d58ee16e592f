"""Examples with their variants, doubles left out, as they are written to a file."""

import dataclasses
import random

import numpy as np
import tensorflow as tf

from tinybert_tf.augmentation.text_words import released_text
from tinybert_tf.augmentation.variants import example_keys

_ROWS_AT_ONCE = 16384


@dataclasses.dataclass
class Tally:
    """What was drawn.

    Args:
        rows: int, examples and variants that were kept.
        words: int, the words of all texts drawn, doubles included.
        draws: int, those of them that might have been replaced.
        replaced: int, those that were.
        changed: int, those replaced by another word than the one that stood there.
    """

    rows: int = 0
    words: int = 0
    draws: int = 0
    replaced: int = 0
    changed: int = 0

    def count(self, candidates, texts, words, strings, num_kept=0):
        """Adds texts drawn.

        Args:
            candidates: `Candidates`.
            texts: int array `(rows,)`, the indices of the texts.
            words: int array, the words replaced in all of them.
            strings: int array of the same length, what by.
            num_kept: int, words that have candidates and yet had to stay, in all of the texts.
        """
        self.words += int(candidates.num_words[texts].sum())
        self.draws += int(np.diff(candidates.word_splits)[texts].sum()) - num_kept
        self.replaced += len(words)
        self.changed += int((candidates.word_ids[words] != strings).sum())

    def shares(self):
        """Dict of share replaced of the draws, and share changed of the words."""
        return {
            "replaced_share": self.replaced / max(self.draws, 1),
            "changed_share": self.changed / max(self.words, 1),
        }


def augment_examples(columns, variants, count, tally):
    """Draws the variants of examples: each text in turn varied beside the original other text.

    Args:
        columns: list of one or two lists of str, the texts and the second texts of the examples.
        variants: `Variants`.
        count: int, how many to draw of each text.
        tally: `Tally`, to which they are added.

    Yields:
        For each example a list of tuples of one or two str: the example, then its variants.
    """
    places = [variants.candidates.index_of(column) for column in columns]
    keys = example_keys(columns)
    step = max(1, _ROWS_AT_ONCE // max(count, 1))
    for start in range(0, len(places[0]), step):
        part = slice(start, start + step)
        sides = [
            _drawn(variants, place[part], keys[part], side, count, tally)
            for side, place in enumerate(places)
        ]
        for number in range(start, start + len(keys[part])):
            original = tuple(column[number] for column in columns)
            drawn = [side[number - start] for side in sides]
            rows = [original, *_beside_original(original, drawn)]
            tally.rows += len(rows)
            yield rows


def augment_as_released(columns, candidates, count, probability, seed, tally):
    """Draws as the released program does.

    It writes the example anew for each text, varies the second text beside the last variant of the
    first (a slip), and draws a candidate for each word before it decides whether to take it. The
    variants are in lower case, without accents, with a space on both sides of each mark.

    Args:
        columns: as for `augment_examples`.
        candidates: `Candidates` of what `released_text` makes of the texts.
        count: int, how many to draw of each text.
        probability: float, of a word to be replaced.
        seed: int.
        tally: `Tally`, to which they are added.

    Yields:
        As `augment_examples`.
    """
    chance = random.Random(seed)
    places = [candidates.index_of([*map(released_text, column)]) for column in columns]
    for number in range(len(columns[0])):
        line, rows = [column[number] for column in columns], []
        for side, place in enumerate(places):
            drawn = [
                _drawn_as_released(candidates, place[number], probability, chance, tally)
                for _ in range(count)
            ]
            for text in dict.fromkeys([line[side], *drawn]):
                line[side] = text
                rows.append(tuple(line))
        tally.rows += len(rows)
        yield rows


def _drawn(variants, texts, keys, side, count, tally):
    """The variants of each text, list of list of str; the keys are those of the examples."""
    numbers = np.tile(np.arange(1, count + 1), len(texts))
    drawn = (np.repeat(texts, count), np.repeat(keys, count), side, numbers)
    with tf.device("CPU"):
        words, strings = variants.replacements(*drawn)
        found = variants.join(drawn[0], words, strings).numpy()
    tally.count(
        variants.candidates, drawn[0], words.flat_values.numpy(), strings.flat_values.numpy()
    )
    return [[text.decode("utf-8") for text in part] for part in found.reshape(-1, count)]


def _beside_original(original, sides):
    """Yields each distinct variant of each side with the original other side, if there is one."""
    for side, drawn in enumerate(sides):
        for text in dict.fromkeys(drawn):
            if text != original[side]:
                yield (*original[:side], text, *original[side + 1 :])


def _drawn_as_released(candidates, index, probability, chance, tally):
    """One variant of a text."""
    text, parts, end, chosen = candidates.texts[index], [], 0, []
    for word, start, stop, options in candidates.words_of(index):
        option = chance.choice(options)
        if chance.random() < probability:
            parts += [text[end:start], candidates.strings[option]]
            chosen.append((word, option))
            end = stop
    words, strings = np.array(chosen, np.int64).reshape(-1, 2).T
    tally.count(candidates, np.array([index]), words, strings)
    return "".join([*parts, text[end:]])
