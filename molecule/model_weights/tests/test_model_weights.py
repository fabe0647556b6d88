"""The same verified files on every node, owned by root."""

DIRECTORY = "/var/lib/tandem/models/tiny/7"
TANDEM = "/opt/tandem/tandem/current/venv/bin/tandem"
VERIFY = f"{TANDEM} weights verify {DIRECTORY} --manifest /etc/tandem/models/tiny@7.sha256 --full"


def test_the_files_are_what_the_manifest_says(host):
    assert host.run(VERIFY).rc == 0


def test_the_files_are_those_of_the_source_and_no_other(host):
    assert sorted(host.file(DIRECTORY).listdir()) == ["config.json", "model.safetensors"]


def test_everybody_can_read_them_and_only_root_can_write(host):
    weights = host.file(f"{DIRECTORY}/model.safetensors")
    assert (weights.user, weights.mode) == ("root", 0o644)


def test_sha256sum_agrees_with_the_manifest(host):
    assert host.run(f"cd {DIRECTORY} && sha256sum --check --strict /etc/tandem/models/tiny@7.sha256").rc == 0


def test_a_refused_source_leaves_no_model(host):
    assert not host.file("/var/lib/tandem/models/tiny/8/model.safetensors").exists
