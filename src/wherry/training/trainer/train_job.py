"""A TrainJob as the parts of this package see it. Pure."""

from dataclasses import dataclass

from wherry.objects import metadata
from wherry.objects.declared import reading
from wherry.objects.requests import Object
from wherry.training.trainer.kinds import Trainer, TrainJobSpec


@dataclass(frozen=True, slots=True)
class TrainJob:
    """A TrainJob.

    Attributes:
        obj: The object, defaults filled in. Shared: not to be changed.
        spec: What is wanted.
    """

    obj: Object
    spec: TrainJobSpec

    @property
    def name(self) -> str:
        """Name of the object, and of the JobSet that is made of it."""
        return metadata.name(self.obj)

    @property
    def namespace(self) -> str:
        """Namespace of the object."""
        return metadata.namespace(self.obj)

    @property
    def trainer(self) -> Trainer:
        """What it says of the trainer; nothing where it is silent."""
        return self.spec.trainer or Trainer()


def read(obj: Object) -> TrainJob:
    """Return the TrainJob that an object with defaults describes."""
    return TrainJob(obj, reading.read(TrainJobSpec, obj.get("spec")))
