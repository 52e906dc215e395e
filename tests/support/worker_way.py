"""How far the way of a claimed job is: functions, files and rooms from `Worker.work_once` to the result set.

    python tests/support/worker_way.py [ROOT]

ROOT is a checkout, this one when it is left out. The call graph is static (`ast`): a function on the way names another,
calls a method of a class whose type is written down (annotations of parameters, fields and results), or makes an object
of its class. What runs in the confined child is another process and another way. `db` and `segmentation` are doors: the
way names their functions and does not go in.

    functions   on the way, in `dicom_node`
    files       that hold them
    rooms       folders that hold them
    own file    lines of the file with `work_once`, and the files and rooms whose functions it names
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "dicom_node"
DOORS = ("db", "segmentation")


@dataclass
class Module:
    """One file: what it defines and what its names stand for (full dotted names)."""

    name: str
    tree: ast.Module
    lines: int
    names: dict[str, str] = field(default_factory=dict)


class Program:
    """Every module of a checkout, and what its functions name."""

    def __init__(self, root: Path) -> None:
        self.modules: dict[str, Module] = {}
        for package in (PACKAGE, *DOORS):
            for path in sorted((root / package).rglob("*.py")):
                parts = path.relative_to(root).with_suffix("").parts
                text = path.read_text("utf-8")
                name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                self.modules[name] = Module(name, ast.parse(text), text.count("\n"))
        self.functions: dict[str, tuple[Module, str | None, ast.FunctionDef]] = {}
        self.classes: dict[str, tuple[Module, ast.ClassDef]] = {}
        for module in self.modules.values():
            self._define(module)
        self._fields: dict[str, dict[str, str]] = {}

    def _define(self, module: Module) -> None:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    module.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef):
                module.names[node.name] = f"{module.name}.{node.name}"
                self.functions[f"{module.name}.{node.name}"] = (module, None, node)
            elif isinstance(node, ast.ClassDef):
                full = f"{module.name}.{node.name}"
                module.names[node.name] = full
                self.classes[full] = (module, node)
                for item in node.body:
                    if isinstance(item, ast.FunctionDef):
                        self.functions[f"{full}.{item.name}"] = (module, full, item)
            elif isinstance(node, ast.Assign | ast.AnnAssign):  # a table of functions
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        module.names[target.id] = f"{module.name}.{target.id}"

    def resolve(self, full: str) -> str:
        """Follow names that a package's `__init__` passes on."""
        for _ in range(4):
            owner, _, name = full.rpartition(".")
            if full in self.functions or full in self.classes or owner not in self.modules:
                break
            passed = self.modules[owner].names.get(name, full)
            if passed == full:
                break
            full = passed
        return full

    def type_of(self, module: Module, annotation: ast.expr | None) -> str | None:
        """The class that an annotation names; of a union the first that is one of ours."""
        if annotation is None:
            return None
        for node in ast.walk(annotation):
            if isinstance(node, ast.Name) and node.id in module.names:
                full = self.resolve(module.names[node.id])
                if full in self.classes:
                    return full
        return None

    def fields_of(self, full: str) -> dict[str, str]:
        """Types of a class's fields: annotated, or set in `__init__` from what is annotated."""
        if full not in self._fields:
            self._fields[full] = found = {}
            module, node = self.classes[full]
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                    if kind := self.type_of(module, item.annotation):
                        found[item.target.id] = kind
                elif isinstance(item, ast.FunctionDef) and item.name == "__init__":
                    local = self.locals_of(module, full, item)
                    for step in ast.walk(item):
                        if not isinstance(step, ast.Assign) or not isinstance(step.targets[0], ast.Attribute):
                            continue
                        if kind := self.value_type(module, local, step.value):
                            found[step.targets[0].attr] = kind
        return self._fields[full]

    def locals_of(self, module: Module, owner: str | None, function: ast.FunctionDef) -> dict[str, str]:
        """Types of a function's names, as far as they are written down."""
        local = {"self": owner} if owner else {}
        for argument in (*function.args.args, *function.args.kwonlyargs):
            if kind := self.type_of(module, argument.annotation):
                local[argument.arg] = kind
        if function.name == "__init__":
            return local
        for step in ast.walk(function):
            if isinstance(step, ast.Assign) and isinstance(step.targets[0], ast.Name):
                if kind := self.value_type(module, local, step.value):
                    local[step.targets[0].id] = kind
            elif isinstance(step, ast.With):
                for item in step.items:
                    kind = self.value_type(module, local, item.context_expr)
                    if kind and isinstance(item.optional_vars, ast.Name):
                        local[item.optional_vars.id] = kind
        return local

    def value_type(self, module: Module, local: dict[str, str], value: ast.expr) -> str | None:
        """The class of an expression's value."""
        if isinstance(value, ast.BoolOp):
            return next((kind for operand in value.values if (kind := self.value_type(module, local, operand))), None)
        if isinstance(value, ast.Name):
            return local.get(value.id)
        if isinstance(value, ast.Attribute):
            owner = self.value_type(module, local, value.value)
            if owner in self.classes:
                return self.fields_of(owner).get(value.attr) or self._result(f"{owner}.{value.attr}")
        if isinstance(value, ast.Call):
            called = self.called(module, local, value.func)
            return called if called in self.classes else self._result(called)
        return None

    def _result(self, called: str | None) -> str | None:
        if called not in self.functions:
            return None
        module, _, function = self.functions[called]
        return self.type_of(module, function.returns)

    def called(self, module: Module, local: dict[str, str], node: ast.expr) -> str | None:
        """The function or class that an expression names."""
        if isinstance(node, ast.Name) and node.id not in local and node.id in module.names:
            return self.resolve(module.names[node.id])
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id not in local and node.value.id in module.names:
                return self.resolve(f"{self.resolve(module.names[node.value.id])}.{node.attr}")
            owner = self.value_type(module, local, node.value)
            return f"{owner}.{node.attr}" if owner else None
        return None

    def named_by(self, full: str) -> set[str]:
        """The functions that one names, calls or makes objects with."""
        module, owner, function = self.functions[full]
        local = self.locals_of(module, owner, function)
        found: set[str] = set()
        nodes: list[ast.AST] = [function]
        while nodes:
            for node in ast.walk(nodes.pop()):
                if not isinstance(node, ast.Name | ast.Attribute):
                    continue
                called = self.called(module, local, node)
                if called in self.functions:
                    found.add(called)
                elif called in self.classes:
                    found |= {f"{called}.{name}" for name in ("__init__", "__enter__", "__post_init__")}
                elif called and called.rpartition(".")[0] == module.name:  # a table of functions
                    nodes += [
                        item.value
                        for item in module.tree.body
                        if isinstance(item, ast.Assign | ast.AnnAssign)
                        and item.value
                        and called.rpartition(".")[2]
                        in {getattr(t, "id", "") for t in getattr(item, "targets", None) or [item.target]}
                        and item.value not in nodes
                        and node is not item.value
                    ]
        return {name for name in found if name in self.functions}


