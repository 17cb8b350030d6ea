"""TensorFlow's loop over steps, which can compute values again.

Plainly, `tf.while_loop` keeps what every operation of a step has made until the
gradient is taken. Rematerialized, what a step starts from is kept alone: the
gradient runs a second loop, from the last step to the first, which computes a
step again and takes its gradient at once.
"""

import contextlib
import threading
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor

_traced = threading.local()


def scan(
    body: Callable,
    carry: Nest,
    inputs: Nest,
    length: int,
    rematerialize: bool = False,
    outputs: Nest | None = None,
) -> tuple[Nest, Nest]:
    """Runs `carry, output = body(carry, input)` over the first axis.

    By `tf.while_loop`, with a bound that XLA knows: Keras's own `scan` and
    `fori_loop` fail there under XLA, or with outputs unlike the carry.

    Args:
        body: The function of one step. Its carry keeps structure, shapes and
            dtypes.
        carry: Nest of tensors.
        inputs: Nest of tensors with a first axis of `length`. No gradient
            flows to them.
        length: The number of steps.
        rematerialize: Whether the values within a step, but for those that
            `kept` names, are not kept for the gradient, but computed again.
            Eagerly, where there is no graph to take the gradient of, they are
            kept. Defaults to `False`.
        outputs: Nest of tensors of an output's shapes and types, whatever
            their values. Defaults to `None`: the body is traced once more to
            find out.

    Returns:
        The last carry, and the outputs stacked along a new first axis.
    """
    carry = keras.tree.map_structure(tf.convert_to_tensor, carry)
    # Loop invariants of a floating type would each get a gradient as large as
    # themselves at every step; as integers they get none.
    leaves = [_as_bits(leaf) for leaf in keras.tree.flatten(inputs)]

    def step(carry, index):
        values = [_from_bits(bits[index], dtype) for bits, dtype in leaves]
        return body(carry, keras.tree.pack_sequence_as(inputs, values))

    if rematerialize and not tf.executing_eagerly():
        return _rematerialized(step, carry, length)
    if outputs is None:
        outputs = _outputs(step, carry)
    arrays = _arrays(keras.tree.flatten(outputs), length)

    def loop(index, carry, arrays):
        carry, made = step(carry, index)
        return index + 1, carry, _written(arrays, index, made)

    _, carry, arrays = tf.while_loop(
        lambda index, carry, arrays: index < length,
        loop,
        (tf.constant(0), carry, arrays),
        maximum_iterations=length,
    )
    stacked = [array.stack() for array in arrays]
    return carry, keras.tree.pack_sequence_as(outputs, stacked)


def kept(tensor: Tensor) -> Tensor:
    """A tensor that `scan` keeps for the gradient even if it rematerializes.

    What it was computed from is then not computed again for its sake. No
    gradient flows back from it.
    """
    exchange = getattr(_traced, "exchange", None)
    return tensor if exchange is None else exchange(tensor)


@contextlib.contextmanager
def _exchanging(exchange):
    """Within it, `kept(tensor)` is `exchange(tensor)`."""
    before = getattr(_traced, "exchange", None)
    _traced.exchange = exchange
    try:
        yield
    finally:
        _traced.exchange = before


def in_turn(function: Callable, count: int) -> Nest:
    """What `function(index)` returns for each index, stacked.

    Traced once, since to make a graph takes longer than to run it, and one
    after another, so that memory holds what one needs.

    Args:
        function: Maps an int32 scalar to a nest of tensors.
        count: Int.
    """
    graph, like = _graph(function, tf.TensorSpec((), tf.int32))

    def loop(index, arrays):
        return index + 1, _written(arrays, index, graph(index))

    _, arrays = tf.while_loop(
        lambda index, arrays: index < count,
        loop,
        (tf.constant(0), _arrays(graph.structured_outputs, count)),
        maximum_iterations=count,
        parallel_iterations=1,
    )
    stacked = [array.stack() for array in arrays]
    return keras.tree.pack_sequence_as(like, stacked)


