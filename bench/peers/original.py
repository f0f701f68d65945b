"""The pieces of Sparse VideoGen that its authors released, loaded from a folder of their repository as it is.

Their module of k-means also imports cuVS, which nothing here uses, and FlashInfer as it was in 2025: where these are
missing or newer, a stand-in takes the arguments that are gone."""

import functools
import importlib
import sys
import types


class Absent(types.ModuleType):
    """Takes any import from it; nothing of it is ever called."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def stand_in_for_missing():
    for name in ("cuvs", "cuvs.cluster", "cuvs.cluster.kmeans", "flashinfer"):
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = Absent(name)
    try:
        sparse = importlib.import_module("flashinfer.sparse")
    except ImportError:
        return
    wrapper = sparse.VariableBlockSparseAttentionWrapper
    if hasattr(wrapper, "_vector_sparse_indptr_buffer"):
        return

    class WithOldWorkspaces(wrapper):
        """FlashInfer no longer has two of the workspaces that the original resizes."""

        _vector_sparse_indptr_buffer = None

        def reset_workspace_buffer(self, float_workspace_buffer, int_workspace_buffer, **_gone):
            super().reset_workspace_buffer(float_workspace_buffer, int_workspace_buffer)

    sparse.VariableBlockSparseAttentionWrapper = WithOldWorkspaces


@functools.cache
def original_modules(folder):
    """Its modules of k-means with block-sparse attention, and of permuting. `folder` has `svg/`."""
    if not folder:
        raise RuntimeError("--original names no folder")
    stand_in_for_missing()
    sys.path.insert(0, folder)
    # Without running svg/__init__.py and the models it would import.
    for name in ("svg", "svg.kernels", "svg.kernels.triton"):
        package = types.ModuleType(name)
        package.__path__ = [f"{folder}/{name.replace('.', '/')}"]
        sys.modules[name] = package
    return importlib.import_module("svg.kmeans_utils"), importlib.import_module("svg.kernels.triton.permute")
