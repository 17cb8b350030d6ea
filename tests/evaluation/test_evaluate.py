import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import evaluation
from keras_l2o import hub
from keras_l2o import policies
from keras_l2o import problems
from keras_l2o.evaluation import at_once
from keras_l2o.evaluation import contender
from keras_l2o.evaluation import storage

COLUMNS = [
    "problem", "optimizer", "run", "seed", "epoch", "step", "train_loss",
    "validation_loss", "validation_accuracy", "seconds",
]  # fmt: skip


def options(**changes):
    return {
        "problem": "digits_mlp",
        "examples": 64,
        "batch_size": 32,
        "repeat": 2,
        "epochs": 2,
        **changes,
    }


@pytest.mark.backend
@pytest.mark.quick
def test_a_row_for_each_run_and_epoch(tmp_path):
    frame = keras_l2o.evaluate(
        keras.optimizers.SGD(0.1), **options(), directory=tmp_path
    )
    assert list(frame.columns) == COLUMNS
    assert frame[["run", "seed", "epoch", "step"]].values.tolist() == [
        [0, 0, 1, 2],
        [0, 0, 2, 4],
        [1, 1, 1, 2],
        [1, 1, 2, 4],
    ]
    assert np.isfinite(frame.select_dtypes("number")).all().all()
    stored = evaluation.read(tmp_path / "evaluations" / "digits_mlp.npz")
    assert stored.arrays["losses"].shape == (2, 4)
    assert stored.settings["versions"]["keras"] == keras.__version__
    assert stored.settings["data_digest"]
    np.testing.assert_array_equal(stored.frame(), frame)
    np.testing.assert_allclose(
        frame["train_loss"],
        stored.arrays["losses"].reshape(2, 2, 2).mean(axis=2).ravel(),
    )


@pytest.mark.backend
def test_a_run_is_that_of_fit(tmp_path):
    keras_l2o.evaluate(
        keras.optimizers.Adam(0.01),
        **options(repeat=1, seed=5),
        directory=tmp_path,
    )
    stored = evaluation.read(tmp_path / "evaluations" / "digits_mlp.npz")
    problem = problems.get("digits_mlp", batch_size=32, examples=64)
    model = problem.new_model(5)
    model.compile(
        keras.optimizers.Adam(0.01), problem.loss, metrics=["accuracy"]
    )
    x, y = problem.batches(np.random.default_rng([5, 1]), 4)
    model.fit(
        x.reshape(128, *x.shape[2:]), y.ravel(), batch_size=32, epochs=1,
        shuffle=False, verbose=0,
    )  # fmt: skip
    logs = model.evaluate(
        problem.data.x_validation, problem.data.y_validation, verbose=0,
        return_dict=True,
    )  # fmt: skip
    assert stored.arrays["validation_loss"][0, -1] == pytest.approx(
        logs["loss"], rel=1e-4
    )
    assert stored.arrays["validation_accuracy"][0, -1] == pytest.approx(
        logs["accuracy"]
    )


@pytest.mark.usefixtures("few_steps")
def test_every_form_of_an_optimizer_is_taken(tmp_path):
    optimizer = keras_l2o.LearnedOptimizer(policies.SGD(0.1))
    keras_l2o.save(optimizer, tmp_path / "run" / "optimizer")
    small = options(repeat=1, epochs=1)
    losses = {
        keras_l2o.evaluate(form, **small)["validation_loss"][0]
        for form in (
            optimizer,
            policies.SGD(0.1),
            lambda: keras.optimizers.SGD(0.1),
            str(tmp_path / "run"),
            tmp_path / "run" / "optimizer",
        )
    }
    assert max(losses) - min(losses) < 1e-5
    network = policies.RNNProp(units=(2,))  # not built yet
    assert np.isfinite(keras_l2o.evaluate(network, **small)["train_loss"][0])
    for name in ("sgd", *keras_l2o.available()["name"][:1]):
        assert keras_l2o.evaluate(name, **small)["optimizer"][0] == name


@pytest.mark.usefixtures("few_steps")
def test_a_finished_evaluation_is_not_run_again(tmp_path):
    made = []

    def optimizer():
        made.append(1)
        return keras.optimizers.SGD(0.1)

    first = keras_l2o.evaluate(optimizer, **options(), directory=tmp_path)
    runs = len(made)
    again = keras_l2o.evaluate(optimizer, **options(), directory=tmp_path)
    assert len(made) == runs + 1  # one to see that it is the same optimizer
    np.testing.assert_array_equal(first, again)
    fewer = keras_l2o.evaluate(
        optimizer, **options(repeat=1), directory=tmp_path
    )
    np.testing.assert_array_equal(first[:2], fewer)


