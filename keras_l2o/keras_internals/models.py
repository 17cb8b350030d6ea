"""Inside Keras's models."""

from typing import Any

import keras

from keras_l2o.private_names import take


def check_symbolic_build() -> None:
    """Checks that Keras still builds a model of the first batch by this name.

    On TensorFlow; `backend.StatefulStep` overrides it.
    """
    take("keras", keras.Model, "_maybe_symbolic_build")


def jax_state(model: keras.Model) -> Any:
    """The values that a model's `train_step` on JAX takes and returns.

    Args:
        model: A compiled and built `keras.Model`.
    """
    return take("keras", model, "_get_jax_state")(
        trainable_variables=True,
        non_trainable_variables=True,
        optimizer_variables=True,
        metrics_variables=True,
    )
