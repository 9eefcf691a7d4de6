"""A TrainJob as the parts of this package see it. Pure."""

from dataclasses import dataclass

from wherry.objects.declared import reading
from wherry.objects.requests import Object
from wherry.training.trainer.kinds import Trainer, TrainJobSpec


@dataclass(frozen=True, slots=True)
class TrainJob(reading.ReadObject):
    """A TrainJob; the JobSet that is made of it has its name.

    Attributes:
        spec: What is wanted.
    """

    spec: TrainJobSpec

    @property
    def trainer(self) -> Trainer:
        """What it says of the trainer; nothing where it is silent."""
        return self.spec.trainer or Trainer()


def read(obj: Object) -> TrainJob:
    """Return the TrainJob that an object with defaults describes."""
    return TrainJob(obj, reading.read(TrainJobSpec, obj.get("spec")))
