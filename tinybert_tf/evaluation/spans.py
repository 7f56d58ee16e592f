"""Logits of starts and ends to the answers of questions."""

import dataclasses

import numpy as np

_FARTHEST = 1e30  # stands for an infinite logit, and with a minus for one that is not a number


@dataclasses.dataclass(frozen=True)
class SpanPrediction:
    """The answer to one question.

    Args:
        text: str, a part of the context; "" for no answer.
        score: float, the sum of the logits of its start and its end.
        null_score_difference: float, by how much the score of no answer exceeds that of the best
            answer; 0 where the context has no words.
        probability: float, the share of `text` in the softmax over the scores of the best answers,
            and of none where that is allowed.
    """

    text: str
    score: float
    null_score_difference: float
    probability: float


def decode_spans(
    rows, logits, num_best=20, max_answer_length=30, null_threshold=0.0, allows_no_answer=False
):
    """Finds the best answer to each question over all windows of its context.

    An answer lies inside one window, begins at a word-piece that has most context in that window,
    and reaches from the first character of its first word to the last of its last.

    Args:
        rows: `SpanRows`.
        logits: float array `(num_rows, length, 2)` for starts and ends, in the order of the rows;
            length as great as the longest row or greater.
        num_best: int, the number of answers among which probability is shared.
        max_answer_length: int, the most word-pieces of an answer.
        null_threshold: float; no answer is given where `null_score_difference` is greater.
        allows_no_answer: bool, whether "" may be the answer, as in SQuAD 2.0.

    Returns:
        List of `SpanPrediction`, one for each example.

    Raises:
        ValueError: If the logits have another shape, or `num_best` or `max_answer_length` is below
            1.

    Example:
        answers = [answer.text for answer in decode_spans(rows, logits)]

    Reference:
        Devlin et al. 2018, the program run_squad: the score of no answer is that of [CLS], the
        least over the windows.
    """
    logits = np.asarray(logits)
    _check(rows, logits, num_best, max_answer_length)
    bounds = np.searchsorted(rows.example_of, np.arange(len(rows.examples) + 1))
    threshold = null_threshold if allows_no_answer else None
    predictions = []
    for context, first, last in zip(rows.examples.text_pairs, bounds[:-1], bounds[1:], strict=True):
        found = [
            _best_spans(rows.window(row), _finite(logits[row]), num_best, max_answer_length)
            for row in range(first, last)
        ]
        scores, characters = map(np.concatenate, zip(*found, strict=True))
        best = np.argsort(-scores, kind="stable")[:num_best]
        null_score = _finite(logits[first:last, 0]).sum(axis=1).min()
        predictions.append(_choose(context, scores[best], characters[best], null_score, threshold))
    return predictions


def _best_spans(window, logits, num_best, max_answer_length):
    """Returns the best spans of a window, from left to right; more than `num_best` only at a tie.

    Args:
        window: `Window`.
        logits: float64 array `(length, 2)` of its row.
        num_best: int.
        max_answer_length: int, word-pieces.

    Returns:
        float64 array `(spans,)`, their scores, and int32 array `(spans, 2)`, their first character
        in the context and the one after their last.
    """
    count = len(window.starts)
    logits = logits[window.first_token : window.first_token + count]
    starts = np.flatnonzero(window.has_most_context)[:, np.newaxis]
    ends = starts + np.arange(min(max_answer_length, count))
    is_inside = ends < count
    starts, ends = np.broadcast_to(starts, ends.shape)[is_inside], ends[is_inside]
    scores = logits[starts, 0] + logits[ends, 1]
    if len(scores) > num_best:
        best = scores >= np.partition(scores, -num_best)[-num_best]
        scores, starts, ends = scores[best], starts[best], ends[best]
    return scores, np.stack([window.starts[starts], window.ends[ends]], axis=1)


def _choose(context, scores, characters, null_score, null_threshold):
    """Returns the `SpanPrediction` of a question.

    Args:
        context: str.
        scores: float64 array `(spans,)`, the greatest first.
        characters: int array `(spans, 2)`, where each span begins and ends in the context.
        null_score: float, the score of no answer.
        null_threshold: float, or `None` where no answer is not allowed.
    """
    difference = null_score - scores[0] if len(scores) else 0.0
    is_null = not len(scores) or (null_threshold is not None and difference > null_threshold)
    if null_threshold is not None or not len(scores):
        scores = np.append(scores, null_score)
    powers = np.exp(scores - scores.max())
    chosen = -1 if is_null else 0
    return SpanPrediction(
        text="" if is_null else context[slice(*characters[0])],
        score=float(scores[chosen]),
        null_score_difference=float(difference),
        probability=float(powers[chosen] / powers.sum()),
    )


def _finite(logits):
    logits = np.asarray(logits, np.float64)
    return np.nan_to_num(logits, nan=-_FARTHEST, posinf=_FARTHEST, neginf=-_FARTHEST)


def _check(rows, logits, num_best, max_answer_length):
    longest = int(rows.lengths.max())
    fits = logits.ndim == 3 and logits.shape[::2] == (rows.num_rows, 2)
    if not fits or logits.shape[1] < longest:
        raise ValueError(
            f"`logits` have shape {logits.shape}, expected ({rows.num_rows}, {longest} or more, 2)."
        )
    for name, value in {"num_best": num_best, "max_answer_length": max_answer_length}.items():
        if value < 1:
            raise ValueError(f"`{name}` is {value}, expected 1 or more.")