@pytest.mark.backend
def test_an_evaluation_that_was_cut_off_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(at_once, "RUNS", 1)

    class Killed(Exception):
        pass

    def kill(run, epoch, logs):
        if (run, epoch) == (1, 0):
            raise Killed

    rule = policies.Adam(0.01)
    whole = keras_l2o.evaluate(
        rule, **options(repeat=3, epochs=1), directory=tmp_path / "whole"
    )
    with pytest.raises(Killed):
        keras_l2o.evaluate(
            rule,
            **options(repeat=3, epochs=1),
            directory=tmp_path,
            on_epoch=kill,
        )
    path = tmp_path / "evaluations" / "digits_mlp.npz"
    assert evaluation.read(path).runs == 1
    finished = evaluation.read(path).arrays["seconds"][0]
    started = []
    rest = keras_l2o.evaluate(
        rule,
        **options(repeat=3, epochs=1),
        directory=tmp_path,
        on_start=lambda *counts: started.append(counts),
        on_epoch=lambda run, *_: started.append(run),
    )
    assert started == [(1, 1), 1, 2]
    np.testing.assert_array_equal(rest["seconds"][:1], finished)
    timeless = whole.drop(columns="seconds")
    np.testing.assert_array_equal(rest.drop(columns="seconds"), timeless)
    assert [p.name for p in path.parent.iterdir()] == ["digits_mlp.npz"]


@pytest.mark.backend
def test_replicates_are_evaluated_each_as_alone(tmp_path):
    replicates = []
    for seed in range(2):
        keras.utils.set_random_seed(seed)
        replicates.append(policies.RNNProp(units=(3,)))
        replicates[-1].build(None)
    alone = [keras_l2o.evaluate(policy, **options()) for policy in replicates]
    directories = [tmp_path / str(number) for number in (1, 2)]
    # One of the runs is there already.
    keras_l2o.evaluate(
        replicates[1], **options(repeat=1), directory=directories[1]
    )
    seen = []
    frame = evaluation.evaluate_replicates(
        replicates,
        directories=directories,
        on_epoch=lambda *figures: seen.append(figures[:3]),
        **options(),
    )
    assert sorted(seen) == [
        (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1), (2, 1, 0), (2, 1, 1)
    ]  # fmt: skip
    assert list(frame.columns) == [*COLUMNS, "replicate"]
    numbers = ["train_loss", "validation_loss", "validation_accuracy"]
    for number, reference in enumerate(alone, 1):
        part = frame[frame["replicate"] == number]
        np.testing.assert_allclose(
            part[numbers], reference[numbers], rtol=1e-4, atol=1e-5
        )
        path = directories[number - 1] / "evaluations" / "digits_mlp.npz"
        assert evaluation.read(path).runs == 2


@pytest.mark.parametrize("rule", ["adam", "feature_mlp", "more_choice"])
@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="runs go at once on JAX alone"
)
@pytest.mark.backend
def test_a_run_at_once_is_that_alone(rule):
    def make():
        if rule == "adam":
            return keras.optimizers.Adam(0.01, clipnorm=1.0, use_ema=True)
        keras.utils.set_random_seed(0)
        return keras_l2o.LearnedOptimizer(policies.get(rule))

    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(3, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    data = problems.load_dataset("digits")
    problem = problems.Problem(network, data, batch_size=32)
    seeds = (3, 4)
    runs = at_once.train_at_once(
        problem, [make() for _ in seeds], seeds, steps=7, epoch_steps=4
    )
    for seed, run in zip(seeds, runs):
        alone = evaluation.train(problem, make(), 7, 4, seed)
        assert run.diverged == alone.diverged == -1
        for key in ("losses", "validation_loss", "validation_accuracy"):
            np.testing.assert_allclose(
                getattr(run, key), getattr(alone, key), rtol=1e-3, atol=1e-5
            )


@pytest.mark.usefixtures("few_steps")
def test_other_settings_are_named_and_not_mixed(tmp_path):
    keras_l2o.evaluate("sgd", **options(), directory=tmp_path)
    with pytest.raises(ValueError, match="steps is 4 there and 6 now"):
        keras_l2o.evaluate("sgd", **options(epochs=3), directory=tmp_path)
    with pytest.raises(ValueError, match="optimizer_digest"):
        keras_l2o.evaluate(policies.SGD(0.3), **options(), directory=tmp_path)
    frame = keras_l2o.evaluate(
        "sgd", **options(epochs=3), directory=tmp_path, overwrite=True
    )
    assert frame["epoch"].max() == 3


@pytest.mark.backend
def test_a_diverging_run_is_recorded_and_the_next_one_runs(tmp_path):
    x = np.ones((32, 3), "float32")
    x[:, 0] = 1e25

    def model():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])

    data = problems.Dataset("lines", 0, x, x[:, 1:2], x, x[:, 1:2])
    problem = problems.Problem(
        model, data, loss="mse", batch_size=16, name="lines"
    )
    frame = keras_l2o.evaluate(
        policies.SGD(1.0), problem, repeat=2, epochs=2, directory=tmp_path
    )
    assert len(frame) == 4
    assert frame["validation_loss"].isna().all()
    stored = evaluation.read(tmp_path / "evaluations" / "lines.npz")
    assert (stored.arrays["diverged"] >= 0).all()


