"""Train the classifier of `digits.py` on three ranks, and print what came of it."""

import wherry

if __name__ == "__main__":
    training = wherry.train(
        "digits:train",  # by name: numpy need not be installed here
        args=[300],
        workers=3,
        packages=["scikit-learn>=1.5,<2"],
        image="digits:1",
    )
    print(training)
    print(training.follow())
