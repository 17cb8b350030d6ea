"""Data of problems with large embeddings."""

import keras
import numpy as np
import pytest

from keras_l2o import problems
from keras_l2o.problems import sparse


def test_words_are_numbered_by_how_usual_they_are():
    words = sparse.words()
    counts = np.bincount(words, minlength=sparse.WORDS)
    assert len(counts) == sparse.WORDS
    assert (np.diff(counts[1:]) <= 0).all()
    assert counts.min() > 0
    # No other word is more usual than the last that has a number.
    assert counts[0] < 0.5 * len(words)


def test_the_target_is_the_word_that_follows():
    x, y = sparse.Words(16, 3).batches(np.random.default_rng(0), 4)
    assert x.shape == (4, 16, 3)
    assert y.shape == (4, 16)
    pairs = set(zip(sparse.words()[:-1].tolist(), sparse.words()[1:].tolist()))
    for before, word in zip(x[..., -1].ravel(), y.ravel()):
        assert (before, word) in pairs


@pytest.mark.parametrize("name", sparse.MAKERS)
def test_most_rows_of_an_embedding_are_not_in_a_batch(name):
    problem = problems.get(name)
    x, _ = problem.batches(np.random.default_rng(0), 1)
    x = keras.tree.map_structure(lambda leaf: leaf[0], x)
    model = problem.new_model(0)
    table = next(
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Embedding)
    )
    tables = keras.Model(model.input, table.output)
    rows = keras.ops.convert_to_numpy(tables(x)).reshape(-1, table.output_dim)
    assert len(np.unique(rows, axis=0)) < 0.15 * table.input_dim
