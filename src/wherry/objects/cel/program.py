"""An expression that is ready to be evaluated."""

from collections.abc import Mapping, Sequence
from typing import Any

from wherry.objects.cel import compiling, syntax
from wherry.objects.cel.library import Functions
from wherry.objects.cel.values import CelError


class Program:
    """One compiled expression. Shared; evaluations may nest.

    Attributes:
        text: The expression.
        node: Its tree.
    """

    def __init__(
        self,
        text: str,
        variables: Sequence[str],
        structs: compiling.Structs = compiling.NO_STRUCTS,
        functions: Functions = compiling.NO_FUNCTIONS,
    ) -> None:
        """Compile an expression.

        Args:
            text: The expression.
            variables: The names it may use.
            structs: The types that it may make objects of; see `compiling.Compiler`.
            functions: What it may call besides the library's; see `compiling.Compiler`.

        Raises:
            CelSyntaxError: It is no expression, or uses what there is not.
        """
        self.text = text
        compiler = compiling.Compiler(variables, structs, functions)
        try:
            self.node = syntax.parse(text)
            self._run = compiler.compile(self.node)
        except RecursionError as error:
            raise syntax.CelSyntaxError("expression nests too deep") from error
        self._variables = tuple(variables)
        self._size = compiler.size

    def names(self) -> set[str]:
        """Return every name that the expression uses, those of its loops too."""
        found: set[str] = set()
        nodes = [self.node]
        while nodes:
            node = nodes.pop()
            if isinstance(node, syntax.Name):
                found.add(node.name)
            nodes += compiling.children(node)
        return found

    def evaluate(
        self, values: Mapping[str, Any], budget: int = compiling.DEFAULT_BUDGET
    ) -> tuple[Any, int]:
        """Evaluate.

        Args:
            values: Of the variables; those left out are null.
            budget: How much it may cost.

        Returns:
            The value, and what is left of the budget.

        Raises:
            CelError: There is no value for this input.
            CostError: It costs too much.
        """
        slots = [values.get(name) for name in self._variables]
        slots += [None] * (self._size - len(slots))
        frame = compiling.Frame(slots, budget)
        try:
            return self._run(frame), frame.left
        except (RecursionError, OverflowError, ValueError) as error:
            raise CelError(f"the expression cannot be evaluated: {error}") from error
