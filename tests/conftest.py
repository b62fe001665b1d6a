"""Every call of the tests is checked against the annotated types and array shapes; one thread, so that times compare."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

install_import_hook("pvbench", "beartype.beartype")
