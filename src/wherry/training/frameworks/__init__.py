"""The frameworks, a line each."""

from wherry.training.framework import Framework
from wherry.training.frameworks.jax import JAX
from wherry.training.frameworks.mpi import MPI
from wherry.training.frameworks.mxnet import MXNet
from wherry.training.frameworks.paddle import Paddle
from wherry.training.frameworks.tensorflow import TensorFlow
from wherry.training.frameworks.torch import Torch
from wherry.training.frameworks.xgboost import XGBoost

ALL: tuple[Framework, ...] = (TensorFlow(), Torch(), XGBoost(), Paddle(), JAX(), MXNet(), MPI())
