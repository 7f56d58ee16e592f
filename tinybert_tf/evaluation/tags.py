"""Logits of tags to one tag a word."""

import numpy as np


def decode_tags(rows, logits, label_names):
    """Names the tag of every word: the likeliest at its first word-piece.

    A word without a place in its row, because it was cut off or holds but invisible characters,
    gets "O", or the first label where there is no "O".

    Args:
        rows: `TagRows`.
        logits: float array `(num_rows, length, num_labels)`, in the order of the rows; length as
            great as the longest row or greater.
        label_names: sequence of str `(num_labels,)`, the tags.

    Returns:
        List of tuples of str, one tag for each word of each example.

    Raises:
        ValueError: If the logits have another shape.

    Example:
        predictions = decode_tags(rows, logits, ("O", "B-PER", "I-PER"))
    """
    logits = np.asarray(logits)
    longest, num_labels = int(rows.lengths.max()), len(label_names)
    fits = logits.ndim == 3 and logits.shape[::2] == (rows.num_rows, num_labels)
    if not fits or logits.shape[1] < longest:
        raise ValueError(
            f"`logits` have shape {logits.shape}, expected "
            f"({rows.num_rows}, {longest} or more, {num_labels})."
        )
    best = logits.argmax(axis=2)
    outside = "O" if "O" in label_names else label_names[0]
    return [
        tuple(
            outside if position < 0 else label_names[best[row, position]]
            for position in rows.word_positions(row)
        )
        for row in range(rows.num_rows)
    ]
