"""The tasks that no meta-training has seen, their runs and their tables."""

import json
import math

import keras
import numpy as np
import pytest

import keras_l2o
from benchmarks.unseen import figures
from benchmarks.unseen import opponents
from benchmarks.unseen import run
from benchmarks.unseen import search
from benchmarks.unseen import table
from benchmarks.unseen import tasks
from keras_l2o import evaluation
from keras_l2o import policies
from keras_l2o import problems
from keras_l2o.learned_optimizer import reads_horizon


def lines():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype("float32")
    y = x @ np.ones((3, 1), "float32") + 1.0
    data = problems.Dataset("lines", 0, x[:32], y[:32], x[32:], y[32:])
    return problems.Problem(
        lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]),
        data,
        loss="mse",
        batch_size=16,
        name="lines",
    )


@pytest.mark.parametrize("name", tasks.TASKS)
@pytest.mark.usefixtures("few_steps")
def test_a_task_trains_and_its_parts_differ(name):
    assert "unseen" in tasks.TASKS[name].__doc__
    try:
        problem = tasks.make(name)
    except problems.DatasetError as error:
        pytest.skip(str(error))
    assert problem.name == name
    assert name not in problems.names()
    data = problem.data
    assert isinstance(data, problems.Dataset)
    shown = {np.asarray(row).tobytes() for row in data.x_train}
    held = [np.asarray(row).tobytes() for row in data.x_validation]
    assert sum(row in shown for row in held) <= 0.05 * len(held)
    small = data._replace(
        x_validation=data.x_validation[:8], y_validation=data.y_validation[:8]
    )
    problem.data = small
    made = evaluation.train(problem, keras.optimizers.Adam(1e-3), steps=2)
    for losses in (made.losses, made.validation_loss):
        assert np.isfinite(losses).all()
        assert (losses > 0).all()
    # All that is drawn is in the weights.
    twin = problem.new_model(1)
    twin.set_weights(problem.model.get_weights())
    outputs = [
        keras.ops.convert_to_numpy(model(data.x_validation[:8]))
        for model in (problem.model, twin)
    ]
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)
    assert len(data.x_validation) in range(100, 2500)


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match="Known: code_lstm"):
        tasks.make("code")


@pytest.mark.parametrize("name", opponents.OPPONENTS)
def test_trials_are_as_many_and_within_their_ranges(name):
    opponent, settings = opponents.OPPONENTS[name], opponents.trials(name)
    assert len(set(settings)) == opponents.TRIALS
    rates = [setting.rate for setting in settings]
    np.testing.assert_allclose((rates[0], rates[-1]), opponent.rates)
    if opponent.decays is not None:
        decays = [setting.decay for setting in settings]
        np.testing.assert_allclose(
            (min(decays), max(decays)), opponent.decays
        )  # fmt: skip
        # Small decays and large ones meet each quarter of the rates.
        for start in range(0, opponents.TRIALS, 5):
            part = np.log(decays[start : start + 5])
            assert np.ptp(part) > 0.5 * np.ptp(np.log(decays))


@pytest.mark.parametrize("name", opponents.OPPONENTS)
@pytest.mark.usefixtures("few_steps")
def test_variables_as_settings_change_nothing(name):
    setting = opponents.trials(name)[10]
    weights = []
    for make in (opponents.optimizer, opponents.with_variables):
        optimizer = make(name, setting, steps=4)
        variable = keras.Variable(np.full((2, 2), 0.5, "float32"))
        optimizer.build([variable])
        for _ in range(3):
            optimizer.apply([keras.ops.ones((2, 2))], [variable])
        weights.append(keras.ops.convert_to_numpy(variable))
    np.testing.assert_allclose(*weights, rtol=1e-6)
    assert (weights[0] < 0.5).all()