def room(module: str) -> str:
    """The folder of a module."""
    return module.rpartition(".")[0]


def way(program: Program) -> tuple[list[str], list[tuple[str, str]]]:
    """Functions on the way, and its calls."""
    start = next(name for name in program.functions if name.endswith(".Worker.work_once"))
    seen, queue, calls = [start], [start], []
    while queue:
        caller = queue.pop(0)
        for called in sorted(program.named_by(caller)):
            calls.append((caller, called))
            if called not in seen and called.startswith(f"{PACKAGE}."):
                seen.append(called)
                queue.append(called)
    return seen, calls


def files_of(program: Program, functions: list[str]) -> list[str]:
    """Names of the modules that hold these functions."""
    return sorted({program.functions[function][0].name for function in functions})


def main(root: Path) -> None:
    """Print the counts, then the files."""
    program = Program(root)
    functions, calls = way(program)
    files = files_of(program, functions)
    print(f"functions {len(functions)}, files {len(files)}, rooms {len(set(map(room, files)))}")
    own = program.functions[functions[0]][0]
    direct = {program.functions[b][0].name for a, b in calls if program.functions[a][0] is own} | {own.name}
    print(f"own file: {own.lines} lines; names functions of {len(direct)} files in {len(set(map(room, direct)))} rooms")
    for name in files:
        print(f"  {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
