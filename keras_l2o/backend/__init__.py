"""The few operations that `keras.ops` lacks, for each Keras backend."""

import keras

from keras_l2o.backend.stateless import stateless as stateless

if keras.backend.backend() == "tensorflow":
    from keras_l2o.backend import tensorflow as _backend
elif keras.backend.backend() == "jax":
    from keras_l2o.backend import jax as _backend
elif keras.backend.backend() == "torch":
    from keras_l2o.backend import torch as _backend
else:
    raise ImportError(
        "keras_l2o runs on the Keras backends `tensorflow`, `jax` and "
        f"`torch`. Received: KERAS_BACKEND={keras.backend.backend()}. Set the "
        "environment variable before Keras is imported."
    )

read = _backend.read
put = _backend.put
value_and_grad = _backend.value_and_grad
per_example_gradients = _backend.per_example_gradients
unrolled = _backend.unrolled
scan = _backend.scan
only_if = _backend.only_if
kept = _backend.kept
no_gradient = _backend.no_gradient
memory_scope = _backend.memory_scope
REMATERIALIZES = _backend.REMATERIALIZES
COMPILES_PARTS = _backend.COMPILES_PARTS
map_tasks = _backend.map_tasks
map_replicates = _backend.map_replicates
MAPS_TRAINING = _backend.MAPS_TRAINING
mapped = _backend.mapped
devices = _backend.devices
on_processor = _backend.on_processor
device_scope = _backend.device_scope
own_program = _backend.own_program
own_scope = _backend.own_scope
own_tasks = _backend.own_tasks
local_tasks = _backend.local_tasks
share_tasks = _backend.share_tasks
gather_tasks = _backend.gather_tasks
sum_devices = _backend.sum_devices
traced = _backend.traced
update_variables = _backend.update_variables
state_scope = _backend.state_scope
walk = _backend.walk
rows_with_gradient = _backend.rows_with_gradient
look_at_rows = _backend.look_at_rows
over_rows = _backend.over_rows
sum_of_squares = _backend.sum_of_squares
known = _backend.known
fuses = _backend.fuses
materialized = _backend.materialized
compiled = _backend.compiled
stateless_apply = _backend.stateless_apply
functional_optimizer = _backend.functional_optimizer
StatefulStep = _backend.StatefulStep
jit_compile_training = _backend.jit_compile_training
