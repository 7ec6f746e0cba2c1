"""The fast path of prediction: LightGBM's single-row C call on buffers that are set up once."""

import ctypes

import numpy as np
import numpy.typing as npt

from models.artifact import decode
from models.boosting import load

_PREDICT_RAW = 1  # C_API_PREDICT_RAW_SCORE
_FLOAT64 = 1  # C_API_DTYPE_FLOAT64


class FastScorer:
    """Scores rows of one model without Python objects in between; one thread at a time.

    The scores have the same bits as `prediction.predict`'s. `feature_names` is the order of the
    columns; NaN means not known. Close it, or use it in a `with` block.
    """

    def __init__(self, artifact: bytes) -> None:
        from lightgbm import basic

        model = decode(artifact)
        self.feature_names = model.feature_names
        self._calibration = model.calibration
        self._booster = load(model.model_text)  # keeps the C handle alive
        # The C interface is public and stable; only its Python handle is not exported.
        self._lib = basic._LIB  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
        self._row = np.full(len(self.feature_names), np.nan)
        self._out = np.zeros(1)
        self._length = ctypes.c_int64()
        self._config = ctypes.c_void_p()
        self._check(
            self._lib.LGBM_BoosterPredictForMatSingleRowFastInit(
                self._booster._handle,  # pyright: ignore[reportPrivateUsage]
                ctypes.c_int(_PREDICT_RAW),
                ctypes.c_int(0),
                ctypes.c_int(-1),
                ctypes.c_int(_FLOAT64),
                ctypes.c_int32(len(self.feature_names)),
                ctypes.c_char_p(b"num_threads=1"),
                ctypes.byref(self._config),
            )
        )
        self._call = self._lib.LGBM_BoosterPredictForMatSingleRowFast
        self._row_pointer = ctypes.c_void_p(self._row.ctypes.data)
        self._length_pointer = ctypes.byref(self._length)
        self._out_pointer = self._out.ctypes.data_as(ctypes.POINTER(ctypes.c_double))

    def score(self, row: npt.NDArray[np.float64]) -> float:
        """Return the raw score of one row, [features]."""
        if not self._config:
            raise ValueError("a scorer must be open to score, was closed")
        self._row[:] = row
        self._check(
            self._call(self._config, self._row_pointer, self._length_pointer, self._out_pointer)
        )
        return float(self._out[0])

    def expected_returns(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the expected return of [rows, features], fractions over the label's horizon."""
        scores = np.array([self.score(row) for row in rows], dtype=np.float64)
        return self._calibration.intercept + self._calibration.slope * scores

    def close(self) -> None:
        """Give the C buffers back; a second call does nothing."""
        if self._config:
            self._check(self._lib.LGBM_FastConfigFree(self._config))
            self._config = ctypes.c_void_p()

    def __enter__(self) -> "FastScorer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, code: int) -> None:
        if code != 0:
            self._lib.LGBM_GetLastError.restype = ctypes.c_char_p
            raise RuntimeError(f"LightGBM must score, said {self._lib.LGBM_GetLastError()!r}")
