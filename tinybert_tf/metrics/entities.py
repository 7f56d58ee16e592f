"""Metrics of tagging."""


def entity_f1(labels, predictions):
    """F1 of whole entities: right are those of the right kind with the right first and last word.

    An entity is a run of tags such as B-PER I-PER; as in the CoNLL shared tasks it also begins
    where an I- tag follows another kind, or none.

    Args:
        labels: list of sequences of str, the true tags of each text, such as "B-PER" and "O".
        predictions: list of sequences of str, of the same lengths.

    Returns:
        float, 0 to 1, over the entities of all texts together; 0 where there are none.

    Raises:
        ValueError: If the lists are empty, or they or two of their sequences differ in length.

    Example:
        entity_f1([["B-PER", "I-PER", "O"]], [["B-PER", "O", "O"]])  # 0.0

    Reference:
        `seqeval.metrics.f1_score` in its default mode, equal to the program conlleval.
    """
    from seqeval.metrics import f1_score

    if len(labels) != len(predictions) or not len(labels):
        raise ValueError(
            f"There are tags of {len(labels)} texts in `labels`, of {len(predictions)} in "
            "`predictions`; expected as many, not none."
        )
    for index, (true_tags, tags) in enumerate(zip(labels, predictions, strict=True)):
        if len(true_tags) != len(tags):
            raise ValueError(
                f"Text {index} has {len(true_tags)} tags in `labels`, {len(tags)} in "
                "`predictions`; expected as many."
            )
    return float(f1_score([*map(list, labels)], [*map(list, predictions)], zero_division=0))
