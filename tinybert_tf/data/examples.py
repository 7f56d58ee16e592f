"""The texts and labels of one split of a task."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Examples:
    """Texts, or pairs of texts, and what is known of each.

    Args:
        texts: list of str.
        text_pairs: list of str, the second text of each pair, or `None` for single texts.
        labels: list of str (names of classes), of int (their indices) or of float (scores), or
            `None`.

    Raises:
        ValueError: If the lists differ in length.

    Example:
        Examples(["a fine film", "unflinchingly bleak"], labels=["positive", "negative"])
    """

    texts: list[str]
    text_pairs: list[str] | None = None
    labels: list[str] | list[int] | list[float] | None = None

    def __post_init__(self):
        for name in ("text_pairs", "labels"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.texts):
                raise ValueError(
                    f"`{name}` has {len(values)} entries, expected one for each of "
                    f"the {len(self.texts)} texts."
                )

    def __len__(self):
        """Number of examples."""
        return len(self.texts)
