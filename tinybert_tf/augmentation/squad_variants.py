"""Questions of SQuAD beside variants of their contexts."""

import numpy as np
import tensorflow as tf

from tinybert_tf.augmentation.variants import example_keys

_SIDE = 1  # the contexts are the second texts of the examples


def squad_contexts(document):
    """Returns the contexts of a SQuAD document (what its JSON holds), list of str, in its order."""
    return [paragraph["context"] for paragraph in _paragraphs(document)]


def augment_squad(document, variants, count, tally):
    """Adds variants of the contexts, each a paragraph with all questions of the original's.

    Words that an answer of the paragraph touches stay as they are, so that every answer is still
    there. The id of a question beside variant 3 ends in `-variant-3`.

    Args:
        document: dict, what a file holds that `read_squad` reads.
        variants: `Variants`, whose candidates are of the contexts; the key of an example is its
            context's.
        count: int, how many variants to draw of each context.
        tally: `Tally`, to which they are added; its rows are the questions.

    Yields:
        Each article with its paragraphs, the variants after the original.
    """
    for article in document["data"]:
        paragraphs = []
        for paragraph in article["paragraphs"]:
            paragraphs += [paragraph, *_varied(paragraph, variants, count, tally)]
        tally.rows += sum(len(paragraph["qas"]) for paragraph in paragraphs)
        yield {**article, "paragraphs": paragraphs}


def _paragraphs(document):
    return [paragraph for article in document["data"] for paragraph in article["paragraphs"]]


def _varied(paragraph, variants, count, tally):
    """The distinct variants of one paragraph."""
    candidates, context = variants.candidates, paragraph["context"]
    (index,) = candidates.index_of([context])
    is_free = ~_is_in_answer(candidates, int(index), paragraph)
    first = candidates.word_splits[index]
    texts, examples = np.full(count, index), np.repeat(example_keys([[context]]), count)
    with tf.device("CPU"):
        drawn = variants.replacements(texts, examples, _SIDE, np.arange(1, count + 1))
    found = {context: None}
    for number, (words, strings) in enumerate(zip(*map(_rows, drawn), strict=True), 1):
        kept = is_free[words - first]
        tally.count(candidates, texts[:1], words[kept], strings[kept], int((~is_free).sum()))
        made = _replaced(paragraph, number, candidates, words[kept], strings[kept])
        found.setdefault(made["context"], made)
    return [made for made in found.values() if made is not None and made["qas"]]


def _rows(ragged):
    return np.split(ragged.flat_values.numpy(), ragged.row_splits.numpy()[1:-1])


def _is_in_answer(candidates, index, paragraph):
    """bool array: whether an answer touches each replaceable word of a text."""
    words = slice(*candidates.word_splits[index : index + 2])
    starts, ends = candidates.starts[words], candidates.ends[words]
    inside = np.zeros(len(starts), bool)
    for question in paragraph["qas"]:
        for answer in question.get("answers", ()):
            first, last = answer["answer_start"], answer["answer_start"] + len(answer["text"])
            inside |= (starts < last) & (ends > first)
    return inside


def _replaced(paragraph, number, candidates, words, strings):
    """A paragraph with other words in its context, and its answers where they now are."""
    context, parts, end = paragraph["context"], [], 0
    starts, ends = candidates.starts[words], candidates.ends[words]
    new = [candidates.strings[string] for string in strings]
    for start, stop, string in zip(starts, ends, new, strict=True):
        parts += [context[end:start], string]
        end = stop
    context = "".join([*parts, context[end:]])
    moves = np.r_[0, np.cumsum([*map(len, new)] - (ends - starts))].astype(int)

    def moved(place):
        return place + int(moves[np.searchsorted(starts, place)])

    questions = (_moved(question, number, context, moved) for question in paragraph["qas"])
    return {**paragraph, "context": context, "qas": [q for q in questions if q is not None]}


def _moved(question, number, context, moved):
    """A question with its answers in another context; `None` if one is not there."""
    question = {key: value for key, value in question.items() if key != "plausible_answers"}
    question["id"] = f"{question['id']}-variant-{number}"
    if "answers" in question:
        question["answers"] = [
            {**answer, "answer_start": moved(answer["answer_start"])}
            for answer in question["answers"]
        ]
        for answer in question["answers"]:
            if not context.startswith(answer["text"], answer["answer_start"]):
                return None
    return question
