"""What Feast hands back for a retrieval: run once asked, as polars, Arrow or pandas."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.dqm.errors import ValidationFailed
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.saved_dataset import SavedDatasetStorage, ValidationReference

from adapters.stores.feast_tables import write_whole


class PolarsRetrievalJob(RetrievalJob):
    """A retrieval that has not run yet."""

    def __init__(
        self,
        evaluate: Callable[[], pl.DataFrame],
        *,
        root: Path,
        on_demand_feature_views: Sequence[OnDemandFeatureView] = (),
        full_feature_names: bool = False,
        metadata: RetrievalMetadata | None = None,
    ) -> None:
        self._evaluate = evaluate
        self._root = root
        self._on_demand = list(on_demand_feature_views)
        self._full_feature_names = full_feature_names
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        """Whether features are named `view__feature`."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """The on-demand views to compute from what was retrieved."""
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """What was asked for; None for a plain read of a source."""
        return self._metadata

    def to_polars(self) -> pl.DataFrame:
        """Run the retrieval and the on-demand views; return a polars frame, no copy made."""
        frame = self._evaluate()
        if not self._on_demand:
            return frame
        computed = self._computed(frame)
        return frame.with_columns(
            pl.Series(name, pl.from_arrow(column)) for name, column in computed.items()
        )

    def to_arrow(
        self, validation_reference: ValidationReference | None = None, timeout: int | None = None
    ) -> pa.Table:
        """Run the retrieval and the on-demand views; return an Arrow table.

        Raises feast's ValidationFailed where a reference is given and the rows do not meet it.
        """
        table = self.to_polars().to_arrow()
        if validation_reference is not None:
            result = validation_reference.profile.validate(table.to_pandas())
            if not result.is_success:
                raise ValidationFailed(result)
        return table

    def to_df(
        self, validation_reference: ValidationReference | None = None, timeout: int | None = None
    ) -> pd.DataFrame:
        """Run the retrieval and the on-demand views; return a pandas frame."""
        return self.to_arrow(validation_reference, timeout).to_pandas()

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return self._evaluate().to_arrow()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal().to_pandas()

    def _computed(self, frame: pl.DataFrame) -> dict[str, pa.ChunkedArray]:
        """Return the requested on-demand columns, each view given its inputs and no more."""
        wanted = set(self._metadata.features) if self._metadata else set[str]()
        columns: dict[str, pa.ChunkedArray] = {}
        for view in self._on_demand:
            shown = view.projection.name_to_use()
            inputs = [c for c in frame.columns if c in _input_names(view)]
            result = view.transform_arrow(frame.select(inputs).to_arrow(), self._full_feature_names)
            for feature in view.features:
                if {f"{view.name}:{feature.name}", f"{shown}:{feature.name}"} & wanted:
                    name = f"{shown}__{feature.name}" if self._full_feature_names else feature.name
                    columns[name] = result[name]
        return columns

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool = False,
        timeout: int | None = None,
    ) -> None:
        """Write the result as one Parquet file at the storage's path, or into that folder.

        Raises feast's SavedDatasetLocationAlreadyExists where there is one and it may not go.
        """
        if not isinstance(storage, SavedDatasetFileStorage):
            raise TypeError(f"storage must be a file storage, was {type(storage).__name__}")
        path = self._root / storage.file_options.uri
        if path.exists() and not allow_overwrite:
            raise SavedDatasetLocationAlreadyExists(location=str(path))
        file = path if path.suffix == ".parquet" else path / "dataset.parquet"
        write_whole(file, self.to_polars())


def _input_names(view: OnDemandFeatureView) -> set[str]:
    names: set[str] = set()
    for projection in view.source_feature_view_projections.values():
        for feature in projection.features:
            names |= {feature.name, f"{projection.name_to_use()}__{feature.name}"}
    for request in view.source_request_sources.values():
        names |= {field.name for field in request.schema}
    return names
