"""The ensemble: slices in, every member's probabilities out, whatever the runtime."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from segmentation.anatomy import PARTS, Anatomy, anatomy_images, anatomy_of
from segmentation.bundle import ModelBundle, ModelIdentity
from segmentation.evidence import GENERAL_LIMITS, IntensityLimits
from segmentation.interval import PredictiveRule
from segmentation.measures import REVIEW_ABOVE
from segmentation.mirroring import mirrored_mean
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.runtimes.choose import RuntimeChoice, open_runtime
from segmentation.runtimes.runtime import BATCH, Runtime
from segmentation.volume import FlairVolume


class Ensemble:
    """The networks of one bundle, compiled by one runtime. Threads may share it: the networks then take turns.

    Args:
        bundle: where they are from.
        runtime: the members, compiled.
        open_ventricles: compiles the ventricle network; called when it is first needed, never without one.
        open_anatomy: compiles the anatomy network; called in the same way.

    Attributes:
        ventricle_threshold: probability at or above which a voxel is ventricle; 1 without a ventricle network.
        anatomy_size: side of the images that the anatomy network takes; 0 without one.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        runtime: Runtime,
        open_ventricles: Callable[[], Runtime] | None = None,
        open_anatomy: Callable[[], Runtime] | None = None,
    ) -> None:
        self._lock = RLock()
        self._runtime = runtime
        self._open_ventricles = open_ventricles
        self._ventricles: Runtime | None = None
        self._open_anatomy = open_anatomy
        self._anatomy: Runtime | None = None
        self.anatomy_size = 0 if bundle.anatomy is None else bundle.anatomy.specification.size
        self._is_mirrored = bundle.ventricles is not None and bundle.ventricles.is_mirrored
        self.ventricle_threshold: float = 1.0 if bundle.ventricles is None else bundle.ventricles.threshold
        self.identity: ModelIdentity = bundle.identity
        self.members: int = bundle.members
        self.size: int = bundle.specification.size
        self.threshold: float = bundle.threshold
        self.review_above: float = bundle.manifest.review_above or REVIEW_ABOVE
        measured = bundle.manifest.predictive
        self.predictive = None if measured is None else PredictiveRule(measured.nominal, measured.factor)
        stated = bundle.manifest.intensities
        self.intensity_limits: IntensityLimits = (
            GENERAL_LIMITS if stated is None else IntensityLimits(stated.dark, stated.spread, stated.bright)
        )
        self.preprocessing: PreprocessingSettings = bundle.preprocessing

    @property
    def runtime(self) -> str:
        """`tensorflow` or `openvino`; named in every result."""
        return self._runtime.name

    @property
    def precision(self) -> str:
        """`f32` or `bf16`; named in every result."""
        return self._runtime.precision

    def predict(
        self, images: NDArray[np.float32], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Probabilities of every member.

        The slices run in batches of `BATCH`, the last one padded with zeros, so that a slice's result depends neither
        on the number of slices nor on its neighbours.

        Args:
            images: float32 (slice, size, size), from `segmentation.preprocessing`.
            progress: called with (slices done, slices in all), first with 0.

        Returns:
            float32 (member, slice, size, size) in 0..1.
        """
        return self._run(self._runtime, self.members, images, progress)

    def predict_mean(
        self, images: NDArray[np.float32], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """The mean of what `predict` gives, of the same bits, without every member's probabilities at once.

        Args:
            images, progress: see `predict`.

        Returns:
            float32 (slice, size, size) in 0..1.
        """
        said = self._run(self._runtime, 1, images, progress, lambda members: mean_probability(members)[np.newaxis])
        return np.asarray(said[0], np.float32)

    def predict_ventricles(self, images: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Probabilities of ventricle, by the bundle's ventricle network.

        The first call compiles the network, so that only callers that need it pay for it.

        Args:
            images: float32 (slice, size, size), the same that `predict` takes.

        Returns:
            float32 (slice, size, size) in 0..1; None when the bundle has no such network.
        """
        if (ventricles := self._opened_ventricles()) is None:
            return None
        predict = partial(self._mark, ventricles)
        return mirrored_mean(predict, images) if self._is_mirrored else predict(images)

    def predict_anatomy(self, volume: FlairVolume) -> Anatomy | None:
        """The parts of the head on the native grid, by the bundle's anatomy network; None when it has none."""
        if self._open_anatomy is None:
            return None
        images, grid = anatomy_images(volume, self.anatomy_size)
        said = self.predict_parts(images)
        return None if said is None else anatomy_of(said, grid)

    def predict_parts(self, images: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Probabilities of the parts of the head, float32 (part, slice, size, size); None without an anatomy network.

        The first call compiles the network.

        Args:
            images: float32 (slice, size, size), from `segmentation.anatomy.anatomy_images`.
        """
        if (anatomy := self._opened_anatomy()) is None:
            return None
        return self._run(anatomy, len(PARTS), images)

    def warm_up(self) -> None:
        """Compile what is not compiled yet, and let every network compute once: a first time takes longer than others.

        Raises:
            RuntimeUnavailable, BadBundle: see `open_ensemble`.
        """
        for runtime in (self._opened_anatomy(), self._runtime, self._opened_ventricles()):
            if runtime is not None:
                size = self.anatomy_size if runtime is self._anatomy else self.size
                with self._lock:
                    runtime.run(np.zeros((BATCH, size, size), np.float32))

    def _opened_ventricles(self) -> Runtime | None:
        with self._lock:
            if self._ventricles is None and self._open_ventricles is not None:
                self._ventricles = self._open_ventricles()
            return self._ventricles

    def _opened_anatomy(self) -> Runtime | None:
        with self._lock:
            if self._anatomy is None and self._open_anatomy is not None:
                self._anatomy = self._open_anatomy()
            return self._anatomy

    def _mark(self, ventricles: Runtime, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._run(ventricles, 1, images)[0], np.float32)

    def _run(
        self,
        runtime: Runtime,
        networks: int,
        images: NDArray[np.float32],
        progress: Callable[[int, int], None] | None = None,
        reduced: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda said: said,
    ) -> NDArray[np.float32]:
        size = self.anatomy_size if runtime is self._anatomy else self.size
        if images.ndim != 3 or images.shape[1:] != (size, size):
            raise ValueError(f"expected images (slice, {size}, {size}), got {images.shape}")
        total = len(images)
        out = np.empty((networks, total, size, size), np.float32)
        if progress:
            progress(0, total)
        for start in range(0, total, BATCH):
            count = min(BATCH, total - start)
            batch = np.zeros((BATCH, size, size), np.float32)
            batch[:count] = images[start : start + count]
            with self._lock:
                out[:, start : start + count] = reduced(runtime.run(batch))[:, :count]
            if progress:
                progress(start + count, total)
        return out


def mean_probability(members: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over the first axis of (member, slice, row, column), summed in float64."""
    mean: NDArray[np.float32] = members.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def open_ensemble(bundle: ModelBundle, runtime: RuntimeChoice = "auto", threads: int | None = None) -> Ensemble:
    """Compile a bundle for this machine.

    Args:
        bundle: from `segmentation.bundle.load_bundle`.
        runtime: `auto` takes OpenVINO on a CPU and TensorFlow where it sees a GPU.
        threads: CPU threads for inference; None uses every core.

    Raises:
        RuntimeUnavailable: the requested runtime is not installed or cannot compile the network here.
        BadBundle: the weights do not fit the network.
    """
    marker, anatomy = bundle.ventricles, bundle.anatomy
    return Ensemble(
        bundle,
        open_runtime(bundle.networks, runtime, threads),
        None if marker is None else lambda: open_runtime(marker.networks, runtime, threads),
        None if anatomy is None else lambda: open_runtime(anatomy, runtime, threads),
    )
