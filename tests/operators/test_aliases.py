from operators.aliases import ALIASES, Aliases


def test_a_chain_of_merges_is_resolved_at_once() -> None:
    aliases = Aliases()
    aliases.merge("a", "b")
    aliases.merge("b", "c")
    assert [aliases.of(name) for name in "abcd"] == ["c", "c", "c", "d"]


def test_the_oldest_goes_first() -> None:
    aliases = Aliases()
    for number in range(ALIASES + 1):
        aliases.merge(f"a{number}", "b")
    assert aliases.of("a0") == "a0"
    assert aliases.of("a1") == aliases.of(f"a{ALIASES}") == "b"


def test_what_is_not_kept_is_forgotten_and_a_snapshot_goes_on_the_same() -> None:
    aliases = Aliases()
    aliases.merge("a", "c")
    aliases.merge("b", "c")
    aliases.keep({"b"})
    assert aliases.snapshot() == [["b", "c"]]
    assert Aliases.restore(aliases.snapshot()) == aliases
