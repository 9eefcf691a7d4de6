"""From images of digits to a model that is served: the steps, and the pipeline that joins them.

A step is a function; it imports what it needs, for in its pod there is nothing but that function. The checks
name the package that they need. The others run in the image `digits-lab` (see `20-image.yaml`), in which the
module `digits_model` lies that they share with the trials and the server.

    wherry pipelines run pipeline.py -n digits --service-account pipeline -p trials=40
"""
# ruff: noqa: PLC0415, PLR0917, PTH123 - steps bring their imports, are given inputs by name, and open paths

from typing import NamedTuple

from wherry.pipelines import (
    HTML,
    ClassificationMetrics,
    Dataset,
    Input,
    Markdown,
    Metrics,
    Model,
    Output,
    component,
    pipeline,
)

# When what it holds is changed it needs another tag: results of steps are kept by their image's name.
LAB = "digits-lab:1"


@component(base_image=LAB)
def load(images: Output[Dataset]):
    """The handwritten digits that come with scikit-learn: 1797 images of 8 x 8 pixels."""
    import numpy
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    with open(images.path, "wb") as file:
        numpy.savez(file, images=pixels.astype("uint8"), labels=labels.astype("uint8"))
    images.metadata.update(rows=len(labels), source="sklearn.datasets.load_digits")


@component(packages_to_install=["numpy"])
def check(images: Input[Dataset], least_share: float, report: Output[HTML]):
    """Refuse data that nobody should learn from; the report says what was looked at."""
    import html

    import numpy

    with numpy.load(images.path, allow_pickle=False) as data:
        pixels, labels = data["images"], data["labels"]
    shares = numpy.bincount(labels, minlength=10) / max(len(labels), 1)
    rarest = int(shares.argmin())
    copies = len(pixels) - len(numpy.unique(pixels, axis=0))
    checks = [
        ("64 pixels an image", pixels.shape == (len(labels), 64), f"the data is {pixels.shape}"),
        ("pixels from 0 to 16", pixels.max() <= 16, f"from {pixels.min()} to {pixels.max()}"),
        ("labels from 0 to 9", labels.max() <= 9, f"from {labels.min()} to {labels.max()}"),
        ("no image is empty", pixels.any(axis=1).all(), f"{(~pixels.any(axis=1)).sum()} are"),
        ("no image is there twice", copies == 0, f"{copies} copies"),
        (
            f"each digit is {least_share:.1%} of them or more",
            shares.min() >= least_share,
            f"{rarest} is {shares[rarest]:.1%}",
        ),
    ]
    rows = "".join(
        f"<tr><td>{html.escape(name)}<td>{'yes' if good else 'NO'}<td>{html.escape(found)}"
        for name, good, found in checks
    )
    with open(report.path, "w") as file:
        file.write(f"<!doctype html><title>Checks</title><table>{rows}</table>")
    wrong = [f"{name}: {found}" for name, good, found in checks if not good]
    if wrong:
        raise ValueError(f"the data is refused: {'; '.join(wrong)}")


@component(base_image=LAB)
def split(
    images: Input[Dataset],
    seed: int,
    learn: Output[Dataset],
    judge: Output[Dataset],
    test: Output[Dataset],
):
    """Part the images into those to learn, to choose by, and to test with: 3 to 1 to 1."""
    import numpy
    from sklearn.model_selection import train_test_split

    with numpy.load(images.path, allow_pickle=False) as data:
        pixels, labels = data["images"], data["labels"]
    known, unseen = train_test_split(
        numpy.arange(len(labels)), test_size=0.2, random_state=seed, stratify=labels
    )
    most, rest = train_test_split(known, test_size=0.25, random_state=seed, stratify=labels[known])
    for part, chosen in ((learn, most), (judge, rest), (test, unseen)):
        with open(part.path, "wb") as file:
            numpy.savez(file, images=pixels[chosen], labels=labels[chosen])
        part.metadata["rows"] = len(chosen)


