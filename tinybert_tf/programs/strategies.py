"""Stub of the lead until the real one comes; overwrite freely. Imports of TensorFlow must be lazy."""


def make_strategy(name):
    import tensorflow as tf

    return tf.distribute.get_strategy()


def is_chief(strategy):
    return True


def wait_for_all(strategy):
    return None
