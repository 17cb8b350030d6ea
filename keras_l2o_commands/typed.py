"""Commands as they are typed."""

import shlex


def arguments(context):
    """What a command was called with, after the program's name.

    Options that were left out are left out; zero, or an empty text, is a
    value like any other.

    Args:
        context: `typer.Context` of the command.

    Returns:
        List of strings, the command's name first.
    """
    given = [context.info_name]
    for parameter in context.command.params:
        if context.get_parameter_source(parameter.name).name == "DEFAULT":
            continue
        value = context.params[parameter.name]
        if parameter.param_type_name == "argument":
            given.append(str(value))
        elif value is True:
            given.append(parameter.opts[0])
        elif value is False:
            given += parameter.secondary_opts[:1]
        else:
            given.append(f"{parameter.opts[0]}={value}")
    return [*given, *context.args]


def line(arguments):
    """A command of these arguments as a line for a shell."""
    return shlex.join(["keras-l2o", *arguments])
