"""Training without a graph."""


def eager(compile_model):
    """A `keras.Model.compile` that has models train operation by operation.

    For runs of a few outer steps on TensorFlow, of which each takes a tenth of
    the time that it takes to trace one.
    """

    def compile(model, *arguments, **options):
        options |= {"run_eagerly": True, "jit_compile": False}
        compile_model(model, *arguments, **options)

    return compile
