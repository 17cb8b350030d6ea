"""Families beside tuned rules, from what evaluations leave on disk."""

import pathlib
import shutil

import numpy as np
import pandas
import pytest
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import evaluation
from keras_l2o import policies
from keras_l2o.cli import application
from keras_l2o.evaluation import carded
from keras_l2o.evaluation import collection
from keras_l2o.evaluation import held_out
from keras_l2o.evaluation import held_out_tables
from keras_l2o.evaluation import reduction
from tests.conftest import without_compilation

pytestmark = pytest.mark.usefixtures("few_steps")

#: The runs that are stored beside the package.
STORED = pathlib.Path(__file__).parents[2] / "held_out"
SHORT = {"examples": 128, "batch_size": 32, "epochs": 3}
#: A family whose replicates are known: the higher rates learn faster.
RATES = {1: 0.5, 2: 1e-3, 3: 0.05, 4: 0.2}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    with without_compilation():
        return _evaluated(tmp_path_factory)


def _evaluated(tmp_path_factory):
    path = tmp_path_factory.mktemp("held_out")
    rates = (1e-4, 0.02)
    frame = evaluation.gridsearch(
        "digits_mlp", ("adam",), rates, directory=path, **SHORT
    )
    assert evaluation.best_rates(frame) == {"adam": 0.02}
    for rate in rates:
        evaluation.baselines(
            "digits_mlp", {"adam": rate}, directory=path, repeat=2, **SHORT
        )
    for number, rate in RATES.items():
        keras_l2o.evaluate(
            policies.SGD(rate),
            "digits_mlp",
            repeat=2,
            directory=path / "slow" / str(number),
            **SHORT,
        )
    return path


def test_a_family_has_its_median_and_best_replicate(directory):
    assert held_out.problems(directory) == ["digits_mlp"]
    assert held_out.families(directory) == ["slow"]
    frame = held_out.table(directory, "digits_mlp").set_index("name")
    assert sorted(frame.index) == [
        "adam 0.0001", "adam 0.02, tuned", "slow/1", "slow/4"
    ]  # fmt: skip
    assert frame.loc["slow/1", "kind"] == "best"
    assert frame.loc["slow/4", "kind"] == "median"
    assert (frame["runs"] == 2).all()
    assert frame["validation_loss"].is_monotonic_increasing
    path = directory / "slow" / "4" / "evaluations" / "digits_mlp.npz"
    stored = evaluation.read(path).frame()
    np.testing.assert_allclose(
        frame.loc["slow/4", "train_loss"],
        stored[stored["epoch"] == 3]["train_loss"].mean(),
    )
    np.testing.assert_allclose(
        frame.loc["slow/4", "accuracy"],
        stored.groupby("run")["validation_accuracy"].max().mean(),
    )
    # No run of these reaches the loss of tuned Adam.
    assert frame.loc["slow/4", "speed_up"] == 0.0


def best_losses(directory, *names):
    """Mean log of each run's best validation loss."""
    path = directory.joinpath(*names, "evaluations", "digits_mlp.npz")
    runs = evaluation.read(path).frame().groupby("run")
    return np.log(runs["validation_loss"].min())


def test_families_are_measured_from_the_best_tuned_rule(directory):
    runs = held_out.oracle_runs(directory, "digits_mlp")
    assert evaluation.oracle(runs) == ("adam", 0.02)
    (row,) = held_out.overview(held_out.distances(directory)).to_dict("records")
    oracle = best_losses(directory, "baselines", "adam-0.02")
    means = {
        number: (best_losses(directory, "slow", str(number)) - oracle).mean()
        for number in RATES
    }
    assert row["family"] == "slow"
    assert row["problem"] == "digits_mlp"
    assert (row["runs"], row["failed"]) == (8, 0)
    np.testing.assert_allclose(row["best"], means[1])
    np.testing.assert_allclose(row["median"], means[4])
    np.testing.assert_allclose(row["worst"], means[2])
    np.testing.assert_allclose(
        row["between"], np.std(list(means.values()), ddof=1)
    )
    np.testing.assert_allclose(
        row["mean"], np.mean(list(means.values())), rtol=1e-4
    )
    assert row["low"] < row["mean"] < row["high"]
    cells = held_out_tables.overview(
        held_out.overview(held_out.distances(directory))
    )
    best = f"{means[1]:+.3f}"
    assert cells["The best replicate"] == [
        {"family": "slow", "digits_mlp": best}
    ]
    ranking = held_out.ranking(held_out.distances(directory))
    assert ranking["name"].tolist() == ["slow/1", "slow/4", "slow/3", "slow/2"]
    np.testing.assert_allclose(ranking["distance"], sorted(means.values()))
    assert held_out_tables.ranking(ranking)[0] == {
        "replicate": "slow/1", "all": best, "digits_mlp": best
    }  # fmt: skip


