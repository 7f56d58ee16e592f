"""A tiny masked LM, and candidates made by hand."""

import pytest
from tiny_augmentation import candidates_of, make_masked_lm


@pytest.fixture(scope="session", name="masked_lm")
def find_masked_lm():
    return make_masked_lm()


@pytest.fixture(name="candidates")
def make_candidates_by_hand():
    return candidates_of(
        [
            ["  ", ["a", "b", "c"], " é-", ["Ab", "Cd", "ab"], "! ", ["d", "e", "f", "日"]],
            ["nothing to replace"],
            [["x", "y", "z", "x"], ", ", ["abc", "a", "abcd"]],
            [""],
        ]
    )
