"""The engine: a model, a tokenizer, and requests in, answers out.

Everything that can be refused is refused before the model runs: parameters, then the prompt against
the limits, then the grammar. What remains is a list of sequences, decoded in batches.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from jinja2 import TemplateError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..constraint.text.style import TextStyle
from ..fsm.vocabulary import Vocabulary
from ..schemas.errors import ModelUnavailableError, ValidationError
from ..schemas.parameters import GenerateParameters, Limits, refuse
from ..schemas.request import GenerateRequest, check_request
from ..schemas.response import GenerateResponse, PrefillToken, StreamEvent
from .answers import answer, events
from .decoding import decode
from .detokenizer import TokenTexts
from .forward import Forward
from .grammar_cache import GrammarCache
from .model_loading import LoadedModel, load_model, wrap_model
from .sampler import Sampler
from .sequence import RunningSequence, Task


class Engine:
    """Generates text, under a grammar or without one. Made by `from_pretrained`.

    Not for use by several threads at once: each call runs the model.
    """

    def __init__(
        self, loaded: LoadedModel, *, style: TextStyle | None = None, limits: Limits | None = None
    ) -> None:
        self.model = loaded.model
        self.tokenizer: Any = loaded.tokenizer
        self.name = loaded.name
        self.limits = (limits or Limits()).for_context(loaded.context_length)
        model: Any = self.model
        self._width = int(model.get_output_embeddings().weight.shape[0])
        self.vocabulary = Vocabulary.from_tokenizer(
            self.tokenizer, eos_token_ids=loaded.eos_token_ids, size=self._width
        )
        own = self.tokenizer.eos_token_id
        self._eos = own if own in loaded.eos_token_ids else min(loaded.eos_token_ids)
        self._texts = TokenTexts(self.tokenizer, self.vocabulary)
        self._grammars = GrammarCache(self.vocabulary, style or TextStyle())

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
    ) -> Engine:
        """Load the embedded default model (None), a folder, or take objects that are loaded.

        Raises ModelUnavailableError if the model is not on this machine, ValidationError if model
        and tokenizer do not fit.
        """
        if isinstance(model, str | Path | None):
            if tokenizer is not None:
                raise ValidationError("a tokenizer is only taken together with a loaded model")
            return cls(load_model(model, device=device, dtype=dtype), style=style, limits=limits)
        if tokenizer is None:
            raise ModelUnavailableError("pass the tokenizer together with the loaded model")
        if not hasattr(model, "get_output_embeddings"):
            kind = type(model).__name__
            raise ValidationError(f"a {kind} is no model of transformers", parameter="model")
        return cls(wrap_model(model, tokenizer), style=style, limits=limits)

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

        `parameters` are those of the text-generation task; greedy unless they say otherwise. Raises
        ValidationError (GrammarError for the grammar) before the model runs, GenerationError later.
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
        runs = [self._runs(request) for request in requests]  # all are checked before any runs
        for of_request in runs:
            self._add_prefill(of_request)
        everything = [run for of_request in runs for run in of_request]
        size = self.limits.max_batch_size
        for first in range(0, len(everything), size):
            for _ in decode(self.model, everything[first : first + size]):
                pass
        return [answer(of_request) for of_request in runs]

    def stream(
        self, inputs: str, *, grammar: object = None, **parameters: Any
    ) -> Iterator[StreamEvent]:
        """Answer one prompt token by token; the last event has the text and the details.

        Raises ValidationError now, not at the first event. Closing the iterator stops the work.
        """
        request = _request(inputs, grammar, parameters).model_copy(update={"stream": True})
        return self._events(self._runs(request)[0])

    def _events(self, run: RunningSequence) -> Iterator[StreamEvent]:
        sent = 0
        for _ in decode(self.model, [run]):
            yield from events(run, sent)
            sent = len(run.tokens)

    def chat_prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the prompt for a conversation, by the model's own chat template.

        A last message of the assistant is continued, otherwise the assistant's turn begins. Raises
        ValidationError if the model has no template, or its template cannot render the messages.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            raise ValidationError("this model has no chat template; write the prompt yourself")
        try:
            turns = [dict(message) for message in messages]
            continued = bool(turns) and turns[-1].get("role") == "assistant"
            prompt: str = self.tokenizer.apply_chat_template(
                turns,
                tokenize=False,
                add_generation_prompt=not continued,
                continue_final_message=continued,
            )
        except (TypeError, ValueError, TemplateError) as error:
            reason = f"the chat template cannot render these messages: {error}"
            raise ValidationError(reason, parameter="messages") from error
        return prompt

    def _runs(self, request: GenerateRequest) -> list[RunningSequence]:
        """Check a request and return the sequences that it takes."""
        check_request(request, self.limits)
        task = self._task(request)
        return [self._run(task) for _ in range(request.parameters.best_of or 1)]

    def _add_prefill(self, runs: Sequence[RunningSequence]) -> None:
        """Fill in the details of the prompt, which all runs of a request share, if asked for."""
        task = runs[0].task
        if task.parameters.decoder_input_details:
            prefill = self._prefill(task)
            for run in runs:
                run.prefill = prefill

    def _run(self, task: Task) -> RunningSequence:
        p, seed = task.parameters, None
        if p.sampling or (p.best_of or 1) > 1:
            seed = secrets.randbits(64) if p.seed is None else p.seed
        sampler = Sampler(p, task.prompt_ids, self._width, self.model.device, seed)
        return RunningSequence(task, sampler, self._texts, seed)

    def _task(self, request: GenerateRequest) -> Task:
        parameters = request.parameters
        ids = self._prompt_ids(request)
        return Task(
            inputs=request.inputs,
            parameters=parameters,
            prompt_ids=ids,
            max_new_tokens=self._budget(parameters, len(ids)),
            fsm=self._grammars.get(parameters.grammar) if self._allows(parameters) else None,
            eos_token_id=self._eos,
            eos_token_ids=self.vocabulary.eos_token_ids,
        )

    def _allows(self, parameters: GenerateParameters) -> bool:
        if parameters.grammar is not None and not self.limits.grammar_support:
            refuse("grammar is disabled on this server", "grammar")
        return parameters.grammar is not None

    def _prompt_ids(self, request: GenerateRequest) -> tuple[int, ...]:
        ids: list[int] = self.tokenizer(request.inputs, add_special_tokens=True)["input_ids"]
        keep, bos = request.parameters.truncate, self.tokenizer.bos_token_id
        if bos is not None and ids[:2] == [bos, bos]:
            ids = ids[1:]  # a chat template writes one itself, and the model knows only one
        if keep is not None and keep < len(ids):
            leading = ids[:1] if keep > 1 and bos is not None and ids[0] == bos else []
            ids = leading + ids[len(ids) - keep + len(leading) :]
        if not ids:
            refuse("inputs must hold at least one token", "inputs")
        return tuple(ids)

    def _budget(self, parameters: GenerateParameters, prompt: int) -> int:
        total, most = self.limits.max_total_tokens or 0, self.limits.max_input_tokens or 0
        new = parameters.max_new_tokens
        if new is not None and prompt + new > total:
            reason = f"{prompt} prompt tokens + {new} max_new_tokens exceed {total}"
            refuse(reason, "max_new_tokens")
        if prompt > most:
            refuse(f"prompt has {prompt} tokens, limit {most}", "inputs")
        return total - prompt if new is None else new

    def _prefill(self, task: Task) -> tuple[PrefillToken, ...]:
        logprobs: list[float | None] = [None]
        logprobs += Forward(self.model).prefill_logprobs(task.prompt_ids)
        return tuple(
            PrefillToken(id=token_id, text=self._texts.text_of(token_id), logprob=logprob)
            for token_id, logprob in zip(task.prompt_ids, logprobs, strict=True)
        )


def _request(inputs: str, grammar: object, parameters: Mapping[str, Any]) -> GenerateRequest:
    """Return a request of the library: unknown parameters are errors, the default is greedy."""
    given = {"grammar": grammar, **parameters}
    if not isinstance(inputs, str):
        refuse("inputs must be a string or a list of strings", "inputs")
    return GenerateRequest(
        inputs=inputs, parameters=GenerateParameters.parse(given, strict_names=True)
    )