@component(packages_to_install=["numpy"])
def check_split(
    learn: Input[Dataset], judge: Input[Dataset], test: Input[Dataset], report: Output[Markdown]
):
    """Refuse parts that share images, or of which one has another mix of digits."""
    import itertools

    import numpy

    seen, shares = {}, {}
    for name, part in (("learn", learn), ("judge", judge), ("test", test)):
        with numpy.load(part.path, allow_pickle=False) as data:
            seen[name] = {row.tobytes() for row in data["images"]}
            shares[name] = numpy.bincount(data["labels"], minlength=10) / len(data["labels"])
    leaks = {
        f"{one} and {other}": len(seen[one] & seen[other])
        for one, other in itertools.combinations(seen, 2)
    }
    apart = max(abs(shares[name] - shares["learn"]).max() for name in shares)
    with open(report.path, "w") as file:
        file.write("| parts | images in both |\n|---|---|\n")
        file.writelines(f"| {both} | {count} |\n" for both, count in leaks.items())
        file.write(f"\nThe share of a digit differs by {apart:.2%} at the most.\n")
    wrong = [f"{count} images are in {both}" for both, count in leaks.items() if count]
    if apart > 0.02:
        wrong.append(f"the share of a digit differs by {apart:.1%} between parts")
    if wrong:
        raise ValueError(f"the split is refused: {'; '.join(wrong)}")


@component(base_image=LAB)
def tune(
    learn: Input[Dataset],
    judge: Input[Dataset],
    image: str,
    trials: int,
    parallel: int,
    table: Output[Markdown],
) -> dict:
    """Search for good settings with an Experiment, whose trials are Jobs; return the best ones."""
    import json
    import os
    import time

    import yaml
    from kubernetes import client, config

    pod, claim = os.environ["KFP_POD_NAME"], learn.path.split("/")[2]
    experiment = yaml.safe_load(f"""
      apiVersion: kubeflow.org/v1beta1
      kind: Experiment
      metadata:
        name: {pod}
        ownerReferences:  # it goes with this pod, that is with the run
          - {{apiVersion: v1, kind: Pod, name: {pod}, uid: {os.environ["KFP_POD_UID"]}}}
      spec:
        objective: {{type: maximize, objectiveMetricName: accuracy}}
        algorithm:
          algorithmName: sobol
          algorithmSettings:
            - {{name: random_state, value: "0"}}  # the same trials each time
        maxTrialCount: {trials}
        parallelTrialCount: {parallel}
        maxFailedTrialCount: 0
        parameters:
          - name: hidden
            parameterType: int
            feasibleSpace: {{min: 32, max: 256, distribution: logUniform}}
          - name: rate
            parameterType: double
            feasibleSpace: {{min: 0.001, max: 0.01, distribution: logUniform}}
          - name: alpha
            parameterType: double
            feasibleSpace: {{min: 0.0001, max: 0.1, distribution: logUniform}}
        trialTemplate:
          primaryContainerName: trial
          trialParameters:
            - {{name: hidden, reference: hidden}}
            - {{name: rate, reference: rate}}
            - {{name: alpha, reference: alpha}}
          trialSpec:
            apiVersion: batch/v1
            kind: Job
            spec:
              backoffLimit: 0
              template:
                spec:
                  restartPolicy: Never
                  containers:
                    - name: trial
                      image: {image}
                      command:
                        - python
                        - trial.py
                        - --learn={learn.path}
                        - --judge={judge.path}
                        - --hidden=${{trialParameters.hidden}}
                        - --rate=${{trialParameters.rate}}
                        - --alpha=${{trialParameters.alpha}}
                      volumeMounts:
                        - {{name: data, mountPath: /pvc/{claim}, readOnly: true}}
                  volumes:
                    - {{name: data, persistentVolumeClaim: {{claimName: {claim}}}}}
    """)
    config.load_incluster_config()
    api = client.CustomObjectsApi()
    where = ("kubeflow.org", "v1beta1", os.environ["NAMESPACE"])
    api.create_namespaced_custom_object(*where, "experiments", experiment)
    ended = {}
    while not ended:
        time.sleep(0.2)
        status = api.get_namespaced_custom_object(*where, "experiments", pod).get("status", {})
        told = {
            each["type"]: each for each in status.get("conditions", ()) if each["status"] == "True"
        }
        ended = told.get("Succeeded") or told.get("Failed")
    if "Failed" in told:
        raise RuntimeError(f"experiment {pod}: {ended['message']}")
    listed = api.list_namespaced_custom_object(
        *where, "trials", label_selector=f"katib.kubeflow.org/experiment={pod}"
    )
    with open(table.path, "w") as file:
        file.write("| hidden | rate | alpha | accuracy |\n|---|---|---|---|\n")
        for trial in listed["items"]:
            row = [each["value"] for each in trial["spec"]["parameterAssignments"]]
            row += [each["max"] for each in trial["status"]["observation"]["metrics"]]
            file.write(f"| {' | '.join(row)} |\n")
    best = status["currentOptimalTrial"]["parameterAssignments"]
    return {each["name"]: json.loads(each["value"]) for each in best}


