"""The account may open the GPU, after two converges; a rule was written where it was needed alone."""

RULE = "/etc/udev/rules.d/70-tandem-gpu.rules"


def is_first(host):
    return host.file("/gpu/podman.log").exists


def test_the_account_is_in_the_groups(host):
    assert {"tandem", "render", "video"} <= set(host.user("tandem").groups)


def test_the_groups_may_open_the_devices(host):
    for path in ("/gpu/dev/kfd", "/gpu/dev/dri/renderD128"):
        device = host.file(path)
        assert (device.mode, device.group) == ((0o660, "render") if is_first(host) else (0o666, "root"))


def test_a_rule_where_it_is_needed(host):
    assert host.file(RULE).exists == is_first(host)
    assert host.file("/gpu/udevadm.log").exists == is_first(host)
    if is_first(host):
        # Once, by the first converge.
        assert host.file("/gpu/udevadm.log").content_string.splitlines() == [
            "control --reload",
            "trigger --action=change --subsystem-match=kfd --subsystem-match=drm",
            "settle --timeout=30",
        ]
        assert 'KERNEL=="renderD*", GROUP="render", MODE="0660"' in host.file(RULE).content_string


def test_rocminfo_runs_in_the_engines_own_image(host):
    if is_first(host):
        call = host.file("/gpu/podman.log").content_string.splitlines()[0]
        assert call.endswith(f" --entrypoint= rocm/vllm@sha256:{'0' * 64} rocminfo")
        assert "--pull=never" in call
        assert "--network=none" in call
