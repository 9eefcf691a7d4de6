"""Every framework keeps to the contract."""

from typing import ClassVar

from wherry.testing.contracts import FrameworkContract
from wherry.training.frameworks.jax import JAX
from wherry.training.frameworks.mpi import MPI
from wherry.training.frameworks.mxnet import MXNet
from wherry.training.frameworks.paddle import Paddle
from wherry.training.frameworks.tensorflow import TensorFlow
from wherry.training.frameworks.torch import Torch
from wherry.training.frameworks.xgboost import XGBoost


class TestTensorFlow(FrameworkContract):
    framework = TensorFlow()
    replicas: ClassVar = {"PS": 1, "Worker": 2, "Chief": 1, "Evaluator": 1}


class TestTorch(FrameworkContract):
    framework = Torch()
    replicas: ClassVar = {"Master": 1, "Worker": 2}


class TestElasticTorch(FrameworkContract):
    framework = Torch()
    replicas: ClassVar = {"Worker": 2}
    fields: ClassVar = {"elasticPolicy": {"minReplicas": 1, "maxReplicas": 2}}


class TestXGBoost(FrameworkContract):
    framework = XGBoost()
    replicas: ClassVar = {"Master": 1, "Worker": 2}


class TestPaddle(FrameworkContract):
    framework = Paddle()
    replicas: ClassVar = {"Master": 1, "Worker": 2}


class TestJAX(FrameworkContract):
    framework = JAX()
    replicas: ClassVar = {"Worker": 2}


class TestMXNet(FrameworkContract):
    framework = MXNet()
    replicas: ClassVar = {"Scheduler": 1, "Server": 1, "Worker": 2}


class TestMPI(FrameworkContract):
    framework = MPI()
    replicas: ClassVar = {"Launcher": 1, "Worker": 2}
