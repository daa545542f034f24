"""The features of ``codes`` observations, against sums made by hand."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from torch import nn

from agents.codes_space import CodesColumns
from agents.extractors import CodesExtractor, rarity_scale

# Two numbers, two slots of one vocabulary of 3 labels, one slot of another of 250.
HIGH = [1, 1, 3, 3, 250]


def space(high=HIGH):
    return spaces.Box(0, np.array(high, dtype=np.float32), dtype=np.float32)


def filled(**kwargs):
    """Return an extractor whose rows are drawn, row 0 of the labels aside, and its tables."""
    th.manual_seed(0)
    extractor = CodesExtractor(space(), embedding_dim=4, danceability_bins=(10, 1000), **kwargs)
    tables = [*extractor.labels, extractor.bin_embedding]
    for table in tables:
        nn.init.normal_(table.weight)
    for table in extractor.labels:
        nn.init.zeros_(table.weight[0])
    return extractor, [table.weight.detach().numpy() for table in tables]


def test_features_are_numbers_then_scaled_sums_of_rows():
    extractor, (few, many, bins) = filled()
    observation = np.array([[0.43, 0.2, 3, 1, 17], [1.0, 0.0, 0, 0, 0]], dtype=np.float32)
    features = extractor(th.as_tensor(observation)).detach().numpy()
    scale_10, scale_1000 = (16 / 10) ** (1 / 4), (16 / 1000) ** (1 / 4)
    expected = [
        np.concatenate([
            [0.43, 0.2],
            # float32 0.43 is a little less than 0.43: still the bins that begin there
            scale_10 * bins[4] + scale_1000 * bins[10 + 430],
            (16 / 4) ** (1 / 4) * (few[3] + few[1]),
            (16 / 251) ** (1 / 4) * many[17],
        ]),
        # the greatest number lies in the last bins; code 0 is no label
        np.concatenate([[1, 0], scale_10 * bins[9] + scale_1000 * bins[1009], np.zeros(8)]),
    ]  # fmt: skip
    assert extractor.features_dim == features.shape[1] == 2 + 3 * 4
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)


def test_large_vocabularies_learn_more_slowly():
    scales = [rarity_scale(n) for n in (16, 256, 4096)]
    np.testing.assert_allclose(scales, [1, 1 / 2, 1 / 4])


def test_what_was_never_seen_says_nothing():
    extractor = CodesExtractor(space(), use_numbers=False)
    observation = th.as_tensor([[0.43, 0.2, 3, 1, 17]])
    assert extractor.features_dim == 3 * 16
    assert not extractor(observation).any()


def test_without_bins():
    extractor = CodesExtractor(space(), danceability_bins=(), embedding_dim=4)
    assert extractor.bin_embedding is None
    assert extractor(th.as_tensor([[0.43, 0.2, 3, 1, 17]])).shape == (1, 2 + 2 * 4)


def test_columns_are_read_off_the_bounds():
    columns = CodesColumns.of(space(), reader="this test")
    assert columns == CodesColumns(2, (slice(2, 4), slice(4, 5)), (3, 250))
    assert CodesColumns.of(space([1, 1]), reader="this test") == CodesColumns(2, (), ())


@pytest.mark.parametrize(
    ("observed", "message"),
    [
        (spaces.Discrete(5), "needs the observation space of encoding 'codes'.*got Discrete"),
        (spaces.Box(-1, 1, (3,)), "lower bounds 0"),
        (space([3, 3, 1]), "a number first"),
        (space([1, 3, 1]), r"numbers must stand before codes, got upper bounds \[1, 3, 1\]"),
    ],
)
def test_other_spaces_are_refused(observed, message):
    with pytest.raises(ValueError, match=message):
        CodesExtractor(observed)
