import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import config
from keras_l2o import evaluation
from keras_l2o import policies
from keras_l2o import strategies
from keras_l2o_commands import baselines
from keras_l2o_commands import measure
from keras_l2o_commands import plot

pytestmark = pytest.mark.usefixtures("few_steps")

SHORT = [
    "--dataset=digits", "--epochs=1", "--examples=64", "--batch-size=32",
]  # fmt: skip


@pytest.fixture(scope="module")
def run():
    application = typer.Typer()
    measure.register(application)
    baselines.register(application)
    plot.register(application)

    def run(*arguments, fails=False):
        result = CliRunner().invoke(application, list(arguments))
        if fails:
            assert isinstance(result.exception, ValueError)
            return str(result.exception)
        if result.exception is not None:
            raise result.exception
        return result.output

    return run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Run directories like those that training leaves."""
    root = tmp_path_factory.mktemp("results")
    for folder in ("rnnprop/min-max/1", "rnnprop/choice2/1"):
        keras_l2o.save(
            keras_l2o.LearnedOptimizer(policies.RNNProp(units=(2,))),
            root / folder / "optimizer",
        )
    return root


@pytest.mark.parametrize(
    "command", ["evaluate", "baseline", "gridsearch", "plot"]
)
def test_help_shows_an_example(run, command):
    output = " ".join(run(command, "--help").split())
    assert f"Example: keras-l2o {command}" in output


# the evaluations of the seed document, the first and the last, made short
@pytest.mark.parametrize("folder", ["rnnprop/min-max/1", "rnnprop/choice2/1"])
def test_the_seeds_evaluations_run_and_leave_their_files(run, results, folder):
    output = run(
        "evaluate",
        "--problem=conv_train",
        f"--directory={results / folder}",
        "--repeat=2",
        *SHORT,
    )
    assert "1 x 2" in output
    stored = evaluation.read(
        results / folder / "evaluations" / "conv_train.npz"
    )
    assert stored.runs == 2
    assert stored.settings["dataset"] == "digits"


def perturbed(times):
    """The configuration of a run with a perturbation."""
    noise = ("policy/perturbation/config/noise_stddev", 1e-3 * times)
    found = config.resolve(
        ["adam", "digits_train", "gaussian"], None, None, [noise]
    )
    return found.model_dump(mode="json")


def test_replicates_of_one_run_are_evaluated_together(run, tmp_path):
    family = tmp_path / "noisy"
    strategies.RunDirectory(family).open({"run": perturbed(2)})
    for replicate in (1, 2, 10):
        keras_l2o.save(
            keras_l2o.LearnedOptimizer(policies.Adam(0.01)),
            family / str(replicate) / "optimizer",
        )
    output = run(
        "evaluate", "--problem=digits_mlp", f"--directory={family}",
        "--repeat=2", *SHORT[1:],
    )  # fmt: skip
    assert "3 x 2" in output
    assert f"stored in {family}" in output.replace("\n", "")
    (row,) = evaluation.collection.by_magnitude([family]).to_dict("records")
    assert (row["perturbation"], row["magnitude"]) == ("gaussian", 2e-3)
    assert (row["replicates"], row["runs"]) == (3, 6)


def test_an_optimizer_is_evaluated_at_another_rate(run, tmp_path):
    run(
        "evaluate", "--problem=digits_mlp", "--repeat=1", *SHORT[1:],
        "--optimizer=min-max-compact/1", "--learning-rate=0.3",
        f"--directory={tmp_path}",
    )  # fmt: skip
    expected = keras_l2o.evaluate(
        keras_l2o.from_hub("min-max-compact/1", learning_rate=0.3),
        "digits_mlp", repeat=1, epochs=1, examples=64, batch_size=32,
    )  # fmt: skip
    found = evaluation.collection.collect([tmp_path])
    assert (found["optimizer"] == "min-max-compact/1 times 0.3").all()
    np.testing.assert_allclose(
        found["validation_loss"], expected["validation_loss"], rtol=1e-6
    )


def test_replicates_of_one_family_are_put_together(run, tmp_path):
    for replicate, rate in ((1, 0.01), (2, 0.02)):
        folder = tmp_path / "family" / str(replicate)
        files = strategies.RunDirectory(folder)
        files.open({"run": perturbed(replicate)})
        keras_l2o.save(
            keras_l2o.LearnedOptimizer(policies.Adam(rate)),
            folder / "optimizer",
        )
        files.close()
        run(
            "evaluate",
            "--problem=digits_mlp",
            f"--directory={folder}",
            "--repeat=2",
            *SHORT[1:],
        )
    for picture in ("losses", "replicates", "magnitudes"):
        output = run(
            "plot", picture, str(tmp_path),
            f"--output={tmp_path / 'pictures' / picture}.png",
        )  # fmt: skip
        assert "picture:" in output
        assert (tmp_path / "pictures" / f"{picture}.png").exists()
    assert "2 x 2" in run(
        "plot", "losses", str(tmp_path), f"--output={tmp_path / 'a.png'}"
    )
    summary = evaluation.collection.by_magnitude([tmp_path])
    assert summary["magnitude"].tolist() == [1e-3, 2e-3]
    message = run("plot", "pool", str(tmp_path), fails=True)
    assert "--trace" in message


def test_baselines_take_the_rates_that_the_search_found(run, tmp_path):
    short = ["--problem=digits_mlp", f"--directory={tmp_path}", *SHORT[1:]]
    message = run("baseline", *short, "--rates=tuned", fails=True)
    assert "keras-l2o gridsearch" in message
    output = run("gridsearch", *short, "--rules=adam", "--rates=1e-6,0.03")
    assert "adam" in output
    assert "0.03" in output
    assert (tmp_path / "gridsearch" / "digits_mlp.csv").exists()
    output = run(
        "baseline", *short, "--rules=adam", "--rates=tuned", "--repeat=2"
    )
    assert "adam 0.03" in output
    folder = tmp_path / "baselines" / "adam-0.03" / "evaluations"
    assert (folder / "digits_mlp.npz").exists()
    message = run("baseline", *short, "--rules=adm", fails=True)
    assert "Did you mean 'adam'" in message


def test_a_directory_without_an_optimizer_says_so(run, tmp_path):
    message = run(
        "evaluate", "--problem=digits_mlp", f"--directory={tmp_path}",
        fails=True,
    )  # fmt: skip
    assert "holds no optimizer" in message
    message = run("plot", "losses", str(tmp_path), fails=True)
    assert "evaluate" in message


def test_a_family_is_evaluated_replicate_by_replicate(
    run, tmp_path, monkeypatch
):
    folders = {}
    for number in (1, 2):
        name = f"mine/{number}"
        folders[name] = tmp_path / "pre-trained" / name
        optimizer = keras_l2o.LearnedOptimizer(policies.SGD(0.1 * number))
        keras_l2o.save(optimizer, folders[name])
    monkeypatch.setattr(keras_l2o.hub.names, "bundled", lambda: folders)
    output = run(
        "evaluate", "--problem=digits_mlp", "--family=mine", "--repeat=2",
        f"--directory={tmp_path}", *SHORT,
    )  # fmt: skip
    assert "2 x 2" in output
    losses = []
    for name in folders:
        path = tmp_path / name / "evaluations" / "digits_mlp.npz"
        stored = evaluation.read(path)
        assert stored.settings["optimizer"] == name
        assert stored.runs == 2
        losses.append(stored.arrays["losses"][0, -1])
    assert losses[0] != losses[1]
    message = run(
        "evaluate", "--problem=digits_mlp", "--family=none",
        f"--directory={tmp_path}", fails=True,
    )  # fmt: skip
    assert "no bundled family 'none'" in message
