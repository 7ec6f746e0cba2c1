"""Settings: one YAML file and a few environment variables, read once, bounded, frozen.

This is the only file that reads the environment; `.env.example` lists what it reads.
"""

import os
import ssl
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from adapters.secrets.authorities import joined_authorities
from adapters.secrets.references import is_reference, resolve
from adapters.secrets.tls_rule import (
    TlsRule,
    check_url,
    client_certificate,
    postgres_address,
    redis_address,
)
from models.settings import TrainingSettings
from pipelines.bus_settings import BusSettings
from pipelines.dagster_home import (
    URL_VARIABLE,
    is_postgres_home,
    make_private,
    open_instance,
    postgres_home,
    settled,
)
from pipelines.desk_settings import BookSettings, Encryption, Part, Sweeps, Training, Universe
from pipelines.source_settings import DefaultSource, FileHints, FilesSource, IbSource, WebSource
from pipelines.tier_settings import TierSettings
from pipelines.trade_settings import TradeSettings
from pipelines.windows_settings import Span as Span
from pipelines.windows_settings import Windows as Windows
from swarm_core.colony.settings import ColonySettings
from swarm_core.risk.limits import RiskLimits

if TYPE_CHECKING:
    from dagster import DagsterInstance

ROOT = Path(__file__).parents[1]
AUTO = "auto"
DEFAULT_CONFIG = ROOT / "config" / "apiary.yaml"


class SettingsError(ValueError):
    """A setting that does not hold; its text is one line that says what must hold."""


class ChainStoppedError(RuntimeError):
    """A stage failed; nothing after it ran. The text says which check or step, and why."""


