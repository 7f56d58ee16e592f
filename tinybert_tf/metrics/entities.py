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
        ValueError: If the lists are empty, they or two of their sequences differ in length, or a
            tag is neither "O" nor an entity's.

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
    wrong = next((tag for tags in labels for tag in tags if not is_entity_tag(tag)), None)
    if wrong is not None:
        raise ValueError(f'Tag "{wrong}" is neither "O" nor like "B-PER", so entities have no F1.')
    return float(f1_score([*map(list, labels)], [*map(list, predictions)], zero_division=0))


def is_entity_tag(tag):
    """Whether a tag is "O", or says how a word stands in an entity, as "B-PER" does."""
    return tag == "O" or (tag[:1] in "BIESLU" and tag[1:2] == "-")


def tag_accuracy(labels, predictions):
    """Share of words whose tag is right, over all texts together.

    Args:
        labels: list of sequences of str, the true tags of each text.
        predictions: list of sequences of str, of the same lengths.

    Returns:
        float, 0 to 1.

    Raises:
        ValueError: If there are no words, or the lists or two of their sequences differ in length.

    Example:
        tag_accuracy([["NOUN", "VERB"]], [["NOUN", "NOUN"]])  # 0.5
    """
    pairs = [
        true_tag == tag
        for true_tags, tags in zip(labels, predictions, strict=True)
        for true_tag, tag in zip(true_tags, tags, strict=True)
    ]
    if not pairs:
        raise ValueError("There are no tags to compare.")
    return sum(pairs) / len(pairs)
