"""In the place of `xgboost-lightgbm`: LightGBM itself, on two classes of real measurements."""
# ruff: noqa: T201 - what trials print is read

import sys

import lightgbm
from sklearn import datasets

given = dict(each.removeprefix("--").split("=", 1) for each in sys.argv[1:])
pixels, labels = datasets.load_breast_cancer(return_X_y=True)
training = lightgbm.Dataset(pixels[:400], labels[:400])
held = training.create_valid(pixels[400:], labels[400:])
options = {
    name: given[name]
    for name in ("metric", "learning_rate", "num_leaves", "boosting_type", "objective", "max_bin")
}


def tell(state):
    """Print what the command-line program prints after an iteration."""
    for data, metric, value, *_ in state.evaluation_result_list:
        print(f"[LightGBM] [Info] Iteration:{state.iteration + 1}, {data} {metric} : {value:.6g}")


lightgbm.train(
    {**options, "verbose": -1, "num_threads": 1},
    training,
    int(given["num_trees"]) // 5,
    valid_sets=[training, held],
    valid_names=["training", "valid_1"],
    callbacks=[tell],
)
