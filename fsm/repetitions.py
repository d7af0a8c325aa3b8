"""States of long arrays: what happens in an item is the same for each of them.

A state in which a repetition with far bounds is left is a *template*, the same state with marks for
bounds, together with the bounds and how many repetitions were begun since. The mask is that of the
template; where a token leads is a template again, and a number to add. Only where a bound is nearer
than a token may reach does the state itself have to be made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..constraint.automaton import DEAD, Automaton
from ..constraint.terms.spines import Bounds, Spine, Spines


@dataclass(slots=True, eq=False)
class Template:
    """A state with marks for bounds; where tokens lead, None where that has to be asked for.

    `reach` is the most that a token begins; it is known when the mask is.
    """

    state: int
    spine: Spine
    reach: int | None = None
    moves: dict[int, tuple[Template, int] | None] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Repetition:
    """A template and the bounds that it was entered with; states of which the bounds are near.

    `moved` has where a token leads while they are far, less what was used up before it.
    """

    template: Template
    low: int
    high: int | None
    near: dict[int, int] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)

    def bounds(self, begun: int) -> Bounds:
        """Return what is left of the bounds behind some repetitions."""
        return max(self.low - begun, 0), None if self.high is None else self.high - begun

    def is_far(self, begun: int) -> bool:
        """Return whether no token reaches a bound, as far as the template is known."""
        reach = self.template.reach
        if reach is None:
            return False
        low, high = self.low - begun, self.high
        return (low > reach + 1 if self.low else True) and (
            high is None or high - begun > reach + 1
        )


class Repetitions:
    """The templates of one automaton; called under the grammar's lock."""

    def __init__(self, automaton: Automaton, advance: Callable[[int, bytes], int]) -> None:
        """`advance` returns the state of the automaton behind a token, `DEAD` if there is none."""
        self._automaton = automaton
        self._advance = advance
        self._spines = Spines(automaton.terms)
        self._templates: dict[Spine, Template] = {}

    def enter(self, state: int) -> Repetition | None:
        """Return what a state of the automaton is as a repetition, None if it is none."""
        found = self._spines.of(self._automaton.behind(state))
        if found is None:
            return None
        spine, (low, high) = found
        return Repetition(self._template(spine), low, high)

    def plain(self, at: Repetition, begun: int) -> int:
        """Return the state of the automaton with its true bounds."""
        return self._automaton.any_of([self._spines.term(at.template.spine, *at.bounds(begun))])

    def learn(self, template: Template) -> None:
        """Note how far tokens reach from a template whose mask was made."""
        template.reach = self._spines.reach(template.spine)

    def move(self, template: Template, token_id: int, token: bytes | None) -> None:
        """Find out where a token leads."""
        after = self._advance(template.state, token) if token else DEAD
        found = None
        if after != DEAD:
            found = self._spines.behind(template.spine, self._automaton.behind(after))
        template.moves[token_id] = None if found is None else (self._template(found[0]), found[1])

    def _template(self, spine: Spine) -> Template:
        found = self._templates.get(spine)
        if found is None:
            state = self._automaton.any_of([self._spines.template(spine)])
            found = self._templates[spine] = Template(state, spine)
        return found
