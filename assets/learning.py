"""Learning: a forecast model trained on what was known, and its promotion by a written rule."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

import dagster as dg
import polars as pl

from assets.desk import Desk
from assets.feature_tables import read_inputs
from assets.ingest import preview
from assets.partitions import MONTHS, SINGLE_RUN, window
from assets.pictures import picture
from assets.ports import FeatureStore, ModelRegistry, TableStore
from assets.steady_tables import SteadyTables
from features.store.families import DECISION_SERVICE, TRAINING_SERVICE
from models import plots
from models.card import ModelCard, make_card
from models.code_hash import code_hash
from models.drift import drift
from models.evaluation import Evaluation, evaluate
from models.labels import forward_returns
from models.prediction import predict
from models.promotion import PromotionDecision, decide
from models.training import TrainedModel, train

PROMOTION_RULE = "promotion_rule"
ROW_KEY = ("instrument_id", "event_time", "knowledge_time", "as_of")


def midnight(day: Any) -> datetime:
    """Return the start of a day in UTC."""
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC)


def labelled_features(desk: Desk, tables: TableStore, feature_store: FeatureStore) -> pl.DataFrame:
    """Return the training set: features as they were known, joined with what came after.

    Labels that end at or after `training_end` are left out: they look into what is decided.
    """
    start, end = midnight(desk.training_start), midnight(desk.training_end)
    inputs = read_inputs(desk, tables, start, end)
    bars = inputs.bars.filter((pl.col("event_time") >= start) & (pl.col("event_time") < end))
    labels = forward_returns(
        bars, desk.horizon_sessions, desk.label_cost_bps, entry=desk.label_entry, known_by=end
    )
    entities = labels.filter(pl.col("label").is_not_null()).with_columns(
        event_timestamp=pl.col("event_time") + desk.decision_lag
    )
    known = feature_store.training_set(entities, TRAINING_SERVICE)
    return known.rename({"event_timestamp": "decision_time"})


def _plots(trained: TrainedModel, judged: Evaluation) -> dict[str, dg.MarkdownMetadataValue]:
    return {
        "rank_ic_over_time": picture(plots.ic_over_time(judged), "rank IC"),
        "quantile_spread": picture(plots.quantile_spread(judged), "quantile spread"),
        "calibration": picture(plots.calibration(judged), "calibration"),
        "importance": picture(plots.importance(trained.importance), "importance"),
    }


@dg.asset(
    group_name="learning", deps=["features", "feature_registry", "clean_bars"], kinds={"lightgbm"}
)
def forecast_model(
    context: dg.AssetExecutionContext,
    desk: dg.ResourceParam[Desk],
    tables: dg.ResourceParam[TableStore],
    feature_store: dg.ResourceParam[FeatureStore],
    registry: dg.ResourceParam[ModelRegistry],
) -> dg.MaterializeResult:
    """A challenger: LightGBM on point-in-time features, searched and judged walk-forward.

    The training set comes from the feature store; folds are purged and embargoed, and the last
    fold judges the chosen parameters without having chosen them.
    """
    steady = SteadyTables(tables)
    features = steady.version("features")  # what the feature store was filled from
    frame = labelled_features(desk, steady, feature_store)
    context.log.info(f"training on {frame.height} rows")
    trained = train(frame, desk.training, lambda *told: context.log.info(f"trial {told}"))
    judged = evaluate(trained.holdout)
    earlier = [v["card"] for v in registry.versions(desk.model_name) if "card" in v]
    card = make_card(
        trained,
        judged,
        table_versions={**steady.versions, "features": features},
        code_hash=code_hash(),
        earlier_trials=sum(int(c.get("trials_count", 0)) for c in earlier),  # type: ignore[attr-defined]  # a card is a mapping
    )
    version = registry.register(desk.model_name, trained.artifact, card.to_dict())
    return dg.MaterializeResult(
        metadata={
            "version": version,
            "row_count": frame.height,
            "rank_ic": judged.metrics.get("rank_ic", 0.0),
            "icir": judged.metrics.get("icir", 0.0),
            "turnover": judged.metrics.get("turnover", 0.0),
            "trials": preview(trained.trials, count=50),
            "card": dg.MetadataValue.md(card.to_markdown()),
            **_plots(trained, judged),
        },
        data_version=dg.DataVersion(version),
    )


def challenger_verdict(desk: Desk, registry: ModelRegistry) -> tuple[str, PromotionDecision]:
    """Return the newest challenger's version and what the promotion rule says of it.

    Raises ValueError where nothing was ever registered.
    """
    version = registry.find_stage(desk.model_name, "challenger")
    champion = registry.find_stage(desk.model_name, "champion")
    if version is None and champion is None:
        raise ValueError(f"{desk.model_name} must have a registered model, had none")
    version = version or champion
    assert version is not None
    old = None if champion is None else _card(registry, desk, champion).to_evidence()
    attempts = max(1, len(registry.versions(desk.model_name)) - (champion is not None))
    return version, decide(
        old, _card(registry, desk, version).to_evidence(), desk.promotion, attempts=attempts
    )


def _card(registry: ModelRegistry, desk: Desk, version: str) -> ModelCard:
    values: Mapping[str, Any] = registry.card(desk.model_name, version)
    return ModelCard.from_dict(values)


@dg.asset_check(
    asset=forecast_model,
    name=PROMOTION_RULE,
    description="The written rule by which a challenger may replace the champion, with numbers.",
)
def promotion_rule(
    desk: dg.ResourceParam[Desk], registry: dg.ResourceParam[ModelRegistry]
) -> dg.AssetCheckResult:
    """Apply the promotion rule to the newest challenger; a refusal is a warning, not a stop."""
    version, verdict = challenger_verdict(desk, registry)
    already = registry.find_stage(desk.model_name, "champion") == version
    return dg.AssetCheckResult(
        passed=verdict.promote or already,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "challenger": version,
            "reasons": dg.MetadataValue.md("\n".join(f"- {r}" for r in verdict.reasons)),
            **{k: v for k, v in verdict.numbers.items() if isfinite(v)},
        },
    )


@dg.asset(group_name="learning", deps=[forecast_model])
def champion_model(
    desk: dg.ResourceParam[Desk], registry: dg.ResourceParam[ModelRegistry]
) -> dg.MaterializeResult:
    """The model in use: replaced by a challenger only where the written rule says so."""
    version, verdict = challenger_verdict(desk, registry)
    if verdict.promote:
        registry.set_stage(desk.model_name, version, "champion", "; ".join(verdict.reasons))
    champion = registry.find_stage(desk.model_name, "champion")
    if champion is None:
        raise dg.Failure(f"no champion: {'; '.join(verdict.reasons)}")
    return dg.MaterializeResult(
        metadata={
            "champion": champion,
            "promoted": verdict.promote,
            "reasons": dg.MetadataValue.md("\n".join(f"- {r}" for r in verdict.reasons)),
        },
        data_version=dg.DataVersion(champion),
    )


@dg.asset(
    group_name="learning",
    partitions_def=MONTHS,
    backfill_policy=SINGLE_RUN,
    deps=["features", champion_model],
    kinds={"lightgbm", "polars"},
)
def forecasts(
    context: dg.AssetExecutionContext,
    desk: dg.ResourceParam[Desk],
    tables: dg.ResourceParam[TableStore],
    feature_store: dg.ResourceParam[FeatureStore],
    registry: dg.ResourceParam[ModelRegistry],
) -> dg.MaterializeResult:
    """The champion's forecast for every instrument and session after its training ended."""
    version = registry.find_stage(desk.model_name, "champion")
    if version is None:
        raise dg.Failure(f"{desk.model_name} must have a champion to forecast, had none")
    start, end = window(context)
    first = max(start, midnight(desk.training_end))
    if first >= end:
        return dg.MaterializeResult(metadata={"dagster/row_count": 0, "why": "in the training set"})
    rows = tables.read("features", start=first, end=end)
    entities = rows.select(*ROW_KEY, event_timestamp=pl.col("as_of"))
    known = feature_store.training_set(entities, DECISION_SERVICE).drop("event_timestamp")
    forecast = predict(registry.load(desk.model_name, version), known)
    receipt = tables.replace("forecasts", forecast, start=first, end=end)
    reference = tables.read("features", start=first - timedelta(days=730), end=first)
    report = drift(reference, rows)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": forecast.height,
            "model_version": version,
            "table_version": receipt.version,
            "content_hash": receipt.content_hash,
            "drift": picture(plots.drift(report), "drift") if not report.is_empty() else "none",
            "preview": preview(forecast),
        }
    )


def realised_ic(desk: Desk, tables: TableStore) -> pl.DataFrame:
    """Return the rank correlation of each session's forecasts with what came: session, ic.

    Sessions whose horizon is not over yet are left out.
    """
    if not tables.exists("forecasts"):
        return pl.DataFrame(schema={"session": pl.Date, "ic": pl.Float64})
    forecast = tables.read("forecasts")
    start, end = forecast["event_time"].min(), forecast["event_time"].max()
    inputs = read_inputs(desk, tables, start, end + timedelta(days=1))  # type: ignore[operator, arg-type]  # columns of times
    labels = forward_returns(
        inputs.bars, desk.horizon_sessions, desk.label_cost_bps, entry=desk.label_entry
    )
    joined = forecast.join(
        labels.select("instrument_id", "event_time", "forward_return", "label_end_time"),
        on=["instrument_id", "event_time"],
    ).filter(pl.col("forward_return").is_not_null())
    if joined.is_empty():
        return pl.DataFrame(schema={"session": pl.Date, "ic": pl.Float64})
    return evaluate(joined).by_decision.select(
        (pl.col("decision_time") - desk.decision_lag - timedelta(microseconds=1))
        .dt.date()
        .alias("session"),
        pl.col("rank_ic").alias("ic"),
    )
