"""Random workflows end as a small reference says, however often the walk begins anew."""

import itertools
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wherry.objects.requests import Object
from wherry.testing.workflow_plays import Play, call, dag, leaf, spec, steps

BAD = ("Failed", "Error")


def dice(text: str, sides: int) -> int:
    return zlib.crc32(text.encode()) % sides


@st.composite
def templates(
    draw: st.DrawFn, depth: int = 3, numbers: Iterator[int] | None = None
) -> list[Object]:
    """A template, and those that it calls, each once."""
    numbers = numbers or itertools.count()
    name = f"t{next(numbers)}"
    more: Object = {}
    if draw(st.integers(0, 3)) == 0:
        more["retryStrategy"] = {"limit": draw(st.integers(0, 2)), "retryPolicy": "Always"}
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return [leaf(name, **more)]
    if draw(st.integers(0, 3)) == 0:
        more["parallelism"] = draw(st.integers(1, 3))
    below: list[Object] = []

    def called(key: str) -> Object:
        inner = draw(templates(depth - 1, numbers))
        below.extend(inner)
        return {**call(key, inner[0]["name"]), **draw(settings())}

    if draw(st.booleans()):
        groups = [
            [called(f"s{number}-{each}") for each in range(draw(st.integers(1, 2)))]
            for number in range(draw(st.integers(1, 3)))
        ]
        return [steps(*groups, name=name, **more), *below]
    tasks: list[Object] = []
    for number in range(draw(st.integers(1, 4))):
        tasks.append(
            {**called(f"k{number}"), **draw(dependencies([each["name"] for each in tasks]))}
        )
    return [dag(*tasks, name=name, **more), *below]


@st.composite
def settings(draw: st.DrawFn) -> Object:
    """What a step says besides what it calls."""
    made: Object = {}
    if draw(st.integers(0, 5)) == 0:
        made["when"] = draw(st.sampled_from(["true", "1 == 2"]))
    if draw(st.integers(0, 4)) == 0:
        made["withSequence"] = {"count": str(draw(st.integers(0, 3)))}
    if draw(st.integers(0, 3)) == 0:
        made["continueOn"] = {"failed": True, "error": draw(st.booleans())}
    return made


@st.composite
def dependencies(draw: st.DrawFn, before: list[str]) -> Object:
    """What a task of a DAG waits for."""
    needs = draw(st.lists(st.sampled_from(before), unique=True, max_size=2)) if before else []
    if not needs:
        return {}
    if not draw(st.booleans()):
        return {"dependencies": needs}
    words = st.sampled_from(["Succeeded", "Failed", "Skipped", "Omitted"])
    joint = draw(st.sampled_from([" && ", " || "]))
    return {"depends": joint.join(f"{need}.{draw(words)}" for need in needs)}


