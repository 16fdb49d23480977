"""Shell commands as steps: ``ms.shell("sort {rows} > {out}", outputs={"out": "sorted.csv"})``."""

from __future__ import annotations

import inspect
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from mainspring.ground.errors import BadInputError, StepFailedError
from mainspring.ground.identity import key_of
from mainspring.pipelines.options import Given
from mainspring.pipelines.programs import launching, placing
from mainspring.pipelines.programs.program import Program, Recipe, check_text, copied

#: Each shell and how it is told to stop at the first command that fails.
SHELLS = {"bash": ["-euo", "pipefail", "-c"], "sh": ["-eu", "-c"]}
_HOLE = re.compile(r"\{\{(\w+)\}\}|(?<!\$)\{([A-Za-z_]\w*)\}")
_VARIABLE = "_ms_"  #: begins the names of the variables that hold the values


def shell(
    command: str | Sequence[str],
    *,
    outputs: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    files: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    shell: str = "bash",
    **options: Unpack[Given],
) -> Program:
    r"""Make a command a step of pipelines; its name is that of the variable it is kept in.

    ``command`` is text for a shell, or a list of words for a program without one. ``{rows}`` in
    it is an argument of the step; a name of ``outputs`` is a file that the command writes (a
    folder, where it ends with ``/``) and the step returns as a Path: one as itself, several as
    a dict, none as None. Text and numbers are given as one word each, a list as several, files
    as their paths; frames, arrays and plain data are first put into a file of the name that
    ``inputs`` gives, such as ``{"rows": "rows.csv"}``. A name of ``inputs`` without a place in the
    command is an argument too: its file or folder lies where the command looks for it.

    A value never becomes part of the shell's text: it is handed over as a variable and comes
    out as one word, whatever is in it. So a place stands outside of quotes; ``{{word}}`` is
    ``{word}`` itself.

    The command runs in a new folder with copies of ``files`` of the project; its text and
    these files are the code in the key of its result. ``variables`` adds to the environment.
    Bash stops at the first command that fails, in a pipe too (``-euo pipefail``);
    ``shell="sh"`` has no pipes so. Further options are those of ``@step``.

    Raises:
        BadInputError: naming what cannot be.

    >>> count = shell("wc -l < {lines} > {out}", inputs={"lines": "lines.txt"},
    ...               outputs={"out": "count.txt"})
    >>> count(lines="a\nb\n").read_text().strip()
    '2'
    """
    recipe = ShellRecipe(command, outputs or {}, inputs or {}, files, variables or {}, shell)
    return Program(recipe, options)


