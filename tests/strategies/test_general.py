"""The preset `general`, in a short form, from configuration to optimizer."""

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import config

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(
        keras.backend.backend() != "jax", reason="it draws problems"
    ),
]

SHORT = {
    "strategy/num_periods": 1,
    "strategy/unroll": 3,
    "strategy/depth": 2,
    "strategy/episodes": 2,
    "training/problems_per_step": 1,
    "problems": [{"name": "tiny_quadratic"}, {"name": "tiny_label_noise"}],
}


def test_it_distils_an_optimizer_that_knows_its_horizon(tmp_path):
    configuration = config.resolve(["general"], overrides=[*SHORT.items()])
    built = config.build(configuration, tmp_path)
    before = [w.copy() for w in built.trainer.student.get_weights()]
    built.trainer.fit(callbacks=built.callbacks, verbose=0)
    optimizer = keras_l2o.load(tmp_path / "optimizer")
    assert isinstance(optimizer.policy, keras_l2o.policies.General)
    changed = [
        (a != b).any() for a, b in zip(before, optimizer.policy.get_weights())
    ]
    assert any(changed)

    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 3)).astype("float32")
    y = x @ np.ones((3, 1), "float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer, loss="mse")
    told = []
    history = model.fit(
        x, y, batch_size=4, epochs=3, verbose=0,
        callbacks=[
            keras_l2o.callbacks.Horizon(),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: told.append(optimizer.horizon)
            ),
        ],
    )  # fmt: skip
    assert [tuple(horizon) for horizon in told] == [(0, 12, 4)] * 3
    losses = history.history["loss"]
    assert losses[-1] < losses[0]


def test_a_distilled_student_is_where_the_next_phase_starts(tmp_path):
    short = {
        **SHORT,
        "strategy/validation_depth": 1,
        "training/problems_per_step": None,
        "problems": [{"name": "tiny_label_noise"}],
    }
    base = config.resolve(["general_base"], overrides=[*short.items()])
    built = config.build(base, tmp_path / "base")
    assert built.trainer.teacher_names == [
        "adamw", "muon", "momentum", "choice"
    ]  # fmt: skip
    before = [w.copy() for w in built.trainer.student.get_weights()]
    history = built.trainer.fit(callbacks=built.callbacks, verbose=0).history
    assert np.isfinite(history["imitation_loss"]).all()
    after = built.trainer.student.get_weights()
    assert any((a != b).any() for a, b in zip(before, after))
    configuration = config.resolve(
        ["general", "distilled"],
        overrides=[
            *SHORT.items(), ("policy/directory", str(tmp_path / "base"))
        ],
    )  # fmt: skip
    student = config.build(configuration).trainer.student
    for one, other in zip(student.get_weights(), after):
        np.testing.assert_array_equal(one, other)
