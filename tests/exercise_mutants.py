"""Mutants of a solution: each with one small change, as somebody might have made it by mistake."""

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator

import torch

OTHER_NAMES = {  # what is easily taken for what
    "sum": ("mean", "amax"),
    "mean": ("sum", "median"),
    "max": ("min", "mean"),
    "softmax": ("log_softmax", "sigmoid", "exp"),
    "log_softmax": ("softmax", "log"),
    "logsumexp": ("sum", "amax", "mean"),
    "log_sigmoid": ("torch.sigmoid", "torch.tanh"),
    "sigmoid": ("exp", "tanh", "round"),
    "logit": ("log", "exp"),
    "log": ("log2", "log10", "log1p", "sqrt"),
    "exp": ("exp2", "expm1", "abs"),
    "std": ("var", "mean", "max"),
    "all": ("any",),
    "isfinite": ("isnan", "isinf"),
    "argmin": ("argmax",),
    "zeros": ("ones",),
    "zeros_like": ("ones_like",),
}
OTHER_SIGNS = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add, ast.Div),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.BitAnd: (ast.BitOr,),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.Eq: (ast.NotEq, ast.GtE, ast.LtE),
    ast.NotEq: (ast.Eq, ast.Gt, ast.Lt),
}


def _changed(node: ast.AST, exercise) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.BinOp):
        yield node.left
        yield node.right
        for sign in OTHER_SIGNS.get(type(node.op), ()):
            yield ast.BinOp(node.left, sign(), node.right)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Compare):
        for sign in OTHER_SIGNS[type(node.ops[0])]:
            yield ast.Compare(node.left, [sign()], node.comparators)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        library = isinstance(node.func.value, ast.Name) and node.func.value.id == "torch"
        if not library and node.func.attr != "item":  # a tensor with one number is as good
            yield node.func.value  # without the method
        for name in OTHER_NAMES.get(node.func.attr, ()):
            yield ast.Call(ast.Attribute(node.func.value, name), node.args, node.keywords)
        for i in range(len(node.keywords)):  # without an option
            yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        for name in exercise.parameters:
            if node.id in exercise.parameters and name != node.id:
                yield ast.Name(name)
        if node.id in exercise.gradient:
            yield ast.Call(ast.Attribute(node, "detach"), [], [])


def mutants(exercise) -> Iterator[tuple[str, Callable]]:
    """The changed line, and the function with it."""
    source = inspect.getsource(exercise.solution)
    tree = ast.parse(textwrap.dedent(source))
    (definition,) = tree.body
    definition.decorator_list = []
    for i, node in enumerate(ast.walk(definition)):
        if not isinstance(node, ast.expr):
            continue
        for change in _changed(node, exercise):
            mutant = copy.deepcopy(tree)
            # The copy is walked in the same order, so the place of the node is its name.
            place = next(n for k, n in enumerate(ast.walk(mutant.body[0])) if k == i)
            _replace(mutant, place, change)
            code = ast.unparse(ast.fix_missing_locations(mutant))
            before = ast.unparse(tree).splitlines()
            lines = [b for a, b in zip(before, code.splitlines(), strict=True) if a != b]
            if lines:
                scope = {"torch": torch}
                exec(code, scope)
                yield lines[0].strip(), scope[exercise.name]


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    class Replacer(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return copy.deepcopy(new) if node is old else self.generic_visit(node)

    Replacer().visit(tree)