@pytest.mark.backend
@pytest.mark.parametrize("name", ["adamw_cosine", "muon_cosine"])
@pytest.mark.usefixtures("few_steps")
def test_a_trial_side_by_side_is_that_alone(name):
    settings = opponents.trials(name)[8:12:3]
    runs = search.run_trials(lines(), name, settings, steps=6)
    for setting, made in zip(settings, runs):
        optimizer = opponents.optimizer(name, setting, 6)
        alone = evaluation.train(lines(), optimizer, 6, 1, search.SEED)
        for key in ("losses", "validation_loss"):
            np.testing.assert_allclose(
                getattr(made, key), getattr(alone, key), rtol=1e-4
            )


@pytest.mark.usefixtures("few_steps")
def test_a_search_is_stored_and_not_made_again(tmp_path, monkeypatch):
    problem = lines()
    best = search.tuned(problem, "adam", 4, tmp_path, trials=3)
    # The largest rate is the best one after few steps.
    assert best == opponents.Setting(pytest.approx(0.1), None)
    monkeypatch.setattr(search, "run_trials", None)
    assert search.tuned(problem, "adam", 4, tmp_path, trials=3) == best
    with pytest.raises(ValueError, match="other data or settings"):
        search.tuned(problem, "adam", 4, tmp_path, trials=2)


@pytest.mark.usefixtures("few_steps")
def test_the_single_setting_is_found_and_read(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "SINGLES", tmp_path)
    with pytest.raises(FileNotFoundError, match="run single"):
        search.single()
    names = ["tiny_label_noise", "tiny_quadratic"]
    best = search.find_single("adamw_cosine", names, steps=3, trials=2)
    assert search.single() == best
    stored = json.loads((tmp_path / "adamw_cosine.json").read_text())
    ratios = stored["mean_log_ratio"]
    assert ratios[opponents.trials("adamw_cosine", 2).index(best)] == min(
        ratios
    )


