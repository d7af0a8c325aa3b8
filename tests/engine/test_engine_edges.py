"""The engine at its edges: prompts, conversations, failures of the model, order of the work."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import tiny_engine
from typer.testing import CliRunner

from lockstitch import Engine
from lockstitch.engine import cli
from lockstitch.schemas.errors import GenerationError, TemplateError, ValidationError
from lockstitch.schemas.parameters import GenerateParameters, Limits
from lockstitch.schemas.request import GenerateRequest

FOX = {"type": "regex", "value": "The quick brown fox"}
CONTINUABLE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize("inputs", [None, 5, {"a": 1}, [1], [None], b"bytes"], ids=repr)
def test_inputs_of_the_wrong_type_are_refused(engine: Engine, inputs: Any) -> None:
    with pytest.raises(ValidationError, match="string") as caught:
        engine.generate(inputs)
    assert caught.value.parameter == "inputs"


def test_no_prompt_gives_no_answer(engine: Engine) -> None:
    assert engine.generate([]) == []


def test_every_request_is_checked_before_the_first_one_runs(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the model ran")

    monkeypatch.setattr(engine.model, "forward", forward)
    good = GenerateParameters(decoder_input_details=True)
    bad = GenerateParameters(grammar={"type": "regex", "value": "("})
    requests = [GenerateRequest(inputs="x", parameters=p) for p in (good, bad)]
    with pytest.raises(ValidationError, match="group"):
        engine.generate_requests(requests)


@pytest.mark.parametrize("error", [RuntimeError, torch.OutOfMemoryError])
def test_a_failing_model_is_a_generation_error(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise error("no room\nat 0x00")

    monkeypatch.setattr(engine.model, "forward", forward)
    with pytest.raises(GenerationError, match=r"during generation: no room$") as caught:
        engine.generate("x")
    assert caught.value.status == 424


def test_a_model_of_nans_gives_no_text(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = engine.model
    head = model.get_output_embeddings()
    forward = head.forward
    monkeypatch.setattr(head, "forward", lambda hidden: forward(hidden) * torch.nan)
    with pytest.raises(GenerationError, match="not numbers"):
        engine.generate("x", grammar={"type": "regex", "value": "[ab]{3}"})


def test_batches_are_cut_to_size(monkeypatch: pytest.MonkeyPatch) -> None:
    small = tiny_engine(limits=Limits(max_batch_size=2))
    sizes: list[int] = []
    forward = small.model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        sizes.append(len(kwargs["input_ids"]))
        return forward(*args, **kwargs)

    monkeypatch.setattr(small.model, "forward", counted)
    prompts = [f"prompt {number}" for number in range(5)]
    answers = small.generate(prompts, max_new_tokens=3)
    assert max(sizes) == 2
    assert [a.generated_text for a in answers] == [
        small.generate(prompt, max_new_tokens=3).generated_text for prompt in prompts
    ]


def test_truncation_keeps_the_end_and_the_whole_text(engine: Engine) -> None:
    prompt = "one two three four five six"
    ids = engine.tokenizer(prompt)["input_ids"]
    response = engine.generate(
        prompt, truncate=3, decoder_input_details=True, return_full_text=True, max_new_tokens=2
    )
    assert response.details is not None
    assert [token.id for token in response.details.prefill] == ids[-3:]
    assert response.generated_text.startswith(prompt)


def with_start_token() -> Engine:
    """An engine whose tokenizer puts a start token before each prompt."""
    engine = tiny_engine()
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = engine.tokenizer
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    tokenizer.bos_token = "<|im_start|>"
    tokenizer.backend_tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", start)]
    )
    return engine


def test_a_start_token_survives_truncation_and_stands_once() -> None:
    engine = with_start_token()
    start = engine.tokenizer.bos_token_id
    plain = engine.tokenizer("one two three", add_special_tokens=False)["input_ids"]

    def prompt_ids(text: str, **options: Any) -> list[int]:
        details = engine.generate(
            text, decoder_input_details=True, max_new_tokens=1, **options
        ).details
        assert details is not None
        return [token.id for token in details.prefill]

    assert prompt_ids("one two three") == [start, *plain]
    assert prompt_ids("<|im_start|>one two three") == [start, *plain]
    assert prompt_ids("one two three", truncate=3) == [start, *plain[-2:]]
    assert prompt_ids("one two three", truncate=1) == plain[-1:]


def test_conversations_begin_or_continue_the_answer() -> None:
    engine = tiny_engine()
    engine.tokenizer.chat_template = CONTINUABLE
    question = {"role": "user", "content": "Hi"}
    begun = {"role": "assistant", "content": "Hello the"}
    asked = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert engine.chat_prompt([question]) == asked
    assert engine.chat_prompt([question, begun]) == asked + "Hello the"
    for messages in ([], "abc", [{"role": "user"}, 5]):
        with pytest.raises(TemplateError, match="chat template"):
            engine.chat_prompt(messages)  # type: ignore[arg-type]
    engine.tokenizer.chat_template = "{{ raise_exception('no system role') }}"
    with pytest.raises(TemplateError, match="no system role"):
        engine.chat_prompt([question])
    engine.tokenizer.chat_template = None
    with pytest.raises(TemplateError, match="no chat template"):
        engine.chat_prompt([question])


def test_what_is_no_model_is_refused(engine: Engine) -> None:
    for model, tokenizer in ((5, engine.tokenizer), (5, None), (None, engine.tokenizer)):
        with pytest.raises(ValidationError, match=r"model|tokenizer"):
            Engine.from_pretrained(model, tokenizer)  # type: ignore[arg-type]


def test_a_python_type_is_a_grammar(engine: Engine) -> None:
    text = engine.generate("x", grammar=list[bool], max_new_tokens=3).generated_text
    assert text.startswith("[")


@pytest.mark.parametrize("full", [[], ["--return-full-text"]])
def test_a_stream_prints_what_the_answer_is(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, full: list[str]
) -> None:
    monkeypatch.setattr(cli, "load_engine", lambda *args, **options: engine)
    arguments = ["generate", "Say: ", "--regex", FOX["value"], "--stop", "ow", *full]
    printed = [CliRunner().invoke(cli.app, [*arguments, *more]) for more in ([], ["--stream"])]
    assert [result.exit_code for result in printed] == [0, 0]
    assert printed[0].stdout == printed[1].stdout
    assert printed[0].stdout == ("Say: " if full else "") + "The quick brow\n"


def test_undecodable_standard_input_is_one_line(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "load_engine", lambda *args, **options: engine)
    result = CliRunner().invoke(cli.app, ["generate"], input=b"\xff\xfe")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0].startswith("lockstitch: standard input cannot be read")
