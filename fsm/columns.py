"""The columns of the arrays that the hot loops share, and the numbers that stand for no state."""

# Columns of the trie's nodes.
BYTE, DEPTH, SKIP, TOKENS = range(4)
# Columns of the states.
ROW, ACCEPTS, FIRST_BRANCH, LAST_BRANCH, FIRST_TEXT, LAST_TEXT, CAPTURES, LOOP = range(8)
STATE_COLUMNS = 8
# In the place of a tail: nothing follows; the end is noted; `EXIT_BEHIND - state`: after a state.
NOTHING, EXIT, EXIT_BEHIND = -1, -2, -10
# In the place of the tail of what is asked for: a capture, a wide branch, a tail behind a tail;
# with `WIDE` a branch stands in the place of the state; with `_EXIT` the end behind it is noted.
CAPTURED, WIDE, WIDE_EXIT, NESTED, CAPTURED_EXIT = -3, -4, -5, -6, -7
UNKNOWN = -1  # in the place of a row, of a first branch, of a loop
NONE = -2  # in the place of a loop
SAME = -1  # tail of a branch: that of the item
ROOT = 0
NEAR = 16  # bytes to the end of all tokens below; a counter that lasts longer does not matter
BIG = 1000  # nodes below, from which on a wide lexeme is looked up and not walked