@component(base_image=LAB)
def train(learn: Input[Dataset], judge: Input[Dataset], settings: dict, model: Output[Model]):
    """Train with the best settings on all images but those to test with."""
    import hashlib

    import digits_model
    import numpy

    parts = [digits_model.read(part.path) for part in (learn, judge)]
    images, labels = (numpy.concatenate(each) for each in zip(*parts, strict=True))
    digits_model.save(digits_model.fit(images, labels, **settings), model.path)
    with open(model.path, "rb") as file:
        model.metadata["sha256"] = hashlib.sha256(file.read()).hexdigest()
    model.metadata.update(settings, framework="npz", rows=len(labels))


class Quality(NamedTuple):
    accuracy: float
    roc_auc: float
    confusion: list


@component(base_image=LAB)
def evaluate(
    model: Input[Model],
    test: Input[Dataset],
    metrics: Output[Metrics],
    curves: Output[ClassificationMetrics],
) -> Quality:
    """Judge the model by images that neither it nor the search has seen."""
    import digits_model
    import numpy
    from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score, roc_curve

    images, labels = digits_model.read(test.path)
    likely = digits_model.probabilities(digits_model.load(model.path), images)
    guesses = likely.argmax(axis=1)
    matrix = confusion_matrix(labels, guesses, labels=range(10)).tolist()
    # One curve for all digits: each image is a question for each digit, "is it this one?"
    rates = roc_curve((labels[:, None] == numpy.arange(10)).ravel(), likely.ravel())
    false, true, thresholds = (each.tolist() for each in rates)
    # The first threshold is infinite: one above all others says the same, and is a number of JSON.
    curves.log_roc_curve(false, true, [1.0, *thresholds[1:]])
    curves.log_confusion_matrix([str(digit) for digit in range(10)], matrix)
    accuracy = float((guesses == labels).mean())
    area = float(roc_auc_score(labels, likely, multi_class="ovr"))
    metrics.log_metric("accuracy", accuracy)
    metrics.log_metric("f1", float(f1_score(labels, guesses, average="macro")))
    metrics.log_metric("roc_auc", area)
    return Quality(accuracy, area, matrix)


@component
def approve(accuracy: float, least_accuracy: float):
    """Let a model be served that is good enough."""
    if accuracy < least_accuracy:
        raise ValueError(f"accuracy {accuracy:.4f} is below {least_accuracy}: it is not served")


