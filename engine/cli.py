"""The command line: generate text, and look at what a grammar becomes.

Errors of the contract are one line on standard error and exit code 2. The model and everything that
comes with it is imported only by the command that needs it, after the threads have been told to
sleep when idle.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from ..constraint.grammar import compile_grammar
from ..constraint.text.style import TextStyle
from ..schemas.errors import GrammarError, LockstitchError, ValidationError
from .extract_command import extract
from .grammar_report import judge, print_refusal, print_report

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch starts its threads

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Text that always matches its grammar."
)
app.command()(extract)
EVERY_SPELLING = TextStyle("flexible", "any", "any")
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="file with a JSON Schema")]
Regex = Annotated[str | None, typer.Option("--regex", help="regular expression for the whole text")]


def main() -> None:
    """Run the command line; the entry point of `lockstitch`."""
    app()


def _fail(error: LockstitchError) -> NoReturn:
    typer.echo(f"lockstitch: {error.message}", err=True)
    raise typer.Exit(2)


def _grammar(schema: Path | None, regex: str | None) -> dict[str, Any] | None:
    """Return the `grammar` field that two options ask for. Raises ValidationError."""
    if schema is not None and regex is not None:
        raise ValidationError("use --schema or --regex, not both")
    if regex is not None:
        return {"type": "regex", "value": regex}
    return None if schema is None else {"type": "json", "value": _read(schema)}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(f"{path} cannot be read: {error}") from error


def _text_in_question(text: str) -> bytes:
    """Return the bytes of `--why`; `-` stands for standard input less its last line break."""
    if text != "-":
        return text.encode(errors="surrogateescape")
    return typer.get_binary_stream("stdin").read().removesuffix(b"\n")


def _standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise ValidationError(f"standard input cannot be read: {error}") from error


@app.command()
def generate(
    prompt: Annotated[
        str | None, typer.Argument(help="the prompt; standard input without it")
    ] = None,
    schema: SchemaFile = None,
    regex: Regex = None,
    model: Annotated[
        str | None, typer.Option(help="folder of a model; the default without it")
    ] = None,
    chat: Annotated[bool, typer.Option(help="put the prompt into the chat template")] = False,
    stream: Annotated[bool, typer.Option(help="print text as it is made")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the whole response")] = False,
    whitespace: Annotated[str, typer.Option(help="compact, spaced or flexible")] = "spaced",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16, float16")] = None,
    max_new_tokens: Annotated[int | None, typer.Option()] = None,
    do_sample: Annotated[bool | None, typer.Option()] = None,
    temperature: Annotated[float | None, typer.Option()] = None,
    top_k: Annotated[int | None, typer.Option()] = None,
    top_p: Annotated[float | None, typer.Option()] = None,
    typical_p: Annotated[float | None, typer.Option()] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    repetition_penalty: Annotated[float | None, typer.Option()] = None,
    frequency_penalty: Annotated[float | None, typer.Option()] = None,
    watermark: Annotated[bool | None, typer.Option()] = None,
    stop: Annotated[list[str] | None, typer.Option(help="can be given several times")] = None,
    truncate: Annotated[int | None, typer.Option()] = None,
    best_of: Annotated[int | None, typer.Option()] = None,
    top_n_tokens: Annotated[int | None, typer.Option()] = None,
    return_full_text: Annotated[bool | None, typer.Option()] = None,
    details: Annotated[bool | None, typer.Option()] = None,
    decoder_input_details: Annotated[bool | None, typer.Option()] = None,
    complete: Annotated[
        bool | None, typer.Option(help="the text of a grammar is whole when the tokens are used up")
    ] = None,
    token_statistics: Annotated[
        bool | None, typer.Option(help="tell how each token stood before the grammar")
    ] = None,
    adapter_id: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Generate text for a prompt, under a grammar if one is given."""
    parameters = {
        "max_new_tokens": max_new_tokens,
        "do_sample": do_sample,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "typical_p": typical_p,
        "seed": seed,
        "repetition_penalty": repetition_penalty,
        "frequency_penalty": frequency_penalty,
        "watermark": watermark,
        "stop": stop or None,
        "truncate": truncate,
        "best_of": best_of,
        "top_n_tokens": top_n_tokens,
        "return_full_text": return_full_text,
        "details": True if as_json and details is None else details,
        "decoder_input_details": decoder_input_details,
        "complete": True if complete is None else complete,
        "token_statistics": token_statistics,
        "adapter_id": adapter_id,
    }
    try:
        style = TextStyle(whitespace=whitespace)  # type: ignore[arg-type]
        grammar = _grammar(schema, regex)
        if grammar is not None:
            compile_grammar(grammar, style=style)  # a bad one is refused before a model is loaded
        text = _standard_input() if prompt is None else prompt
        engine = load_engine(model, device=device, dtype=dtype, style=style)
        if chat:
            text = engine.chat_prompt([{"role": "user", "content": text}])
        _generate(engine, text, grammar, parameters, stream=stream, as_json=as_json)
    except LockstitchError as error:
        _fail(error)


def load_engine(model: str | None, **options: Any) -> Any:
    """Load the engine; importing it brings torch, which only `generate` needs."""
    from .engine import Engine

    return Engine.from_pretrained(model, **options)


def _generate(
    engine: Any,
    text: str,
    grammar: dict[str, Any] | None,
    parameters: dict[str, Any],
    *,
    stream: bool,
    as_json: bool,
) -> None:
    if not stream:
        response = engine.generate(text, grammar=grammar, **parameters)
        typer.echo(response.to_json() if as_json else response.generated_text)
        return
    shown = 0
    if parameters["return_full_text"] and not as_json:
        typer.echo(text, nl=False)
        shown = len(text)
    for event in engine.stream(text, grammar=grammar, **parameters):
        if as_json:
            typer.echo(event.to_json())
        elif event.generated_text is not None:  # may end inside the last token, at a stop string
            typer.echo(event.generated_text[shown:])
        elif not event.token.special:
            typer.echo(event.token.text, nl=False)
            shown += len(event.token.text)


