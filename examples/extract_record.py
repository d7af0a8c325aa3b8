"""Extract a typed record from a paragraph of text, streamed to the terminal.

The schema has what real ones have: a nested object, a list, enums, bounded numbers, patterns. The
model never sees it; it is asked in plain words, and the grammar does the rest. Every text that can
come out is valid, so the check at the end cannot fail. The values are the model's own, and the
embedded model is small: the shape is certain, the values are not.

    python examples/extract_record.py
    python examples/extract_record.py --text mail.txt --schema mine.schema.json --temperature 0.8
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill
from typing import Any

from jsonschema import Draft202012Validator

from lockstitch import Engine, LockstitchError, StreamEvent
from lockstitch.schemas.response import StreamDetails

HERE = Path(__file__).resolve().parent


def parse_arguments() -> argparse.Namespace:
    """Read the command line; without arguments it is the example beside this file."""
    parser = argparse.ArgumentParser(description="Extract a record from a text.")
    parser.add_argument("--text", type=Path, default=HERE / "purchase_order.txt")
    parser.add_argument("--schema", type=Path, default=HERE / "purchase_order.schema.json")
    parser.add_argument("--model", help="a model's folder; the embedded model if left out")
    parser.add_argument("--max-new-tokens", type=int, default=400)
    parser.add_argument("--temperature", type=float, help="greedy if left out")
    parser.add_argument("--seed", type=int)
    return parser.parse_args()


def ask(engine: Engine, text: str, schema: dict[str, Any]) -> str:
    """Word the request as the model's chat template wants it; of the schema it gets the title."""
    what = schema.get("title", "record").lower()
    question = f"{text}\n\nExtract the {what} from this message as JSON."
    return engine.chat_prompt([{"role": "user", "content": question}])


def show(events: Iterable[StreamEvent]) -> tuple[str, StreamDetails]:
    """Print each token when it comes; return what the last event carries, text and counts."""
    for event in events:
        if not event.token.special:
            print(event.token.text, end="", flush=True)
        if event.generated_text is not None and event.details is not None:
            print(flush=True)
            return event.generated_text, event.details
    raise RuntimeError("the stream ended without a final event")


def run(arguments: argparse.Namespace) -> None:
    """Load, generate, validate, report."""
    text = " ".join(arguments.text.read_text(encoding="utf-8").split())
    schema = json.loads(arguments.schema.read_text(encoding="utf-8"))
    sampling = {"temperature": arguments.temperature, "seed": arguments.seed}

    started = time.perf_counter()
    engine = Engine.from_pretrained(arguments.model)
    print(f"model loaded in {time.perf_counter() - started:.1f} s\n")
    print(fill(text, 88) + "\n")

    started = time.perf_counter()
    generated, details = show(
        engine.stream(
            ask(engine, text, schema),
            grammar={"type": "json", "value": schema},
            max_new_tokens=arguments.max_new_tokens,
            details=True,
            **{name: value for name, value in sampling.items() if value is not None},
        )
    )
    seconds = time.perf_counter() - started

    record = json.loads(generated)
    Draft202012Validator(schema).validate(record)
    print("\nvalid against the schema:")
    print(json.dumps(record, indent=2, ensure_ascii=False))
    report(details, seconds)


def report(details: StreamDetails, seconds: float) -> None:
    """Print the counts; the time is that of the whole request, prompt and grammar included."""
    print(f"\ntokens         {details.generated_tokens}")
    print(f"forced tokens  {details.forced_tokens} (no choice was left, so none was made)")
    print(f"seconds        {seconds:.2f}")
    print(f"tokens/s       {details.generated_tokens / seconds:.1f}")


def main() -> int:
    """Run the example; a refusal is one line and exit code 2."""
    try:
        run(parse_arguments())
    except (LockstitchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