def _outputs(step, carry):
    """Tensors like a step's outputs, of a graph that is thrown away."""
    graph, like = _graph(lambda carry: step(carry, tf.constant(0))[1], carry)
    zeros = [tf.zeros(o.shape, o.dtype) for o in graph.structured_outputs]
    return keras.tree.pack_sequence_as(like, zeros)


def _graph(function, *arguments):
    """A function's graph, which returns a list, and the nest that this is."""
    found = []

    def listed(*arguments):
        found.append(function(*arguments))
        return tensors(found[-1])

    graph = tf.function(listed, autograph=False).get_concrete_function(
        *arguments
    )
    return graph, found[0]


def _arrays(like, length):
    return [
        tf.TensorArray(
            tensor.dtype,
            size=length,
            element_shape=tensor.shape,
        )
        for tensor in map(tf.convert_to_tensor, like)
    ]


def _written(arrays, index, nest):
    return [
        array.write(index, leaf)
        for array, leaf in zip(arrays, keras.tree.flatten(nest))
    ]


def _as_bits(tensor):
    tensor = tf.convert_to_tensor(tensor)
    if not tensor.dtype.is_floating:
        return tensor, None
    integer = {2: tf.int16, 4: tf.int32, 8: tf.int64}[tensor.dtype.size]
    return tf.bitcast(tensor, integer), tensor.dtype


def _from_bits(bits, dtype):
    return bits if dtype is None else tf.bitcast(bits, dtype)


def floating(leaves: list[Tensor]) -> list[Tensor]:
    """Those of a floating type."""
    return [leaf for leaf in leaves if leaf.dtype.is_floating]


def replaced(leaves: list[Tensor], others: list[Tensor]) -> list[Tensor]:
    """The leaves, with others in place of those of a floating type."""
    left = iter(others)
    return [next(left) if leaf.dtype.is_floating else leaf for leaf in leaves]


class _Step:
    """A step of a loop as two graphs: itself, and its gradient.

    Args:
        step: `(carry, index) -> (carry, outputs)`.
        carry: Nest of tensors like its carry.
    """

    def __init__(self, step, carry):
        self._step, self._carry = step, carry
        leaves = keras.tree.flatten(carry)
        self._kept, self._made = [], None
        number = tf.TensorSpec((), tf.int32)
        self.forward = tf.function(
            self._forward, autograph=False
        ).get_concrete_function(number, leaves)
        #: What a gradient may flow to: tensors from outside the step.
        self.outside = floating(self.forward.captured_inputs)
        carried, outputs, _ = self.forward.structured_outputs
        self.backward = tf.function(
            self._backward, autograph=False
        ).get_concrete_function(
            number, leaves, self._kept, floating(carried), floating(outputs)
        )
        #: Of each leaf of the carry, and of each tensor that is kept, whether
        #: the gradient reads it.
        reads = _reads(self.backward)[1:]
        self.reads_carry = reads[: len(leaves)]
        self.reads_kept = reads[len(leaves) :][: len(self._kept)]

    def pack_carry(self, leaves):
        """The carry, from its leaves."""
        return keras.tree.pack_sequence_as(self._carry, leaves)

    def pack_outputs(self, leaves):
        """The outputs, from their leaves."""
        return keras.tree.pack_sequence_as(self._made, leaves)

    def _forward(self, index, leaves):
        found = []

        def record(tensor):
            tensor = tf.stop_gradient(tensor)
            found.append(tensor)
            return tensor

        with _exchanging(record):
            carry, self._made = self._step(self.pack_carry(leaves), index)
        self._kept = [tf.TensorSpec(x.shape, x.dtype) for x in found]
        return tensors(carry), tensors(self._made), found

    def _backward(self, index, leaves, kept, of_carry, of_outputs):
        """The gradients by the carry's floating leaves and by `outside`."""
        known = iter(kept)
        sources = floating(leaves) + self.outside
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            with _exchanging(lambda tensor: tf.stop_gradient(next(known))):
                carry, outputs = self._step(self.pack_carry(leaves), index)
            targets = floating(tensors(carry)) + floating(tensors(outputs))
        found = tape.gradient(
            targets, sources, output_gradients=[*of_carry, *of_outputs]
        )
        count = len(of_carry)
        return found[:count], found[count:]


