"""A tiny masked LM whose words are letters and pairs of them, and candidates made by hand."""

import keras
import numpy as np
import tiny

from tinybert_tf.augmentation import Candidates
from tinybert_tf.models import BertConfig, BertMaskedLM, Vocabulary

TOKENS = (*tiny.TOKENS, *(letter.upper() for letter in tiny.WORDS), "ab", "cd", "[unused0]", "日")


def make_masked_lm(tokens=TOKENS, lower_case=False, max_sequence_length=64, **settings):
    keras.utils.set_random_seed(0)
    config = BertConfig(
        vocabulary_size=len(tokens) + 3,
        num_layers=2,
        hidden_dim=16,
        num_heads=2,
        intermediate_dim=32,
        max_sequence_length=max_sequence_length,
        initializer_range=0.5,
    )
    return BertMaskedLM(config, Vocabulary(tokens, lower_case), **settings)


def candidates_of(texts):
    """Candidates of texts: each list of the options of a word; a str is what stands for itself."""
    strings, places, options, starts, ends, own = {}, [0], [], [], [], []
    for text in texts:
        end = 0
        for part in text:
            if not isinstance(part, str):
                starts.append(end)
                ends.append(end + len(part[0]))
                own.append(strings.setdefault(part[0], len(strings)))
                options.append([strings.setdefault(option, len(strings)) for option in part[1:]])
            end += len(part if isinstance(part, str) else part[0])
        places.append(len(starts))
    return Candidates(
        texts=["".join(part if isinstance(part, str) else part[0] for part in t) for t in texts],
        num_words=np.array([2 * sum(not isinstance(p, str) for p in t) for t in texts], np.int32),
        word_splits=np.array(places, np.int64),
        starts=np.array(starts, np.int32),
        ends=np.array(ends, np.int32),
        word_ids=np.array(own, np.int32),
        option_splits=np.cumsum([0, *map(len, options)], dtype=np.int64),
        options=np.array([option for part in options for option in part], np.int32),
        strings=list(strings),
    )
