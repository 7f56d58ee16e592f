"""Lets the weights of a kernel share few values while a student learns."""

import numpy as np
import tensorflow as tf

from tinybert_tf.callbacks.kernel_rule import KernelRule, import_optimization


class WeightClustering(KernelRule):
    """Gives each dense kernel few different weights, which gzip makes small.

    Before the first step every weight joins the nearest of `num_clusters` values. From then on all
    weights of a cluster move together, by the mean of their updates. A training that goes on after
    an interruption finds the clusters in the weights.

    Args:
        num_clusters: int, the most different weights in a kernel.

    Raises:
        ImportError: If tensorflow-model-optimization, the extra `pruning`, is not installed.
        ValueError: If there are less than two clusters.

    Example:
        distiller.fit(batches, epochs=3, callbacks=[WeightClustering(16)])

    Reference:
        Han et al. 2016 ("Deep compression"), section 3.
    """

    def __init__(self, num_clusters):
        super().__init__()
        if num_clusters < 2:
            raise ValueError(f"`num_clusters` is {num_clusters}, expected 2 or more.")
        self._num_clusters = num_clusters
        import_optimization()

    def on_train_begin(self, logs=None):
        self._clusters = [self._cluster_of_each(kernel.value) for kernel in self.kernels]
        self._share_values()

    def on_train_batch_end(self, batch, logs=None):
        self._share_values()

    def _cluster_of_each(self, weights):
        """The number of each weight's cluster: int tensor `(inputs, outputs)`."""
        values, clusters = np.unique(weights.numpy(), return_inverse=True)
        if len(values) <= self._num_clusters:
            return tf.constant(clusters.reshape(weights.shape))

        from tensorflow_model_optimization.python.core.clustering.keras import (
            clustering_algorithm,
            clustering_centroids,
        )

        start = clustering_centroids.KmeansPlusPlusCentroidsInitialisation(
            tf.convert_to_tensor(weights), self._num_clusters
        )
        centroids = tf.Variable(start.get_cluster_centroids())
        algorithm = clustering_algorithm.ClusteringAlgorithm(centroids)
        return algorithm.get_pulling_indices(tf.convert_to_tensor(weights))

    def _share_values(self):
        for kernel, clusters in zip(self.kernels, self._clusters, strict=True):
            means = tf.math.unsorted_segment_mean(
                tf.convert_to_tensor(kernel), clusters, self._num_clusters
            )
            kernel.assign(tf.gather(means, clusters))