@pytest.mark.backend
def test_functions_run_by_steps_and_differ_by_seed(tmp_path):
    frame = keras_l2o.evaluate(
        policies.Adam(0.1), "quadratic_10", repeat=2, steps=40
    )
    assert frame["step"].tolist() == [4 * i for i in range(1, 11)] * 2
    assert frame["validation_accuracy"].isna().all()
    first, second = (frame[frame["run"] == run] for run in (0, 1))
    assert first["validation_loss"].iloc[-1] < first["train_loss"].iloc[0]
    assert first["train_loss"].iloc[0] != second["train_loss"].iloc[0]


@pytest.mark.backend
def test_a_trace_has_the_size_of_each_layers_update(tmp_path):
    keras_l2o.evaluate(
        keras.optimizers.SGD(0.1),
        **options(repeat=1),
        trace=3,
        directory=tmp_path,
    )
    stored = evaluation.read(tmp_path / "evaluations" / "digits_mlp.npz")
    assert stored.arrays["trace_steps"].tolist() == [0, 3]
    assert stored.arrays["trace_layers"].tolist() == ["1 dense", "2 dense"]
    problem = problems.get("digits_mlp", batch_size=32, examples=64)
    model = problem.new_model(0)
    model.compile(keras.optimizers.SGD(0.1), problem.loss)
    x, y = problem.batches(np.random.default_rng([0, 1]), 1)
    before = model.get_weights()
    model.train_on_batch(x[0], y[0])
    squares = [
        (a - b).ravel() ** 2 for a, b in zip(before, model.get_weights())
    ]
    expected = [
        np.sqrt(np.concatenate(squares[:2]).mean()),
        np.sqrt(np.concatenate(squares[2:]).mean()),
    ]
    np.testing.assert_allclose(
        stored.arrays["trace_updates"][0, 0], expected, rtol=1e-4
    )


@pytest.mark.backend
def test_a_trace_has_a_pools_weights_by_layer(tmp_path):
    pool = [policies.Adam(0.02), policies.SGD(0.2)]
    keras_l2o.evaluate(
        policies.Choice(pool, units=(3,)),
        **options(repeat=1),
        trace=2,
        directory=tmp_path,
    )
    arrays = evaluation.read(tmp_path / "evaluations" / "digits_mlp.npz").arrays
    assert len(arrays["trace_pool"]) == 2
    assert arrays["trace_weights"].shape == (1, 2, 2, 2)
    np.testing.assert_allclose(
        arrays["trace_weights"].sum(axis=-1), 1.0, rtol=1e-5
    )


def test_private_problems_are_trained_privately(tmp_path):
    frame = keras_l2o.evaluate(
        "sgd",
        **options(problem="conv_train_dp", dataset="digits", batch_size=8),
        directory=tmp_path,
    )
    assert np.isfinite(frame["validation_loss"]).all()
    settings = evaluation.read(
        tmp_path / "evaluations" / "conv_train_dp.npz"
    ).settings
    assert settings["privacy"]["noise_multiplier"] == 1.1
    assert settings["privacy"]["clip"] == 1.0
    assert 0 < settings["privacy"]["epsilon"] < 50


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repeat": 0}, "`repeat` must be"),
        ({"epochs": 0}, "`epochs` must be"),
        ({"steps": 3}, "`epochs` and `steps`"),
        ({"trace": 2}, "`directory`"),
        ({"problem": "digit_mlp"}, "Did you mean 'digits_mlp'"),
        ({"optimizer": 3}, "`optimizer` must be"),
        ({"optimizer": "min-max/99"}, "no optimizer"),
        ({"optimizer": "tests"}, "holds no optimizer"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    arguments = options(**{"optimizer": "sgd", **changes})
    with pytest.raises(ValueError, match=message):
        keras_l2o.evaluate(**arguments)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "evaluations" / "digits_mlp.npz"
    path.parent.mkdir()
    path.write_bytes(b"PK\x03\x04 no evaluation")
    with pytest.raises(ValueError, match="no stored evaluation"):
        keras_l2o.evaluate("sgd", **options(), directory=tmp_path)


@pytest.mark.parametrize("name", ["min-max-compact/3", "min-max/7"])
def test_stored_evaluations_are_of_the_bundled_optimizers_as_they_are(name):
    root = hub.names.bundled()[name].parents[3]
    stored = storage.read(
        root / f"held_out/{name}/evaluations/quadratic_20.npz"
    )
    digest = contender.contender(name).digest()
    assert stored.settings["optimizer_digest"] == digest


@pytest.mark.parametrize("arguments", [{"steps": 0}, {"epoch_steps": 0}])
def test_a_length_of_zero_is_not_taken_for_none(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1"):
        evaluation.train(
            problems.get("digits_mlp"),
            keras.optimizers.SGD(0.1),
            **{"steps": 4, **arguments},
        )
