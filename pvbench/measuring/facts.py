"""What videos' heads say, kept from one measuring to the next: files that have not changed are not opened again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from pvbench.atomic import write_text
from pvbench.errors import StoreError
from pvbench.video import VideoFacts, probe_video

_VERSION = 1


class KeptFacts:
    """Facts by a video's path, for as long as its size and its times of change are the same.

    A file that is wrong is looked at again each time, and so is a folder of frames.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._found = path, _read(path)
        self._known = dict(self._found)

    def probe(self, path: Path) -> VideoFacts:
        """As `probe_video`, which is asked where nothing is known.

        Raises:
            VideoError: the video cannot be used.
        """
        key = str(path.absolute())
        try:
            state = path.stat()
        except OSError:
            return probe_video(path)
        stamp = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
        kept = self._known.get(key)
        if kept and kept[0] == stamp and not path.is_dir():
            return VideoFacts(**{**kept[1], "remarks": tuple(kept[1]["remarks"])})
        facts = probe_video(path)
        self._known[key] = [stamp, dataclasses.asdict(facts)]
        return facts

    def save(self) -> None:
        """Keeps what was found for the next time; where that cannot be written, it is looked at again then."""
        if self._known == self._found:
            return
        try:
            write_text(self._path, json.dumps({"version": _VERSION, "files": self._known}) + "\n")
        except StoreError:
            return


def _read(path: Path) -> dict[str, list]:  # type: ignore[type-arg]
    """What a file holds; nothing where it is not there, damaged, or of other rules."""
    names = {field.name for field in dataclasses.fields(VideoFacts)}
    try:
        content = json.loads(path.read_text())
        files = content["files"] if content["version"] == _VERSION else {}
        return {key: [stamp, facts] for key, (stamp, facts) in files.items() if set(facts) == names}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