def tensors(nest: Nest) -> list[Tensor]:
    """A nest's leaves."""
    return [tf.convert_to_tensor(leaf) for leaf in keras.tree.flatten(nest)]


def _reads(function):
    """Of each argument of a graph, whether what it returns depends on it."""
    ahead = [tensor.op for tensor in function.graph.outputs]
    met = set(ahead)
    while ahead:
        operation = ahead.pop()
        before = [tensor.op for tensor in operation.inputs]
        for other in (*before, *operation.control_inputs):
            if other not in met:
                met.add(other)
                ahead.append(other)
    return [tensor.op in met for tensor in function.inputs]


def _rematerialized(step, carry, length):
    """`scan`, whose gradient computes the values within a step again."""
    step = _Step(step, carry)
    starts = keras.tree.flatten(carry)
    _, like, kept_like = step.forward.structured_outputs

    def loop(index, leaves, made, carries, kept_arrays):
        carries = [
            array.write(index, leaf) if read else array
            for array, leaf, read in zip(carries, leaves, step.reads_carry)
        ]
        leaves, outputs, kept_values = step.forward(index, leaves)
        kept_arrays = [
            array.write(index, value) if read else array
            for array, value, read in zip(
                kept_arrays, kept_values, step.reads_kept
            )
        ]
        made = _written(made, index, outputs)
        return index + 1, leaves, made, carries, kept_arrays

    _, leaves, made, carries, kept_arrays = tf.while_loop(
        lambda index, *others: index < length,
        loop,
        (
            tf.constant(0),
            starts,
            _arrays(like, length),
            _arrays(starts, length),
            _arrays(kept_like, length),
        ),
        maximum_iterations=length,
        parallel_iterations=1,
    )
    results = [*leaves, *(array.stack() for array in made)]

    def gradient(*cotangents):
        count = len(floating(starts))
        of_outputs = cotangents[count:]

        def back(index, of_carry, of_outside):
            found, more = step.backward(
                index,
                _read(carries, index, starts, step.reads_carry),
                _read(kept_arrays, index, kept_like, step.reads_kept),
                of_carry,
                [rows[index] for rows in of_outputs],
            )
            of_carry = [
                tf.zeros_like(old) if new is None else new
                for new, old in zip(found, of_carry)
            ]
            of_outside = [
                old if new is None else old + new
                for new, old in zip(more, of_outside)
            ]
            return index - 1, of_carry, of_outside

        _, of_carry, of_outside = tf.while_loop(
            lambda index, *others: index >= 0,
            back,
            (
                tf.constant(length - 1),
                list(cotangents[:count]),
                [tf.zeros_like(tensor) for tensor in step.outside],
            ),
            maximum_iterations=length,
            parallel_iterations=1,
        )
        return [*of_carry, *of_outside]

    @tf.custom_gradient
    def linked(*sources):
        values = [tf.stop_gradient(x) for x in results if x.dtype.is_floating]
        return values, gradient

    results = replaced(results, linked(*floating(starts), *step.outside))
    return (
        step.pack_carry(results[: len(starts)]),
        step.pack_outputs(results[len(starts) :]),
    )


def _read(arrays, index, like, reads):
    """The rows of arrays; zeros of those that nobody reads."""
    return [
        array.read(index) if read else tf.zeros(tensor.shape, tensor.dtype)
        for array, tensor, read in zip(arrays, like, reads)
    ]