@component(base_image=LAB)
def serve(model: Input[Model], name: str, image: str) -> str:
    """Have a Deployment serve the model, from where it lies; return the address of its Service."""
    import os
    import time

    import yaml
    from kubernetes import client, config

    namespace, claim = os.environ["NAMESPACE"], model.path.split("/")[2]
    deployment = yaml.safe_load(f"""
      apiVersion: apps/v1
      kind: Deployment
      metadata: {{name: {name}}}
      spec:
        replicas: 1
        progressDeadlineSeconds: 120
        selector:
          matchLabels: {{app: {name}}}
        template:
          metadata:
            labels: {{app: {name}}}
          spec:
            containers:
              - name: server
                image: {image}
                command: [python, server.py]
                env:
                  - {{name: MODEL_NAME, value: {name}}}
                  - {{name: MODEL_FILE, value: {model.path}}}
                ports:
                  - {{name: http, containerPort: 8080}}
                readinessProbe:
                  httpGet: {{path: /v1/models/{name}, port: http}}
                  periodSeconds: 1
                volumeMounts:
                  - {{name: models, mountPath: /pvc/{claim}, readOnly: true}}
            volumes:
              - {{name: models, persistentVolumeClaim: {{claimName: {claim}}}}}
    """)
    service = yaml.safe_load(f"""
      apiVersion: v1
      kind: Service
      metadata: {{name: {name}}}
      spec:
        selector: {{app: {name}}}
        ports:
          - {{name: http, port: 8080, targetPort: http}}
    """)
    # As `kubectl apply --server-side`: made, changed, or left as it is.
    how = {
        "field_manager": "digits-pipeline",
        "force": True,
        "_content_type": "application/apply-patch+yaml",
    }
    config.load_incluster_config()
    apps = client.AppsV1Api()
    apps.patch_namespaced_deployment(name, namespace, deployment, **how)
    client.CoreV1Api().patch_namespaced_service(name, namespace, service, **how)
    while True:
        found = apps.read_namespaced_deployment(name, namespace)
        status = found.status
        if status.observed_generation == found.metadata.generation:
            if status.updated_replicas == status.replicas == status.available_replicas == 1:
                return f"http://{name}.{namespace}.svc:8080/v1/models/{name}"
            for each in status.conditions or ():
                if each.reason == "ProgressDeadlineExceeded":
                    raise RuntimeError(f"deployment {name}: {each.message}")
        time.sleep(0.1)


@component(base_image=LAB)
def predict(
    model: Input[Model], test: Input[Dataset], address: str, predictions: Output[Dataset]
) -> float:
    """Send the images to test with to the server; keep its answers, and return how many are right."""
    import csv
    import json
    import urllib.request

    import digits_model

    with urllib.request.urlopen(address, timeout=30) as response:
        served = json.load(response)["sha256"]
    if served != model.metadata["sha256"]:
        raise RuntimeError(f"{address} serves the model {served}, not {model.metadata['sha256']}")
    images, labels = digits_model.read(test.path)
    answers = []
    for start in range(0, len(images), 50):
        body = json.dumps({"instances": images[start : start + 50].tolist()}).encode()
        with urllib.request.urlopen(f"{address}:predict", body, timeout=30) as response:
            answers += json.load(response)["predictions"]
    with open(predictions.path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "digit", "answer"])
        writer.writerows(zip(range(len(labels)), labels.tolist(), answers, strict=True))
    share = float((labels == answers).mean())
    predictions.metadata.update(rows=len(answers), accuracy=share)
    return share


class Outcome(NamedTuple):
    accuracy: float
    roc_auc: float
    confusion: list
    settings: dict
    address: str
    served_accuracy: float


@pipeline(name="digits")
def digits(
    seed: int = 0,
    trials: int = 24,
    parallel: int = 2,
    least_share: float = 0.07,
    least_accuracy: float = 0.9,
) -> Outcome:
    """Handwritten digits: checked, split, tuned, trained, judged, served and asked."""
    images = load().output
    checked = check(images=images, least_share=least_share)
    parts = split(images=images, seed=seed).after(checked).outputs
    learn, judge, test = parts["learn"], parts["judge"], parts["test"]
    sound = check_split(learn=learn, judge=judge, test=test)
    best = tune(learn=learn, judge=judge, image=LAB, trials=trials, parallel=parallel).after(sound)
    model = train(learn=learn, judge=judge, settings=best.outputs["Output"]).outputs["model"]
    quality = evaluate(model=model, test=test).outputs
    approved = approve(accuracy=quality["accuracy"], least_accuracy=least_accuracy)
    served = serve(model=model, name="digits", image=LAB).after(approved)
    # What it leaves is in the cluster, where others may change it: it looks each time, and changes
    # nothing where all is as it should be.
    served.set_caching_options(enable_caching=False)
    asked = predict(model=model, test=test, address=served.output)
    return Outcome(
        accuracy=quality["accuracy"],
        roc_auc=quality["roc_auc"],
        confusion=quality["confusion"],
        settings=best.outputs["Output"],
        address=served.output,
        served_accuracy=asked.outputs["Output"],
    )
