"""Pairs of segments of text, packed as BERT's next-sentence pairs from the documents of a shard."""

import numpy as np

_NUM_SPECIAL_TOKENS = 3  # [CLS] A [SEP] B [SEP]


def pack(shard, max_length, random, short_probability=0.1):
    """Packs a shard's documents into pairs of segments, anew for every `random`.

    A chunk is the sentences of one document that follow one another until their tokens reach the
    target length, which is `max_length` less three, or for some documents a random shorter one.
    Segment A is the chunk's first sentences, at least one. Segment B is the rest of the chunk; or,
    for half of the chunks and for all of one sentence, it comes from a random sentence of another
    document on, and the next chunk begins with the rest of this one. A pair longer than
    `max_length` less three loses tokens one at a time, always from its longer segment, at the front
    or the back.

    Args:
        shard: `Shard`, whose sentences and documents are not empty.
        max_length: int, the most tokens of a sequence, [CLS] and two [SEP] included; 8 or more.
        random: `np.random.Generator`.
        short_probability: float, the share of documents with a shorter target.

    Returns:
        int64 array `(sequences, 4)` in random order: where segment A begins in `shard.ids`, its
        number of tokens, where segment B begins, its number of tokens. No segment is empty, and
        each sentence stands in one pair, not counting segments from other documents.

    Note:
        In a shard of one document, what should come from another comes from anywhere in the same.

    Example:
        sequences = pack(corpus.read(0), max_length=128, random=np.random.default_rng(0))

    Reference:
        Devlin et al. 2019, appendix A.2; `create_pretraining_data.py` of google-research/bert.
    """
    text = _Text(shard)
    most = max_length - _NUM_SPECIAL_TOKENS
    is_short = random.random(len(text.sizes)) < short_probability
    targets = np.where(is_short, random.integers(2, most + 1, len(is_short)), most)

    first, split, last, is_random = _pairs(text, targets, random)
    length_a = text.ends[split - 1] - text.starts[first]
    other = text.any_sentence(_another(text.documents[first], len(text.sizes), random), random)
    other_last = text.until(other, targets[text.documents[first]] - length_a)
    first_b, last_b = np.where(is_random, (other, other_last), (split, last))
    length_b = text.ends[last_b - 1] - text.starts[first_b]
    sequences = _trim(text.starts[first], length_a, text.starts[first_b], length_b, most, random)
    return random.permutation(sequences)


class _Text:
    """Where the sentences and documents of a shard begin and end.

    Attributes:
        starts, ends: int64 arrays `(sentences,)`, in tokens.
        documents: int64 array `(sentences,)`, the document of each sentence.
        sizes: int32 array `(documents,)`, the number of sentences of each document.
    """

    def __init__(self, shard):
        self.ends = np.cumsum(shard.sentence_lengths, dtype=np.int64)
        self.starts = self.ends - shard.sentence_lengths
        self.sizes = shard.document_sizes
        self.documents = np.repeat(np.arange(len(self.sizes)), self.sizes)
        self._document_ends = np.cumsum(self.sizes, dtype=np.int64)

    def until(self, sentence, num_tokens):
        """The sentence after the one that completes `num_tokens`, or that ends the document."""
        enough = self.starts[sentence] + np.maximum(num_tokens, 1)
        after = np.searchsorted(self.ends, enough) + 1
        return np.minimum(after, self._document_ends[self.documents[sentence]])

    def any_sentence(self, document, random):
        """A random sentence of each document."""
        return self._document_ends[document] - random.integers(1, self.sizes[document] + 1)


def _pairs(text, targets, random):
    """Cuts documents into chunks, and each chunk in two.

    Returns:
        Three int64 arrays and a bool array `(sequences,)`: the first sentence of segment A, the one
        after A, the one after the chunk; whether B comes from elsewhere.
    """
    # Chance is drawn for a chunk at every sentence. Where the chunks begin then follows: each where
    # the one before it has left off.
    first = np.arange(len(text.ends))
    last = text.until(first, targets[text.documents])
    split = random.integers(first + 1, np.maximum(last, first + 2))
    is_random = (last == first + 1) | (random.random(len(first)) < 0.5)
    first = _follow(np.where(is_random, split, last))
    return first, split[first], last[first], is_random[first]


def _follow(successors):
    """Returns what is met from the first entry on, going from each to its successor."""
    met, entry, successors = [], 0, successors.tolist()
    while entry < len(successors):
        met.append(entry)
        entry = successors[entry]
    return np.array(met, np.int64)


def _another(document, num_documents, random):
    """Returns a random other document for each, or the same where there is but one."""
    return (document + random.integers(1, max(num_documents, 2), len(document))) % num_documents


def _trim(start_a, length_a, start_b, length_b, most, random):
    """Takes what is too much from the longer segment of each pair."""
    # Token by token the longer gets shorter until both are equal, then B and A take turns.
    kept_a = np.minimum(length_a, np.maximum(most - length_b, (most + 1) // 2))
    kept_b = np.minimum(length_b, most - kept_a)
    start_a = start_a + random.binomial(length_a - kept_a, 0.5)
    start_b = start_b + random.binomial(length_b - kept_b, 0.5)
    return np.stack([start_a, kept_a, start_b, kept_b], axis=1)
