import numpy as np
import pandas
import pytest

from keras_l2o import evaluation
from keras_l2o.evaluation import plots
from keras_l2o.evaluation import spread_plots
from tests.evaluation import samples


def is_picture(path):
    data = path.read_bytes()
    return data.startswith(b"\x89PNG") and len(data) > 10_000


def test_curves_of_seeds_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    curves = {
        name: [
            evaluation.TrainingRun(np.exp(-rng.random(50)), [], [], [], -1, {})
            for _ in range(3)
        ]
        for name in ("learned", "Adam")
    }
    plots.plot_curves({"a": curves, "b": curves}, tmp_path / "curves.png")
    assert is_picture(tmp_path / "curves.png")


def test_losses_by_problem_are_drawn_with_runs_that_diverged(tmp_path):
    plots.plot_losses(samples.frames(), tmp_path / "losses.png")
    assert is_picture(tmp_path / "losses.png")


def test_replicates_are_drawn(tmp_path):
    frame = samples.frames()
    figures = evaluation.figures(frame[frame["problem"] == "conv_train"])
    spread_plots.plot_replicates(figures, tmp_path / "replicates.png")
    assert is_picture(tmp_path / "replicates.png")


def test_pool_weights_are_drawn_by_layer(tmp_path):
    spread_plots.plot_pool_weights(
        samples.traced(), tmp_path / "pool.png", smoothing=5
    )
    assert is_picture(tmp_path / "pool.png")


def test_an_evaluation_without_a_pool_is_refused(tmp_path):
    traced = samples.traced()
    del traced.arrays["trace_weights"]
    with pytest.raises(ValueError, match="argument `trace`"):
        spread_plots.plot_pool_weights(traced, tmp_path / "pool.png")


def test_magnitudes_are_drawn(tmp_path):
    spread_plots.plot_magnitudes(
        samples.perturbed(), tmp_path / "magnitudes.png"
    )
    assert is_picture(tmp_path / "magnitudes.png")
    with pytest.raises(ValueError, match="positive"):
        spread_plots.plot_magnitudes(
            pandas.DataFrame({"magnitude": [0.0]}), tmp_path / "none.png"
        )
