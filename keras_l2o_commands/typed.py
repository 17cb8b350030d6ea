"""Commands in the form in which a user types them."""

import shlex


def arguments(context):
    """The arguments with which a user has called a command.

    Options that the user has not given are left out, even if they have a
    default.

    Args:
        context: `typer.Context` of the command.

    Returns:
        List of strings: the command's name, and its arguments.
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
    """A command as one line that can be pasted into a shell.

    Args:
        arguments: List of strings, as the function `arguments` returns.

    Returns:
        String that begins with `"keras-l2o"`.
    """
    return shlex.join(["keras-l2o", *arguments])
