"""A student's start from the principal components of its teacher's embeddings."""

import numpy as np


def initialize_from_teacher_pca(student, teacher, num_samples=8192, seed=0):
    """Gives a narrower student the teacher's embeddings in their principal components.

    Without general distillation a student starts from noise and first has to learn what words are.
    Its token, position and segment tables become the teacher's, projected on the directions in
    which the teacher's token embeddings are largest. The mean of each embedding over its units,
    which the layer norm takes away, is left out on both sides: no direction is spent on it, and a
    student as wide as the teacher loses nothing.

    Args:
        student: `BertClassifier` or `BertEncoder`; its embedding tables are set.
        teacher: likewise, at least as wide, with the same vocabulary.
        num_samples: int, embedding outputs that the map back is fitted on.
        seed: int, of that sample.

    Returns:
        `(kernel, bias)`: float32 arrays `(student_dim, teacher_dim)` and `(teacher_dim,)`, the
        affine map from the student's embedding output to the teacher's with the least squared
        error. It is where the projection should start: see `Projection.set_affine`.

    Raises:
        ValueError: If the student is wider than the teacher or has another vocabulary size.
    """
    target, source = (getattr(model, "encoder", model).embeddings for model in (student, teacher))
    if target.config.hidden_dim > source.config.hidden_dim:
        raise ValueError(
            f"The student is {target.config.hidden_dim} wide and the teacher "
            f"{source.config.hidden_dim}; a start from the teacher's principal components needs a "
            "student at most as wide. Start at random (`--initialize random`) instead."
        )
    if target.config.vocabulary_size != source.config.vocabulary_size:
        raise ValueError(
            f"The student has {target.config.vocabulary_size} tokens and the teacher "
            f"{source.config.vocabulary_size}; they must share one vocabulary."
        )
    teacher_tables = [np.asarray(table.numpy(), np.float64) for table in _tables(source)]
    teacher_tables = [table - table.mean(axis=1, keepdims=True) for table in teacher_tables]
    components = _components(teacher_tables[0], target.config.hidden_dim)
    student_tables = []
    for variable, table in zip(_tables(target), teacher_tables, strict=True):
        rows = (table @ components)[: variable.shape[0]]
        student_tables.append(rows)
        variable.assign(np.concatenate([rows, variable.numpy()[len(rows) :]]))
    rng = np.random.default_rng(seed)
    samples = [rng.integers(len(table), size=num_samples) for table in student_tables]
    return _affine_fit(
        _embedding_output(target, student_tables, samples),
        _embedding_output(source, teacher_tables, samples),
    )


def _components(tokens, dim):
    """Projection `(teacher_dim, dim)` on the dim - 1 largest directions, onto rows of mean 0."""
    _, directions = np.linalg.eigh(tokens.T @ tokens)  # ascending eigenvalues
    basis = np.linalg.svd(np.ones((1, dim)))[2][1:]  # of the vectors whose units sum to 0
    return directions[:, ::-1][:, : dim - 1] @ basis


def _tables(embeddings):
    return (
        embeddings.token_embedding.embeddings,
        embeddings.position_embedding,
        embeddings.segment_embedding.embeddings,
    )


def _embedding_output(embeddings, tables, samples):
    """What the embedding layer gives for sampled (token, position, segment) triples, in float64."""
    total = sum(table[rows] for table, rows in zip(tables, samples, strict=True))
    centred = total - total.mean(axis=1, keepdims=True)
    norm = embeddings.layer_norm
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + norm.epsilon)
    return scaled * norm.gamma.numpy() + norm.beta.numpy()


def _affine_fit(inputs, outputs):
    with_one = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    solution = np.linalg.lstsq(with_one, outputs, rcond=None)[0]
    return solution[:-1].astype(np.float32), solution[-1].astype(np.float32)
