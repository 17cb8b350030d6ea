"""An optimizer's update on torch: eager, compiled, and torch's own Adam."""

import keras
import torch

from benchmarks.gpu import device
from benchmarks.gpu import values
from benchmarks.gpu.traced import Traced


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
    """Keras's step, with the policy's mathematics compiled.

    That of a chunk of the flat state or that of all tensors, once for each
    shape; reading, checking and assigning stay eager. Keras's own optimizers
    stay as they are: they are torch's operations over lists. The package
    itself compiles nothing on torch: this is what it would bring.
    """

    def __init__(self, optimizer, shapes):
        super().__init__(optimizer, shapes)
        policy = getattr(optimizer, "policy", None)
        if policy is None:
            return
        if policy.coordinatewise:
            state = optimizer._policy_state()
            run = Traced(state._run)
            # A number would be a constant, and each chunk a program.
            first = torch.zeros((), dtype=torch.int32)
            first = keras.ops.convert_to_tensor(first)
            state._run = lambda *inputs: run(*inputs[:-1], first)
        else:
            policy.update = Traced(policy.update)


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