def test_a_run_that_diverged_counts_alike_in_every_place(directory):
    path = directory / "baselines" / "adam-0.02" / "evaluations"
    path = path / "digits_mlp.npz"
    stored = evaluation.read(path)
    arrays = {key: value.copy() for key, value in stored.arrays.items()}
    for key in ("validation_loss", "validation_accuracy"):
        arrays[key][0, -1] = np.nan
    arrays["losses"][0, -1] = np.nan
    evaluation.Evaluation(stored.settings, arrays).write(path)
    try:
        frame = evaluation.read(path).frame()
        table = held_out.table(directory, "digits_mlp").set_index("name")
    finally:
        stored.write(path)
    figures = evaluation.figures(frame)
    assert np.isfinite(figures["log_validation_loss"]).tolist() == [False, True]
    assert np.isnan(figures["accuracy"][0])
    one = reduction.of_runs(frame[frame["run"] == 0], ["run"]).iloc[0]
    assert one.drop(["run", "seed"]).isna().all()
    row = table.loc["adam 0.02, tuned"]
    assert row["validation_loss"] == row["train_loss"] == np.inf
    assert np.isnan(row["accuracy"])


def test_without_adam_in_the_search_there_is_no_speed_up(directory, tmp_path):
    evaluation.gridsearch(
        "digits_mlp", ("sgd",), (0.1,), directory=tmp_path, **SHORT
    )
    evaluation.baselines(
        "digits_mlp", {"sgd": 0.1}, directory=tmp_path, repeat=2, **SHORT
    )
    shutil.copytree(directory / "slow", tmp_path / "slow")
    result = CliRunner().invoke(
        application, ["results", f"--directory={tmp_path}"]
    )
    assert result.exception is None
    page = (tmp_path / "README.md").read_text("utf-8")
    assert "| sgd 0.1, tuned | 2 |" in page
    assert "speed-up" not in page


def test_a_run_that_diverged_makes_its_replicate_the_worst(directory, tmp_path):
    path = directory / "slow" / "1" / "evaluations" / "digits_mlp.npz"
    stored = evaluation.read(path)
    arrays = {**stored.arrays}
    for key in ("losses", "validation_loss", "validation_accuracy"):
        arrays[key] = np.full_like(arrays[key], np.nan)
    evaluation.Evaluation(stored.settings, arrays).write(path)
    try:
        frame = held_out.table(directory, "digits_mlp").set_index("name")
        (row,) = held_out.overview(held_out.distances(directory)).to_dict(
            "records"
        )
        ranking = held_out.ranking(held_out.distances(directory))
    finally:
        stored.write(path)
    assert frame.loc["slow/4", "kind"] == "best"
    assert frame.loc["slow/3", "kind"] == "median"
    assert row["failed"] == 2
    assert row["worst"] == np.inf
    assert ranking["name"].tolist() == ["slow/4", "slow/3", "slow/2"]
    assert np.isfinite(row["mean"])
    assert np.isfinite(row["between"])


def test_the_command_rebuilds_the_page_and_keeps_what_is_before(directory):
    def run():
        result = CliRunner().invoke(
            application, ["results", f"--directory={directory}"]
        )
        assert result.exception is None
        return result.output

    assert "adam 0.02, tuned" in run()
    page = directory / "README.md"
    tables = page.read_text("utf-8").partition("<!-- tables -->")[2]
    assert "| slow/1 (best) | 2 |" in tables
    assert "### The best replicate\n\n| family | digits_mlp |" in tables
    page.write_text(f"# Mine\n\nWords.\n\n<!-- tables -->{tables}", "utf-8")
    run()
    text = page.read_text("utf-8")
    assert text.startswith("# Mine\n\nWords.\n\n<!-- tables -->")
    assert text.partition("<!-- tables -->")[2] == tables


