"""What the operator decides, read from the environment when a process starts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from advisor.economics import TokenPrices
from advisor.faults import first_fault
from eval.errors import RequestError
from strategies.models.catalogue import DEFAULT_EMBEDDER, DEFAULT_LANGUAGE_MODEL
from strategies.models.hosted.model import PREFIX

MIB = 2**20
GIB = 2**30


class Settings(BaseSettings):
    """Every setting is an environment variable: `data` is ADVISOR_DATA, and so on."""

    model_config = SettingsConfigDict(env_prefix="ADVISOR_", extra="ignore", frozen=True)

    data: Path = Path("advisor-data")
    """Where uploads, runs and, by default, the database are kept; workers on other machines must see it too."""
    database_url: str = ""
    """As SQLAlchemy takes it, for instance postgresql+psycopg://user@host/advisor; SQLite in `data` by default."""
    require_keys: bool = False
    """Whether every caller must show an API key. Without, the service answers this machine alone."""
    models: dict[str, str] = {DEFAULT_LANGUAGE_MODEL: DEFAULT_LANGUAGE_MODEL}
    """The language models that callers may name, and for each the catalogue's name or a folder on this machine."""
    embedders: dict[str, str] = {DEFAULT_EMBEDDER: DEFAULT_EMBEDDER}
    device: Literal["auto", "cpu", "cuda"] = "auto"

    most_upload_bytes: int = Field(default=64 * MIB, gt=0)
    """Of one request, all files together."""
    most_unpacked_bytes: int = Field(default=512 * MIB, gt=0)
    """Of what an archive or a workbook holds."""
    most_rows: int = Field(default=50_000, gt=0)
    """Of one table."""
    most_files: int = Field(default=2_000, gt=0)
    """Documents in one request, those in an archive included."""
    most_seconds: float = Field(default=7200, gt=0)
    """The longest time budget that may be asked for."""
    max_spend: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """USD that calls of hosted models may cost in one comparison, all attempts together, or in the estimate for one."""
    token_prices: dict[str, TokenPrices] = {}
    """Of hosted models, by which `max_spend` is counted; list prices of those that are not named."""
    most_memory_bytes: int = Field(default=16 * GIB, gt=0)
    """Of one comparison."""
    most_disk_bytes: int = Field(default=8 * GIB, gt=0)
    """Of one comparison's folder."""
    most_waiting: int = Field(default=100, gt=0)
    """Comparisons of one project that may wait at a time."""
    most_inputs: int = Field(default=1000, gt=0)
    """Texts that one call of `predict` may hold."""
    requests_per_minute: int = Field(default=1200, gt=0)
    """Of one key, or of one address where there are no keys."""
    keep_days: float = Field(default=90, gt=0)
    """After so many days a comparison that has ended is removed."""

    lease_seconds: float = Field(default=30, gt=0)
    """A comparison whose worker has been silent for so long is taken over by another."""
    most_attempts: int = Field(default=3, gt=0)
    """Attempts in a row that may end without a further strategy done."""

    @field_validator("data")
    @classmethod
    def _absolute(cls, data: Path) -> Path:
        return data.absolute()

    @field_validator("models", "embedders")
    @classmethod
    def _named(cls, offered: dict[str, str]) -> dict[str, str]:
        if not offered:
            raise ValueError("name at least one")
        renamed = [name for name, where in offered.items() if where.startswith(PREFIX) and name != where]
        if renamed:
            raise ValueError(f"a hosted model goes by its own name, {offered[renamed[0]]}")
        return {name: str(Path(where).absolute()) if Path(where).is_dir() else where for name, where in offered.items()}

    @property
    def places(self) -> dict[str, str]:
        """What the names of models stand for on this machine."""
        return {**self.models, **self.embedders}

    def named(self, sentence: str) -> str:
        """A sentence with the names of models in place of their folders, which are no business of callers."""
        folders = {where: name for name, where in self.places.items() if Path(where).is_absolute()}
        for where in sorted(folders, key=len, reverse=True):  # one may begin as another does
            sentence = sentence.replace(where, folders[where])
        return sentence

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data / 'advisor.db'}"


def read_settings(**changes: object) -> Settings:
    """The settings of the environment. Raises RequestError that names the variable."""
    try:
        return Settings(**changes)  # type: ignore[arg-type]
    except ValidationError as error:
        fault = first_fault(error)
        raise RequestError(f"ADVISOR_{str(fault.place[0]).upper()}: {fault.said}.") from error
    except ValueError as error:  # JSON that cannot be read
        raise RequestError(f"A setting in the environment cannot be read: {error}.") from error


def make_folder(settings: Settings) -> None:
    """Make the data folder, which its owner alone may enter. Raises RequestError where it cannot be made."""
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"ADVISOR_DATA: the folder {settings.data} cannot be used ({error.strerror}).") from error
