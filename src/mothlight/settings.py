"""The one list of options; the command line, the environment and the documents are made from it.

Each field is an argument of ``App(...)``, an environment variable (``MOTHLIGHT_PORT``), a line of
``mothlight.toml`` and an option of ``mothlight serve`` (``--port``).
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from .definition import DefinitionError
from .parent import FRONT

log = logging.getLogger("mothlight")

PREFIX = "MOTHLIGHT_"

_ORIGIN = re.compile(
    r"(?!https:.*:443$|http:.*:80$)[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
)

_DEVICE = re.compile(r"auto|(cpu|cuda|mps|xpu|hpu|npu|xla|privateuseone)(:[0-9]{1,4})?")


class Settings(BaseSettings):
    """How services are deployed. What they are stands in their classes."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, toml_file="mothlight.toml", extra="forbid", frozen=True
    )

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 lets phones in")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")

    workers: NonNegativeInt = Field(
        1, description="worker processes for each service; 0 runs the models in this process"
    )
    start_timeout: PositiveFloat = Field(300.0, description="seconds a worker may take to load")
    drain: float = Field(
        30.0,
        ge=0,
        allow_inf_nan=False,
        description="seconds that accepted calls get when we stop, those in the background, too",
    )
    max_queue: PositiveInt = Field(1024, description="calls that may wait for each service")
    max_queue_bytes: PositiveInt = Field(
        256 * 1024 * 1024, description="bytes of requests that may wait for each service"
    )
    max_delay: PositiveFloat = Field(
        10.0, description="seconds that a call may have to wait to be accepted"
    )

    calls: str = Field(
        "memory", description="where calls are known: memory, or redis://host for all replicas"
    )
    grace: float = Field(
        30.0,
        ge=0,
        description="seconds a call that has its client's key lives without a connection",
    )
    keep: PositiveFloat = Field(
        300.0, description="seconds the answer of such a call is kept, for a client that asks again"
    )
    background: PositiveFloat = Field(
        3600.0, description="seconds a call in the background may take (Prefer: respond-async)"
    )
    max_calls: PositiveInt = Field(100_000, description="calls that are kept; the oldest go first")
    max_calls_bytes: PositiveInt = Field(
        256 * 1024 * 1024, description="bytes of answers and streams that are kept"
    )
    max_log: PositiveInt = Field(
        8 * 1024 * 1024, description="bytes of one stream that are kept for who resumes it"
    )
    max_log_items: PositiveInt = Field(65_536, description="items of one stream that are kept")
    keys: Path | None = Field(
        None, description="file of API keys (mothlight keys new); without one anybody may call"
    )
    rate: PositiveFloat | None = Field(None, description="calls a second that a caller may begin")
    concurrency: PositiveInt | None = Field(
        None, description="calls of one caller that may run at once"
    )

    device: Annotated[tuple[str, ...], NoDecode] = Field(
        ("auto",), min_length=1, description="devices the workers take in turn: cpu, cuda:1, mps"
    )
    inference_mode: bool = Field(True, description="run models in torch.inference_mode()")
    channels_last: bool = Field(False, description="lay the models' tensors out channels last")
    compile: bool = Field(False, description="torch.compile the models; warm-up takes longer")
    worker_memory: PositiveInt | None = Field(
        None,
        description="bytes a worker may hold; above it is replaced, half more and it is killed",
    )
    hang: PositiveFloat = Field(
        120.0,
        description="seconds that a call may go on when nobody waits for it, before its worker is "
        "replaced; sooner where the method is known to be quicker",
    )
    worker_calls: PositiveInt | None = Field(
        None, description="calls after which a worker is replaced by a fresh one"
    )

    timeout: PositiveFloat | None = Field(
        120.0, description="seconds a unary call may take, whatever its client asks for"
    )
    max_body: PositiveInt = Field(32 * 1024 * 1024, description="bytes of a request's body")
    max_json: PositiveInt = Field(
        4 * 1024 * 1024,
        description="bytes of JSON, or of a urlencoded form; large files go as multipart or raw",
    )
    max_parts: PositiveInt = Field(64, description="parts of a multipart body")
    max_string: PositiveInt = Field(
        100_000, description="characters of a string that has no max_length of its own"
    )
    max_depth: PositiveInt = Field(64, description="levels of nesting in JSON")
    max_connections: PositiveInt = Field(4096, description="open connections")
    head_timeout: PositiveFloat = Field(15.0, description="seconds for a request's head to arrive")
    body_timeout: PositiveFloat = Field(60.0, description="seconds for a request's body to arrive")
    send_timeout: PositiveFloat = Field(
        60.0, description="seconds a client may read nothing of what is sent to it"
    )
    keep_alive: PositiveFloat = Field(
        75.0,
        allow_inf_nan=False,
        description="seconds an idle connection is kept; dart:io keeps it 15 s",
    )
    heartbeat: PositiveFloat = Field(15.0, description="seconds between heartbeats of a stream")

    log: Literal["text", "json"] = Field(
        "text", description="form of the log on stderr: text, or json with a line for each record"
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        "info", description="the least that is logged: debug, info, warning, error or critical"
    )
    access_log: bool = Field(False, description="log a line for each call that ends")
    trace: Literal["otlp", "console", "global"] | None = Field(
        None,
        description="trace calls by OpenTelemetry: otlp (its OTEL_… variables say where to), "
        "console, or global (the provider of the host that mounts the app)",
    )

    cors: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="web origins that may call, separated by commas, or * for any"
    )
    proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "::1"),
        description="addresses and networks (10.0.0.0/8) of proxies, separated by commas, that are "
        "believed who they ask for (X-Forwarded-For)",
    )
    docs: bool = Field(True, description="serve /docs, /openapi.json and /contract")

    @field_validator("cors", "device", "proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return [part for part in map(str.strip, value.split(",")) if part]

    @field_validator("proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            ipaddress.ip_network(proxy, strict=False)  # ValueError says what is wrong with it
        return value

    @field_validator("cors")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin not in ("*", "null") and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is not an origin as browsers send it: https://app.example, in "
                    "small letters, with a port only where it is not the usual one, and without a "
                    "path; name each host, or write * for any"
                )
        return value

    @field_validator("device")
    @classmethod
    def _known(cls, devices: tuple[str, ...]) -> tuple[str, ...]:
        for device in devices:
            if not _DEVICE.fullmatch(device):
                raise ValueError(f"{device!r} is no device: auto, cpu, cuda, cuda:1 or mps")
        return devices

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        try:
            toml = TomlConfigSettingsSource(settings_cls)
        except (ValueError, OSError) as error:  # TOMLDecodeError and UnicodeDecodeError, too
            file = Path("mothlight.toml").resolve()
            raise DefinitionError(f"{file} cannot be read: {error}") from None
        return init_settings, env_settings, toml


def read(**options: Any) -> Settings:
    """The settings: ``options``, then the environment's and the file's. Raises DefinitionError
    where they do not fit; a variable whose name is nearly that of a setting is warned of."""
    try:
        settings = Settings(**options)
    except ValidationError as error:
        raise DefinitionError(_told(error)) from None
    if FRONT not in os.environ:  # else the front has told already
        for variable in os.environ:
            if variable.upper().startswith(PREFIX):
                _look_at(variable.upper())
    return settings


def _told(error: ValidationError) -> str:
    lines = ["these settings do not fit (options, MOTHLIGHT_… variables, mothlight.toml):"]
    for entry in error.errors():
        name, told = ".".join(map(str, entry["loc"])), entry["msg"]
        if entry["type"] == "extra_forbidden":
            near = get_close_matches(name, Settings.model_fields, 1)
            told = "there is no such setting" + (f"; is it {near[0]}?" if near else "")
        elif str(entry["input"]).startswith("tcp://"):
            told += (
                f", and it is {entry['input']}: Kubernetes sets that where a Service is called "
                "mothlight; give that another name, or the pod   enableServiceLinks: false"
            )
        lines.append(f"{name}: {told}")
    return "\n  ".join(lines)


@cache
def _look_at(variable: str) -> None:
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    near = get_close_matches(variable, known, 1, cutoff=0.9)
    if near and variable not in known:
        log.warning("%s is no setting; is it %s?", variable, near[0])
