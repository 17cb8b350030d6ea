"""Torch's forms of the operations in `keras_l2o.backend`.

The docstrings are TensorFlow's (`keras_l2o/backend/tensorflow.py`).
"""

import contextlib

import keras
import torch


def read(variable):
    if isinstance(variable, keras.Variable):
        return variable.value.detach()
    return variable


def value_and_grad(function):
    def differentiated(variables, *args):
        # Inside another derivative the gradient is itself differentiated.
        nested = torch.is_grad_enabled()
        with torch.enable_grad():
            variables = [
                v if v.requires_grad else v.detach().requires_grad_()
                for v in variables
            ]
            value, auxiliary = function(variables, *args)
            gradients = torch.autograd.grad(
                value,
                variables,
                create_graph=nested,
                allow_unused=True,
                materialize_grads=True,
            )
        return (value, auxiliary), list(gradients)

    return differentiated


def per_example_gradients(function):
    one = torch.func.grad_and_value(function)

    def one_by_one(variables, examples):
        gradients, values = torch.func.vmap(one, in_dims=(None, 0))(
            [variable.detach() for variable in variables], examples
        )
        return values, list(gradients)

    return one_by_one


def unrolled(function):
    return function


REMATERIALIZES = False


def scan(body, carry, inputs, length, rematerialize=False):
    outputs = []
    for index in range(length):
        carry, output = body(carry, _row(inputs, index))
        outputs.append(output)
    return carry, keras.tree.map_structure(
        lambda *leaves: torch.stack(leaves), *outputs
    )


def kept(tensor):
    return tensor


def map_tasks(function, inputs, shared, tasks):
    results = []
    for task in range(tasks):
        result = function(_row(inputs, task), shared)
        # Nothing is differentiated across tasks: free each graph at once.
        results.append(
            keras.tree.map_structure(lambda leaf: leaf.detach(), result)
        )
    return keras.tree.map_structure(
        lambda *leaves: torch.stack(leaves), *results
    )


def _row(nest, index):
    return keras.tree.map_structure(lambda leaf: leaf[index], nest)


MAPS_TRAINING = False


def mapped(function):
    raise NotImplementedError


def devices(model):
    return 1


def device_scope(model):
    return contextlib.nullcontext()


def local_tasks(tasks):
    return tasks


def share_tasks(nest, tasks):
    return nest


def gather_tasks(nest):
    return nest


def sum_devices(tensors):
    return tensors


def apply_gradients(optimizer, gradients, variables):
    optimizer.apply(gradients, variables)


def update_variables(optimizer, step, gradients, variables, learning_rate):
    with torch.no_grad():
        step(gradients, variables, learning_rate)


def state_scope(optimizer, reference):
    return contextlib.nullcontext()


def sum_of_squares(tensors):
    norms = torch._foreach_norm([tensor.float() for tensor in tensors])
    return torch.stack(norms).square().sum()


def known(condition):
    return bool(condition)


def compiled(function):
    return function


def walk(optimizer, body, variables, inputs, length):
    outputs = []
    for index in range(length):
        places = [variable.value[index] for variable in variables]
        new, output = body(places, [tensor[index] for tensor in inputs], index)
        for place, value in zip(places, new):
            place.copy_(value)
        outputs.append(output)
    return torch.stack(outputs)


def map_replicates(function, own, shared, count):
    results = [function(_row(own, index), shared) for index in range(count)]
    return keras.tree.map_structure(
        lambda *leaves: torch.stack(leaves), *results
    )


def functional_optimizer(optimizer):
    copy = type(optimizer).from_config(optimizer.get_config())
    copy.stateless_apply = stateless_apply(copy)
    return copy


def stateless_apply(optimizer):
    apply = optimizer.stateless_apply

    def without_side_effects(optimizer_variables, gradients, variables):
        # Torch's optimizers update in place: give them tensors of their own.
        with torch.no_grad():
            return apply(
                [v.clone() for v in optimizer_variables],
                [g if g is None else g.clone() for g in gradients],
                [v.clone() for v in variables],
            )

    return without_side_effects


class StatefulStep:
    def train_step(self, data):
        with torch.no_grad():
            return self.outer_step(data)

    def test_step(self, data):
        with torch.no_grad():
            return self.validation_step(data)


def jit_compile_training():
    return False
