"""Write docs/reference/ from the code, or check that it is not stale (``--check``)."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from mainspring.cli.commands import GROUPS, NESTED
from mainspring.ground.permissions import ALLOWED, Permission, Role
from mainspring.ground.settings import Settings
from mainspring.web.api import every

ROOT = Path(__file__).parent.parent
HEAD = "<!-- Written by `make docs` from the code; change the code instead. -->\n\n"


def main() -> int:
    """Write the pages, or return 1 if one differs from what would be written."""
    stale = []
    for name, text in pages().items():
        file = ROOT / "docs" / "reference" / name
        if "--check" not in sys.argv:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        elif not file.is_file() or file.read_text("utf-8") != text:
            stale.append(name)
    if stale:
        print(f"docs/reference is stale: {', '.join(stale)}. Run: make docs")
    return 1 if stale else 0


def pages() -> dict[str, str]:
    """Return every page of the reference by file name."""
    return {
        "commands.md": commands(),
        "settings.md": settings(),
        "api.md": operations(),
        "roles.md": roles(),
    }


def commands() -> str:
    """Return the page of the commands."""
    lines = [
        "# Commands",
        "",
        "Every command takes `--home`, `--url`, `--token`, `--json` and, for any setting,"
        " `--set NAME=VALUE`.",
        "",
    ]
    nested = [
        (f"{name}: {text}", [(f"{name} {e[0]}", *e[1:]) for e in entries])
        for name, (text, entries) in NESTED.items()
    ]
    for title, entries in [*GROUPS.items(), *nested]:
        lines += [f"## {title}", "", "| command | what it does | example |", "|---|---|---|"]
        lines += [f"| `{name}` | {text} | `{example}` |" for name, _, text, example in entries]
        lines.append("")
    return HEAD + "\n".join(lines)


def settings() -> str:
    """Return the page of the settings: the comment behind each field says what it is."""
    source = (ROOT / "src/mainspring/ground/settings.py").read_text("utf-8")
    told = dict(re.findall(r"^    (\w+): [^#\n]*#: (.*)$", source, re.MULTILINE))
    tree = ast.parse(source)
    fields = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings")
    lines = [
        "# Settings",
        "",
        "In `mainspring.toml`, in the environment as `MAINSPRING_` and the name in capitals, or on"
        " the command line as `--set NAME=VALUE`. The later of these wins.",
        "",
        "| name | default | what it is |",
        "|---|---|---|",
    ]
    for field in fields.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            default = ast.unparse(field.value) if field.value else ""
            name = field.target.id
            lines.append(f"| `{name}` | `{default}` | {told.get(name, '')} |")
    assert set(Settings.__struct_fields__) == set(
        re.findall(r"^\| `(\w+)`", "\n".join(lines), re.MULTILINE)
    )
    return HEAD + "\n".join(lines) + "\n"


def operations() -> str:
    """Return the page of the HTTP operations."""
    lines = [
        "# HTTP API",
        "",
        "The same operations stand behind the command line. The OpenAPI document is at"
        " `/api/v1/openapi.json`.",
        "",
        "| operation | request | permission | what it does |",
        "|---|---|---|---|",
    ]
    for one in sorted(every().values(), key=lambda one: one.name):
        asked = f"{one.method} {one.path}"
        lines.append(f"| `{one.name}` | `{asked}` | {one.permission} | {one.summary} |")
    return HEAD + "\n".join(lines) + "\n"


def roles() -> str:
    """Return the page of the roles and what they may."""
    shown = [role for role in Role if role is not Role.SERVICE]
    lines = ["# Roles", "", f"| may | {' | '.join(shown)} |", "|---|" + "---|" * len(shown)]
    for permission in Permission:
        if permission is not Permission.WORK:
            marks = ["yes" if permission in ALLOWED[role] else "" for role in shown]
            lines.append(f"| {permission} | {' | '.join(marks)} |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
