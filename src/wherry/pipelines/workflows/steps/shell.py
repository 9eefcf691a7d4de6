"""A command in a shell that waits before it, tries it again, or brings away what it leaves.

The shell's text is ours and always the same. What users write reaches it as words and as variables,
whose content no shell reads as its own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wherry.kubelet import wrapping
from wherry.objects.requests import Object
from wherry.pipelines.steps.draft import Draft, StepError
from wherry.pipelines.workflows.artifacts.plan import COLLECTED_PATH

STATE: Final = "wherry-set"
"""Volume in which the containers of a set tell each other how they have ended."""
STATE_PATH: Final = "/wherry/set"
NOT_BEGUN: Final = 64
"""Exit code of a container whose dependency has failed; upstream's."""
_AFTER: Final = "WHERRY_AFTER"
_SELF: Final = "WHERRY_SELF"
_BESIDE: Final = "WHERRY_BESIDE"
_TRIES: Final = "WHERRY_TRIES"
_PAUSE: Final = "WHERRY_PAUSE"
_COLLECT: Final = "WHERRY_COLLECT"
_LOG: Final = "WHERRY_LOG"

_SCRIPT: Final = f"""\
child= stop=
trap 'stop=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT
tell() {{
    [ -n "${_SELF}" ] || return 0
    printf %s "$1" > "{STATE_PATH}/.${_SELF}"
    mv "{STATE_PATH}/.${_SELF}" "{STATE_PATH}/${_SELF}"
}}
await() {{
    until [ -e "{STATE_PATH}/$1" ]; do
        [ -z "$stop" ] || return 1
        sleep 0.05 2>/dev/null || sleep 1
    done
}}
fail() {{
    tell {NOT_BEGUN}
    exit {NOT_BEGUN}
}}
hear() {{
    # A copier that is told to end would lose what comes last.
    (trap '' TERM INT; exec tee -a "${_LOG}" < "$1") &
}}
run() {{
    ears=
    if [ -n "${_LOG}" ] && command -v tee >/dev/null && mkfifo "${_LOG}.out" "${_LOG}.err" 2>/dev/null; then
        hear "${_LOG}.out"
        ears=$!
        hear "${_LOG}.err" >&2
        ears="$ears $!"
        "$@" <&0 > "${_LOG}.out" 2> "${_LOG}.err" &
    else
        "$@" <&0 &
    fi
    child=$!
    while :; do
        wait "$child"
        code=$?
        kill -0 "$child" 2>/dev/null || break
    done
    child=
    late=0
    for ear in $ears; do
        # What the command has left running may hold on to it.
        while kill -0 "$ear" 2>/dev/null && [ "$late" -lt 100 ]; do
            late=$((late + 1))
            sleep 0.05 2>/dev/null || sleep 1
        done
        kill -KILL "$ear" 2>/dev/null
    done
    [ -z "$ears" ] || rm -f "${_LOG}.out" "${_LOG}.err"
}}
for each in ${_AFTER}; do
    await "$each" || fail
    [ "$(cat "{STATE_PATH}/$each")" = 0 ] || fail
done
run "$@"
while [ "$code" != 0 ] && [ -z "$stop" ] && [ "${{{_TRIES}:-1}}" -gt 1 ]; do
    {_TRIES}=$(({_TRIES} - 1))
    sleep "${{{_PAUSE}:-0}}"
    run "$@"
done
tell "$code"
for each in ${_BESIDE}; do
    await "$each" || break
done
if [ -n "${_COLLECT}" ]; then
    number=0
    printf '%s\\n' "${_COLLECT}" | {{
        lost=0
        while IFS= read -r path; do
            # Images begin in the root, other steps in a folder of their own.
            [ -e "$path" ] || case "${{path#/}}" in */*) ;; *) path=.$path ;; esac
            if [ -e "$path" ]; then
                cp -RH "$path" "{COLLECTED_PATH}/$number" || lost=1
            fi
            number=$((number + 1))
        done
        exit "$lost"
    }} || [ "$code" != 0 ] || code=1
fi
exit "$code"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A container's place in its set.

    Attributes:
        own: What it is called; empty: it is in none.
        after: The containers that have to end well before it begins.
        beside: Those that have to end before what is left is copied: volumes may be shared.
        tries: How often it is begun at most.
        pause: Seconds between.
    """

    own: str = ""
    after: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    tries: int = 1
    pause: float = 0.0


def wrap(
    draft: Draft,
    container: Object,
    place: Place,
    *,
    here: bool,
    copied: Sequence[str] = (),
    log: str = "",
) -> None:
    """Have a container's command be run by our shell.

    Args:
        draft: The pod; changed in place.
        container: One of its; likewise.
        place: In its set.
        here: Whether the pod runs on this machine, where an image's own command can be run so, too.
        copied: Paths of what it leaves that is to be copied.
        log: Path of a file that gets what it says, too; empty: none does.

    Raises:
        StepError: it has no command.
    """
    if not (here or container.get("command")):
        raise StepError(
            f"container {container['name']}: set its command; that of its image is not known here"
        )
    told = {
        _COLLECT: "\n".join(copied),
        _LOG: log,
        _SELF: place.own,
        _AFTER: " ".join(place.after),
        _BESIDE: " ".join(place.beside) if copied else "",
        _TRIES: str(place.tries) if place.tries > 1 else "",
        _PAUSE: f"{place.pause:g}" if place.tries > 1 else "",
    }
    shell = ["sh", "-c", _SCRIPT, "sh"]
    if container.get("command"):
        container["args"] = [*container["command"], *(container.get("args") or ())]
        container["command"] = shell
    else:
        draft.annotations[f"{wrapping.ANNOTATION}.{container['name']}"] = json.dumps(shell)
    env = [each for each in container.get("env") or () if each["name"] not in told]
    container["env"] = [
        *env,
        *({"name": name, "value": _literal(value)} for name, value in told.items() if value),
    ]


def _literal(value: str) -> str:
    """Return a variable's value so that nothing in it is replaced."""
    return value.replace("$", "$$")
