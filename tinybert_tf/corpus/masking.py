"""What BERT's masked language model has to guess."""

import math

import numpy as np

_IGNORED = -1  # the label where fewer tokens are chosen than there is room for


def mask_tokens(token_ids, vocabulary, probability, random):
    """Masks some tokens of each row: 8 of 10 become [MASK], 1 a random token, 1 stays as it is.

    Of a row of n tokens, `probability * n` are chosen, rounded and at least one; [CLS], [SEP] and
    [PAD] never are.

    Args:
        token_ids: int32 array `(batch, length)`, padded with [PAD]; every row has another token
            than the special ones.
        vocabulary: `Vocabulary` with [MASK].
        probability: float, above 0 and below 1.
        random: `np.random.Generator`.

    Returns:
        Three int32 arrays: the ids with some of them masked, `(batch, length)`; where the chosen
        tokens stand, `(batch, masked)`, in random order and padded with 0; their own ids, `(batch,
        masked)`, padded with -1. `masked` is `probability * length`, rounded up.

    Example:
        masked_ids, positions, labels = mask_tokens(ids, vocabulary, 0.15, np.random.default_rng(0))

    Reference:
        Devlin et al. 2019, section 3.1 and appendix A.1.
    """
    positions, is_chosen = _choose(token_ids, vocabulary, probability, random)
    own = np.take_along_axis(token_ids, positions, axis=1)
    chance = random.random(own.shape)
    other = random.integers(0, len(vocabulary), own.shape)
    mask_id = vocabulary.tokens.index("[MASK]")
    shown = np.select([chance < 0.8, chance < 0.9], [mask_id, other], own)
    masked_ids = token_ids.copy()
    np.put_along_axis(masked_ids, positions, np.where(is_chosen, shown, own), axis=1)
    labels = np.where(is_chosen, own, _IGNORED)
    return masked_ids, np.where(is_chosen, positions, 0).astype(np.int32), labels


def _choose(token_ids, vocabulary, probability, random):
    """Returns `masked` different positions in each row, and which of them are chosen."""
    special = (vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id)
    is_special = np.isin(token_ids, special)
    num_tokens = np.sum(token_ids != vocabulary.pad_id, axis=1)
    num_chosen = np.rint(probability * num_tokens).clip(1, np.sum(~is_special, axis=1))
    masked = math.ceil(probability * token_ids.shape[1])
    order = np.argsort(random.random(token_ids.shape) + is_special, axis=1)[:, :masked]
    return order, np.arange(masked) < num_chosen[:, None]
