"""The engine: a model, a tokenizer, and requests in, answers out.

Everything that can be refused is refused before the model runs: parameters, then the prompt against
the limits, then the grammar. What remains is a list of sequences, decoded in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from jinja2 import TemplateError as JinjaError
from jinja2 import UndefinedError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..constraint.text.style import TextStyle
from ..fsm.vocabulary import Vocabulary
from ..schemas.errors import (
    MissingTemplateVariableError,
    ModelUnavailableError,
    TemplateError,
    ValidationError,
)
from ..schemas.parameters import GenerateParameters, Limits, refuse
from ..schemas.request import GenerateRequest
from ..schemas.response import GenerateResponse, StreamEvent
from .adapters import BASE, with_adapters
from .answers import answer, events
from .batch import Batch
from .jobs.prompting import Prompter, PromptForm
from .jobs.records import RecordForm
from .memory import positions_for
from .model_loading import LoadedModel, load_model, wrap_model
from .preparation import Preparation
from .sequence import RunningSequence


class Engine:
    """Generates text, under a grammar or without one. Made by `from_pretrained`.

    Not for use by several threads at once: each call runs the model. See `AsyncEngine`.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        style: TextStyle | None = None,
        limits: Limits | None = None,
        adapters: Mapping[str, str | Path] | None = None,
    ) -> None:
        model: Any = loaded.model
        width = int(model.get_output_embeddings().weight.shape[0])
        self.model: Any = with_adapters(model, adapters or {})
        self.tokenizer: Any = loaded.tokenizer
        self.name = loaded.name
        self.adapters = frozenset(adapters or ())
        self.limits = (limits or Limits()).for_context(loaded.context_length, self.adapters)
        self.vocabulary = Vocabulary.from_tokenizer(
            self.tokenizer, eos_token_ids=loaded.eos_token_ids, size=width
        )
        self.preparation = Preparation(
            self.tokenizer, self.vocabulary, self.limits, style or TextStyle(), model.device
        )

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | PreTrainedModel | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        *,
        device: str | None = None,
        dtype: str | None = None,
        style: TextStyle | None = None,
        limits: Limits | None = None,
        adapters: Mapping[str, str | Path] | None = None,
    ) -> Engine:
        """Load the embedded default model (None), a folder, or take objects that are loaded.

        `adapters` are folders of LoRA adapters by the ids that requests choose them with. Raises
        ModelUnavailableError if the model is not on this machine, ValidationError if model and
        tokenizer do not fit.
        """
        if isinstance(model, str | Path | None):
            if tokenizer is not None:
                raise ValidationError("a tokenizer is only taken together with a loaded model")
            loaded = load_model(model, device=device, dtype=dtype)
            return cls(loaded, style=style, limits=limits, adapters=adapters)
        if tokenizer is None:
            raise ModelUnavailableError("pass the tokenizer together with the loaded model")
        if not hasattr(model, "get_output_embeddings"):
            kind = type(model).__name__
            raise ValidationError(f"a {kind} is no model of transformers", parameter="model")
        loaded = wrap_model(model, tokenizer)
        return cls(loaded, style=style, limits=limits, adapters=adapters)

    @overload
    def generate(
        self, inputs: str, *, grammar: object = None, **parameters: Any
    ) -> GenerateResponse: ...

    @overload
    def generate(
        self, inputs: Sequence[str], *, grammar: object = None, **parameters: Any
    ) -> list[GenerateResponse]: ...

    def generate(
        self, inputs: str | Sequence[str], *, grammar: object = None, **parameters: Any
    ) -> GenerateResponse | list[GenerateResponse]:
        """Answer one prompt, or several in one batch with one grammar or a list of them.

        `parameters` are those of the text-generation task; greedy unless they say otherwise. The
        text of a grammar is complete when `max_new_tokens` are used up, unless `complete=False`.
        Raises ValidationError (GrammarError for the grammar, InfeasibleBudgetError for too few
        tokens) before the model runs, GenerationError later.
        """
        if isinstance(inputs, str):
            return self.generate_requests([_request(inputs, grammar, parameters)])[0]
        if not isinstance(inputs, Sequence):
            refuse("inputs must be a string or a list of strings", "inputs")
        grammars = list(grammar) if isinstance(grammar, list | tuple) else [grammar] * len(inputs)
        if len(grammars) != len(inputs):
            refuse(f"{len(inputs)} prompts need as many grammars, got {len(grammars)}", "grammar")
        pairs = zip(inputs, grammars, strict=True)
        return self.generate_requests([_request(text, g, parameters) for text, g in pairs])

    def generate_requests(self, requests: Sequence[GenerateRequest]) -> list[GenerateResponse]:
        """Answer requests with parameters of their own, batched up to `limits.max_batch_size`."""
        prepare = self.preparation.sequences
        return self._answers([prepare(request) for request in requests])

    def _answers(self, runs: Sequence[Sequence[RunningSequence]]) -> list[GenerateResponse]:
        """Answer requests that are prepared: all are checked before any runs."""
        batch = self.new_batch()
        for of_request in runs:
            for run in of_request:
                batch.add(run)
        while not batch.idle:
            _raise_first_error(batch.step())
        return [answer(of_request) for of_request in runs]

    def new_batch(self) -> Batch:
        """Return an empty batch that the model of this engine decodes."""
        limits = self.limits
        positions = limits.max_batch_total_tokens
        if positions is None:
            positions = positions_for(self.model, limits.max_total_tokens or 0)
        base = BASE if self.adapters else None
        return Batch(
            self.model,
            max_rows=limits.max_batch_size,
            max_positions=positions,
            base_adapter=base,
        )

    def stream(
        self, inputs: str, *, grammar: object = None, **parameters: Any
    ) -> Iterator[StreamEvent]:
        """Answer one prompt token by token; the last event has the text and the details.

        Raises ValidationError now, not at the first event. Closing the iterator stops the work.
        """
        request = _request(inputs, grammar, parameters).model_copy(update={"stream": True})
        return self._events(self.preparation.sequences(request)[0])

    def _events(self, run: RunningSequence) -> Iterator[StreamEvent]:
        batch = self.new_batch()
        batch.add(run)
        sent = 0
        while not batch.idle:
            _raise_first_error(batch.step())
            yield from events(run, sent, len(run.tokens))
            sent = len(run.tokens)

    def extract(
        self,
        schema: Any,
        texts: str | Sequence[str],
        *,
        prompt: PromptForm | None = None,
        max_new_tokens: int = 512,
        **parameters: Any,
    ) -> Any:
        """Return the record in a text, or the list of those in several.

        `schema` is a pydantic model, whose objects are returned, or a JSON Schema, for parsed JSON.
        Raises as `generate` does, and RecordError where the validators of a model turn one down;
        for many texts, or errors by row, see `run_job`.
        """
        form = RecordForm.of(schema)
        prompter = Prompter(prompt or PromptForm(), form.schema, self.chat_template)
        given = [texts] if isinstance(texts, str) else list(texts)
        asked = {"complete": True, "max_new_tokens": max_new_tokens, **parameters}
        runs = [
            self.preparation.sequences(
                _request(prompter.prompt({prompter.text_field: text}), form.grammar, asked),
                special_tokens=prompter.special_tokens,
            )
            for text in given
        ]
        records = [form.parse(answer.generated_text) for answer in self._answers(runs)]
        return records[0] if isinstance(texts, str) else records

    @property
    def chat_template(self) -> Callable[[Sequence[Mapping[str, Any]]], str] | None:
        """`chat_prompt`, None if the model has no template."""
        return self.chat_prompt if getattr(self.tokenizer, "chat_template", None) else None

    def chat_prompt(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> str:
        """Return the prompt for a conversation, by the model's own chat template.

        A last message of the assistant is continued, otherwise the assistant's turn begins. Raises
        TemplateError if the model has no template, or its template cannot render the messages.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            raise TemplateError("this model has no chat template; write the prompt yourself")
        try:
            turns = [dict(message) for message in messages]
            continued = bool(turns) and turns[-1].get("role") == "assistant"
            prompt: str = self.tokenizer.apply_chat_template(
                turns,
                tools=None if tools is None else [dict(tool) for tool in tools],
                tokenize=False,
                add_generation_prompt=not continued,
                continue_final_message=continued,
            )
        except UndefinedError as error:
            raise MissingTemplateVariableError(
                f"the chat template asks for what the messages do not have: {error}"
            ) from error
        except (TypeError, ValueError, JinjaError) as error:
            reason = f"the chat template cannot render these messages: {error}"
            raise TemplateError(reason) from error
        return prompt

    @property
    def template_knows_tools(self) -> bool:
        """Whether the chat template shows tools to the model."""
        template = getattr(self.tokenizer, "chat_template", None) or ""
        return "tools" in str(template)


def _raise_first_error(runs: Sequence[RunningSequence]) -> None:
    for run in runs:
        if run.error is not None:
            raise run.error


def _request(inputs: str, grammar: object, parameters: Mapping[str, Any]) -> GenerateRequest:
    """Return a request of the library: unknown parameters are errors, the default is greedy."""
    given = {"grammar": grammar, "complete": True, **parameters}
    if not isinstance(inputs, str):
        refuse("inputs must be a string or a list of strings", "inputs")
    return GenerateRequest(
        inputs=inputs, parameters=GenerateParameters.parse(given, strict_names=True)
    )
