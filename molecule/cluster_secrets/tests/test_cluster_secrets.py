"""One token, the same on all nodes, readable by root only."""

PATH = "/etc/tandem/secrets/cluster_token"
SEEN = set()  # over all nodes: they are asked one after the other


def test_the_token_is_long_random_and_for_root_only(host):
    token = host.file(PATH)
    assert (token.user, token.group, token.mode) == ("root", "root", 0o600)
    assert len(token.content_string) == 64
    assert len(set(token.content_string)) > 20


def test_both_nodes_have_the_same_token(host):
    SEEN.add(host.file(PATH).sha256sum)
    assert len(SEEN) == 1
