"""``mpt completion bash | zsh | words …``: what a shell offers at the tab key, read from the helps."""

from __future__ import annotations

import contextlib
import io
import re

from mpt.cli.options import run_action
from mpt.util.errors import UserError

_USAGE = """usage: mpt completion bash | zsh

Completion of commands, actions, options and names of shipped files. In ~/.bashrc or, for zsh, in ~/.zshrc:

  eval "$(mpt completion bash)"
"""

_BASH = """_mpt_words() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(mpt completion words "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" \\
        -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _mpt_words mpt
"""

_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n" + _BASH


def run_completion_command(arguments: list[str]) -> None:
    """Print a script for a shell, or the words that may follow some words, one a line."""
    scripts = {"bash": _BASH, "zsh": _ZSH}
    actions = {shell: lambda rest, script=script: print(script, end="") for shell, script in scripts.items()}
    if arguments[:1] == ["words"]:
        print("".join(f"{word}\n" for word in words_after(arguments[1:])), end="")
    else:
        run_action("completion", _USAGE, actions, arguments)


def words_after(words: list[str]) -> list[str]:
    """What may follow on a command line: an action or option of the help, or the name of a shipped file.

    >>> words_after(["configs"])
    ['list', 'show', 'copy', 'schema', '--help']
    """
    from mpt.cli.main import COMMANDS, run
    from mpt.fit.configs import shipped_configs

    if not words:
        return list(COMMANDS)
    if words[-1] in ("--config", "-c") or words[:2] in (["configs", "show"], ["configs", "copy"]):
        return list(shipped_configs())
    named = [word for word in words[:2] if word.isalpha()]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit, UserError):
        run([*named, "--help"])
    options = dict.fromkeys(re.findall(r"(?<![\w-])--[a-z][\w.-]*", said.getvalue()))
    if named[:1] in (["study"], ["sweep"]) and len(named) == 2:
        kind = {"study": "studies/", "sweep": "sweeps/"}[named[0]]
        files = [name for name in shipped_configs() if name.startswith(kind)]
    else:
        files = []
    actions = re.findall(r"^ {2,4}([a-z]+)(?: |$)", said.getvalue(), re.MULTILINE) if len(named) == 1 else []
    return [*dict.fromkeys(actions), *files, *dict.fromkeys([*options, "--help"])]
