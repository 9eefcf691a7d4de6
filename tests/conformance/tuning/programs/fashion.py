"""Writes files of the form of FashionMNIST's, of scikit-learn's digits, below a folder."""

import struct
import sys
from pathlib import Path

import numpy as np
from sklearn import datasets

found = datasets.load_digits()
large = np.kron(found.images, np.ones((3, 3))) * 15.9
pixels = np.pad(large, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
labels = found.target.astype(np.uint8)
folder = Path(sys.argv[1]) / "FashionMNIST" / "raw"
folder.mkdir(parents=True)
for name, part in (("train", slice(0, 1400)), ("t10k", slice(1400, None))):
    sizes = struct.pack(">4I", 0x803, *pixels[part].shape)
    (folder / f"{name}-images-idx3-ubyte").write_bytes(sizes + pixels[part].tobytes())
    sizes = struct.pack(">2I", 0x801, len(labels[part]))
    (folder / f"{name}-labels-idx1-ubyte").write_bytes(sizes + labels[part].tobytes())
