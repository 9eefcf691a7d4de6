"""From the template of an experiment and a trial's values to the object that the trial runs. Pure.

Values are put into the strings of the parsed template, never into text that is parsed afterwards:
no value can change the template's structure. In a ConfigMap's text a placeholder without quotes
takes the type that the value has in YAML (``replicas: ${trialParameters.n}`` becomes a number), as
it does where Katib replaces text.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import yaml

from wherry.objects import metadata, yaml_bounds
from wherry.objects.requests import Object
from wherry.tuning.go_templates import rendering

PLACEHOLDER: Final = re.compile(r"\$\{trialParameters\.([^${}]+)\}")
METADATA: Final = re.compile(
    r"\$\{trialSpec\.(?:(Name|Namespace|Kind|APIVersion)|(Labels|Annotations)\[([^\]]+)\])\}"
)
_TOKEN: Final = re.compile("wherryPlaceholder([0-9]+)x")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Part = Mapping[str, Any]


class TemplateError(Exception):
    """A template cannot be used; the message says which part of it, and why."""


class MissingTemplateError(TemplateError):
    """A template is not there; it may come, or come back."""


def source(template: _Part) -> _Part | None:
    """Return where a template is that stands in a ConfigMap; None where it stands in the experiment.

    Args:
        template: ``spec.trialTemplate``.
    """
    old: _Part = template.get("goTemplate") or {}
    found: _Part | None = template.get("configMap") or old.get("templateSpec")
    return found or None


def render(experiment: Object, proposal: _Part, text: str | None) -> Object:
    """Return the object that a trial runs.

    Args:
        experiment: With defaults filled in.
        proposal: The trial's name and its parameterAssignments.
        text: What the ConfigMap holds that the template is in; None where it is in none.

    Raises:
        TemplateError: it cannot be made.
    """
    template: _Part = experiment["spec"].get("trialTemplate") or {}
    name, namespace = str(proposal["name"]), metadata.namespace(experiment)
    values = {
        str(each["name"]): str(each.get("value", ""))
        for each in proposal.get("parameterAssignments") or ()
    }
    if template.get("goTemplate"):
        made = _go(experiment, name, values, text)
    elif text is not None:
        made = _from_text(text, lambda found: _values(template, experiment, found, proposal))
    else:
        made = template.get("trialSpec") or {}
        known = _values(template, experiment, made, proposal)
        made = _replaced(made, known)
    fields = made.get("metadata") or {}
    return {**made, "metadata": {**fields, "name": name, "namespace": namespace}}


def example(experiment: Object) -> Object:
    """Return a proposal as a search may make it, to see what a template makes of one."""
    values = [
        {"name": str(each.get("name")), "value": "1"}
        for each in experiment["spec"].get("parameters") or ()
    ]
    return {"name": f"{metadata.name(experiment)}-trial", "parameterAssignments": values}


def _go(experiment: Object, name: str, values: Mapping[str, str], text: str | None) -> Object:
    given = (experiment["spec"]["trialTemplate"]["goTemplate"]).get("rawTemplate")
    data = {
        "Experiment": metadata.name(experiment),
        "Trial": name,
        "NameSpace": metadata.namespace(experiment),
        "HyperParameters": [{"Name": key, "Value": value} for key, value in values.items()],
    }
    try:
        rendered = rendering.render(str(text if text is not None else given or ""), data)
    except rendering.GoTemplateError as error:
        raise TemplateError(f"goTemplate: {error}") from None
    made = parsed(rendered)
    fields = made.get("metadata") or {}
    for field, wanted in (("name", name), ("namespace", metadata.namespace(experiment))):
        if fields.get(field) != wanted:
            told = fields.get(field)
            spelt = ".Trial" if field == "name" else ".NameSpace"
            raise TemplateError(
                f'goTemplate: metadata.{field} is "{told}"; it must be {{{{{spelt}}}}}, here "{wanted}"'
            )
    return made


def parsed(text: str) -> Object:
    """Return the object that a text holds, YAML or JSON.

    Raises:
        TemplateError: it holds none.
    """
    try:
        yaml_bounds.check(text)
        found = yaml.load(text, Loader=_LOADER)  # noqa: S506 - it is a safe loader
    except yaml.YAMLError as error:
        raise TemplateError(f"not YAML: {_line(error)}") from None
    return _object(found)


def _object(found: object) -> Object:
    if not isinstance(found, dict):
        kind = type(found).__name__
        raise TemplateError(f"holds {kind}; want one object with apiVersion, kind and spec")
    return found


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _from_text(text: str, known: Callable[[Object], Mapping[str, str]]) -> Object:
    names: list[str] = []

    def token(match: re.Match[str]) -> str:
        names.append(match[1])
        return f"wherryPlaceholder{len(names) - 1}x"

    marked = PLACEHOLDER.sub(token, text)
    values = known(parsed(marked))
    filled = {}
    for index, name in enumerate(names):
        if name not in values:
            raise TemplateError(f"${{trialParameters.{name}}} is not in trialParameters")
        filled[str(index)] = values[name]
    loader = _LOADER(marked)
    try:
        root = loader.get_single_node()
        for node in _scalars(root, set()):
            _fill(loader, node, filled)
        return _object(loader.construct_document(root))
    except (yaml.YAMLError, ValueError) as error:
        raise TemplateError(f"not YAML: {_line(error)}") from None
    finally:
        loader.dispose()


def with_placeholders(text: str) -> Object:
    """Return the object that the text of a ConfigMap holds, placeholders as they stand in it.

    Raises:
        TemplateError: it holds none.
    """
    spelt = {name: f"${{trialParameters.{name}}}" for name in PLACEHOLDER.findall(text)}
    return _from_text(text, lambda _: spelt)


def _scalars(node: Any, seen: set[int]) -> Iterator[yaml.ScalarNode]:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _scalars(each, seen)
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for each in pair:
                yield from _scalars(each, seen)


def _fill(loader: Any, node: yaml.ScalarNode, values: Mapping[str, str]) -> None:
    filled = _TOKEN.sub(lambda match: values.get(match[1], match[0]), node.value)
    if filled != node.value:
        node.value = filled
        if not node.style:  # plain; the parser in C says an empty text
            node.tag = loader.resolve(yaml.ScalarNode, filled, (True, False))


def placeholders(value: Any) -> Iterator[str]:
    """Yield the name in each ``${trialParameters.name}`` of a template."""
    if isinstance(value, str):
        for match in PLACEHOLDER.finditer(value):
            yield match[1]
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from placeholders(key)
            yield from placeholders(each)
    elif isinstance(value, list):
        for each in value:
            yield from placeholders(each)


def _values(template: _Part, experiment: Object, made: Object, proposal: _Part) -> dict[str, str]:
    """Return what each placeholder stands for."""
    given = {
        str(each["name"]): str(each.get("value", ""))
        for each in proposal.get("parameterAssignments") or ()
    }
    optional = {
        str(each.get("name"))
        for each in experiment["spec"].get("parameters") or ()
        if each.get("parent")
    }
    known = {}
    for each in template.get("trialParameters") or ():
        reference = str(each.get("reference", ""))
        match = METADATA.fullmatch(reference)
        if match is not None:
            known[str(each["name"])] = _meta(match, made, experiment, proposal)
        elif reference in given or reference in optional:
            # A parameter that its parent has switched off is empty.
            known[str(each["name"])] = given.get(reference, "")
        else:
            raise TemplateError(
                f'trialParameters[{each.get("name")}].reference: "{reference}" is not among what '
                f"was proposed: {', '.join(given) or 'nothing'}"
            )
    return known


def _meta(match: re.Match[str], made: Object, experiment: Object, proposal: _Part) -> str:
    field, group, key = match[1], match[2], match[3]
    if field is not None:
        said = {
            "Name": proposal["name"],
            "Namespace": metadata.namespace(experiment),
            "Kind": made.get("kind", ""),
            "APIVersion": made.get("apiVersion", ""),
        }
        return str(said[field])
    held = (made.get("metadata") or {}).get(str(group).lower()) or {}
    if key not in held:
        raise TemplateError(f"{match[0]}: the template has no such {str(group).lower()[:-1]}")
    return str(held[key])


def _replaced(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        # What is not declared stays: admission has refused it, unless it came in without.
        return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), value)
    if isinstance(value, dict):
        return {_replaced(key, values): _replaced(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, values) for each in value]
    return value


def name(experiment: Object, index: int) -> str:
    """Return the name of a trial: the same each time, and no other experiment's.

    Args:
        experiment: Whose.
        index: Place in the order of proposals, from 0.
    """
    digest = hashlib.sha256(f"{metadata.uid(experiment)}/{index}".encode()).hexdigest()
    return f"{metadata.name(experiment)}-{digest[:8]}"