class ShellRecipe(Recipe):
    """A command with places for values."""

    word = "shell command"

    def __init__(
        self,
        command: str | Sequence[str],
        outputs: Mapping[str, str],
        inputs: Mapping[str, str],
        files: Sequence[str],
        variables: Mapping[str, str],
        shell: str,
    ) -> None:
        self.command = _checked(command)
        self.outputs = {name: _inner(file, "outputs") for name, file in outputs.items()}
        self.inputs = {name: _inner(file, "inputs") for name, file in inputs.items()}
        self.variables = {n: check_text(text, "variables", n) for n, text in variables.items()}
        if shell not in SHELLS:
            raise BadInputError(f"shell is {' or '.join(SHELLS)}, found {shell!r}.", field="shell")
        self.shell = shell
        words = [self.command] if isinstance(self.command, str) else self.command
        plain = not isinstance(self.command, str)  # without a shell a quote is a letter
        names = list(dict.fromkeys(name for word in words for name in _holes(word, plain=plain)))
        for wrong in sorted(set(self.inputs) & set(self.outputs)):
            raise BadInputError(
                f"{wrong!r} is of inputs and of outputs.",
                field="inputs",
                hint="A command that changes a file in place takes it under one name and writes"
                " it under another.",
            )
        # A command that knows where its files lie has no place for them.
        names += [name for name in self.inputs if name not in names]
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        taken = [inspect.Parameter(n, kind) for n in names if n not in self.outputs]
        super().__init__(inspect.Signature(taken), files)

    def code(self) -> Mapping[str, str]:
        """Return the command and what is said of it, as parts of the key."""
        text = self.command if isinstance(self.command, str) else key_of(list(self.command))
        said = [self.shell if isinstance(self.command, str) else "", self.outputs, self.inputs]
        return {
            "command": key_of("shell", text),
            "command options": key_of([*said, self.variables]),
        }

    def work(self, arguments: Mapping[str, Any], folder: Path) -> Any:
        """Put the values in their places, run it, and return what it wrote."""
        copied(self.declared(), folder)
        places = {name: self._words(name, one, folder) for name, one in arguments.items()}
        for name, file in self.outputs.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            if file.endswith("/"):
                (folder / file).mkdir(exist_ok=True)
            places[name] = [str(folder / file)]
        command, held = self._spelled(places)
        env = {**os.environ, **self.variables, **held}
        launching.run(command, folder, env, self._told())
        return self._made(folder)

    def _words(self, name: str, value: Any, folder: Path) -> list[str]:
        """Return what stands in a place: words, or the path of the file a value was put into."""
        said = None if name in self.inputs else placing.words(value)
        if said is not None:
            return said
        if value is None:
            raise BadInputError(
                f"{name} of {self!r} is None, which no command can be given.", field=name
            )
        file = self.inputs.get(name) or f"inputs/{placing.named(name, value)}"
        return [str(placing.put(value, folder / file, name))]

    def _spelled(self, places: Mapping[str, list[str]]) -> tuple[list[str], dict[str, str]]:
        """Return the words of the command, and the variables that its shell needs."""
        if isinstance(self.command, str):
            held = {f"{_VARIABLE}{name}_{number}": word for name, each in places.items()
                    for number, word in enumerate(each)}  # fmt: skip
            text = _filled(self.command, lambda name: " ".join(
                f'"${{{_VARIABLE}{name}_{n}}}"' for n in range(len(places[name]))))  # fmt: skip
            program = shutil.which(self.shell)
            if program is None:
                raise StepFailedError(f"{self._told()} needs {self.shell}, which is not here.")
            return [program, *SHELLS[self.shell], text], held
        words: list[str] = []
        for text in self.command:
            whole = _HOLE.fullmatch(text)
            if whole and whole[2]:
                words += places[whole[2]]
            else:
                words.append(_filled(text, lambda name: " ".join(places[name])))
        return words, {}

    def _made(self, folder: Path) -> Any:
        made = {name: folder / file for name, file in self.outputs.items()}
        for name, path in made.items():
            if not path.exists():
                raise StepFailedError(
                    f"{self._told()} ended well and wrote no {self.outputs[name]} ({name}).",
                    hint="Let the command write to {" + name + "}.",
                )
        if len(made) == 1:
            return next(iter(made.values()))
        return made or None

    def _told(self) -> str:
        text = self.command if isinstance(self.command, str) else " ".join(self.command)
        first = " ".join(text.split())
        return f"The command {first[:60] + '...' if len(first) > 60 else first!s}"


def _checked(command: object) -> str | tuple[str, ...]:
    if isinstance(command, str):
        return check_text(command, "command", "A command")
    if isinstance(command, Sequence) and command:
        return tuple(check_text(word, "command", "A word of a command") for word in command)
    raise BadInputError(
        f"A command is text, or a list of words, found {command!r:.80}.", field="command"
    )


def _inner(file: object, field: str) -> str:
    """Return the name of a file within the command's folder."""
    text = check_text(file, field, "A file name")
    if Path(text).is_absolute() or ".." in Path(text).parts or not text.strip("./"):
        raise BadInputError(
            f"{field}: {text!r} is not the name of a file in the command's own folder.",
            field=field,
            hint="Such as sorted.csv, or made/ for a folder.",
        )
    return text


def _holes(text: str, *, plain: bool) -> Iterator[str]:
    """Yield the names of the places in a command.

    Raises:
        BadInputError: if one stands within quotes, where its own quoting would end them.
    """
    quoted = set() if plain else set(_in_quotes(text))
    for found in _HOLE.finditer(text):
        if found[2] is None:
            continue
        if found.start() in quoted:
            raise BadInputError(
                f"{found[0]} stands within quotes.",
                field="command",
                hint=f"Leave them away, a value is one word as it is; or write {{{found[0]}}} if"
                " no value is meant.",
            )
        yield found[2]


def _in_quotes(text: str) -> Iterator[int]:
    """Yield the places of a text that a shell reads as quoted."""
    quote, place = "", 0
    while place < len(text):
        letter = text[place]
        if letter == "\\" and quote != "'":
            place += 2
            continue
        if quote:
            yield place
            if letter == quote:
                quote = ""
        elif letter in "'\"":
            quote = letter
        place += 1


def _filled(text: str, value: Any) -> str:
    return _HOLE.sub(lambda m: "{" + m[1] + "}" if m[1] else value(m[2]), text)
