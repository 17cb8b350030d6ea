"""What is taken from inside Keras, for want of a public way to it.

Everything of Keras's whose name starts with an underscore, or that lies in
`keras.src`, is used here and nowhere else. Where a version of Keras lacks a
name, the error says which: at import where a class or a module has it, at
first use where an object has it.
"""

from keras_l2o.keras_internals.layers import all_layers
from keras_l2o.keras_internals.models import check_symbolic_build
from keras_l2o.keras_internals.models import jax_state
from keras_l2o.keras_internals.optimizers import WholeModelOptimizer
from keras_l2o.keras_internals.optimizers import averages
from keras_l2o.keras_internals.optimizers import batches_seen
from keras_l2o.keras_internals.optimizers import distribution_strategy
from keras_l2o.keras_internals.optimizers import learning_rate_variable
from keras_l2o.keras_internals.optimizers import set_learning_rate
from keras_l2o.keras_internals.optimizers import trained_variables
from keras_l2o.keras_internals.optimizers import without_distribution
from keras_l2o.keras_internals.seeding import globally_seeded
from keras_l2o.keras_internals.seeding import seeded
from keras_l2o.keras_internals.variables import is_seed_state
from keras_l2o.keras_internals.variables import layout

__all__ = [
    "WholeModelOptimizer",
    "all_layers",
    "averages",
    "batches_seen",
    "check_symbolic_build",
    "distribution_strategy",
    "globally_seeded",
    "is_seed_state",
    "jax_state",
    "layout",
    "learning_rate_variable",
    "seeded",
    "set_learning_rate",
    "trained_variables",
    "without_distribution",
]
