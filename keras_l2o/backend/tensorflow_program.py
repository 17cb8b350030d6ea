"""Parts of TensorFlow's graphs that XLA compiles, and not the rest.

On a processor XLA joins the many small operations of a policy, at which
TensorFlow's own kernels are slow, and is slow at convolutions that are
differentiated twice.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_l2o.backend.tensorflow_scan import floating
from keras_l2o.backend.tensorflow_scan import kept
from keras_l2o.backend.tensorflow_scan import replaced
from keras_l2o.backend.tensorflow_scan import tensors
from keras_l2o.backend.tensorflow_update import compiled
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


def own_program(function: Callable[..., Nest]) -> Callable[..., Nest]:
    """The function as a program of its own within the graph that calls it.

    Compiled by XLA, once for its results and once for its gradient, which
    computes anew what it needs. Eagerly, and where there is a GPU and the
    whole graph is XLA's, the function itself.

    Args:
        function: Maps nests of tensors to a nest of tensors, and depends on
            nothing else that a graph makes. Its gradient can be taken once.
    """
    programs: dict[tuple, _Program] = {}

    def called(*arguments):
        if tf.executing_eagerly() or tf.config.list_physical_devices("GPU"):
            return function(*arguments)
        leaves = tensors(arguments)
        shapes = tuple((tuple(x.shape), x.dtype) for x in leaves)
        if shapes not in programs:
            programs[shapes] = _Program(function, arguments)
        return programs[shapes](leaves)

    return called


class _Program:
    """A function's results, and their gradient, as XLA compiles them.

    Args:
        function: The function.
        arguments: Nests like the ones that it will be called with.
    """

    def __init__(self, function, arguments):
        self._function, self._arguments = function, arguments
        like = [tf.TensorSpec(x.shape, x.dtype) for x in tensors(arguments)]
        # Of no graph, so that any may call it.
        with tf.init_scope():
            self._forward = compiled(self._run).get_concrete_function(like)
            results = floating(self._forward.structured_outputs)
            specs = [tf.TensorSpec(x.shape, x.dtype) for x in results]
            self._backward = compiled(self._gradient).get_concrete_function(
                like, specs
            )

    def _run(self, leaves):
        arguments = keras.tree.pack_sequence_as(self._arguments, leaves)
        self._results = self._function(*arguments)
        return tensors(self._results)

    def _gradient(self, leaves, cotangents):
        # No tape records what is traced outside of all graphs.
        found = tf.gradients(
            floating(self._run(leaves)), floating(leaves), cotangents
        )
        self._connected = [gradient is not None for gradient in found]
        return [gradient for gradient in found if gradient is not None]

    def __call__(self, leaves: list[Tensor]) -> Nest:
        whole: list[Tensor] = []

        def gradient(*cotangents):
            found = iter(self._backward(leaves, list(cotangents)))
            return [next(found) if x else None for x in self._connected]

        @tf.custom_gradient
        def linked(*sources):
            whole[:] = map(kept, self._forward(replaced(leaves, sources)))
            return floating(whole), gradient

        results = replaced(whole, linked(*floating(leaves)))
        return keras.tree.pack_sequence_as(self._results, results)
