import dataclasses
import functools
import inspect
import typing

#: Arguments that no option takes are fields of the configuration.
_FIELDS = {"allow_extra_args": True, "ignore_unknown_options": True}


def declare(application, function, name=None, takes_fields=False):
    """Makes a function a command; its docstring is what `--help` says.

    Args:
        application: `typer.Typer`.
        function: The function. The first paragraph of its docstring stands
            in the list of commands.
        name: String. Defaults to the function's.
        takes_fields: Bool. Whether `--path/to/field=value` is let through.
    """
    text = inspect.getdoc(function)
    application.command(
        name,
        help=text,
        short_help=" ".join(text.partition("\n\n")[0].split()),
        context_settings=_FIELDS if takes_fields else None,
    )(function)


def grouped(function):
    """Makes the options of a command from the fields of dataclasses.

    A parameter that is annotated with a dataclass is one option for each of
    its fields, of the field's annotation and default, and the function is
    called with the object: options that belong together are written once.

    Args:
        function: The function.

    Returns:
        A function of keyword arguments, for `declare`.
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
