"""The four states of a link: present, restored, committed, absent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .checkpoint import Checkpoint, checkpoint_path, drop_checkpoint, read_checkpoint, write_checkpoint
from .profile import (
    LinkError,
    LinkSettings,
    LinkState,
    check_rival,
    check_settings,
    find_device,
    find_profile,
    observed_state,
    plan_profile,
    wanted_state,
)

if TYPE_CHECKING:
    from pathlib import Path

    from .client import NetworkManager
    from .nmcli import Profile


@dataclass(frozen=True)
class Outcome:
    """What was found and what was (or, in check mode, would be) made of it."""

    changed: bool
    before: LinkState
    after: LinkState
    checkpoint: bool
    interface: str = ""
    warning: str = ""


def ensure_present(manager: NetworkManager, settings: LinkSettings, directory: Path, *, check_mode: bool) -> Outcome:
    """Make the profile, bring it up and look again whether the device obeyed."""
    check_settings(settings)
    path = checkpoint_path(directory, settings.name)
    profiles, devices = manager.profiles(), manager.devices()
    device = find_device(devices, settings)
    profile = find_profile(profiles, settings.name)
    rival = check_rival(profiles, device, settings.name)
    before = observed_state(manager.properties(profile.uuid) if profile else None, device)
    after = wanted_state(settings, before)
    plan = plan_profile(before, after)
    outcome = Outcome(plan.changes, before, after, plan.changes or read_checkpoint(path) is not None, device.name)
    if rival:
        outcome = replace(
            outcome,
            warning=f"profile {rival.name!r} held {device.name}; {settings.name} takes over and leaves it on disk",
        )
    if check_mode or not plan.changes:
        return outcome
    write_checkpoint(path, Checkpoint(device.name, before.properties, device.profile_uuid))
    if profile is None:
        manager.add(settings.name, settings.interface, plan.modify)
    elif plan.modify:
        manager.modify(profile.uuid, plan.modify)
    made = _profile(manager, settings.name)
    manager.activate(made, device.name)
    real = observed_state(manager.properties(made), find_device(manager.devices(), settings))
    left = plan_profile(real, after)
    if left.changes:
        raise LinkError(
            f"link_links entry {settings.name!r}: {device.name} was activated but is not as wanted: "
            f"device {dict(real.device)}, wanted {dict(after.device)}; profile differs in {dict(left.modify)}. "
            "See 'journalctl -u NetworkManager'"
        )
    return replace(outcome, after=real)


def restore(manager: NetworkManager, name: str, directory: Path, *, check_mode: bool) -> Outcome:
    """Go back to the checkpoint; without one there is nothing to go back to."""
    path = checkpoint_path(directory, name)
    checkpoint = read_checkpoint(path)
    profile = find_profile(manager.profiles(), name)
    before = LinkState(manager.properties(profile.uuid) if profile else None)
    if checkpoint is None:
        return Outcome(False, before, before, checkpoint=False)
    outcome = Outcome(True, before, LinkState(checkpoint.properties), checkpoint=False, interface=checkpoint.interface)
    if check_mode:
        return outcome
    if checkpoint.properties is None:
        if profile is not None:
            manager.delete(profile.uuid)
    else:
        _put_back(manager, name, profile, before, outcome.after)
    _reactivate(manager, name, checkpoint)
    drop_checkpoint(path)
    return outcome


def commit(name: str, directory: Path, *, check_mode: bool) -> Outcome:
    """Forget the former state: the present one is verified."""
    path = checkpoint_path(directory, name)
    present = read_checkpoint(path) is not None
    if not check_mode:
        drop_checkpoint(path)
    return Outcome(present, LinkState(None), LinkState(None), checkpoint=False)


def ensure_absent(manager: NetworkManager, name: str, directory: Path, *, check_mode: bool) -> Outcome:
    """Delete the profile and its checkpoint."""
    path = checkpoint_path(directory, name)
    profile = find_profile(manager.profiles(), name)
    before = LinkState(manager.properties(profile.uuid) if profile else None)
    changed = profile is not None or path.exists()
    if not check_mode:
        if profile is not None:
            manager.delete(profile.uuid)
        drop_checkpoint(path)
    return Outcome(changed, before, LinkState(None), checkpoint=False)


def _put_back(
    manager: NetworkManager, name: str, profile: Profile | None, properties: LinkState, former: LinkState
) -> None:
    """Give a profile its former properties, making it anew if someone deleted it."""
    plan = plan_profile(properties, former)
    if profile is None:
        manager.add(name, (former.properties or {}).get("connection.interface-name"), plan.modify)
    elif plan.modify:
        manager.modify(profile.uuid, plan.modify)
    uuid = profile.uuid if profile else _profile(manager, name)
    left = plan_profile(LinkState(manager.properties(uuid)), former)
    if left.modify:
        raise LinkError(f"link_links entry {name!r}: the former profile could not be put back: {dict(left.modify)}")


def _profile(manager: NetworkManager, name: str) -> str:
    profile = find_profile(manager.profiles(), name)
    if profile is None:
        raise LinkError(f"link_links entry {name!r}: NetworkManager took the profile but does not list it")
    return profile.uuid


def _reactivate(manager: NetworkManager, name: str, checkpoint: Checkpoint) -> None:
    """Give the interface back to the profile that held it, if that still exists."""
    profiles = manager.profiles()
    ours = find_profile(profiles, name)
    if any(profile.uuid == checkpoint.active_profile_uuid for profile in profiles):
        manager.activate(checkpoint.active_profile_uuid, checkpoint.interface)
    elif ours is not None:
        holder = next((d.profile_uuid for d in manager.devices() if d.name == checkpoint.interface), "")
        if holder == ours.uuid:
            manager.deactivate(ours.uuid)
