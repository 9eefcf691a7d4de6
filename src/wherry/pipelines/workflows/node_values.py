"""What a node was given and has given, in upstream's shape. Pure."""

from wherry.metadata.records import Artifact, Values
from wherry.objects.requests import Object
from wherry.pipelines.graph.spots import Spot
from wherry.pipelines.workflows.artifacts import locations
from wherry.pipelines.workflows.artifacts.repository import Repository
from wherry.pipelines.workflows.calls import Content
from wherry.pipelines.workflows.reading import any_text
from wherry.pipelines.workflows.scopes import EXIT_CODE, RESULT


def trim(node: Object) -> None:
    """Take away what says nothing."""
    for key in [key for key, value in node.items() if value in ("", None, {}, [])]:
        del node[key]


def inputs(spot: Spot, known: Content | None, repository: Repository) -> Object:
    """Return what a node was given."""
    if known is None or known.template is None:
        return {}
    paths = {each.name: each.path for each in known.template.inputs.artifacts}
    artifacts = [
        {
            "name": name,
            **({"path": path} if path else {}),
            **_located(spot, known, name, repository),
        }
        for name, path in paths.items()
    ]
    parameters = [
        {"name": each.name, "value": spot.inputs.parameters[each.name]}
        for each in known.template.inputs.parameters
        if each.name in spot.inputs.parameters
    ]
    return {
        key: each for key, each in (("parameters", parameters), ("artifacts", artifacts)) if each
    }


def _located(spot: Spot, known: Content, name: str, repository: Repository) -> Object:
    made = spot.inputs.artifacts.get(name)
    return shown(made[0], repository) if made else dict(known.locations.get(name) or {})


def location(artifact: Artifact) -> Object:
    """Return where an artifact is, in upstream's form where it has one."""
    told = artifact.metadata.get("argo")
    return dict(told) if isinstance(told, dict) else {}


def shown(artifact: Artifact, repository: Repository) -> Object:
    """Return where an artifact is, as the status of its Workflow tells it."""
    return locations.brief(location(artifact), repository)


def outputs(given: Values, known: Content | None, repository: Repository) -> Object:
    """Return what a node has given."""
    made: Object = {
        "parameters": _parameters(given, known),
        "artifacts": _artifacts(given, known, repository),
    }
    for key, name in (("result", RESULT), ("exitCode", EXIT_CODE)):
        if name in given.parameters:
            made[key] = any_text(given.parameters[name])
    return {key: value for key, value in made.items() if value not in ([], None)}


def _parameters(given: Values, known: Content | None) -> list[Object]:
    template = known.template if known is not None else None
    written: Object = dict(template.json.get("outputs") or {}) if template else {}
    sources = {each.get("name"): each.get("valueFrom") for each in written.get("parameters") or ()}
    return [
        {
            "name": name,
            "value": any_text(value),
            **({"valueFrom": sources[name]} if sources.get(name) else {}),
        }
        for name, value in given.parameters.items()
        if not name.startswith("@")
    ]


def _artifacts(given: Values, known: Content | None, repository: Repository) -> list[Object]:
    template = known.template if known is not None else None
    paths = {each.name: each.path for each in template.outputs.artifacts} if template else {}
    return [
        {
            "name": name,
            **({"path": paths[name]} if paths.get(name) else {}),
            **shown(made[0], repository),
        }
        for name, made in given.artifacts.items()
    ]
