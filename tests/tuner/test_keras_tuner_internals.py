"""What keras-tuner hands over and writes: one that fails says what changed."""

import json

import keras
import keras_tuner
import numpy as np
import pytest

from keras_l2o.tuner import keras_tuner_internals as internals

pytestmark = [
    pytest.mark.backend,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner.*"),
]


class Smallest(keras_tuner.HyperModel):
    """Trains nothing, and remembers what a fit was called with."""

    def __init__(self):
        super().__init__()
        self.callbacks = []
        self.best = []

    def build(self, hp):
        hp.Float("size", 0.0, 1.0)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    def fit(self, hp, model, *args, callbacks=None, **kwargs):
        self.callbacks.append(callbacks)
        found = internals.checkpoint(callbacks)
        model.set_weights([np.full((1, 1), 7.0), np.full((1,), 8.0)])
        internals.save(found, model)
        return {"loss": 1.0}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    directory = tmp_path_factory.mktemp("search")
    model = Smallest()
    tuner = keras_tuner.RandomSearch(
        model,
        objective=keras_tuner.Objective("loss", "min"),
        max_trials=2,
        directory=str(directory),
        project_name="trials",
    )
    tuner.search(verbose=0)
    return tuner, model, directory / "trials"


def test_a_fit_is_given_the_trial_that_is_running(searched):
    tuner, model, _ = searched
    for number, callbacks in enumerate(model.callbacks):
        found = internals.running(callbacks)
        assert found.tuner is tuner
        assert int(found.trial.trial_id) == number
        assert internals.is_of_trial(found)
    assert internals.running([keras.callbacks.Callback()]) is None
    assert not internals.is_of_trial(keras.callbacks.Callback())


def test_what_is_saved_is_the_trials_best_model(searched):
    tuner, _, _ = searched
    weights = tuner.get_best_models()[0].get_weights()
    assert [w.tolist() for w in weights] == [[[7.0]], [8.0]]


def test_a_trials_file_holds_its_status(searched):
    _, _, project = searched
    paths = internals.trial_files(project)
    assert [path.parent.name for path in paths] == ["trial_0", "trial_1"]
    for path in paths:
        assert internals.status(path) == "COMPLETED"
        trial = internals.load_trial(path)
        assert trial.status == "COMPLETED"
        assert trial.metrics.get_best_value("loss") == 1.0


def test_a_half_written_trial_has_no_status(tmp_path):
    path = tmp_path / "trial.json"
    path.write_text('{"status": "COMP')
    assert internals.status(path) is None
    path.write_text("{}")
    with pytest.raises(ImportError, match=r"keras-tuner .* has no `status in"):
        internals.status(path)


def test_ended_trials_no_longer_run(searched, tmp_path):
    _, _, project = searched
    stored = json.loads((project / internals.STATE).read_text())
    assert stored["end_order"] == ["0", "1"]
    stored["ongoing_trials"] = {"a": "1", "b": "2"}
    state = tmp_path / internals.STATE
    state.write_text(json.dumps(stored))
    internals.forget_ended(state)
    found = json.loads(state.read_text())
    assert found == {**stored, "ongoing_trials": {"b": "2"}}
    state.write_text("{}")
    with pytest.raises(ImportError, match="end_order in oracle"):
        internals.forget_ended(state)


def test_a_search_is_started_anew_once_its_states_are_gone(searched, tmp_path):
    for path in searched[2].glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "notes.json").write_text("mine")
    assert len(list(tmp_path.iterdir())) > 2
    internals.forget_all(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]


def test_choices_are_revived_by_name(searched):
    hp = keras_tuner.HyperParameters()
    hp.merge([internals.Choice("kind", ["a", "b"], ordered=False, default="b")])
    copied = keras_tuner.HyperParameters.from_config(hp.get_config())
    assert type(copied.space[0]) is internals.Choice
    assert copied.get("kind") == "b"
