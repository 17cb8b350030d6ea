"""TensorFlow's forms of the operations in `keras_l2o.backend`."""

import contextlib

import keras
import tensorflow as tf


def read(variable):
    """The variable's value as a tensor.

    `ops.convert_to_tensor` hands TensorFlow's variables back as they are, and
    what is read later from them is the value of that moment.
    """
    if isinstance(variable, keras.Variable):
        variable = variable.value
    return tf.convert_to_tensor(variable)


def value_and_grad(function):
    """Makes `(variables, *args) -> ((value, auxiliary), gradients)`.

    Args:
        function: `(variables, *args) -> (value, auxiliary)`, where
            `variables` is a list of tensors and `value` a scalar.
    """

    def differentiated(variables, *args):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            value, auxiliary = function(variables, *args)
        gradients = tape.gradient(
            value, variables, unconnected_gradients="zero"
        )
        return (value, auxiliary), gradients

    return differentiated


def per_example_gradients(function):
    """Makes `(variables, examples) -> (values, gradients)`.

    Args:
        function: `(variables, example) -> value`, a scalar. Examples are a
            nest of tensors with one first axis, which an example lacks; the
            values and the gradients by each variable have it.
    """

    def one_by_one(variables, examples):
        def one(example):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                value = function(variables, example)
            return value, tape.gradient(
                value, variables, unconnected_gradients="zero"
            )

        return tf.vectorized_map(one, examples, warn=False)

    return one_by_one


def unrolled(function):
    """The form of an optimizee's loss that is the fastest to unroll.

    There it is differentiated twice and, on JAX, mapped over tasks, each with
    parameters of its own.

    Args:
        function: Any function of nests of tensors.
    """
    return function


#: Whether `scan` can compute a step's values again for the gradient.
REMATERIALIZES = False


def scan(body, carry, inputs, length, rematerialize=False):
    """Runs `carry, output = body(carry, input)` over the first axis.

    Args:
        body: The function of one step. Its carry keeps structure, shapes and
            dtypes.
        carry: Nest of tensors.
        inputs: Nest of tensors with a first axis of `length`. No gradient
            flows to them.
        length: Int, the number of steps.
        rematerialize: Bool. Whether the values within a step are not kept for
            the gradient, but computed again. Where `REMATERIALIZES` alone.

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

    specs = []

    def probe(carry):
        _, outputs = step(carry, tf.constant(0))
        specs.append(outputs)
        return keras.tree.flatten(outputs)

    # Only the outputs' structure is wanted: the graph is thrown away.
    graph = tf.function(probe, autograph=False).get_concrete_function(carry)
    arrays = [
        tf.TensorArray(output.dtype, size=length, element_shape=output.shape)
        for output in graph.structured_outputs
    ]

    def loop(index, carry, arrays):
        carry, outputs = step(carry, index)
        outputs = keras.tree.flatten(outputs)
        arrays = [a.write(index, o) for a, o in zip(arrays, outputs)]
        return index + 1, carry, arrays

    _, carry, arrays = tf.while_loop(
        lambda index, carry, arrays: index < length,
        loop,
        (tf.constant(0), carry, arrays),
        maximum_iterations=length,
    )
    outputs = [array.stack() for array in arrays]
    return carry, keras.tree.pack_sequence_as(specs[0], outputs)


def kept(tensor):
    """A tensor that `scan` keeps for the gradient even if it rematerializes.

    What it was computed from is then not computed again for its sake.
    """
    return tensor


def _as_bits(tensor):
    tensor = tf.convert_to_tensor(tensor)
    if not tensor.dtype.is_floating:
        return tensor, None
    integer = {2: tf.int16, 4: tf.int32, 8: tf.int64}[tensor.dtype.size]
    return tf.bitcast(tensor, integer), tensor.dtype


def _from_bits(bits, dtype):
    return bits if dtype is None else tf.bitcast(bits, dtype)


def map_tasks(function, inputs, shared, tasks):
    """Applies `function` to each task and stacks the results.

    Args:
        function: Maps two nests of tensors to a nest of tensors.
        inputs: Nest of tensors with a first axis of `tasks`: the first
            argument, but for that axis.
        shared: Nest of tensors: the second argument, the same for all.
        tasks: Int.
    """
    results = [function(_row(inputs, task), shared) for task in range(tasks)]
    return keras.tree.map_structure(lambda *leaves: tf.stack(leaves), *results)


def _row(nest, index):
    return keras.tree.map_structure(lambda leaf: leaf[index], nest)


#: Whether whole trainings can be mapped over, by `mapped`.
MAPS_TRAINING = False


def mapped(function):
    """Compiles a function, over the first axis of all but its last argument.

    Where `MAPS_TRAINING` alone.
    """
    raise NotImplementedError


def devices(model):
    """Number of devices that share the tasks of a model's outer step."""
    return model.distribute_strategy.num_replicas_in_sync


