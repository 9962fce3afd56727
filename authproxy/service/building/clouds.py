"""The client of a section's cloud service, with its probe, breaker and watches."""

from __future__ import annotations

from functools import partial

from authproxy.backends.cloud.cloud import Cloud
from authproxy.backends.cloud.guarded import GuardedCloud
from authproxy.backends.cloud.probe import Probe
from authproxy.backends.cloud.proven import Proven
from authproxy.backends.cloud.settings import CloudSettings
from authproxy.backends.cloud.slow import SlowWatch
from authproxy.backends.door_watch import DoorWatch
from authproxy.backends.tls import UnusableTrust
from authproxy.config.model import ServerSection
from authproxy.service.building.draft import Draft
from authproxy.service.building.parts import CloudPart
from authproxy.service.building.settings import cloud_settings, files_of
from authproxy.service.building.world import World


def usable_cloud(draft: Draft, name: str, options: ServerSection) -> CloudPart | None:
    """The earlier client if its settings are the same, because it has connections and knows whether the cloud answers.
    None: a problem was reported.
    """
    try:
        settings = cloud_settings(options)
        made_of = (settings, files_of(settings.trust))
        before = draft.earlier_section(name)
        if before is not None and before.cloud.made_of == made_of:
            return before.cloud
        return _new_cloud(draft.world, made_of, settings)
    except UnusableTrust as unusable:
        inherited = options.api_ca_certs_file == draft.config.main.http_ca_certs_file
        where = ("main", "http_ca_certs_file") if inherited else (name, "api_ca_certs_file")
        draft.problem(*where, str(unusable))
        return None


def _new_cloud(world: World, made_of: object, settings: CloudSettings) -> CloudPart:
    proven = Proven(settings, known=world.state.proven, key=world.state.key.reveal(), log=world.log)
    cloud = Cloud(
        settings,
        reactor=world.reactor,
        resolver=world.resolver,
        log=world.log,
        proven=proven,
        certificates=world.certificates,
        workload=world.workload,
    )
    probe = Probe(cloud.check, reactor=world.reactor, log=world.log)
    guarded = GuardedCloud(cloud, probe, section=settings.section, reactor=world.reactor, log=world.log)
    watch = DoorWatch(
        probe=probe,
        reactor=world.reactor,
        tell=world.doors.of(settings.section),
        log=world.log,
        count_answer=partial(world.state.allowances.answered, settings.section),
    )
    cloud.watched_by(watch)
    slow = SlowWatch(
        cloud.check,
        threshold=settings.slow_seconds,
        reactor=world.reactor,
        tell=world.doors.of(settings.section),
        log=world.log,
        quick_again=watch.quick_again,
    )
    cloud.timed_by(slow.took)
    return CloudPart(made_of, cloud, guarded, probe, proven, watch, slow)
