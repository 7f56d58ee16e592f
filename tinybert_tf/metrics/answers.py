"""Metrics of answers to questions about a text, as SQuAD measures them."""

import collections
import re
import string

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")


def exact_match(labels, predictions, allows_no_answer=None):
    """Share of predictions that equal one of the true answers.

    Case, ASCII punctuation, the articles a, an, the, and the kind and number of spaces do not
    count.

    Args:
        labels: list of tuples of str, the true answers to each question, any of which is right;
            empty where the right answer is that there is none.
        predictions: list of str, the predicted answer to each, "" for none.
        allows_no_answer: bool, whether the rules are those of SQuAD 2.0, where answers that
            consist of nothing but punctuation and articles do not count, instead of those of 1.1;
            `None` means 2.0 where any question has no answer.

    Returns:
        float, 0 to 1.

    Raises:
        ValueError: If the lists are empty or differ in length, or if a question has no answer
            where `allows_no_answer` is False.

    Example:
        exact_match([("the Eiffel Tower",), ()], ["Eiffel tower.", "Paris"])  # 0.5

    Reference:
        The evaluation programs of SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016 and 2018).
    """
    return _mean_score(_is_same, labels, predictions, allows_no_answer)


def answer_f1(labels, predictions, allows_no_answer=None):
    """Mean overlap between the words of each prediction and of the true answer most like it.

    Args:
        labels: list of tuples of str; see `exact_match`.
        predictions: list of str, "" for no answer.
        allows_no_answer: bool or `None`; see `exact_match`. Two answers that hold nothing but
            punctuation and articles overlap wholly by the rules of SQuAD 2.0, not at all by 1.1's.

    Returns:
        float, 0 to 1: the mean of the harmonic means of precision and recall.

    Raises:
        ValueError: As `exact_match` does.

    Example:
        answer_f1([("Eiffel Tower",)], ["the tall tower"])  # 0.5
    """
    return _mean_score(_overlap, labels, predictions, allows_no_answer)


def _mean_score(score, labels, predictions, allows_no_answer):
    if len(labels) != len(predictions) or not len(labels):
        raise ValueError(
            f"There are {len(labels)} `labels` and {len(predictions)} `predictions`; "
            "expected as many, not none."
        )
    if allows_no_answer is None:
        allows_no_answer = not all(labels)
    elif not allows_no_answer and not all(labels):
        raise ValueError("A question has no answer, which SQuAD 1.1 does not know; use its 2.0.")
    scores = []
    for answers, prediction in zip(labels, predictions, strict=True):
        true_words = [_words(answer) for answer in answers]
        if allows_no_answer:
            true_words = list(filter(None, true_words)) or [[]]
        predicted = _words(prediction)
        scores.append(max(score(words, predicted, allows_no_answer) for words in true_words))
    return sum(scores) / len(scores)


def _is_same(true_words, words, allows_no_answer):
    return true_words == words


def _overlap(true_words, words, allows_no_answer):
    shared = (collections.Counter(true_words) & collections.Counter(words)).total()
    if not shared:
        return float(allows_no_answer and true_words == words)
    return 2 * shared / (len(true_words) + len(words))


def _words(answer):
    """Returns the words of an answer that count, a list of str."""
    return _ARTICLE.sub(" ", answer.lower().translate(_PUNCTUATION)).split()