def device_scope(model):
    """Context in which variables are made that each device needs."""
    return model.distribute_strategy.scope()


def local_tasks(tasks):
    """How many of all tasks this call of the step runs."""
    return tasks // tf.distribute.get_strategy().num_replicas_in_sync


def share_tasks(nest, tasks):
    """The part of a nest, stacked over all tasks, that this call runs.

    Every replica holds the trajectories of all tasks and runs its own slice:
    what is stored does not depend on the number of devices.
    """
    local = local_tasks(tasks)
    if local == tasks:
        return nest
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    first = replica * local
    return keras.tree.map_structure(
        lambda leaf: leaf[first : first + local], nest
    )


def gather_tasks(nest):
    """Stacks over all tasks what each call has of its own."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return nest
    leaves = tf.distribute.get_replica_context().all_gather(
        keras.tree.flatten(nest), axis=0
    )
    return keras.tree.pack_sequence_as(nest, leaves)


def sum_devices(tensors):
    """Sums each tensor of a list over the devices."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def apply_gradients(optimizer, gradients, variables):
    """Runs an optimizer on gradients that are the same on every device."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:  # which the optimizer sums over
        gradients = [gradient / replicas for gradient in gradients]
    optimizer.apply(gradients, variables)


def update_variables(optimizer, step, gradients, variables, learning_rate):
    """Runs an optimizer's whole-model step, on every replica of a strategy.

    Args:
        optimizer: The `keras.optimizers.Optimizer`.
        step: `(gradients, variables, learning_rate)`, which assigns.
        gradients, variables: Lists of the same length.
        learning_rate: Scalar tensor.
    """
    variables = [
        v.value if isinstance(v, keras.Variable) else v for v in variables
    ]
    pairs = optimizer._all_reduce_sum_gradients(list(zip(gradients, variables)))
    gradients = [gradient for gradient, _ in pairs]

    def on_replicas(distribution, gradients, variables, learning_rate):
        # One update of the first variable that takes the others as its
        # arguments: `extended.update` hands each replica its own copies.
        distribution.extended.update(
            variables[0],
            lambda first, others, gradients, rate: step(
                gradients, [first, *others], rate
            ),
            args=(variables[1:], gradients, learning_rate),
            group=False,
        )

    tf.__internal__.distribute.interim.maybe_merge_call(
        on_replicas,
        optimizer._distribution_strategy,
        gradients,
        variables,
        learning_rate,
    )


def state_scope(optimizer, reference):
    """Context in which an optimizer creates state that goes with a variable.

    Args:
        optimizer: The `keras.optimizers.Optimizer`.
        reference: Variable whose placement (device, replicas) to share.
    """
    if isinstance(reference, keras.Variable):
        reference = reference.value
    context = contextlib.ExitStack()
    context.enter_context(tf.init_scope())
    context.enter_context(
        optimizer._distribution_strategy.extended.colocate_vars_with(reference)
    )
    return context


def sum_of_squares(tensors):
    """The sum of the squares of all numbers, as a float32.

    Args:
        tensors: List of tensors.
    """
    # One operation each that needs no memory for the squares.
    return 2.0 * tf.add_n(
        [tf.nn.l2_loss(tf.cast(t, "float32")) for t in tensors]
    )


def known(condition):
    """A boolean scalar's value, or `None` while a step is being compiled."""
    return bool(condition) if tf.executing_eagerly() else None


def compiled(function):
    """The function, of tensors alone, with its operations fused.

    It is traced once for each shape of its arguments.
    """
    return tf.function(function, jit_compile=True, autograph=False)


