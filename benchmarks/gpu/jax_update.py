"""An optimizer's update on JAX, compiled or eager."""

import jax
import keras

from benchmarks.gpu import device


def variables_and_gradients(shapes):
    """Random variables and gradients on the device, as two lists.

    Args:
        shapes: List of tuples of ints.
    """
    variables = [
        keras.Variable(0.02 * keras.random.normal(shape, seed=i))
        for i, shape in enumerate(shapes)
    ]
    gradients = [
        0.01 * keras.random.normal(shape, seed=len(shapes) + i)
        for i, shape in enumerate(shapes)
    ]
    return variables, gradients


class CompiledUpdate:
    """Keras's stateless step, compiled, with variables and state donated.

    Args:
        optimizer: A Keras optimizer.
        shapes: List of tuples of ints, the variables' shapes.
    """

    def __init__(self, optimizer, shapes):
        variables, self.gradients = variables_and_gradients(shapes)
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
        self.variables, self.gradients = variables_and_gradients(shapes)
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
