"""PersistentVolumeClaims that get no volume. Pure."""

from wherry.cli.targets import similar
from wherry.cli.why.finding import Finding, fine
from wherry.cli.why.look import Look
from wherry.objects import kinds, metadata
from wherry.objects.requests import Object

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_REASONS = ("ProvisioningFailed", "FailedBinding", "ExternalProvisioning", "WaitForFirstConsumer")


def look(look: Look) -> Finding:
    """Return why a claim is not bound."""
    phase = str(look.status.get("phase") or "Pending")
    if phase == "Bound":
        return fine(look.name, f"is bound to persistentvolume/{look.spec.get('volumeName')}")
    if phase == "Lost":
        return Finding(
            look.name,
            f"has lost its volume, persistentvolume/{look.spec.get('volumeName')}",
            mend="its data are gone unless the volume can be restored; delete the claim and make it anew",
        )
    said = look.warning(*_REASONS)
    evidence = (said,) if said else ()
    classes = look.world.objects(kinds.STORAGE_CLASSES)
    if look.spec.get("volumeName"):
        return _wants_volume(look, evidence)
    return _wants_class(look, classes, evidence)


def _wants_class(look: Look, classes: list[Object], evidence: tuple[str, ...]) -> Finding:
    name = look.spec.get("storageClassName")
    if name is None:
        return _without_class(look, classes, evidence)
    if name == "":
        mend = (
            "create a PersistentVolume that suits, or leave storageClassName out to get the default"
        )
        return Finding(
            look.name, "wants no class, and no volume suits", evidence=evidence, mend=mend
        )
    chosen = next((each for each in classes if metadata.name(each) == name), None)
    if chosen is None:
        return _unknown_class(look, str(name), classes)
    return _of_class(look, chosen, evidence)


def _wants_volume(look: Look, evidence: tuple[str, ...]) -> Finding:
    wanted = str(look.spec["volumeName"])
    if look.world.is_missing(kinds.PERSISTENT_VOLUMES, "", wanted):
        mend = "create that volume, or leave spec.volumeName out"
        return Finding(
            look.name, f"wants persistentvolume/{wanted}, which does not exist", mend=mend
        )
    mend = "compare its capacity, access modes, class and claimRef with what the claim asks for"
    return Finding(
        look.name, f"is not bound to persistentvolume/{wanted}", "waiting", evidence, mend
    )


def _without_class(look: Look, classes: list[Object], evidence: tuple[str, ...]) -> Finding:
    defaults = [each for each in classes if metadata.annotations(each).get(_DEFAULT) == "true"]
    if defaults:
        return Finding(look.name, "waits for its volume", "waiting", evidence)
    mend = f"set spec.storageClassName; there are: {_names(classes)}"
    return Finding(
        look.name, "names no storage class, and there is no default one", "failed", evidence, mend
    )


def _unknown_class(look: Look, name: str, classes: list[Object]) -> Finding:
    close = similar(name, [metadata.name(each) for each in classes])
    hint = f"did you mean {close[0]}? " if close else ""
    return Finding(
        look.name,
        f"wants storageclass/{name}, which does not exist",
        evidence=(f"storage classes there are: {_names(classes)}",),
        mend=f"{hint}a claim's class cannot be changed: delete the claim and make it anew with one of "
        "them, or create the class",
    )


def _of_class(look: Look, chosen: Object, evidence: tuple[str, ...]) -> Finding:
    name = metadata.name(chosen)
    if chosen.get("volumeBindingMode") == "WaitForFirstConsumer" and not _has_users(look):
        return Finding(
            look.name,
            f"gets its volume when the first pod uses it (class {name})",
            "waiting",
            mend="nothing is wrong: create the pod",
        )
    provisioner = str(chosen.get("provisioner", ""))
    mend = f"does the provisioner {provisioner} of class {name} run?"
    if provisioner == "kubernetes.io/no-provisioner":
        mend = f"class {name} makes no volumes: create a PersistentVolume of that class"
    return Finding(look.name, f"waits for a volume of class {name}", "waiting", evidence, mend)


def _has_users(look: Look) -> bool:
    name = metadata.name(look.obj)
    for pod in look.world.objects(kinds.PODS, look.namespace):
        for volume in pod["spec"].get("volumes") or []:
            if (volume.get("persistentVolumeClaim") or {}).get("claimName") == name:
                return True
    return False


def _names(classes: list[Object]) -> str:
    return ", ".join(sorted(metadata.name(each) for each in classes)) or "none"
