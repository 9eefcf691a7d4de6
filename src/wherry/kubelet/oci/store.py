"""Images on disk: layers by content, each once, and which images consist of them.

Everything appears by a rename, so what is there is whole; what a crash left half done is under
`work` or `trash` and thrown away, but for downloads, which go on where they broke off.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wherry.kubelet.oci import image_config
from wherry.kubelet.oci.image_config import ImageConfig

_NAME_LENGTH = 20
"""Of a layer's folder: short, as a mount names up to 127 of them in one page of memory."""

_GRACE_SECONDS = 3600.0
"""What a pull that broke off has left is kept this long, for it to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """An image that is there.

    Attributes:
        name: The reference in its long form.
        image_id: `repository@digest`, as the status shows it.
        config: What it says of itself.
        size_bytes: As transferred.
        unpacked_bytes: On disk.
        used_at: When it was last asked for, seconds since the epoch.
    """

    name: str
    image_id: str
    config: ImageConfig
    size_bytes: int
    unpacked_bytes: int
    used_at: float


class ImageStore:
    """The folder of images. Not to be shared by two processes."""

    def __init__(self, folder: Path) -> None:
        """Use the folder; `open` must come first."""
        self.layers = folder / "layers"
        self.downloads = folder / "downloads"
        self._work = folder / "work"
        self._trash = folder / "trash"
        self._records = folder / "images"
        self._known: dict[str, ImageRecord] = {}

    def open(self) -> None:
        """Make the folders, throw away what a crash left, and learn what is there."""
        shutil.rmtree(self._work, ignore_errors=True)
        for folder in (self.layers, self.downloads, self._work, self._trash, self._records):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.empty()
        for path in self._records.glob("*.json"):
            record = _read(path)
            if record is None or not all(map(self.has_layer, record.config.diff_ids)):
                path.unlink()
            else:
                self._known[record.name] = record

    def find(self, name: str) -> ImageRecord | None:
        """Return an image by its long reference."""
        return self._known.get(name)

    def layer(self, diff_id: str) -> Path:
        """Return the folder of a layer's files, there or not."""
        return self.layers / self.layer_name(diff_id)

    @staticmethod
    def layer_name(diff_id: str) -> str:
        """Return where a layer is, below `layers`."""
        return f"{diff_id.partition(':')[2][:_NAME_LENGTH]}/fs"

    def has_layer(self, diff_id: str) -> bool:
        """Return whether a layer is there."""
        return self.layer_size(diff_id) is not None

    def layer_size(self, diff_id: str) -> int | None:
        """Return the bytes of a layer's files, None where it is not there."""
        try:
            facts = json.loads((self.layer(diff_id).parent / "layer.json").read_text())
        except (OSError, ValueError):
            return None
        return int(facts["size"]) if facts.get("diff_id") == diff_id else None

    def prepare(self, diff_id: str) -> Path:
        """Return an empty folder to unpack a layer into."""
        folder = self._work / diff_id.replace(":", "-")
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "fs").mkdir(parents=True)
        (folder / "fs").chmod(0o755)  # of the container's root, whatever the umask says
        return folder / "fs"

    def keep(self, diff_id: str, unpacked: Path, size: int) -> None:
        """Make a layer that has been unpacked into `prepare`'s folder one that is there."""
        folder = unpacked.parent
        (folder / "layer.json").write_text(json.dumps({"diff_id": diff_id, "size": size}))
        target = self.layer(diff_id).parent
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)

    def add(self, record: ImageRecord) -> None:
        """Make an image one that is there, or note a change of it."""
        path = self._path(record.name)
        new = path.with_suffix(".new")
        new.write_text(json.dumps({**asdict(record), "config": record.config.values()}))
        new.replace(path)
        self._known[record.name] = record

    def used(self, record: ImageRecord) -> None:
        """Note that an image has been asked for."""
        self.add(replace(record, used_at=time.time()))

    def collect(
        self, *, in_use: Collection[str], most_bytes: int, unused_seconds: float
    ) -> list[str]:
        """Forget images that nobody has asked for in a while, the oldest first, and their layers.

        Nothing may be on its way meanwhile. It is quick: `empty` takes the time.

        Args:
            in_use: Digests (`diff_id`) of layers that containers stand on.
            most_bytes: Of unpacked layers; beyond it images go earlier than their time.
            unused_seconds: Images not asked for in this time go in any case.

        Returns:
            The names of the images that are gone.
        """
        gone, now = [], time.time()
        for record in sorted(self._known.values(), key=lambda one: one.used_at):
            old = now - record.used_at > unused_seconds
            if not old and self._total() <= most_bytes:
                break
            if any(one in in_use for one in record.config.diff_ids):
                continue
            self._path(record.name).unlink(missing_ok=True)
            del self._known[record.name]
            gone.append(record.name)
        self._free(in_use, now)
        return gone

    def _total(self) -> int:
        layers = {one for record in self._known.values() for one in record.config.diff_ids}
        return sum(self.layer_size(one) or 0 for one in layers)

    def _free(self, in_use: Iterable[str], now: float) -> None:
        needed = {one for record in self._known.values() for one in record.config.diff_ids}
        names = {self.layer(one).parent.name for one in needed | set(in_use)}
        for folder in (self.layers, self.downloads):
            for entry in folder.iterdir():
                if entry.name in names or now - entry.stat().st_mtime < _GRACE_SECONDS:
                    continue
                entry.rename(self._trash / f"{now:.6f}-{entry.name}")

    def empty(self) -> None:
        """Remove what `collect` has put aside."""
        for entry in self._trash.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()

    def _path(self, name: str) -> Path:
        return self._records / f"{hashlib.sha256(name.encode()).hexdigest()}.json"


def _read(path: Path) -> ImageRecord | None:
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        config = image_config.from_values(values.pop("config"))
        return ImageRecord(config=config, **values)
    except (OSError, ValueError, TypeError, KeyError):
        return None
