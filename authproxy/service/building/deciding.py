"""What decides a section's logins: recorder, door, second step, pipeline."""

from __future__ import annotations

from authproxy.backends.directory.memberships import GroupingDirectory
from authproxy.config.model import LdapServerAuto, ServerSection
from authproxy.observe.record import SectionRecorder
from authproxy.pipeline.approvals import SectionApprovals
from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.failure_limit import Failures
from authproxy.pipeline.logins import Logins
from authproxy.pipeline.policy import Policy
from authproxy.pipeline.ports import OpenDoor, Primary
from authproxy.pipeline.present import Present
from authproxy.pipeline.prompting import Prompts
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.second_step import SecondStep
from authproxy.service.building.draft import Draft
from authproxy.service.building.parts import CloudPart, Counted, DirectoryPart, PrimaryPart, RadiusPart
from authproxy.service.building.policies import failure_rules, push_rules
from authproxy.service.doors import section_door

# How logins come in and answers go out: nobody is let in, kept out or given anything by one of these.
WAYS = frozenset(
    {
        "accounting_client",
        "accounting_port",
        "clients",
        "debug",
        "denial_memory",
        "force_message_authenticator",
        "idle_timeout",
        "interface",
        "max_connections",
        "max_connections_per_client",
        "max_pending",
        "max_pending_per_client",
        "network_timeout",
        "port",
        "radsec_certificate_file",
        "radsec_client_ca_file",
        "radsec_clients",
        "radsec_idle_timeout",
        "radsec_key_file",
        "radsec_max_connections",
        "radsec_port",
        "reject_delay",
        "reply_cache",
        "require_message_authenticator",
        "ssl_port",
    }
)


class Deciding:
    """Makes the pipeline of a section, and the table of its logins."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def of(
        self,
        name: str,
        options: ServerSection,
        policy: Policy,
        part: PrimaryPart,
        primary: Primary,
        cloud: CloudPart,
        approvals: SectionApprovals,
    ) -> tuple[Counted, Logins, Present]:
        """What decides a section's logins. `primary` asks the `part`."""
        world = self._draft.world
        recorder = SectionRecorder(
            options.name,
            options.ikey,
            audit=world.audit,
            metrics=world.metrics,
            log=world.log,
            recent=world.recent,
            binds=isinstance(options, LdapServerAuto),
        )
        door = section_door(
            options,
            part.primary if isinstance(part, DirectoryPart) else None,
            proven=cloud.proven,
            probe=cloud.probe,
            guarded=cloud.guarded,
            watch=cloud.watch,
            slow=cloud.slow,
            state=world.state,
            primary_only=world.primary_only,
            reactor=world.reactor,
            log=world.log,
        )
        present = self._present(name, policy, door)
        second = SecondStep(
            policy,
            cloud.guarded,
            door,
            world.challenges,
            world.clock,
            Prompts(
                world.pushes,
                push_rules(self._draft.config.main),
                options.api_host,
                confirmed=policy.confirms_names,
                nodes=world.shared,
                denial_memory=options.denial_memory,
                application=options.ikey,
            ),
            approvals,
            is_slow=lambda: cloud.slow.is_slow,
            present=present,
            carrying=part.primary if isinstance(part, RadiusPart) else None,
        )
        failures = Failures(world.failures, failure_rules(options))
        groups = primary if isinstance(primary, GroupingDirectory) else None
        pipeline = Counted(
            Pipeline(policy, primary, second, recorder, world.clock, groups, failures), world.workload
        )
        logins = self._logins(name, options, pipeline, same=self._goes_on(name, options, policy, part, cloud))
        self._draft.when_started(lambda: self._measure(options, cloud, logins))
        return pipeline, logins, present

    def _present(self, name: str, policy: Policy, door: OpenDoor) -> Present:
        """The earlier one: what this configuration shuts is shut for who waits, too."""
        before = self._draft.earlier_section(name)
        if before is None:
            return Present(policy, door)
        present = before.present
        self._draft.when_started(lambda: present.use(policy, door))
        return present

    def _goes_on(
        self, name: str, options: ServerSection, policy: Policy, part: PrimaryPart, cloud: CloudPart
    ) -> bool:
        """Whether logins are decided as before the reload: by the same rules, the same primary and the same cloud."""
        before = self._draft.earlier_section(name)
        return (
            before is not None
            and _rules(before.options) == _rules(options)
            and before.primary is part
            and before.cloud is cloud
            and before.present.grants == policy.grants
        )

    def _logins(self, name: str, options: ServerSection, pipeline: Counted, *, same: bool) -> Logins:
        """The earlier ones: a login that waits is joined also by what comes after a reload, if that changes nothing."""
        before = self._draft.earlier_section(name)
        if before is not None:
            logins = before.logins
            self._draft.when_started(lambda: logins.use(pipeline, options.denial_memory, same=same))
            return logins
        log = self._draft.world.log

        def failed(request: AuthRequest, error: Exception) -> None:
            log.failure("login.failed", error, login=request.login, section=request.section)

        def joined(newcomer: AuthRequest, waiting: AuthRequest) -> None:
            log.info("login.joined", login=newcomer.login, waiting=waiting.login, client=newcomer.client)

        return Logins(
            pipeline,
            key=self._draft.world.login_key,
            denial_memory=options.denial_memory,
            clock=self._draft.world.clock,
            failed=failed,
            joined=joined,
        )

    def _measure(self, options: ServerSection, cloud: CloudPart, logins: Logins) -> None:
        world = self._draft.world
        world.metrics.pending(options.name, logins.__len__)
        world.metrics.door(
            options.name,
            lambda: cloud.watch.open_since is not None,
            lambda: options.failmode is FailMode.SAFE and world.primary_only.until(options.name) is not None,
        )
        world.metrics.pace(
            options.api_host, lambda: cloud.slow.is_slow, lambda: cloud.cloud.health().latency or 0.0
        )
        world.metrics.breaker(options.api_host, lambda: cloud.guarded.is_open)


def _rules(options: ServerSection) -> dict[str, object]:
    """What logins are decided by; an option that nobody thought of is one of them."""
    return {option: value for option, value in options if option not in WAYS}
