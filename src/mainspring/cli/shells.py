"""Print what bash, zsh and fish read to complete words: a script that asks us, key by key."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere

if TYPE_CHECKING:
    from rich.console import Console

# bash parts words at colons and equal signs too, and replaces what stands behind the last.
_SCRIPTS = {
    "bash": """_mainspring() {
    local line=${COMP_LINE:0:COMP_POINT} words last kept IFS=$'\\n'
    IFS=$' \\t' read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    while (( ${#words[@]} )) && [[ ${words[0]##*/} != mainspring ]]; do
        words=("${words[@]:1}")
    done
    (( ${#words[@]} )) || return 0
    COMPREPLY=($(mainspring --complete "${words[@]:1}" 2>/dev/null))
    last=${words[${#words[@]}-1]}
    kept=${last%"${last##*[:=]}"}
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _mainspring mainspring
""",
    "zsh": """#compdef mainspring
_mainspring() {
    local -a found
    found=("${(@f)$(mainspring --complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    if (( ! ${#found} )); then
        _files
    elif [[ $found[1] == *= ]]; then
        compadd -S '' -a found
    else
        compadd -a found
    fi
}
compdef _mainspring mainspring
""",
    "fish": """function __mainspring_words
    set -l before (commandline -opc)
    set -l found (mainspring --complete $before[2..] (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c mainspring -f -a '(__mainspring_words)'
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