class Environment(BaseSettings):
    """Everything read from the environment."""

    model_config = SettingsConfigDict(
        env_prefix="APIARY_",
        env_file=".env",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,  # what was given may be a secret
    )

    config: Path = DEFAULT_CONFIG
    tls: TlsRule = "remote"  # which servers must be reached over TLS
    redis_url: SecretStr | None = None  # what may hold a secret is never shown
    redis_ca_file: Path | None = None
    redis_cert_file: Path | None = None  # what we prove ourselves by, with its key
    redis_key_file: Path | None = None
    redis_namespace: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    postgres_url: SecretStr | None = None
    postgres_ca_file: Path | None = None
    postgres_cert_file: Path | None = None
    postgres_key_file: Path | None = None
    dagster_postgres_url: SecretStr | None = None
    cold_url: str | None = None
    s3_endpoint: str | None = None
    s3_region: str = "us-east-1"
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_ca_file: Path | None = None
    store_timeout_s: float = Field(default=10.0, gt=0, le=600)
    kafka_password: SecretStr | None = None
    vault_url: str | None = None
    vault_token: SecretStr | None = None
    vault_ca_file: Path | None = None
    notify_file: Path | None = None
    fred_api_key: str | None = Field(default=None, repr=False)
    daily_bars_token: str | None = Field(default=None, repr=False)

    def __init__(self, **given: Any) -> None:
        """Read it; SettingsError with one line that repeats nothing which may be a secret."""
        try:
            super().__init__(**given)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = "".join(f"APIARY_{str(part).upper()}: " for part in first["loc"])
            raise SettingsError(name + first["msg"].removeprefix("Value error, ")) from None

    @model_validator(mode="before")
    @classmethod
    def _secrets_by_reference(cls, given: Any) -> Any:
        """Put what file:, env: and vault: refer to in the place of the reference."""
        return _resolved(dict(given)) if isinstance(given, dict) else given

    def cold_storage(self) -> dict[str, Any]:
        """Return where the cold tier lies and how it is reached, secrets in the open."""
        if self.cold_url and self.s3_endpoint:
            check_url("S3 storage", self.s3_endpoint, self.tls)
        if self.cold_url and self.s3_ca_file:
            _trust(self.s3_ca_file)
        return {
            "url": self.cold_url,
            "endpoint": self.s3_endpoint,
            "region": self.s3_region,
            "access_key": _revealed(self.s3_access_key),
            "secret_key": _revealed(self.s3_secret_key),
            "timeout_s": self.store_timeout_s,
            "ca_file": self.s3_ca_file,
        }

    def vault_access(self) -> dict[str, Any]:
        """Return how the Vault is reached, token in the open; SettingsError where it is not."""
        token = _revealed(self.vault_token)
        if not self.vault_url or not token:
            raise SettingsError("APIARY_VAULT_URL and APIARY_VAULT_TOKEN must be set, are not")
        check_url("the Vault", self.vault_url, self.tls)
        return {"url": self.vault_url, "token": token, "ca_file": str(self.vault_ca_file or "")}

    def resolved(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return values with what file:, env: and vault: refer to in the place of the reference."""
        known = self.model_dump(include={"tls", "vault_url", "vault_ca_file"})
        known["vault_token"] = _revealed(self.vault_token)
        return {n: v for n, v in _resolved({**known, **values}).items() if n in values}

    def redis_text(self) -> str | None:
        """Return the address of Redis with its password; ValueError where it must be over TLS."""
        url = _revealed(self.redis_url)
        own = client_certificate("Redis", self.redis_cert_file, self.redis_key_file)
        return None if url is None else redis_address(url, self.redis_ca_file, self.tls, own)

    def postgres_text(self) -> str | None:
        """Return the address of PostgreSQL with its password; ValueError as above."""
        return self._postgres("PostgreSQL", self.postgres_url)

    def dagster_text(self) -> str | None:
        """Return the address of Dagster's own PostgreSQL with its password; ValueError as above."""
        return self._postgres("Dagster's PostgreSQL", self.dagster_postgres_url)

    def _postgres(self, what: str, secret: SecretStr | None) -> str | None:
        url = _revealed(secret)
        own = client_certificate("PostgreSQL", self.postgres_cert_file, self.postgres_key_file)
        return url and postgres_address(what, url, self.postgres_ca_file, self.tls, own)


def _resolved(given: dict[str, Any]) -> dict[str, Any]:
    """Resolve the references of all values; those of the Vault itself first."""
    found: dict[str, Any] = {}

    def read_vault(path: str, name: str) -> str:
        from adapters.secrets.vault import Vault, VaultAccess

        check_url("the Vault", str(found["vault_url"]), found.get("tls", "remote"))
        token, ca_file = found.get("vault_token", ""), str(found.get("vault_ca_file") or "")
        return Vault(VaultAccess(str(found["vault_url"]), str(token), ca_file)).read(path, name)

    for name in sorted(given, key=lambda n: (not n.startswith(("vault_", "tls")), n)):
        value = given[name]
        if isinstance(value, str) and is_reference(value):
            reader = read_vault if found.get("vault_url") else None
            value = resolve(value, variables=os.environ, read_vault=reader)  # noqa: TID251 - the one file that may
        found[name] = value
    return found


def _trust(ca_file: Path) -> None:
    """Let this process and its children trust these authorities beside the system's.

    delta-rs and polars take them from nowhere but the variable that OpenSSL and rustls read.
    """
    given = os.environ.get("SSL_CERT_FILE")  # noqa: TID251 - the one file that may
    known = given or ssl.get_default_verify_paths().cafile
    both = str(joined_authorities(ca_file, Path(known) if known else None))
    if both != given:  # set once: threads of the clients may be reading it
        os.environ["SSL_CERT_FILE"] = both  # noqa: TID251 - the same


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


class ApiarySettings(Part):
    """The whole configuration of one desk."""

    home: Path = Path("var")
    sources: tuple[DefaultSource | FilesSource | WebSource | IbSource, ...] = Field(min_length=1)
    # "auto", and an empty list of classes: read off the data by the first run (pipelines.market).
    calendar: str = "XNYS"
    base_currency: str = Field("USD", pattern="^([A-Z]{3,5}|auto)$")
    foreign_currencies: tuple[str, ...] = ()
    asset_classes: tuple[str, ...] = ("equity", "etf")
    universe: Universe | None = None
    source_priority: tuple[str, ...] = ()
    benchmark: str | None = None
    windows: Windows | None = None
    book: BookSettings = BookSettings(
        starting_cash=1_000_000, decision_lag_minutes=120, tenant="default", trader="default"
    )
    encryption: Encryption = Encryption(owner="", keys="var/keys.json", only_sealed=False)
    bus: BusSettings = BusSettings(kind="embedded", topic="apiary.events")
    sweeps: Sweeps = Sweeps(engine="processes", address="local")
    validation: dict[str, Any] = Field(default_factory=dict)
    colony: Path = Path("colony.yaml")
    risk_limits: Path = Path("risk_limits.yaml")
    training: Path = Path("training.yaml")
    tiers: Path = Path("tiers.yaml")
    trade: TradeSettings | None = None

    @property
    def decision_lag(self) -> timedelta:
        return timedelta(minutes=self.book.decision_lag_minutes)


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise SettingsError(f"the configuration must be a file that exists, was {path}")
    try:
        content = yaml.safe_load(path.read_text())
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} must be valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must hold a mapping, was {type(content).__name__}")
    return content


