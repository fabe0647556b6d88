"""Trees and the choice of a decision, against evaluators that try everything."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tandem.router.config.routing import Algorithm, Condition, Decision, Fusion
from tandem.router.routing.decide import Decisions, Undecided
from tandem.router.routing.trees import compile_tree, confidence, signals_of

KINDS = ("keyword", "context", "embedding")
leaves = st.builds(Condition, type=st.sampled_from(KINDS), name=st.sampled_from("ab"))


def node(operator, children):
    return Condition(operator=operator, conditions=tuple(children))


trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(node, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda child: node("NOT", [child]), inner),
    ),
    max_leaves=6,
) | st.just(Condition(operator="AND"))
ALL = [(kind, name) for kind in KINDS for name in "ab"]


def holds(condition, true):
    """Evaluate a tree as one would say it."""
    if condition.type:
        return (condition.type, condition.name) in true
    parts = [holds(child, true) for child in condition.conditions]
    return {"AND": all(parts), "OR": any(parts), "NOT": not all(parts)}[condition.operator]


def worlds(known, unknown):
    for extra in itertools.product([False, True], repeat=len(unknown)):
        yield known | {signal for signal, chosen in zip(unknown, extra, strict=True) if chosen}


@given(trees, st.sets(st.sampled_from(ALL)), st.sets(st.sampled_from(KINDS)))
def test_trees(tree, true, evaluated):
    test = compile_tree(tree, {signal: place for place, signal in enumerate(ALL)})
    unknown = [signal for signal in ALL if signal[0] not in evaluated and signal not in true]
    outcome = test([True if signal in true else None if signal in unknown else False for signal in ALL])
    possible = {holds(tree, world) for world in worlds(true, unknown)}
    if outcome is not None:
        assert possible == {outcome}
    if not unknown:
        assert outcome is not None


@given(trees, st.dictionaries(st.sampled_from(ALL), st.floats(0.1, 1)))
def test_confidence_is_there_where_the_tree_holds(tree, matches):
    value = confidence(tree, matches)
    assert (value is not None) == holds(tree, set(matches))
    assert value is None or 0 <= value <= 1


def test_confidence_as_upstream_has_it():
    a, b = (Condition(type="embedding", name=name) for name in "ab")
    keyword = Condition(type="keyword", name="a")
    matches = {("embedding", "a"): 0.6, ("embedding", "b"): 0.8, ("keyword", "a"): 1.0}
    assert confidence(node("AND", [a, keyword]), matches) == 0.8
    assert confidence(node("OR", [a, b]), matches) == 0.8
    assert confidence(node("NOT", [Condition(type="keyword", name="b")]), matches) == 1.0
    assert confidence(Condition(operator="AND"), matches) == 0.0
    assert confidence(Condition(), matches) == 0.0


decisions = st.lists(st.tuples(st.integers(1, 3), trees, st.booleans()), max_size=6).map(
    lambda parts: [
        Decision(
            name=f"d{place}",
            priority=priority,
            rules=tree,
            algorithm=Algorithm(type="fusion", fusion=Fusion(model="m")) if fusion else Algorithm(type="static"),
        )
        for place, (priority, tree, fusion) in enumerate(parts)
    ]
)


def best(some, matches):
    """Return what upstream takes: of all that hold, by priority, confidence and name."""
    held = [one for one in some if holds(one.rules, set(matches))]
    return min(held, key=lambda one: (-one.priority, -confidence(one.rules, matches), one.name), default=None)


@given(decisions, st.dictionaries(st.sampled_from(ALL), st.floats(0.1, 1)), st.sets(st.sampled_from(KINDS)))
def test_choice(some, matches, evaluated):
    compiled = Decisions(some)
    assert compiled.choose(matches, KINDS) == best(some, matches)
    known = {signal: value for signal, value in matches.items() if signal[0] in evaluated}
    early = compiled.choose(known, evaluated)
    if not isinstance(early, Undecided):
        # Whatever the rest turns out to be, it is the same.
        rest = [signal for signal in ALL if signal[0] not in evaluated]
        for world in worlds(set(), rest):
            assert best(some, known | dict.fromkeys(world, 0.7)) == early


def test_signals():
    assert signals_of(node("AND", [Condition(type="keyword", name="a"), Condition(type="context", name="b")])) == {
        ("keyword", "a"),
        ("context", "b"),
    }
