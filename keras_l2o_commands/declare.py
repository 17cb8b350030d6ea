"""How commands are declared: from a function's docstring and parameters."""

import dataclasses
import functools
import inspect
import typing

#: Settings of a command that takes fields of the configuration: it keeps the
#: arguments that are none of its options, in `typer.Context.args`.
_FIELDS = {"allow_extra_args": True, "ignore_unknown_options": True}


def declare(application, function, name=None, takes_fields=False):
    """Adds a function to an application, as a command.

    Args:
        application: `typer.Typer`.
        function: The function. Its docstring is the text of the command's
            `--help`; the docstring's first paragraph also describes the command
            in the list of all commands.
        name: String. Name of the command. Defaults to `None`, the function's
            name.
        takes_fields: Bool. Whether the command also accepts fields of the
            configuration, such as `--path/to/field=value`. Defaults to `False`:
            an argument that is none of its options is an error.
    """
    text = inspect.getdoc(function)
    application.command(
        name,
        help=text,
        short_help=" ".join(text.partition("\n\n")[0].split()),
        context_settings=_FIELDS if takes_fields else None,
    )(function)


def grouped(function):
    """Replaces a function's dataclass parameters by their fields.

    Typer makes an option of each parameter of a function. This decorator lets
    several commands share a group of options: where a parameter is annotated
    with a dataclass, the command has one option for each field, with the
    field's annotation and default. The decorated function gets an object of the
    dataclass.

    Args:
        function: The function of a command. Its parameters have annotations.

    Returns:
        A function with a keyword parameter for each option, for `declare`.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    groups, parameters = {}, []
    for parameter in inspect.signature(function).parameters.values():
        kind = hints[parameter.name]
        if dataclasses.is_dataclass(kind):
            groups[parameter.name] = kind
            parameters += map(_option, dataclasses.fields(kind))
        else:
            keyword = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(kind=keyword))

    @functools.wraps(function)
    def command(**values):
        for name, kind in groups.items():
            values[name] = kind(
                **{
                    field.name: values.pop(field.name)
                    for field in dataclasses.fields(kind)
                }
            )
        return function(**values)

    command.__signature__ = inspect.Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _option(field):
    required = field.default is dataclasses.MISSING
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else field.default,
        annotation=field.type,
    )
