"""The public names of the package as a page, from their docstrings: ``docs/reference/python.md``.

The page is written by these few functions and not by a plugin of the site, because it must be readable in the sources,
where no site is built, and a review must see it change.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import types
from collections.abc import Iterator

import streamsched

from .markdown import written_from

HEAD = """\
# Python

The public names of `streamsched`. Import them from the package: `from streamsched import Scheduler, SubmitRequest`.
Each is imported when it is first used, so a producer does not load what a node needs.
"""

SECTIONS: dict[str, tuple[str, ...]] = {
    "Producers": ("Scheduler", "Dispatched", "Job", "JobResult"),
    "Requests": (
        "SubmitRequest",
        "DispatchRequest",
        "CompleteTaskRequest",
        "RegisterNodeRequest",
        "HeartbeatRequest",
        "JobStatus",
        "JobState",
        "Affinity",
    ),
    "Nodes": ("Node", "Assignment", "Task", "Handler", "Arbiter"),
    "Workers": ("Worker", "health_probe", "Keys"),
}
"""The names in the order of the page; the errors follow."""

HIDDEN = {"__version__"}

WIDTH = 80
"""Columns of a signature."""


def markdown(words: str) -> str:
    """Return a docstring as Markdown: a section such as ``Raises:`` becomes a list."""
    words = re.sub(r":\w+:`[.~]*([^`]+)`", r"`\1`", words).replace("``", "`")
    lines: list[str] = []
    inside = False
    for line in words.splitlines():
        if re.fullmatch(r"(Args|Raises|Returns|Attributes|Yields):", line):
            lines += ["", f"**{line[:-1]}**", ""]
            inside = True
        elif inside and (found := re.fullmatch(r" {4}(\S[\w*, ]*): (.*)", line)):
            lines.append(f"- `{found[1]}`: {found[2]}")
        elif inside and line.startswith(" " * 8):
            lines.append("  " + line.strip())
        else:
            inside = inside and (not line or line.startswith(" "))
            lines.append(line.strip() if line.startswith("    ") and inside else line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def source_of(kind: type) -> ast.ClassDef:
    """Return the class as it is written."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    found = tree.body[0]
    assert isinstance(found, ast.ClassDef)
    return found


def attributes(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the public attributes that a class declares, each with the string below it."""
    body = source_of(kind).body
    for statement, behind in zip(body, [*body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if statement.target.id.startswith("_"):
            continue
        declared = ast.unparse(statement)
        words = ""
        if isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant):
            words = " ".join(inspect.cleandoc(str(behind.value.value)).split()).replace("``", "`")
        yield declared, words


def methods(kind: type) -> Iterator[tuple[str, str, str]]:
    """Yield ``(name, signature, docstring)`` of the public methods and properties, in the order of the source."""
    for statement in source_of(kind).body:
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) or statement.name.startswith("_"):
            continue
        words = ast.get_docstring(statement)
        marks = {ast.unparse(mark) for mark in statement.decorator_list}
        if words:
            yield statement.name, signature(statement, "property" in marks, "asynccontextmanager" in marks), words


def signature(function: ast.FunctionDef | ast.AsyncFunctionDef, is_property: bool, is_context: bool) -> str:
    """Return the line that a caller goes by."""
    if is_property:
        return f"{function.name} -> {ast.unparse(function.returns)}" if function.returns else function.name
    arguments = function.args
    given = ast.unparse(arguments).removeprefix("self, ").removeprefix("cls, ").removeprefix("self").removeprefix("cls")
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    if is_context:
        returns = re.sub(r"AsyncIterator\[(.*)\]", r"AsyncContextManager[\1]", returns)
        return f"async with {function.name}({given}){returns}"
    return f"{'async ' if isinstance(function, ast.AsyncFunctionDef) else ''}{function.name}({given}){returns}"


def constructor(kind: type) -> str:
    """Return how an instance is made, where the class says it."""
    for statement in source_of(kind).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            given = ast.unparse(statement.args).removeprefix("self, ").removeprefix("self")
            return f"{kind.__name__}({given})"
    return ""


def fenced(line: str) -> str:
    """Return a signature as a block, a parameter a line where it is long. It is no block that a reader runs."""
    if len(line) > WIDTH and (found := re.fullmatch(r"(.*?\()(.*)(\).*)", line)):
        line = f"{found[1]}\n    " + ",\n    ".join(re.split(r", (?=\*|\w+:)", found[2])) + f",\n{found[3]}"
    return f"```text\n{line}\n```\n"


def section(name: str) -> str:
    """Return one public name."""
    value = getattr(streamsched, name)
    parts = [f"### {name}\n"]
    if isinstance(value, types.FunctionType):
        tree = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
        assert isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef)
        context = any("contextmanager" in ast.unparse(mark) for mark in tree.decorator_list)
        parts += [fenced(signature(tree, False, context)), markdown(inspect.getdoc(value) or "")]
        return "\n".join(parts) + "\n"
    if not isinstance(value, type):
        return "\n".join([*parts, fenced(f"{name} = {value}"), alias_words(name)]) + "\n"
    if made := constructor(value):
        parts.append(fenced(made))
    parts.append(markdown(inspect.cleandoc(value.__doc__ or "")) + "\n")
    if issubclass(value, str):
        members = [f"- `{member}`" for member in value]  # type: ignore[attr-defined]
        return "\n".join([*parts, *members]) + "\n"
    listed = [f"- `{declared}`" + (f": {words}" if words else "") for declared, words in attributes(value)]
    if listed:
        parts.append("\n".join(listed) + "\n")
    for method, line, words in methods(value):
        parts += [f"#### {name}.{method}\n", fenced(line), markdown(words) + "\n"]
    return "\n".join(parts)


def alias_words(name: str) -> str:
    """Return the string below an alias, in the module that defines it."""
    home = next(module for module, names in streamsched.HOMES.items() if name in names)
    for module in [m for key, m in sys.modules.items() if key.startswith(f"streamsched.{home}.")]:
        body = ast.parse(inspect.getsource(module)).body
        for statement, behind in zip(body, [*body[1:], None], strict=True):
            if not isinstance(statement, ast.Assign) or ast.unparse(statement.targets[0]) != name:
                continue
            if isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant):
                return markdown(inspect.cleandoc(str(behind.value.value)))
    return ""


def errors() -> str:
    """Return the errors, each with its code and its cause."""
    listed = {name for names in SECTIONS.values() for name in names} | HIDDEN
    rest = [name for name in streamsched.__all__ if name not in listed]
    rows = []
    for name in sorted(rest, key=lambda name: (name != "SchedulerError", name)):
        kind = getattr(streamsched, name)
        cause = " ".join((inspect.getdoc(kind) or "").split()).replace("``", "`")
        code = getattr(kind, "code", "")
        rows.append(f"- `{name}`" + (f" (`{code}`)" if code else "") + f": {cause}")
    return "\n".join(rows) + "\n"


def text() -> str:
    """Return the page."""
    parts = [written_from("the docstrings") + HEAD]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [section(name) for name in names]
    parts += [
        "## Errors\n",
        "A refused call raises a `SchedulerError`. Its `code` is the code that Lua and the dead letters use.\n",
        errors(),
    ]
    return "\n".join(parts)
