import pytest

from tinybert_tf.distillation import resolve_layer_mapping


@pytest.mark.parametrize(
    ("name", "student", "teacher", "expected"),
    [
        ("uniform", 4, 12, (3, 6, 9, 12)),
        ("uniform", 6, 12, (2, 4, 6, 8, 10, 12)),
        ("uniform", 4, 6, (2, 3, 5, 6)),
        ("top", 4, 12, (9, 10, 11, 12)),
        ("bottom", 4, 12, (1, 2, 3, 4)),
        ([1, 1, 12], 3, 12, (1, 1, 12)),
    ],
)
def test_mappings_of_the_paper(name, student, teacher, expected):
    assert resolve_layer_mapping(name, student, teacher) == expected


def test_unknown_name_lists_the_choices():
    with pytest.raises(ValueError, match="uniform, top, bottom"):
        resolve_layer_mapping("middle", 4, 12)


def test_missing_layer_is_named():
    with pytest.raises(ValueError, match="student layer 4 to teacher layer 13.*layers 1 to 12"):
        resolve_layer_mapping([1, 2, 3, 13], 4, 12)


def test_layers_count_from_one():
    with pytest.raises(ValueError, match="student layer 1 to teacher layer 0"):
        resolve_layer_mapping([0, 2], 2, 4)


def test_wrong_length():
    with pytest.raises(ValueError, match="has 2 entries, but the student has 4 layers"):
        resolve_layer_mapping([3, 6], 4, 12)


def test_top_of_a_smaller_teacher():
    with pytest.raises(ValueError, match="teacher has layers 1 to 2"):
        resolve_layer_mapping("top", 4, 2)
