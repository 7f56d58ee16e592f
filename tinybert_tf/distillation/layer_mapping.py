"""Which teacher layer each student layer learns from."""

LAYER_MAPPINGS = {
    "uniform": lambda student, teacher, layer: (2 * layer * teacher + student) // (2 * student),
    "top": lambda student, teacher, layer: layer + teacher - student,
    "bottom": lambda student, teacher, layer: layer,
}


def resolve_layer_mapping(layer_mapping, num_student_layers, num_teacher_layers):
    """The teacher layer of each student layer; layers count from 1.

    Args:
        layer_mapping: "uniform" (m·N/M, rounded half up), "top" (the last M), "bottom" (the first
            M), or a sequence of `num_student_layers` ints.
        num_student_layers: int, M.
        num_teacher_layers: int, N.

    Returns:
        Tuple of M ints in 1..N.

    Raises:
        ValueError: If the name is unknown, the list has another length, or a layer does not exist.

    Example:
        resolve_layer_mapping("uniform", 4, 12)  # (3, 6, 9, 12)

    Reference:
        Jiao et al. 2020, section 3.1 and table 6.
    """
    if isinstance(layer_mapping, str):
        if layer_mapping not in LAYER_MAPPINGS:
            raise ValueError(
                f'Unknown `layer_mapping` "{layer_mapping}". Mappings: '
                f"{', '.join(LAYER_MAPPINGS)}, or a list of teacher layers."
            )
        rule = LAYER_MAPPINGS[layer_mapping]
        mapping = tuple(
            rule(num_student_layers, num_teacher_layers, layer)
            for layer in range(1, num_student_layers + 1)
        )
    else:
        mapping = tuple(layer_mapping)
    _check(mapping, num_student_layers, num_teacher_layers)
    return mapping


def _check(mapping, num_student_layers, num_teacher_layers):
    if len(mapping) != num_student_layers:
        raise ValueError(
            f"`layer_mapping` {list(mapping)} has {len(mapping)} entries, but the student has "
            f"{num_student_layers} layers. Give one teacher layer for each."
        )
    for layer, teacher_layer in enumerate(mapping, 1):
        if type(teacher_layer) is not int or not 1 <= teacher_layer <= num_teacher_layers:
            raise ValueError(
                f"`layer_mapping` sends student layer {layer} to teacher layer {teacher_layer}, "
                f"but the teacher has layers 1 to {num_teacher_layers}."
            )