def walk(optimizer, body, variables, inputs, length):
    """Runs `new, output = body(old, row, index)` over variables' first axis.

    Each row of the variables is replaced before the next one is read, so that
    memory is taken for one row alone.

    Args:
        optimizer: The `keras.optimizers.Optimizer` that assigns.
        body: The function of one row. `old`, `new` are lists of tensors, `row`
            and `output` a list of tensors and a tensor, `index` an int32
            scalar.
        variables: List of Keras variables with a first axis of `length`.
        inputs: List of tensors with a first axis of `length`.
        length: Int.

    Returns:
        The outputs, stacked along a new first axis.
    """
    if length == 1:
        new, output = body(
            [tf.reshape(read(v), v.shape[1:]) for v in variables],
            [tf.reshape(tensor, tensor.shape[1:]) for tensor in inputs],
            tf.constant(0),
        )
        for variable, value in zip(variables, new):
            optimizer.assign(variable, tf.reshape(value, variable.shape))
        return output[None]
    places = [_local(variable) for variable in variables]

    def loop(index, outputs):
        old = [place.sparse_read(index) for place in places]
        new, output = body(old, [tensor[index] for tensor in inputs], index)
        for place, value in zip(places, new):
            place.scatter_update(tf.IndexedSlices(value[None], index[None]))
        return index + 1, outputs.write(index, output)

    dtype = keras.backend.standardize_dtype(optimizer.policy.variable_dtype)
    outputs = tf.TensorArray(dtype, length, element_shape=inputs[0].shape[1:])
    _, outputs = tf.while_loop(
        lambda index, outputs: index < length,
        loop,
        (tf.constant(0), outputs),
        maximum_iterations=length,
        parallel_iterations=1,
    )
    return outputs.stack()


def _local(variable):
    """The `tf.Variable` of a Keras variable on this replica."""
    held = variable.value
    return held._get() if hasattr(held, "_get") else held


_BaseOptimizer = next(
    base
    for base in keras.optimizers.Optimizer.__mro__
    if base.__name__ == "BaseOptimizer"
)


class _Functional(keras.optimizers.Optimizer):
    """Takes back from the base class what TensorFlow's distribution overrides.

    Keras refuses `stateless_apply` on TensorFlow because its optimizers go
    through `tf.distribute`, which wants variables. Without that layer every
    optimizer is a function again, also inside `tf.while_loop`.
    """

    stateless_apply = _BaseOptimizer.stateless_apply
    assign = _BaseOptimizer.assign
    assign_add = _BaseOptimizer.assign_add
    assign_sub = _BaseOptimizer.assign_sub
    add_variable_from_reference = _BaseOptimizer.add_variable_from_reference
    _var_key = _BaseOptimizer._var_key
    _apply_weight_decay = _BaseOptimizer._apply_weight_decay
    _backend_update_step = _BaseOptimizer._backend_update_step
    _backend_apply_gradients = _BaseOptimizer._backend_apply_gradients
    _clip_by_norm = _BaseOptimizer._clip_by_norm
    _overwrite_model_variables_with_average_value = (
        _BaseOptimizer._overwrite_model_variables_with_average_value
    )
    _backend_increment_gradient_accumulators = (
        _BaseOptimizer._backend_increment_gradient_accumulators
    )


def functional_optimizer(optimizer):
    """Copy of a Keras optimizer on which `stateless_apply` works.

    The class is made so that the optimizer's own overrides come first, then
    the functional ones, then TensorFlow's: Nadam, say, keeps its own update.
    """
    functional = _functional_class(type(optimizer))
    return functional.from_config(optimizer.get_config())


def _functional_class(cls):
    return type(cls.__name__, (cls, _Functional), {})


def stateless_apply(optimizer):
    """An optimizer's step as a pure function.

    Args:
        optimizer: `keras.optimizers.Optimizer`, built.

    Returns:
        Function of the values of the optimizer's variables, the gradients and
        the values of the variables that it was built for, all lists. It
        returns the new values of the latter and of the former.
    """
    # Shares the optimizer's variables, which are never assigned through it.
    functional = object.__new__(_functional_class(type(optimizer)))
    functional.__dict__.update(optimizer.__dict__)
    functional._trainable_variables_indices = {
        functional._var_key(variable): index
        for index, variable in enumerate(optimizer._trainable_variables)
    }
    return functional.stateless_apply


def map_replicates(function, own, shared, count):
    """Applies a function to each replicate and stacks what it returns.

    Args:
        function: Maps two nests of tensors to a nest of tensors.
        own: Nest of tensors with a first axis of `count`: the first argument,
            but for that axis.
        shared: Nest of tensors: the second argument, the same for all.
        count: Int.
    """
    return map_tasks(function, own, shared, count)


class StatefulStep:
    """Gives a `keras.Model` its `train_step` and `test_step`.

    The model defines `outer_step(data)` and `validation_step(data)`, which
    read and assign variables and return logs.
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Under a strategy Keras would take a batch out of the data, of which
        # each counts here, to build a model that is built.
        pass

    def train_step(self, data):
        return self.outer_step(data)

    def test_step(self, data):
        return self.validation_step(data)


def jit_compile_training():
    """Whether XLA pays for meta-training: on an accelerator, not on a CPU.

    Second-order convolutions under XLA on a CPU are some fifty times slower
    than TensorFlow's own kernels.
    """
    return bool(tf.config.list_physical_devices("GPU"))
