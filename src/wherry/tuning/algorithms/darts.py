"""Differentiable architecture search: one trial searches by itself; here it is told what.

Katib's form: the settings with their defaults as JSON text, the names of the operations, and the
number of layers. The trial trains all operations at once and reports the architecture it has found.
Settings that are not known here go to the trial as they are: it may know them.
"""

import json
from collections.abc import Iterator, Sequence

from wherry.objects.errors import Cause
from wherry.tuning import graphs, options
from wherry.tuning.algorithm import Algorithm, Answer, Graph, Proposal, Question, Search
from wherry.tuning.options import Option

_REQUIRED = "FieldValueRequired"
_OPTIONS = (
    Option(name="num_epochs", default="50", whole=True, least=1),
    Option(name="w_lr", default="0.025", least=0),
    Option(name="w_lr_min", default="0.001", least=0),
    Option(name="w_momentum", default="0.9", least=0),
    Option(name="w_weight_decay", default="3e-4", least=0),
    Option(name="w_grad_clip", default="5", least=0),
    Option(name="alpha_lr", default="3e-4", least=0),
    Option(name="alpha_weight_decay", default="1e-3", least=0),
    Option(name="batch_size", default="128", whole=True, least=1, none=True),
    Option(name="num_workers", default="4", whole=True, least=0),
    Option(name="init_channels", default="16", whole=True, least=1),
    Option(name="print_step", default="50", whole=True, least=1),
    Option(name="num_nodes", default="4", whole=True, least=1),
    Option(name="stem_multiplier", default="3", whole=True, least=1),
)


class DARTS(Algorithm):
    """``darts``."""

    name = "darts"
    architectures = True

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with the settings and the graph."""
        names = {option.name for option in _OPTIONS}
        known = {name: text for name, text in search.settings.items() if name in names}
        return [*options.check(_OPTIONS, known), *_causes(search.graph)]

    def propose(self, question: Question) -> Answer:
        """Return the one trial."""
        search = question.search
        assert search.graph is not None
        if question.trials:
            return Answer(ended=True)
        settings: dict[str, object] = {one.name: json.loads(one.default) for one in _OPTIONS}
        settings |= {k: None if text == "None" else text for k, text in search.settings.items()}
        assignments = {
            "algorithm-settings": _quoted(settings),
            "search-space": _quoted(list(_operations(search.graph))),
            "num-layers": str(search.graph.layers),
        }
        return Answer(proposals=(Proposal(assignments=assignments),), ended=True)


def _causes(graph: Graph | None) -> Iterator[Cause]:
    """Yield what is wrong: of a graph only its layers and the names of its operations count."""
    if graph is None:
        yield Cause("spec.nasConfig", "is required: architectures are searched", _REQUIRED)
        return
    for index, operation in enumerate(graph.operations):
        if operation.type != "skip_connection" and not operation.parameters:
            field = f"spec.nasConfig.operations[{index}].parameters"
            yield Cause(field, "must name the size of the filter", _REQUIRED)


def _operations(graph: Graph) -> Iterator[str]:
    """The names: type and size of the filter, as ``separable_convolution_3x3``."""
    for operation in graph.operations:
        if operation.type == "skip_connection":
            yield operation.type
            continue
        # There is but one that counts, the filter's size.
        for size in graphs.values(operation.parameters[0]):
            yield f"{operation.type}_{size}x{size}"


def _quoted(value: object) -> str:
    # Trials get it in double quotes.
    return json.dumps(value).replace('"', "'")
