import inspect

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
