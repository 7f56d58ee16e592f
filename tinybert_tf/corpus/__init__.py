"""Corpora of plain text: prepared once, read in every epoch."""

from tinybert_tf.corpus.batches import CorpusBatches
from tinybert_tf.corpus.masking import mask_tokens
from tinybert_tf.corpus.packing import pack
from tinybert_tf.corpus.shards import CorpusShards, Shard, ShardSize, write_corpus, write_shard

__all__ = [
    "CorpusBatches",
    "CorpusShards",
    "Shard",
    "ShardSize",
    "mask_tokens",
    "pack",
    "write_corpus",
    "write_shard",
]
