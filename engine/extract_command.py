"""`lockstitch extract`: a table of texts in, a table of validated records out.

Progress and errors go to standard error; the only line on standard output is the summary, as JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ..schemas.errors import JobError, LockstitchError

INTERRUPTED = 130  # the exit status of a program that Ctrl-C ended


def extract(
    schema: Annotated[str, typer.Option(help="file with a JSON Schema, or MODULE:PYDANTIC_MODEL")],
    source: Annotated[
        str, typer.Option("--input", help="JSONL, CSV, Parquet, a folder of texts; - reads stdin")
    ],
    output: Annotated[Path, typer.Option(help="records.jsonl or records.parquet")],
    input_format: Annotated[str | None, typer.Option(help="jsonl, csv, parquet or text")] = None,
    id_field: Annotated[str | None, typer.Option(help="counted from 1 without it")] = None,
    text_field: Annotated[str, typer.Option(help="the column with the text")] = "text",
    instruction: Annotated[str | None, typer.Option(help="what to tell the model")] = None,
    template: Annotated[
        Path | None, typer.Option(help="Jinja2 file over the fields of a row, and `schema`")
    ] = None,
    chat: Annotated[
        bool | None, typer.Option(help="use the chat template; if there is one without this")
    ] = None,
    show_schema: Annotated[bool, typer.Option(help="show the schema to the model")] = False,
    confidence: Annotated[bool, typer.Option(help="tell the probability of each field")] = False,
    on_error: Annotated[str, typer.Option(help="continue or stop")] = "continue",
    retry_errors: Annotated[bool, typer.Option(help="try rows again that have an error")] = False,
    restart: Annotated[bool, typer.Option(help="forget what another job has done")] = False,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="of one record")] = 512,
    temperature: Annotated[float | None, typer.Option(help="greedy without it")] = None,
    top_p: Annotated[float | None, typer.Option()] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="rows of one pass")] = 32,
    model: Annotated[
        str | None, typer.Option(help="folder of a model; the default without it")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16, float16")] = None,
    ray: Annotated[
        str | None, typer.Option(help="address of a Ray cluster that does the work; or `local`")
    ] = None,
    ray_actors: Annotated[int, typer.Option(min=1, help="processes with a model each")] = 1,
    ray_cpus: Annotated[float, typer.Option(min=0, help="of each actor")] = 1,
    ray_gpus: Annotated[float, typer.Option(min=0, help="of each actor")] = 0,
) -> None:
    """Extract a record from each text of a table; run it again to go on after an interruption."""
    sampling = {"temperature": temperature, "top_p": top_p, "seed": seed}
    parameters: dict[str, Any] = {"max_new_tokens": max_new_tokens}
    parameters |= {name: value for name, value in sampling.items() if value is not None}
    form: dict[str, Any] = {
        "text_field": text_field,
        "instruction": instruction,
        "chat": chat,
        "show_schema": show_schema,
    }
    options: dict[str, Any] = {
        "on_error": on_error,
        "confidence": confidence,
        "restart": restart,
        "retry_errors": retry_errors,
        "parameters": parameters,
    }
    try:
        if on_error not in ("continue", "stop"):
            raise JobError(f"--on-error is continue or stop, not {on_error}", parameter="on_error")
        options["schema"] = read_schema(schema)
        form["template"] = None if template is None else _read(template)
        path = _spooled(output) if source == "-" else Path(source)
        kind = input_format or ("jsonl" if source == "-" else None)
        places = {"address": ray, "actors": ray_actors, "cpus": ray_cpus, "gpus": ray_gpus}
        engine_options = {"model": model, "device": device, "dtype": dtype, "rows": batch_size}
        typer.echo(_run(path, kind, id_field, output, form, options, engine_options, places))
    except LockstitchError as error:
        typer.echo(f"lockstitch: {error.message}", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        typer.echo("lockstitch: stopped; the same command goes on from here", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _run(
    path: Path,
    kind: str | None,
    id_field: str | None,
    output: Path,
    form: dict[str, Any],
    options: dict[str, Any],
    engine_options: dict[str, Any],
    places: dict[str, Any],
) -> str:
    from ..schemas.parameters import Limits
    from .engine import Engine
    from .jobs.job import Job, run_job
    from .jobs.progress import shown
    from .jobs.prompting import PromptForm
    from .jobs.ray_workers import RayCluster
    from .jobs.sources import Source

    given = {name: value for name, value in form.items() if value is not None}
    job = Job(Source.at(path, kind, id_field), output, prompt=PromptForm(**given), **options)
    limits = Limits(max_batch_size=engine_options.pop("rows"))
    make_engine = partial(Engine.from_pretrained, limits=limits, **engine_options)
    cluster = RayCluster(make_engine=make_engine, **places) if places["address"] else None
    with shown() as watcher:
        return json.dumps(run_job(make_engine(), job, watcher, cluster=cluster).to_dict())


def read_schema(given: str) -> Any:
    """Return the JSON Schema in a file, or the pydantic model MODULE:CLASS. Raises JobError."""
    module, colon, name = given.rpartition(":")
    if colon and not Path(given).exists():
        sys.path.insert(0, "")  # modules beside the data, as `python -m` finds them
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise JobError(f"--schema {given}: {error}", parameter="schema") from error
        finally:
            sys.path.remove("")
    try:
        return json.loads(_read(Path(given)))
    except ValueError as error:
        raise JobError(f"--schema {given} is not JSON: {error}", parameter="schema") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path} cannot be read: {error}") from error


def _spooled(output: Path) -> Path:
    """Keep standard input in a file beside the output: rows are read twice."""
    path = output.with_name(f"{output.name}.input")
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    except OSError as error:
        raise JobError(f"standard input cannot be kept in {path}: {error}") from error
    return path
