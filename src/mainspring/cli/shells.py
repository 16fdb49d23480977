"""Print what bash, zsh and fish read to complete words: a script that asks us, key by key."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere

if TYPE_CHECKING:
    from rich.console import Console

_SCRIPTS = {
    "bash": """_mainspring() {
    local IFS=$'\\n'
    COMPREPLY=($(mainspring --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _mainspring mainspring
""",
    "zsh": """#compdef mainspring
_mainspring() {
    local -a found
    found=("${(@f)$(mainspring --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    if (( ${#found} )); then compadd -Q -a found; else _files; fi
}
compdef _mainspring mainspring
""",
    "fish": """complete -c mainspring -a \
'(mainspring --complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
""",
}


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="Which shell.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Print what a shell reads to complete commands, options, runs, steps, params and data."""
    script = _SCRIPTS[shell]

    def draw(_: Console) -> None:
        sys.stdout.write(script)

    render.answer(options, {"shell": shell, "script": script}, draw)
