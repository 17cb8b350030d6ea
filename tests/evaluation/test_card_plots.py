"""The picture of a family's model card."""

import numpy as np
import pandas
import pytest
from PIL import Image

from keras_l2o.evaluation import card_plots
from keras_l2o.evaluation import held_out
from keras_l2o.evaluation import plots

pytestmark = [pytest.mark.quick, pytest.mark.filterwarnings("error")]


def frame(losses, problem="conv_train"):
    """The runs of replicates whose losses by epoch are the rows."""
    return pandas.DataFrame(
        {
            "problem": problem,
            "replicate": number,
            "run": run,
            "epoch": epoch,
            "validation_loss": loss,
        }
        for number, row in enumerate(losses, 1)
        for run in range(2)
        for epoch, loss in enumerate(row, 1)
    )


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """A function that draws a frame, and returns the panels."""
    figures = []

    def new_figure(*arguments, **options):
        figures.append(plots.new_figure(*arguments, **options))
        return figures[-1]

    monkeypatch.setattr(card_plots, "new_figure", new_figure)

    def draw(runs):
        path = tmp_path / "figures" / "losses.png"
        card_plots.plot(runs, tmp_path / "held_out" / "family", path)
        with Image.open(path) as image:
            assert image.format == "PNG"
        return [axis for axis in figures[-1][1].ravel() if axis.lines]

    return draw


def labels(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def values(axis, label):
    (line,) = (line for line in axis.lines if line.get_label() == label)
    return np.asarray(line.get_ydata()).tolist()


def test_replicates_are_drawn_beside_the_rules(drawn, monkeypatch):
    rules = {
        "adam 0.01, best tuned rule": frame([[0.8, 0.6]]),
        "adam 0.001, Keras's default": frame([[0.9, 0.8]]),
    }
    monkeypatch.setattr(held_out, "rule_runs", lambda *where: rules)
    (axis,) = drawn(frame([[0.9, 0.5], [0.7, 0.4], [0.8, 0.6]]))
    assert labels(axis) == ["a replicate", "median of replicates", *rules]
    assert values(axis, "median of replicates") == [0.8, 0.5]
    assert values(axis, "adam 0.01, best tuned rule") == [0.8, 0.6]


def test_ticks_are_plain_numbers_and_whole_epochs(drawn):
    small, large = drawn(
        pandas.concat(
            [
                frame([[0.9, 0.7, 0.42]], "a"),
                frame([[250.0, 3.0, 0.004]], "b"),
            ]
        )
    )
    for axis in (small, large):
        axis.figure.canvas.draw()
        assert axis.get_yscale() == "log"
        ticks = [text.get_text() for text in axis.get_yticklabels()]
        assert all(float(text) > 0 and "$" not in text for text in ticks)
        low, high = axis.get_ylim()
        inside = [tick for tick in axis.get_yticks() if low <= tick <= high]
        assert 3 <= len(inside) <= 7
        assert not len(axis.yaxis.get_minorticklocs())
        assert {1.0, 2.0, 3.0} >= set(axis.get_xticks())


def test_a_replicate_that_diverged_counts_as_the_worst(drawn):
    nan = float("nan")
    (axis,) = drawn(frame([[0.9, nan], [0.7, 0.4], [0.8, 0.6]]))
    assert values(axis, "median of replicates") == [0.8, 0.6]
    (axis,) = drawn(frame([[nan, nan]]))
    assert labels(axis) == ["the optimizer"]


def test_losses_below_zero_are_drawn(drawn):
    (axis,) = drawn(frame([[0.5, -0.5]]))
    assert axis.get_yscale() == "linear"
    assert labels(axis) == ["the optimizer"]


def test_the_same_runs_make_the_same_small_file(tmp_path):
    runs = frame(np.linspace(0.9, 0.4, 40).reshape(8, 5))
    for name in ("a.png", "b.png"):
        card_plots.plot(runs, tmp_path, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (
        tmp_path / "b.png"
    ).read_bytes()
    assert (tmp_path / "a.png").stat().st_size < 25_000
