import pytest

from tinybert_tf.programs.training import is_folder


def test_presets_and_folders(tmp_path):
    assert not is_folder("bert_tiny")
    assert is_folder(str(tmp_path))


def test_neither():
    message = 'bert_tinny: neither a folder nor a preset. Did you mean "bert_tiny"\\? Presets: '
    with pytest.raises(FileNotFoundError, match=message):
        is_folder("bert_tinny")