@pytest.mark.usefixtures("few_steps")
def test_contenders_run_and_are_stored(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(opponents, "TRIALS", 2)
    monkeypatch.setattr(
        search.tuned, "__defaults__", (2,)
    )  # as many trials as above
    monkeypatch.setitem(tasks.TASKS, "lines", lines)

    def unprepared():
        raise problems.DatasetError("not prepared")

    monkeypatch.setitem(tasks.TASKS, "missing", unprepared)
    names = ["adam/tuned", "adam/default", "mine=min-max-compact/3+cosine"]
    arguments = (["missing", "lines"], names, 5, 1, tmp_path)
    run.evaluate(*arguments)
    assert "missing: left out. not prepared" in capsys.readouterr().out
    for folder in ("adam/tuned", "adam/default", "mine+cosine"):
        path = tmp_path / "5" / folder / "evaluations" / "lines.npz"
        assert evaluation.read(path).runs == 1
    monkeypatch.setattr(evaluation.suite, "train", None)
    monkeypatch.setattr(evaluation.suite.at_once, "train_at_once", None)
    run.evaluate(*arguments)  # all is stored


def store(directory, steps, name, task, losses, curves):
    path = evaluation.storage.path_in(directory / str(steps) / name, task)
    path.parent.mkdir(parents=True, exist_ok=True)
    evaluation.Evaluation(
        {"optimizer": name, "rule": None, "steps": steps, "epoch_steps": 5},
        {
            "losses": np.array(losses, "float32"),
            "validation_loss": np.array(curves, "float64"),
            "seeds": np.arange(len(losses)),
        },
    ).write(path)


def test_tables_have_the_figures_of_two_stored_runs(tmp_path, capsys):
    losses = np.full((2, 20), 2.0)
    reference = [[4.0, 2.0, 1.0, 2.0], [8.0, 4.0, 2.0, 2.0]]
    store(tmp_path, 20, figures.REFERENCE, "one", losses, reference)
    # At half the loss, and where the other ends after two points of four.
    better = [[4.0, 2.0, 1.0, 0.5], [4.0, 2.0, 1.0, 1.0]]
    losses[:, -2:] = 1.0
    store(tmp_path, 20, "mine", "one", losses, better)
    store(tmp_path, 20, "mine", "other", losses[:1], better[:1])  # not whole
    table.main(["--directory", str(tmp_path), "--seeds", "2"])
    text = capsys.readouterr().out
    assert text.strip() in (tmp_path / "README.md").read_text()
    assert "other" not in text
    mine = [row for row in text.splitlines() if row.startswith("| mine")]
    overall, last = mine[0], mine[-1]
    assert [cell.strip() for cell in overall.split("|")[1:-1]] == [
        "mine", "1 of 1", "0.500", "0.354", "0.500", "0.500 (0.500, 0.500)",
        "one 0.354", "0", "100%", "10",
    ]  # fmt: skip
    duel = [cell.strip() for cell in mine[1].split("|")[1:-1]]
    assert duel[:2] == ["mine", "1 of 1, 2.00 (2.00, 2.00)"]
    assert set(duel[2:]) == {""}
    assert [cell.strip() for cell in last.split("|")[1:-1]] == [
        "mine", "0.75", "0.75", "1", "-0.693", "0",
    ]  # fmt: skip
    rows = [r for r in text.splitlines() if r.startswith("| adamw_cosine")]
    profile = [cell.strip() for cell in rows[1].split("|")[1:-1]]
    assert profile[2:] == ["0.00"] * 6 + ["1.00"]


def test_a_speed_up_is_how_much_sooner_a_run_is_at_the_others_end():
    def cell(*curves):
        ends = np.array([curve[-1] for curve in curves])
        return figures.Cell(ends, ends, ends, np.array(curves), 0)

    reference = cell([4.0, 3.0, 2.0, 1.0], *[[4.0, 4.0, 4.0, 2.0]] * 3)
    mine = cell(
        [4.0, 3.0, 2.0, 1.5],  # never
        [1.0, 1.0, 1.0, 1.0],  # at the first validation
        [4.0, 3.0, 1.0, 1.0],  # halfway between the second and the third
        [4.0, 4.0, 4.0, 2.0],
    )
    np.testing.assert_allclose(
        figures.speed_ups(mine, reference), [0.0, 4.0, 1.6, 1.0]
    )


def test_a_run_that_diverged_is_infinitely_bad(tmp_path):
    losses, curves = np.ones((2, 20)), np.ones((2, 4))
    store(tmp_path, 20, figures.REFERENCE, "one", losses, curves)
    losses[1, 3:] = np.nan
    store(tmp_path, 20, "mine", "one", losses, curves)
    cells = figures.read(tmp_path / "20", 2)
    mine, reference = cells["mine"]["one"], cells[figures.REFERENCE]["one"]
    assert mine.diverged == 1
    logs = figures.log_ratios(mine, reference, "best")
    np.testing.assert_array_equal(logs, [0.0, math.inf])
    np.testing.assert_array_equal(
        figures.log_ratios(reference, mine, "best"), [0.0, -math.inf]
    )
    np.testing.assert_array_equal(
        figures.log_ratios(mine, mine, "best"), [0.0, 0.0]
    )
    assert figures.profile(cells)["mine"] == (0.0,) * len(figures.FACTORS)
    assert "inf" in table.markdown(table.tables(tmp_path, 2))


def test_a_directory_without_whole_cells_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no cell with 5 runs"):
        table.tables(tmp_path, 5)


def test_an_open_contender_has_averages_and_is_not_told_the_horizon(tmp_path):
    policy = policies.General()
    folder = tmp_path / "rule"
    keras_l2o.save(keras_l2o.LearnedOptimizer(policy), folder)
    for end, told in (("", True), ("+open", False)):
        found = run.make_contender(f"mine={folder}{end}", lines(), 5, tmp_path)
        optimizer = found.make()
        assert reads_horizon(optimizer) is told
        assert optimizer.use_ema is not told
    for a, b in zip(policy.get_weights(), optimizer.policy.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_folders_have_the_names_of_contenders():
    names = {
        "general/1": "general/1",
        "min-max/1+cosine": "min-max/1+cosine",
        "mine=/tmp/run": "mine",
        "mine=/tmp/run+cosine": "mine+cosine",
        "mine=/tmp/run+open": "mine+open",
        "/tmp/run 2": "tmp/run-2",
    }
    assert {text: run.folder_name(text) for text in names} == names
