"""Features of ``codes`` observations for few and noisy judgements: every number seen finely."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, create_mlp
from torch import nn

from agents.codes_space import CodesColumns


def quantile_edges(numbers: NDArray[Any], n_bins: int) -> list[list[float]]:
    """Return ends of bins that hold about as many rows each, for each column.

    Args:
        numbers: (n, n_numbers).
        n_bins: at most; fewer where values repeat, one where a column has a single value.

    Returns:
        For each column its edges in rising order, at least two.

    Raises:
        ValueError: if there is no row or no bin.
    """
    if len(numbers) == 0 or n_bins < 1:
        raise ValueError(f"edges need rows and bins, got {len(numbers)} rows and {n_bins} bins")
    found = []
    for column in np.asarray(numbers, dtype=np.float64).T:
        edges = np.unique(np.quantile(column, np.linspace(0, 1, n_bins + 1)))
        if len(edges) == 1:  # nothing to tell apart: any bin around it
            edges = np.array([edges[0], edges[0] + 1])
        found.append(edges.tolist())
    return found


class NumbersExtractor(BaseFeaturesExtractor):
    """Piecewise-linear numbers and embedded labels, and layers with dropout above them.

    For tables of a few thousand noisy judgements, in which every number may matter:

    - A number becomes one feature for each of its bins (Gorishniy et al., "On embeddings for
      numerical features in tabular deep learning", NeurIPS 2022, section 3.1): 0 below the bin, 1
      above it, in between the share of it that lies below the number. A bin of many rows is
      narrow, so that what is squeezed together near 0, such as instrumentalness, is told apart.
    - A label's embedding starts at zero, and a row's labels of a vocabulary are hidden with
      probability ``label_dropout`` while training. So zero is what the network has learnt to take
      for "an artist that I do not know", and the numbers are learnt where the artist alone would
      explain the row by heart.
    - The layers stand here, since the networks of SB3 have no dropout. Use ``net_arch=[]``.

    In evaluation mode, in which `predict` and `q_values` run, nothing is dropped.

    Args:
        observation_space: of encoding ``codes`` (`music_env.encoding.encode`): an upper bound of 1
            means a number, a greater one a code, neighbours of one bound share a vocabulary.
        edges: for each number its bins' edges in rising order, see `quantile_edges`.
        embedding_dim: size of each vocabulary's embedding.
        label_dropout: probability of hiding the labels of a vocabulary, in [0, 1).
        hidden: sizes of the layers.
        dropout: after each layer, in [0, 1).

    Raises:
        ValueError: if the space is not of that kind, or edges do not fit it or do not rise.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        *,
        edges: Sequence[Sequence[float]],
        embedding_dim: int = 4,
        label_dropout: float = 0.3,
        hidden: Sequence[int] = (64,),
        dropout: float = 0.2,
    ) -> None:
        columns = CodesColumns.of(observation_space, reader="NumbersExtractor")
        n_numbers, slots = columns.n_numbers, columns.slots
        sizes = [count + 1 for count in columns.n_codes]
        if len(edges) != n_numbers:
            raise ValueError(f"edges are needed for {n_numbers} numbers, got {len(edges)} lists")
        for column, ends in enumerate(edges):
            if len(ends) < 2 or not (np.diff(ends) > 0).all():
                raise ValueError(f"edges of number {column} must be two or more and rise: {ends}")
        if not (0 <= label_dropout < 1 and 0 <= dropout < 1):
            raise ValueError(f"dropout must be in [0, 1), got {label_dropout} and {dropout}")
        n_inputs = sum(len(ends) - 1 for ends in edges) + len(sizes) * embedding_dim
        super().__init__(observation_space, hidden[-1] if hidden else n_inputs)
        self.slots, self.label_dropout = slots, label_dropout
        embeddings = [nn.Embedding(size, embedding_dim, padding_idx=0) for size in sizes]
        for embedding in embeddings:
            nn.init.zeros_(embedding.weight)
        self.labels = nn.ModuleList(embeddings)
        self.column: th.Tensor
        self.low: th.Tensor
        self.width: th.Tensor
        number = [i for i, ends in enumerate(edges) for _ in ends[1:]]
        low = [end for ends in edges for end in ends[:-1]]
        width = [b - a for ends in edges for a, b in pairwise(ends)]
        self.register_buffer("column", th.tensor(number), persistent=False)
        self.register_buffer("low", th.tensor(low, dtype=th.float32), persistent=False)
        self.register_buffer("width", th.tensor(width, dtype=th.float32), persistent=False)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise([n_inputs, *hidden]):
            layers += [*create_mlp(n_in, 0, [n_out]), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """Return (batch, features_dim) float32 features of (batch, n_columns) observations."""
        shares = (observations[:, self.column] - self.low) / self.width
        # Around 0 instead of from 0 to 1: the first layer's input is then about centred.
        parts = [shares.clamp(0, 1) - 0.5]
        for slots, embedding in zip(self.slots, self.labels, strict=True):
            label = embedding(observations[:, slots].long()).sum(dim=1)
            if self.training and self.label_dropout:
                seen = th.rand(len(label), 1, device=label.device) >= self.label_dropout
                label = label * seen
            parts.append(label)
        features: th.Tensor = self.layers(th.cat(parts, dim=1))
        return features
