"""An optimizer's update on torch: eager, compiled, and torch's own Adam."""

import torch

import keras_l2o
from benchmarks.gpu import device
from benchmarks.gpu import values


class EagerUpdate:
    """Keras's step, operation by operation.

    Args:
        optimizer: A Keras optimizer.
        shapes: Tuple of tuples of ints, the variables' shapes.
    """

    def __init__(self, optimizer, shapes):
        self.optimizer = optimizer
        self.variables = values.variables(shapes)
        self.gradients = values.gradients(shapes)
        optimizer.build(self.variables)

    def run(self):
        """Asks for one step."""
        with torch.no_grad():
            self.optimizer.apply(self.gradients, self.variables)

    def wait(self):
        """Returns when the step is made."""
        device.wait(None)

    def peak_bytes(self):
        """Most memory since before this one was made, all models' together."""
        return device.peak_bytes()


class CompiledUpdate(EagerUpdate):
    """Keras's step, with the policy's mathematics compiled by torch.

    Reading, checking and assigning stay eager. Keras's own optimizers stay as
    they are: they are torch's operations over lists.
    """

    def __init__(self, optimizer, shapes):
        if isinstance(optimizer, keras_l2o.LearnedOptimizer):
            config = optimizer.get_config() | {"torch_compile": True}
            optimizer = type(optimizer).from_config(config)
        super().__init__(optimizer, shapes)


class FusedAdam:
    """`torch.optim.Adam(fused=True)`, without Keras.

    Args:
        shapes: Tuple of tuples of ints, the variables' shapes.
    """

    def __init__(self, shapes):
        parameters = [
            torch.nn.Parameter(variable.value.detach())
            for variable in values.variables(shapes)
        ]
        for parameter, gradient in zip(parameters, values.gradients(shapes)):
            parameter.grad = gradient
        self.optimizer = torch.optim.Adam(parameters, fused=True)

    def run(self):
        """Asks for one step."""
        self.optimizer.step()

    def wait(self):
        """Returns when the step is made."""
        device.wait(None)

    def peak_bytes(self):
        """Most memory since before this one was made, all models' together."""
        return device.peak_bytes()
