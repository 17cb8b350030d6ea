"""A training that is saved half-way, and what a config carries."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import LearnedOptimizer
from keras_l2o import policies
from tests.learned_optimizer.helpers import INPUTS
from tests.learned_optimizer.helpers import TARGETS
from tests.learned_optimizer.helpers import fit
from tests.learned_optimizer.helpers import network
from tests.learned_optimizer.helpers import rnnprop
from tests.learned_optimizer.helpers import weights

pytestmark = pytest.mark.backend

CONTINUE = """
import sys, keras, numpy as np, keras_l2o
model = keras.models.load_model(sys.argv[1])
x, y = np.load(sys.argv[2]), np.load(sys.argv[3])
model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
np.save(sys.argv[4], np.concatenate([w.ravel() for w in model.get_weights()]))
"""


def test_saved_half_way_and_loaded_in_a_new_process_it_goes_on_bit_for_bit(
    tmp_path,
):
    whole = weights(fit(rnnprop(warmup_steps=6), epochs=4))
    model = fit(rnnprop(warmup_steps=6), epochs=2)
    model.save(tmp_path / "model.keras")
    for name, array in zip("xy", (INPUTS, TARGETS)):
        np.save(tmp_path / f"{name}.npy", array)
    names = ["model.keras", "x.npy", "y.npy", "result.npy"]
    subprocess.run(
        [sys.executable, "-c", CONTINUE, *(str(tmp_path / n) for n in names)],
        check=True,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
    )
    np.testing.assert_array_equal(np.load(tmp_path / "result.npy"), whole)


@pytest.mark.quick
def test_its_config_alone_carries_the_weights():
    optimizer = rnnprop(clipnorm=1.0, warmup_steps=2)
    config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
    twin = keras.optimizers.deserialize(config)
    assert isinstance(twin, LearnedOptimizer)
    assert twin.get_config() == optimizer.get_config()
    for a, b in zip(optimizer.policy.get_weights(), twin.policy.get_weights()):
        np.testing.assert_array_equal(a, b)


@pytest.mark.quick
def test_a_custom_loop_trains_the_model():
    model = network()
    optimizer = rnnprop()
    optimizer.build(model.trainable_variables)
    x, y = (ops.convert_to_tensor(a[:8]) for a in (INPUTS, TARGETS))

    def loss(values, others):
        out, _ = model.stateless_call(values, others, x)
        return ops.mean(ops.square(out - y)), ()

    losses = []
    for _ in range(5):
        values = [keras_l2o.backend.read(v) for v in model.trainable_variables]
        (value, _), gradients = keras_l2o.backend.value_and_grad(loss)(
            values, []
        )
        losses.append(float(ops.convert_to_numpy(ops.stop_gradient(value))))
        optimizer.apply(
            [ops.stop_gradient(g) for g in gradients], model.trainable_variables
        )
    assert len(set(losses)) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": 3}, "must be a"),
        ({"policy": policies.SGD(), "warmup_steps": -1}, "`warmup_steps`"),
        ({"policy": policies.SGD(), "warmup_steps": 0.5}, "`warmup_steps`"),
        ({"policy": policies.SGD(), "learning_rate": "x"}, "learning_rate"),
        ({"policy": policies.SGD(), "rate": 1.0}, "not recognized"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LearnedOptimizer(**options)