class Reference:
    """What becomes of everything, by following the templates once."""

    def __init__(self, spec_: Object, fates: Mapping[str, list[str]]) -> None:
        self.templates = {each["name"]: each for each in spec_["templates"]}
        self.fates = fates
        self.phases: dict[str, str] = {}

    def note(self, name: str, phase: str) -> str:
        self.phases[name] = phase
        return phase

    def run(self, template: Object, name: str) -> str:
        told = template.get("retryStrategy")
        if told is None:
            return self.note(name, self.once(template, name, 0))
        phase = ""
        for number in range(told["limit"] + 1):
            one = f"{name}({number})"
            phase = self.note(one, self.once(template, one, number))
            if phase not in BAD:
                break
        return self.note(name, phase)

    def once(self, template: Object, name: str, number: int) -> str:
        if "steps" in template:
            return self.steps(template, name)
        if "dag" in template:
            return self.dag(template, name)
        fates = self.fates.get(name.removesuffix(f"({number})")) or [""]
        return fates[min(number, len(fates) - 1)] or "Succeeded"

    def call(self, made: Object, name: str, *, group: bool) -> list[str]:
        """The phases of a call, or of its turns; of a loop of a DAG its own comes first."""
        if "withSequence" not in made:
            return [self.turn(made, name)]
        count = int(made["withSequence"]["count"])
        turns = [self.turn(made, f"{name}({each}:{each})") for each in range(count)]
        if not turns:
            return [self.note(name, "Skipped")]
        bad = [each for each in turns if each in BAD]
        return [self.note(name, bad[0] if bad else "Succeeded"), *turns] if group else turns

    def turn(self, made: Object, name: str) -> str:
        if made.get("when") == "1 == 2":
            return self.note(name, "Skipped")
        return self.run(self.templates[made["template"]], name)

    def goes_on(self, made: Object, phase: str) -> bool:
        after = made.get("continueOn") or {}
        return phase not in BAD or bool(after.get({"Failed": "failed", "Error": "error"}[phase]))

    def steps(self, template: Object, name: str) -> str:
        for number, group in enumerate(template["steps"]):
            inside = f"{name}[{number}]"
            fine = True
            for made in group:
                for phase in self.call(made, f"{inside}.{made['name']}", group=False):
                    fine = fine and self.goes_on(made, phase)
            if self.note(inside, "Succeeded" if fine else "Failed") == "Failed":
                return "Failed"
        return "Succeeded"

    def dag(self, template: Object, name: str) -> str:
        tasks = {each["name"]: each for each in template["dag"]["tasks"]}
        phases: dict[str, str] = {}
        branches: dict[str, str] = {}
        needed: set[str] = set()
        for key, task in tasks.items():
            needs = [*self.needs(task)]
            needed.update(needs)
            if self.holds(task, tasks, phases):
                phases[key] = self.call(task, f"{name}.{key}", group=True)[0]
            else:
                phases[key] = self.note(f"{name}.{key}", "Omitted")
            before = [branches[need] for need in needs if branches[need] in BAD]
            left_out = before[0] if before else "Succeeded"
            branches[key] = left_out if phases[key] in ("Skipped", "Omitted") else phases[key]
        for key, task in tasks.items():
            if key not in needed and not self.goes_on(task, branches[key]):
                return branches[key]
        return "Succeeded"

    def needs(self, task: Object) -> Iterator[str]:
        yield from task.get("dependencies") or ()
        for each in task.get("depends", "").replace("||", "&&").split(" && "):
            if each:
                yield each.partition(".")[0]

    def holds(self, task: Object, tasks: Mapping[str, Object], phases: Mapping[str, str]) -> bool:
        if "depends" in task:
            any_ = "||" in task["depends"]
            found = [
                phases[name] == word
                for name, word in (
                    each.split(".") for each in task["depends"].replace("||", "&&").split(" && ")
                )
            ]
            return any(found) if any_ else all(found)
        return all(
            phases[need] in ("Succeeded", "Skipped")
            or (phases[need] in BAD and self.goes_on(tasks[need], phases[need]))
            for need in task.get("dependencies") or ()
        )


class Fates(dict[str, list[str]]):
    """How steps end, by dice that fall the same way each time."""

    def __init__(self, seed: int, bad: int) -> None:
        super().__init__()
        self.seed, self.bad = seed, bad

    def get(self, key: str, default: Any = None) -> list[str]:
        ends = []
        for number in range(3):
            text = f"{self.seed}/{key}/{number}"
            bad = dice(f"bad/{text}", 100) < self.bad
            ends.append(("Failed", "Error")[dice(text, 2)] if bad else "")
        return ends


@given(templates(), st.integers(0, 10**6), st.sampled_from([0, 20, 60]), st.booleans())
def test_random_workflows_end_as_the_reference_does(
    made: list[Object], seed: int, bad: int, restarts: bool
) -> None:
    fates = Fates(seed, bad)
    whole = spec(*made)
    reference = Reference(whole, fates)
    reference.run(made[0], "wf")
    assert Play(whole, fates).run(restarts=restarts) == reference.phases
