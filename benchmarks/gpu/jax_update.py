"""An optimizer's update on JAX, compiled or eager."""

import jax

from benchmarks.gpu import device
from benchmarks.gpu import values


class CompiledUpdate:
    """Keras's stateless step, compiled, with variables and state donated.

    Args:
        optimizer: A Keras optimizer.
        shapes: Tuple of tuples of ints, the variables' shapes.
    """

    def __init__(self, optimizer, shapes):
        variables = values.variables(shapes)
        self.gradients = values.gradients(shapes)
        optimizer.build(variables)
        self.held = [
            [variable.value for variable in variables],
            [variable.value for variable in optimizer.variables],
        ]

        def step(variables, state, gradients):
            return optimizer.stateless_apply(state, gradients, variables)

        self.program = (
            jax.jit(step, donate_argnums=(0, 1))
            .lower(*self.held, self.gradients)
            .compile()
        )

    def run(self):
        """Asks for one step."""
        self.held[:] = self.program(*self.held, self.gradients)

    def wait(self):
        """Returns when the step is made."""
        device.wait(self.held)

    def peak_bytes(self):
        """What the program needs at most, arguments and results included."""
        return program_bytes(self.program)


class EagerUpdate:
    """Keras's step, operation by operation.

    The arguments are those of `CompiledUpdate`.
    """

    def __init__(self, optimizer, shapes):
        self.variables = values.variables(shapes)
        self.gradients = values.gradients(shapes)
        self.optimizer = optimizer
        optimizer.build(self.variables)

    def run(self):
        """Asks for one step."""
        self.optimizer.apply(self.gradients, self.variables)

    def wait(self):
        """Returns when the step is made."""
        device.wait([variable.value for variable in self.variables])

    def peak_bytes(self):
        """`None`: only the process's peak is known."""
        return None


def program_bytes(program):
    """What a compiled program needs at most, or `None` if unknown.

    Args:
        program: What `compile()` returned.
    """
    sizes = program.memory_analysis()
    if sizes is None:
        return None
    return (
        sizes.argument_size_in_bytes
        + sizes.output_size_in_bytes
        + sizes.temp_size_in_bytes
        - sizes.alias_size_in_bytes
    )
