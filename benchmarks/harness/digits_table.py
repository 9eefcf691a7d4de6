"""Makes ``digits.json``: what small networks reach on handwritten digits, epoch by epoch.

Searches are compared on it without training anything again. It needs scikit-learn, which Wherry does
not; the table is kept in the repository, so that nobody has to make it::

    python benchmarks/harness/digits_table.py
"""

import itertools
import json
import sys
import warnings
from pathlib import Path

TABLE = Path(__file__).with_name("digits.json")
EPOCHS = 27
SPACE = {
    "hidden": [4, 8, 16, 32, 64],
    "learning_rate": [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
    "batch": [32, 128, 512],
    "activation": ["relu", "tanh"],
}


def main() -> int:
    """Train every point, and write the share of errors after each epoch, in thousandths."""
    from sklearn.datasets import load_digits  # noqa: PLC0415  (not installed where the table is only read)
    from sklearn.model_selection import train_test_split  # noqa: PLC0415  (as above)

    digits = load_digits()
    parts = train_test_split(digits.data / 16.0, digits.target, test_size=0.4, random_state=0)
    points = list(itertools.product(*SPACE.values()))
    curves = [_curve(dict(zip(SPACE, point, strict=True)), parts) for point in points]
    lines = ",\n".join(json.dumps(curve, separators=(",", ":")) for curve in curves)
    space = json.dumps(SPACE)
    TABLE.write_text(f'{{"space": {space},\n"curves": [\n{lines}\n]}}\n', encoding="utf-8")
    return 0


def _curve(point: dict[str, object], parts: list[object]) -> list[int]:
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415  (as above)

    train, test, train_classes, test_classes = parts
    network = MLPClassifier(
        hidden_layer_sizes=(point["hidden"],),
        learning_rate_init=point["learning_rate"],
        batch_size=point["batch"],
        activation=point["activation"],
        random_state=0,
    )
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(EPOCHS):
            network.partial_fit(train, train_classes, classes=range(10))
            found.append(round(1000 * (1 - network.score(test, test_classes))))
    return found


if __name__ == "__main__":
    sys.exit(main())
