"""`tune run` of torchtune: the recipe, the configuration and the places, put on its command line. Pure.

Source: kubeflow/trainer 2.3 ``pkg/runtime/framework/plugins/torch/torchtune.go``.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from wherry.objects.errors import Cause
from wherry.training.trainer import kinds
from wherry.training.trainer.draft import Draft, step_of

_ENTRY: Final = ("tune", "run")
_LARGE, _QWEN = "llama3_3/70B", "qwen2_5/1.5B"
_MODELS: Final = ("llama3_2/1B", "llama3_2/3B", _LARGE, _QWEN)
_PLACES: Final = frozenset(
    {
        "output_dir",
        "tokenizer.path",
        "tokenizer.merges_file",
        "checkpointer.checkpoint_dir",
    }
)


def is_asked(draft: Draft) -> bool:
    """Return whether the job runs torchtune, by its command."""
    return draft.job.trainer.command == _ENTRY


def model(draft: Draft) -> str:
    """Return the model that a runtime's name tells: ``llama3_2/1B`` of ``torchtune-llama3.2-1b``."""
    parts = draft.job.spec.runtime_ref.name.split("-")
    if len(parts) != 3:
        return ""
    return f"{parts[1].replace('.', '_')}/{parts[2].upper()}"


def command(draft: Draft, processes: str) -> list[str]:
    """Return the whole command.

    Args:
        draft: Whose.
        processes: Of each node, as `torchrun` is told.
    """
    made = [*_ENTRY]
    many = processes.isdecimal() and int(processes) > 1
    if draft.nodes > 1 or many or (not processes.isdecimal() and draft.gpus() > 1):
        made.append(f"--rdzv_endpoint={draft.first_host()}:{kinds.PORT}")
    recipe, config = _recipe(draft, processes)
    return [*made, recipe, "--config", config, *_places(draft)]


def _recipe(draft: Draft, processes: str) -> tuple[str, str]:
    args = draft.job.trainer.args
    single = draft.nodes == 1 and (processes == "1" or draft.gpus() == 1)
    method = "full"
    if draft.nodes == 1 and _is_quantized(args):
        method = "qlora"
    elif draft.nodes == 1 and _is_lora(args):
        method = "lora"
    where = "single_device" if single else "distributed"
    recipe = f"{'full' if method == 'full' else 'lora'}_finetune_{where}"
    suffix = f"_{method}"
    if single:
        suffix += "_single_device"
    elif draft.nodes > 1:
        suffix += "_multinode"
    return recipe, f"{model(draft)}{suffix}"


def _is_lora(args: Sequence[str]) -> bool:
    return any("model.lora_attn_modules" in arg for arg in args)


def _is_quantized(args: Sequence[str]) -> bool:
    return _is_on(args, "model.quantize_base") and not _is_on(args, "model.use_dora")


def _is_on(args: Sequence[str], item: str) -> bool:
    pairs = (arg.partition("=") for arg in args)
    return any(item in name and value.strip().lower() == "true" for name, _, value in pairs)


def _places(draft: Draft) -> list[str]:
    """Return the parts of the runtime's own command that say where things are."""
    for replicated in draft.runtime.template.spec.replicated_jobs:
        pod = ((replicated.template.get("spec") or {}).get("template") or {}).get("spec") or {}
        if step_of({"template": replicated.template}) != kinds.TRAINER:
            continue
        for container in pod.get("containers") or ():
            if container.get("name") == kinds.NODE:
                words = container.get("command") or ()
                return [word for word in words if word.partition("=")[0] in _PLACES]
    return []


def validate(draft: Draft, processes: str) -> Iterator[Cause]:
    """Yield what torchtune cannot do."""
    name, args = model(draft), draft.job.trainer.args
    if name not in _MODELS:
        runtime = draft.job.spec.runtime_ref.name
        message = f'"{runtime}": names the model "{name}"; want one of {", ".join(_MODELS)}'
        yield Cause("spec.runtimeRef.name", message)
    if draft.nodes > 1 and name != _LARGE:
        message = f"{draft.nodes}: {name} is trained on one node"
        yield Cause("spec.trainer.numNodes", message)
    if draft.nodes > 1 and (_is_lora(args) or _is_quantized(args)):
        message = f"{draft.nodes}: LoRA is done on one node"
        yield Cause("spec.trainer.numNodes", message)
    _, config = _recipe(draft, processes)
    if "_qlora" in config and name == _QWEN:
        yield Cause("spec.trainer.args", f"model.quantize_base=True: {name} knows no QLoRA")
    elif "_qlora" in config and "single_device" not in config and name != _LARGE:
        message = f"{processes}: {name} does QLoRA with one process and one GPU"
        yield Cause("spec.trainer.numProcPerNode", message)
    for index, arg in enumerate(args):
        if arg.partition("=")[0] in _PLACES:
            yield Cause(f"spec.trainer.args[{index}]", f'"{arg}": is for the runtime to say')
