"""In the place of `pytorch-mnist`: its arguments, and lines of the form of its lines."""

import argparse
import logging
import os

import hypertune
from digits import Network, images

parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--momentum", type=float, default=0.5)
parser.add_argument("--log-path", default=os.environ.get("DIGITS_LOG", ""))
parser.add_argument("--logger", choices=["standard", "hypertune"], default="standard")
given = parser.parse_args()

is_hypertune = given.logger == "hypertune"
logging.basicConfig(
    format="%(asctime)s %(levelname)-8s %(message)s",
    datefmt="%Y-%m-%dT%H:%M:%SZ",
    level=logging.DEBUG,
    filename=None if is_hypertune else given.log_path or None,
)
if is_hypertune and given.log_path:
    os.environ["CLOUD_ML_HP_METRIC_FILE"] = given.log_path
reporter = hypertune.HyperTune()

pixels, labels, held_pixels, held_labels = images()
network = Network(64, [32], lr=given.lr, momentum=given.momentum)
for epoch in range(1, given.epochs + 1):
    for number, (seen, loss) in enumerate(network.epoch(pixels, labels, given.batch_size)):
        if number % 10 == 0:
            share = 100 * seen / len(labels)
            logging.info(
                "Train Epoch: %d [%d/%d (%.0f%%)]\tloss=%.4f",
                epoch,
                seen,
                len(labels),
                share,
                loss,
            )
    loss, accuracy = network.evaluate(held_pixels, held_labels)
    logging.info(
        "{metricName: accuracy, metricValue: %.4f};{metricName: loss, metricValue: %.4f}\n",
        accuracy,
        loss,
    )
    if os.environ.get("DIGITS_SAYS_ACCURACY"):
        logging.info("accuracy=%.4f", accuracy)
    if is_hypertune:
        for name, value in (("loss", loss), ("accuracy", accuracy)):
            reporter.report_hyperparameter_tuning_metric(
                hyperparameter_metric_tag=name, metric_value=value, global_step=epoch
            )
