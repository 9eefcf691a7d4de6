"""`wherry env`: which Python environments stand for images, what becomes of them, and why."""

import asyncio
import json
import secrets
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wherry.cli import columns, failures, session, words
from wherry.cli.home import Home
from wherry.cli.progress import Progress
from wherry.cli.session import Session
from wherry.kubelet import images
from wherry.kubelet.environments import builder, catalogue, choosing, interpreters, recipe
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object

_ENVIRONMENTS = environment_kinds.ENVIRONMENTS
_POLL_SECONDS = 0.2
_MOST_NAMED = 3


def run(options: Namespace) -> int:
    """Do what was asked with environments."""
    actions = {"list": _list, "add": _add, "build": _build, "remove": _remove, "why": _why}
    return session.run(options, actions[options.action])


async def _list(opened: Session, options: Namespace) -> int:
    objects = (await opened.client.list(_ENVIRONMENTS)).items
    used = await _used(opened)
    rows = [*(_of_object(obj, used) for obj in objects)]
    names = {row["name"] for row in rows}
    rows += [_of_entry(each, used) for each in catalogue.entries() if each.name not in names]
    if options.output == "json":
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return failures.SUCCESS
    table = [["NAME", "FROM", "STATE", "PYTHON", "PODS", "IMAGES"]]
    for row in rows:
        shown, more = row["images"][:_MOST_NAMED], len(row["images"]) - _MOST_NAMED
        listed = ",".join(shown) + (f" and {more} more" if more > 0 else "")
        told = (row["name"], row["from"], row["state"], row["python"], row["pods"], listed)
        table.append([columns.cell(each) for each in told])
    print("\n".join(columns.lines(table, [])))
    return failures.SUCCESS


def _of_object(obj: Object, used: Counter[str]) -> dict[str, Any]:
    name = metadata.name(obj)
    return {
        "name": name,
        "from": "environment",
        "state": _state(obj),
        "python": str((obj.get("status") or {}).get("python") or ""),
        "pods": used[f"environments/{name}"],
        "images": list(environment_kinds.spec_of(obj).images),
    }


def _of_entry(entry: catalogue.Entry, used: Counter[str]) -> dict[str, Any]:
    pods = used[f"catalogue/{entry.name}"]
    return {
        "name": entry.name,
        "from": "catalogue",
        "state": "built" if pods else "when a pod asks",
        "python": "",
        "pods": pods,
        "images": list(entry.images),
    }


def _state(obj: Object) -> str:
    listed = (obj.get("status") or {}).get("conditions")
    ready = conditions.get(obj, environment_kinds.READY) if listed else None
    if ready is None:
        return "not looked at"
    if ready.get("status") == "True":
        return "built"
    return {"Building": "building"}.get(str(ready.get("reason")), "failed")


async def _used(opened: Session) -> Counter[str]:
    """Return how many pods run what, by ``environments/NAME`` and ``catalogue/NAME``."""
    counts: Counter[str] = Counter()
    for pod in (await opened.client.list(kinds.PODS)).items:
        told = (pod.get("status") or {}).get("containerStatuses") or []
        ids = {str(each.get("imageID") or "") for each in told}
        counts.update(
            each.removeprefix("wherry.dev/").split("@")[0]
            for each in ids
            if each.startswith("wherry.dev/")
        )
    return counts


async def _add(opened: Session, options: Namespace) -> int:
    await _create(opened, _asked_for(options))
    return failures.SUCCESS


def _asked_for(options: Namespace) -> Object:
    entry = _entry_called(options.name)
    given = {
        "images": options.image,
        "requirements": [*options.requirement, *_file_lines(options.requirements_file)],
        "lock": options.lock.read_text() if options.lock else "",
        "python": options.python,
        "indexUrl": options.index_url,
        "preload": options.preload,
    }
    chosen = {field: value for field, value in given.items() if value}
    if entry is None and not options.image:
        raise failures.UsageError(
            f"{options.name!r} is not in the catalogue (`wherry env list`); say with --image which "
            "images the new environment is for"
        )
    # Names of images together with a name of the catalogue: the same for other images.
    base = entry.environment()["spec"] if entry is not None else {}
    made = _environment(options.name, {**base, **chosen})
    try:
        recipe.make(environment_kinds.spec_of(made), interpreters.own())
    except recipe.RecipeError as error:
        raise failures.UsageError(str(error)) from error
    return made


