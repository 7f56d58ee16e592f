"""The texts and labels of one split of a task."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Examples:
    """Texts, or pairs of texts, and what is known of each.

    Args:
        texts: list of str: texts, questions (spans), or words joined by single spaces (tagging).
        text_pairs: list of str, the second text of each pair or the context of each question, or
            `None` for single texts.
        labels: list with one label for each text, or `None`. By problem, a label is
            classification: str, the name of the class, or int, its index;
            regression: float, the score;
            multilabel: tuple of str, the names of the labels that the text has, or sequence of 0
            and 1, one for each label;
            spans: tuple of `(answer text, first character in the context)` pairs, any of which is
            right, empty where the context holds no answer;
            tagging: tuple of str, the tag of each word, or of int, their indices.
        ids: list of str that name the texts, such as question ids, or `None`.

    Raises:
        ValueError: If the lists differ in length.

    Example:
        Examples(["a fine film", "unflinchingly bleak"], labels=["positive", "negative"])
    """

    texts: list[str]
    text_pairs: list[str] | None = None
    labels: list | None = None
    ids: list[str] | None = None

    def __post_init__(self):
        for name in ("text_pairs", "labels", "ids"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.texts):
                raise ValueError(
                    f"`{name}` has {len(values)} entries, expected one for each of "
                    f"the {len(self.texts)} texts."
                )

    def __len__(self):
        """Number of examples."""
        return len(self.texts)

    def spread(self, count):
        """Some of the examples, evenly from the first to the last.

        Args:
            count: int, how many; all, where there are no more.

        Returns:
            `Examples`.

        Example:
            Examples(["a", "b", "c", "d"]).spread(3).texts  # ["a", "b", "d"]
        """
        places = np.linspace(0, len(self) - 1, min(count, len(self))).astype(int)
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Examples(**{name: c and [c[i] for i in places] for name, c in columns.items()})
