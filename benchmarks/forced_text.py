"""Tokens per second on extraction schemas: constrained, against unconstrained on the same prompts.

`python benchmarks/forced_text.py [--batch 1 8] [--repeats 3] [--dtype bfloat16]` lets the default
model write records under each schema, then each row as many tokens without a grammar, by turns;
also with forced text sampled like any other, which shows what appending it saves. Read the ratios:
"whole" counts the time that both spend on the prompts, "decode" leaves it out (that of these
requests for one token).
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from lockstitch import Engine
from lockstitch.schemas.request import GenerateRequest
from lockstitch.schemas.response import GenerateResponse

TEXT = (
    "Dear team, please book invoice 2024-118 of 3 May 2024 from Acme GmbH, Berlin, over 1,250.50 "
    "EUR for Maria Lopez (maria@acme.example, +49 30 1234). Two items: 5 chairs at 99.90 and one "
    "table at 751.00. It is urgent. "
)


def record(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has all of some properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


WORD = {"type": "string", "maxLength": 20}
SCHEMAS = {
    "invoice": record(
        {
            "invoice_number": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{3}$"},
            "issue_date": {"type": "string", "format": "date"},
            "supplier_name": WORD,
            "total_amount": {"type": "number", "minimum": 0, "maximum": 99999},
            "currency": {"enum": ["EUR", "USD", "GBP"]},
            "is_urgent": {"type": "boolean"},
        }
    ),
    "contact": record(
        {
            "full_name": WORD,
            "email_address": {"type": "string", "format": "email", "maxLength": 24},
            "company_name": WORD,
            "preferred_language": {"enum": ["English", "German", "Spanish"]},
            "wants_newsletter": {"type": "boolean"},
        }
    ),
    "order lines": record(
        {
            "order_lines": {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "items": record(
                    {
                        "description": WORD,
                        "quantity": {"type": "integer", "minimum": 1, "maximum": 99},
                        "unit_price": {"type": "number", "minimum": 0, "maximum": 999},
                    }
                ),
            },
            "delivery_address": record({"street": WORD, "city": WORD, "country_code": WORD}),
        }
    ),
    "ticket": record(
        {
            "ticket_category": {"enum": ["billing", "delivery", "quality", "other"]},
            "priority_level": {"enum": ["low", "medium", "high"]},
            "affected_products": {"type": "array", "items": WORD, "maxItems": 2},
            "requires_human_review": {"type": "boolean"},
            "short_summary": {"type": "string", "maxLength": 40},
        }
    ),
}


def rate(
    engine: Engine, prompts: list[str], budgets: list[int], **asked: Any
) -> tuple[float, list[GenerateResponse]]:
    """Return the seconds that it took and the answers."""
    requests = [
        GenerateRequest.parse(
            {
                "inputs": prompt,
                "parameters": {"max_new_tokens": most, "details": True, **asked},
            }
        )
        for prompt, most in zip(prompts, budgets, strict=True)
    ]
    began = time.perf_counter()
    answers = engine.generate_requests(requests)
    seconds = time.perf_counter() - began
    return seconds, answers


def tokens_of(answer: GenerateResponse) -> int:
    """Return how many tokens were written."""
    return 0 if answer.details is None else answer.details.generated_tokens


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    given = parser.parse_args()
    engine = Engine.from_pretrained(dtype=given.dtype)
    titles = ("whole: to free", "decode: to free", "whole: to sampled")
    print(f"{'schema':12} batch  forced   {'   '.join(f'{title:18}' for title in titles)}")
    every: dict[int, list[tuple[float, ...]]] = {}
    for name, schema in SCHEMAS.items():
        grammar = {"type": "json", "value": schema}
        for batch in given.batch:
            prompts = [f"{TEXT}\nThe {name} of mail {i} as JSON:\n" for i in range(batch)]
            asked: dict[str, Any] = {"grammar": grammar, "complete": True}
            most = [200] * batch
            rate(
                engine, prompts, most, **asked
            )  # compiles and fills masks, as the rows before would
            ratios: list[tuple[float, ...]] = []
            for _ in range(given.repeats):
                bound, answers = rate(engine, prompts, most, **asked)
                free, _ = rate(engine, prompts, [tokens_of(answer) for answer in answers])
                prompt, _ = rate(engine, prompts, [1] * batch)
                engine.preparation.forces_text = False
                sampled, _ = rate(engine, prompts, most, **asked)
                engine.preparation.forces_text = True
                ratios.append((free / bound, (free - prompt) / (bound - prompt), sampled / bound))
            told = [answer.details for answer in answers if answer.details is not None]
            forced = sum(d.forced_tokens for d in told) / sum(d.generated_tokens for d in told)
            every.setdefault(batch, []).append(
                tuple(statistics.median(column) for column in zip(*ratios, strict=True))
            )
            cells = [
                f"{min(column):5.2f} {statistics.median(column):5.2f} {max(column):5.2f}"
                for column in zip(*ratios, strict=True)
            ]
            print(f"{name:12} {batch:5}  {forced:5.0%}   {'    '.join(cells)}", flush=True)
    for batch, medians in every.items():
        means = [statistics.mean(column) for column in zip(*medians, strict=True)]
        print(f"means of the medians, batch {batch}: {'  '.join(f'{mean:.2f}' for mean in means)}")


if __name__ == "__main__":
    main()