@app.command()
def serve(
    model: Annotated[
        str | None, typer.Option(help="folder of a model; the default without it")
    ] = None,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    api_key: Annotated[
        str | None, typer.Option(envvar="API_KEY", help="what clients send as bearer token")
    ] = None,
    adapter: Annotated[
        list[str] | None, typer.Option(metavar="ID=FOLDER", help="a LoRA adapter; repeatable")
    ] = None,
    max_concurrent_requests: Annotated[int, typer.Option(min=1)] = 128,
    max_best_of: Annotated[int, typer.Option(min=1)] = 2,
    max_stop_sequences: Annotated[int, typer.Option(min=0)] = 4,
    max_top_n_tokens: Annotated[int, typer.Option(min=0)] = 5,
    max_input_tokens: Annotated[int | None, typer.Option(min=1)] = None,
    max_total_tokens: Annotated[int | None, typer.Option(min=2)] = None,
    max_batch_size: Annotated[int, typer.Option(min=1, help="rows of one pass")] = 32,
    max_batch_total_tokens: Annotated[
        int | None, typer.Option(min=2, help="positions of the KV cache; by free memory without it")
    ] = None,
    max_client_batch_size: Annotated[int, typer.Option(min=1, help="prompts of a completion")] = 4,
    payload_limit: Annotated[int, typer.Option(min=1, help="bytes of a body")] = 2_000_000,
    cors_allow_origin: Annotated[list[str] | None, typer.Option(help="repeatable")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16, float16")] = None,
    disable_grammar_support: Annotated[bool, typer.Option()] = False,
    compat_full_text: Annotated[
        bool, typer.Option(help="POST / repeats the prompt, as text-generation-inference does")
    ] = False,
    compat_reject_one: Annotated[
        bool, typer.Option(help="refuse top_p and typical_p of 1.0, as it does")
    ] = False,
    strict_parameters: Annotated[
        bool, typer.Option(help="refuse parameters that do not exist")
    ] = False,
    json_output: Annotated[bool, typer.Option(help="log JSON")] = False,
) -> None:
    """Serve the text-generation and OpenAI routes over HTTP until it is told to stop."""
    server = _server_module()
    server.log_to_stderr(as_json=json_output)
    try:
        server.serve(
            server.Source(model, device, dtype, tuple(adapter or ())),
            server.Limits(
                max_best_of=max_best_of,
                max_stop_sequences=max_stop_sequences,
                max_top_n_tokens=max_top_n_tokens,
                max_input_tokens=max_input_tokens,
                max_total_tokens=max_total_tokens,
                max_batch_size=max_batch_size,
                max_batch_total_tokens=max_batch_total_tokens,
                grammar_support=not disable_grammar_support,
                accept_one=not compat_reject_one,
            ),
            server.Settings(
                api_key=api_key or None,
                payload_limit=payload_limit,
                max_concurrent_requests=max_concurrent_requests,
                max_client_batch_size=max_client_batch_size,
                cors_allow_origins=tuple(cors_allow_origin or ("*",)),
                full_text_default=compat_full_text,
                strict_parameters=strict_parameters,
            ),
            host=host,
            port=port,
        )
    except LockstitchError as error:
        _fail(error)


def _server_module() -> Any:
    """Import the server, which needs packages of an extra."""
    try:
        from . import serve as module
    except ImportError as error:
        raise typer.BadParameter(
            f"the server needs a package that is missing ({error}); "
            "run `pip install 'lockstitch[server]'`"
        ) from error
    return module


@app.command()
def check_grammar(
    schema: SchemaFile = None,
    regex: Regex = None,
    whitespace: Annotated[str, typer.Option(help="compact, spaced or flexible")] = "spaced",
    assert_format: Annotated[
        bool, typer.Option(help="formats are enforced, not annotations")
    ] = True,
    why: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="say where and why this text leaves the language; - reads standard input, "
            "less its last line break",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
) -> None:
    """Say what becomes of a grammar: each keyword, words, the shortest text, or the first refusal.

    Exit code 0: the grammar compiles; 1: the text of --why is not in its language; 2: the grammar
    or the call is refused.
    """
    try:
        style = TextStyle(whitespace=whitespace)  # type: ignore[arg-type]
        grammar = _grammar(schema, regex)
        if grammar is None:
            raise ValidationError("give a grammar with --schema FILE or --regex PATTERN")
        compiled = compile_grammar(grammar, style=style, assert_format=assert_format)
        verdict = None
        if why is not None:
            free = partial(
                compile_grammar, grammar, style=EVERY_SPELLING, assert_format=assert_format
            )
            verdict = judge(compiled, _text_in_question(why), free)
        print_report(compiled, verdict, as_json=as_json)
        if verdict is not None and not verdict.why.accepted:
            raise typer.Exit(1)
    except GrammarError as error:
        source = regex if schema is None else None
        print_refusal(error, regex=source, schema=None if schema is None else _parsed(schema))
        raise typer.Exit(2) from None
    except LockstitchError as error:
        _fail(error)


def _parsed(path: Path) -> object:
    """Return the schema of a file, None where it is not JSON (which the refusal then says)."""
    try:
        return json.loads(_read(path))
    except (ValueError, RecursionError):
        return None


if __name__ == "__main__":
    main()