def _one_line(path: Path, error: ValidationError) -> str:
    first = error.errors()[0]
    # The members of a union are named by their class; that is noise to whoever wrote the file.
    where = ".".join(str(part) for part in first["loc"] if not str(part)[:1].isupper())
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"{path}: {where} must be given, was missing"
    if first["type"] == "value_error":
        return f"{path}: {where or 'the file'}: {message}"
    return f"{path}: {where}: {message[:1].lower()}{message[1:]}, was {first['input']!r}"


# The settings that name a file of their own.
_FILES = ("colony", "risk_limits", "training", "tiers")


def read_settings(path: Path | None = None) -> ApiarySettings:
    """Return the desk's settings; relative paths inside are relative to the repository.

    Raises SettingsError with one line.
    """
    chosen = (path or Environment().config).resolve()
    content = _read_yaml(chosen)
    try:
        settings = ApiarySettings.model_validate(content)
    except ValidationError as error:
        raise SettingsError(_one_line(chosen, error)) from error
    beside = chosen.parent
    return settings.model_copy(
        update={
            "trade": None if settings.trade is None else settings.trade.beside(beside, ROOT),
            "home": (ROOT / settings.home).resolve(),
        }
        | {name: _beside(beside, getattr(settings, name)) for name in _FILES}
    )


def choose_config(path: Path | None) -> None:
    """Make this the configuration of this process and of those it starts; None keeps what is."""
    if path is not None:
        if not path.is_file():
            raise SettingsError(f"the configuration must be a file that exists, was {path}")
        os.environ["APIARY_CONFIG"] = str(path.resolve())  # noqa: TID251 - the one file that may