def test_a_search_without_baselines_says_what_makes_them(directory, tmp_path):
    shutil.copytree(directory / "gridsearch", tmp_path / "gridsearch")
    shutil.copytree(
        directory / "baselines" / "adam-0.0001",
        tmp_path / "baselines" / "adam-0.0001",
    )
    with pytest.raises(ValueError, match="--rates=tuned"):
        held_out.oracle_runs(tmp_path, "digits_mlp")


def test_a_directory_without_a_search_says_what_makes_one(tmp_path):
    with pytest.raises(ValueError, match="keras-l2o gridsearch"):
        held_out.problems(tmp_path)


def test_distances_are_drawn_and_go_into_the_card(directory, tmp_path):
    path = tmp_path / "distances.png"
    arguments = ["plot", "distances", str(directory), f"--output={path}"]
    result = CliRunner().invoke(application, arguments)
    assert result.exception is None
    assert path.read_bytes().startswith(b"\x89PNG")
    result = CliRunner().invoke(application, [*arguments, str(tmp_path)])
    assert "one directory" in str(result.exception)
    result = CliRunner().invoke(application, [*arguments, "--problem=resnet"])
    assert "Known: digits_mlp" in str(result.exception)

    (row,) = held_out.overview(held_out.distances(directory)).to_dict("records")
    slow = directory / "slow"
    results = carded.results(collection.collect([slow]), slow)
    for number, key in ((1, "best"), (4, "median"), (2, "worst")):
        own = results[str(number)]["digits_mlp"]["log_loss_from_oracle"]
        np.testing.assert_allclose(own, row[key])
    assert results["datasets"] == {"digits_mlp": "digits"}
    found = results["*"]
    assert set(found) == {"digits_mlp"}
    for key in ("mean", "low", "high", "median", "best", "worst"):
        assert found["digits_mlp"][key] == row[key]


def test_the_rules_to_draw_are_the_oracle_and_adam(directory, tmp_path):
    runs = held_out.rule_runs(directory, "digits_mlp")
    # The best tuned rule is Adam, which is drawn once.
    assert list(runs) == ["adam 0.02, best tuned rule"]
    assert set(runs["adam 0.02, best tuned rule"]["rate"]) == {0.02}
    assert list(held_out.rule_runs(STORED, "conv_train_dp")) == [
        "powersign 0.1, best tuned rule",
        "adam 0.005, tuned",
        "adam 0.001, Keras's default",
    ]
    assert held_out.rule_runs(tmp_path, "digits_mlp") == {}


def test_a_family_is_compared_with_others_on_the_same_seeds(directory):
    runs = held_out.distances(directory)
    other = runs.assign(
        optimizer="other",
        log_validation_loss=runs["log_validation_loss"] + 0.25,
    )
    both = pandas.concat([runs, other], ignore_index=True)
    (row,) = held_out.differences(both, "slow").to_dict("records")
    assert (row["family"], row["problem"]) == ("other", "digits_mlp")
    np.testing.assert_allclose([row["mean"], row["high"]], -0.25)
    assert held_out_tables.differences(held_out.differences(both, "other")) == [
        {"family": "slow", "digits_mlp": "+0.250 (+0.250, +0.250)"}
    ]


def test_a_search_without_a_family_says_so_and_needs_no_card(
    directory, tmp_path
):
    shutil.copytree(directory / "gridsearch", tmp_path / "gridsearch")
    with pytest.raises(ValueError, match=r"No family in .* digits_mlp"):
        held_out.distances(tmp_path)
    keras_l2o.evaluate(
        policies.SGD(0.1), "quadratic_10", repeat=1, steps=5,
        directory=tmp_path / "slow" / "1",
    )  # fmt: skip
    slow = tmp_path / "slow"
    results = carded.results(collection.collect([slow]), slow)
    assert not {"*", "datasets"} & set(results)