def _file_lines(path: Path | None) -> list[str]:
    text = path.read_text() if path is not None else ""
    lines = (line.split(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _environment(name: str, spec: Object) -> Object:
    return {
        "apiVersion": _ENVIRONMENTS.api_version,
        "kind": _ENVIRONMENTS.kind,
        "metadata": {"name": name},
        "spec": spec,
    }


async def _create(opened: Session, environment: Object) -> None:
    name = metadata.name(environment)
    try:
        await opened.client.create(_ENVIRONMENTS, environment)
    except errors.AlreadyExistsError as error:
        raise failures.CommandError(
            f"environment {name!r} exists; change it with `kubectl edit environment {name}`"
        ) from error
    print(f"environment/{name} created")


async def _build(opened: Session, options: Namespace) -> int:
    name = await _named(opened, options.name)
    token = secrets.token_hex(4)
    note = {"metadata": {"annotations": {environment_kinds.BUILD_ANNOTATION: token}}}
    await opened.client.patch(_ENVIRONMENTS, name, note)
    deadline = time.monotonic() + options.timeout if options.timeout else float("inf")
    with Progress() as progress:
        while True:
            obj = await opened.client.get(_ENVIRONMENTS, name)
            if _is_answered(obj, token):
                break
            building = conditions.get(obj, environment_kinds.BUILDING) or {}
            if time.monotonic() > deadline:
                raise failures.CommandError(f"environment/{name} is not built in time")
            progress.show(
                f"environment/{name}: {building.get('message') or 'waiting for the node'}"
            )
            await asyncio.sleep(_POLL_SECONDS)
    ready = conditions.get(obj, environment_kinds.READY) or {}
    if ready.get("status") != "True":
        raise failures.CommandError(f"environment/{name}: {ready.get('message')}")
    status = obj["status"]
    print(f"environment/{name} is built (Python {status['python']}, {status['path']})")
    return failures.SUCCESS


def _is_answered(obj: Object, token: str) -> bool:
    return bool((obj.get("status") or {}).get("answers") == token)


async def _named(opened: Session, text: str) -> str:
    """Return the environment of a name or an image; one of the catalogue is made an object first."""
    objects = (await opened.client.list(_ENVIRONMENTS)).items
    if any(metadata.name(obj) == text for obj in objects):
        return text
    entry = _entry_called(text)
    if entry is not None:
        await _create(opened, entry.environment())
        return entry.name
    image = _image(text)
    covering = choosing.covering(image, objects)
    if covering is not None:
        return metadata.name(covering)
    entry = catalogue.covering(image)
    if entry is None:
        raise failures.CommandError(choosing.unknown(text))
    made = entry.environment(catalogue.version_of(image) if entry.has_version else "")
    # For this image alone: another tag may mean another version.
    name = f"{entry.name}-{image.tag}".lower().replace("_", "-").strip("-.")
    await _create(opened, _environment(name, {**made["spec"], "images": [image.text]}))
    return name


async def _remove(opened: Session, options: Namespace) -> int:
    for name in options.names:
        try:
            await opened.client.delete(_ENVIRONMENTS, name)
        except errors.NotFoundError as error:
            if _entry_called(name) is not None:
                raise failures.CommandError(
                    f"{name!r} is in the catalogue, which stays; nothing of it takes space before a "
                    "pod asks. To run such images as they are: annotation wherry.dev/runtime: oci"
                ) from error
            raise
        print(f"environment/{name} removed; its files go when nothing uses them any more")
    return failures.SUCCESS


async def _why(opened: Session, options: Namespace) -> int:
    image = _image(options.image)
    objects = (await opened.client.list(_ENVIRONMENTS)).items
    told = _explained(options.image, image, objects, _folder(options))
    print("\n".join((f"image {image.text}", *(f"  {line}" for line in told))))
    known = choosing.covering(image, objects) is not None or catalogue.covering(image) is not None
    return failures.SUCCESS if known else failures.FAILURE


def _explained(
    text: str, image: images.Image, objects: list[Object], folder: Path | None
) -> Iterator[str]:
    covering = choosing.covering(image, objects)
    entry = catalogue.covering(image)
    if covering is not None:
        fitting = [each for each in objects if choosing.covering(image, [each])]
        yield f"environment/{metadata.name(covering)} stands for it: {_pattern(covering, image)}"
        others = [metadata.name(each) for each in fitting if each is not covering]
        if others:
            yield f"its pattern is narrower than those of {', '.join(others)}"
        if entry is not None:
            yield f"the catalogue's {entry.name!r} gives way to it"
        yield f"it is {_state(covering)}"
    elif entry is not None:
        yield f"no Environment object covers it; the catalogue's {entry.name!r} does: {entry.about}"
        if entry.host_tools:
            yield "where an OCI runtime is installed (runc, crun), the real image is run instead"
    else:
        yield f"it is run as a real image where an OCI runtime is installed; {choosing.unknown(text)}"
        return
    yield from _content(text, objects, folder)


def _content(text: str, objects: list[Object], folder: Path | None) -> Iterator[str]:
    try:
        choice: choosing.Choice | None = choosing.choose(text, objects)
    except (interpreters.InterpreterMissingError, recipe.RecipeError, ValueError) as error:
        yield f"it cannot be built: {error}"
        return
    while choice is not None:
        made = choice.recipe
        yield (
            f"Python {made.interpreter.text} with {words.counted(len(made.requirements), 'requirement')}"
            + (f": {', '.join(made.requirements)}" if made.requirements else "")
        )
        if choice.warning:
            yield f"note: {choice.warning}"
        if folder is not None:
            built = builder.Builder(folder, concurrency=1, timeout_seconds=1).built(made)
            yield f"built: {built.root}" if built else "not built yet: the first pod waits for it"
        choice = choice.fallback
        if choice is not None:
            yield "where that version does not exist:"


def _pattern(obj: Object, image: images.Image) -> str:
    fitting = [
        each
        for each in environment_kinds.spec_of(obj).images
        if choosing.covering(image, [{**obj, "spec": {"images": [each]}}])
    ]
    return f"pattern {max(fitting, key=images.specificity)}"


def _folder(options: Namespace) -> Path | None:
    """Return where this machine's builds are, if it is this machine that was asked."""
    home = Home.of(options.directory)
    local = options.kubeconfig is None and not options.context and home.running() is not None
    return home.directory / "environments" if local else None


def _entry_called(name: str) -> catalogue.Entry | None:
    return next((each for each in catalogue.entries() if each.name == name), None)


def _image(text: str) -> images.Image:
    try:
        return images.parse(text)
    except ValueError as error:
        raise failures.UsageError(str(error)) from error
