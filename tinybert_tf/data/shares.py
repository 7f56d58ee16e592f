"""The shares of a batch that the replicas of a strategy get."""

import tensorflow as tf


def cut_into_shares(dataset, context):
    """Cuts every batch evenly among all replicas; keeps the shares of one worker's.

    Args:
        dataset: `tf.data.Dataset` of known cardinality. The tensors of its elements have the
            examples of a batch along their first axis; a scalar goes into every share.
        context: `tf.distribute.InputContext` of the worker.

    Returns:
        `tf.data.Dataset` of the shares of this worker's replicas, in turn, batch after batch. Those
        of a batch differ by one example at most; where it has fewer examples than there are
        replicas, some are empty.
    """
    replicas = context.num_replicas_in_sync
    here = replicas // context.num_input_pipelines
    first = context.input_pipeline_id * here

    def shares_of(*element):
        element = element if len(element) > 1 else element[0]
        return tf.data.Dataset.range(first, first + here).map(
            lambda share: tf.nest.map_structure(lambda t: _part(t, share, replicas), element)
        )

    count = dataset.cardinality() * here
    return dataset.flat_map(shares_of).apply(tf.data.experimental.assert_cardinality(count))


def _part(tensor, part, parts):
    """One of nearly equal parts of a tensor's rows, or the whole of a scalar."""
    if tensor.shape.rank == 0:
        return tensor
    count = tf.shape(tensor, tf.int64)[0]
    return tensor[count * part // parts : count * (part + 1) // parts]
