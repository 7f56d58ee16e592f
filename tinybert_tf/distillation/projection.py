"""From the student's width to the teacher's."""

import keras

from tinybert_tf.models.dense import TokenDense

# mode: index of the dense layer that serves hidden state m of M
PROJECTIONS = {
    "embedding_and_shared": lambda state: min(state, 1),
    "shared": lambda state: 0,
    "per_layer": lambda state: state,
    "identity": None,
}


def check_projection(mode):
    """Returns `mode`; raises ValueError unless it is a key of `PROJECTIONS`."""
    if mode not in PROJECTIONS:
        raise ValueError(f'Unknown `projection` "{mode}". Projections: {", ".join(PROJECTIONS)}.')
    return mode


class Projection(keras.layers.Layer):
    """Maps the student's hidden states to the teacher's width; used in training only.

    Args:
        mode: "embedding_and_shared" (one dense layer for the embedding output, one for all layers:
            the paper's W_e and W_h), "shared" (one for all), "per_layer" (one each) or "identity"
            (none).
        num_states: int, number of the student's hidden states, M + 1.
        student_dim: int, width of the student's hidden states.
        teacher_dim: int, width of the teacher's.

    Call:
        hidden_states: list of `num_states` float tensors `(batch, length, student_dim)`.
        Returns a list of float tensors `(batch, length, teacher_dim)`.

    Raises:
        ValueError: If the mode is unknown, or is "identity" and the widths differ.

    Reference:
        Jiao et al. 2020, equations 8 and 9. "shared" and "per_layer" are the released programs'
        choices.
    """

    def __init__(self, mode, num_states, student_dim, teacher_dim, **kwargs):
        super().__init__(**kwargs)
        check_projection(mode)
        if mode == "identity" and student_dim != teacher_dim:
            raise ValueError(
                f"`projection` is identity, but the student's hidden states are {student_dim} wide "
                f"and the teacher's {teacher_dim}. Choose another projection."
            )
        self.mode, self.num_states = mode, num_states
        self.student_dim, self.teacher_dim = student_dim, teacher_dim
        self.dense_layers = [self._dense(index) for index in sorted(set(self._indices()))]
        self.built = True

    def _indices(self):
        rule = PROJECTIONS[self.mode]
        return [] if rule is None else [rule(state) for state in range(self.num_states)]

    def _dense(self, index):
        dense = TokenDense(
            self.teacher_dim,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
            dtype=self.dtype_policy,
            name=f"dense_{index}",
        )
        dense.build((None, self.student_dim))
        return dense

    def call(self, hidden_states):
        if self.mode == "identity":
            return list(hidden_states)
        pairs = zip(self._indices(), hidden_states, strict=True)
        return [self.dense_layers[index](state) for index, state in pairs]

    def set_affine(self, kernel, bias):
        """Starts every dense layer from one affine map.

        Args:
            kernel: float array `(student_dim, teacher_dim)`.
            bias: float array `(teacher_dim,)`.
        """
        for dense in self.dense_layers:
            dense.set_weights([kernel, bias])