def settings_for_files(
    folder: Path,
    mapping: str | None,
    home: Path | None,
    *,
    base: Path | None,
    hints: FileHints | None = None,
) -> Path:
    """Write a configuration that runs on a folder of files, and return its path.

    Market and dates are left open, so that they are read off the data. Raises SettingsError
    where the folder is none.
    """
    if not folder.is_dir():
        raise SettingsError(f"--files must be a folder that exists, was {folder}")
    kept = (home or ROOT / "var" / folder.resolve().name).resolve()
    chosen = (base or DEFAULT_CONFIG).resolve()
    content = _read_yaml(chosen)
    if chosen.parent != DEFAULT_CONFIG.parent:
        own = {name: chosen.parent / str(content[name]) for name in _FILES if name in content}
        content |= {name: str(path) for name, path in own.items() if path.exists()}
    is_file = mapping is not None and mapping.endswith((".yaml", ".yml"))
    source: dict[str, Any] = {"kind": "files", "folder": str(folder.resolve())}
    if hints is not None and hints.given:
        if mapping is not None:
            raise SettingsError("a mapping must say what the options say, both were given")
        source["hints"] = hints.given
    if mapping is not None:
        source["mapping"] = str(Path(mapping).resolve()) if is_file else mapping
    content |= {"home": str(kept), "sources": [source], "benchmark": None, "calendar": AUTO}
    content |= {"base_currency": AUTO, "asset_classes": [], "windows": None}
    path = make_private(kept) / "apiary.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def prepare_environment() -> None:
    """Set what libraries read: where Dagster lives, how it writes, and that nothing phones home."""
    quiet = {"GX_ANALYTICS_ENABLED": "false", "FEAST_USAGE": "False", "DO_NOT_TRACK": "1"}
    quiet |= {"DAGSTER_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    batched = {"DAGSTER_EVENT_BATCH_SIZE": "500"}  # of a run over many partitions, at once
    for name, value in (quiet | batched).items():
        os.environ.setdefault(name, value)  # noqa: TID251 - the one file that may
    os.environ["DAGSTER_HOME"] = str(dagster_home())  # noqa: TID251 - the same


def embedded_dagster_home() -> Path:
    """Return the home of Dagster's embedded storage, made and settled where it is not there."""
    home = Path(os.environ.get("DAGSTER_HOME") or ROOT / "dagster_home")  # noqa: TID251 - the same
    home = home.parent if is_postgres_home(home) else home
    return settled(make_private(home), ROOT / "dagster_home" / "dagster.yaml")


def opened_dagster() -> AbstractContextManager["DagsterInstance"]:
    """Open the instance that is used; OSError in one line where its PostgreSQL is not there."""
    return open_instance(dagster_home(), Environment().dagster_text())


def dagster_home() -> Path:
    """Return the home of the instance that is used: on PostgreSQL where that is set."""
    url = Environment().dagster_text()
    if url is None:
        return embedded_dagster_home()
    os.environ[URL_VARIABLE] = url  # noqa: TID251 - the processes that Dagster starts read it too
    return postgres_home(embedded_dagster_home(), ROOT / "dagster_home" / "dagster.yaml")


def _beside(folder: Path, path: Path) -> Path:
    """Return the path relative to the configuration, or the shipped file of a bare name.

    A path with a folder names one file: no other is read where it is not there.
    """
    candidate, shipped = folder / path, DEFAULT_CONFIG.parent / path.name
    takes_shipped = path == Path(path.name) and shipped.is_file() and not candidate.exists()
    return shipped if takes_shipped else candidate


def read_colony(settings: ApiarySettings) -> ColonySettings:
    """Return the colony's settings of this desk."""
    try:
        return ColonySettings.from_mapping(_read_yaml(settings.colony))
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{settings.colony}: {error}") from error


def read_risk_limits(settings: ApiarySettings) -> RiskLimits:
    """Return the risk limits of this desk."""
    try:
        limits = RiskLimits.from_mapping(_read_yaml(settings.risk_limits))
        return limits.of_desk(settings.book.tenant, settings.book.trader)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{settings.risk_limits}: {error}") from error


def read_training(settings: ApiarySettings) -> tuple[Training, TrainingSettings]:
    """Return how the forecast model of this desk is labelled, trained and promoted."""
    try:
        training = Training.model_validate(_read_yaml(settings.training))
        return training, TrainingSettings(**training.settings)
    except ValidationError as error:
        raise SettingsError(_one_line(settings.training, error)) from error
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{settings.training}: {error}") from error


def read_tiers(settings: ApiarySettings) -> TierSettings:
    """Return when rows of this desk change their tier, and how the cold tier is kept."""
    try:
        return TierSettings.model_validate(_read_yaml(settings.tiers))
    except ValidationError as error:
        raise SettingsError(_one_line(settings.tiers, error)) from error
