"""Builds a whole configuration."""

from __future__ import annotations

from authproxy.config.load import Loaded
from authproxy.config.model import HttpProxy
from authproxy.config.problems import InvalidConfig
from authproxy.listeners.tls import ServerFiles, ServerTls, UnusableCertificate
from authproxy.service import http_proxy, shared_state
from authproxy.service.alarms import ways
from authproxy.service.building.draft import Draft
from authproxy.service.building.parts import Built
from authproxy.service.building.plans import accounting_ports, ldap_ports, radius_ports, radsec_ports
from authproxy.service.building.primaries import Primaries
from authproxy.service.building.sections import Sections
from authproxy.service.building.world import World


def build(loaded: Loaded, world: World, earlier: Built | None = None) -> Built:
    """Build everything. Until the result is started, nothing is bound or asked, and `earlier` goes on unchanged.

    Raises InvalidConfig: problems that only building shows, such as a CA file that can't be read.
    """
    draft = Draft(loaded, world, earlier)
    for unusable in ways(draft.config.main)[1]:
        draft.problem("main", unusable.option, unusable.problem)
    for name, why in shared_state.unusable(draft.config):
        draft.problem(name, "ssl_ca_certs_file", why)
    asked = Primaries(draft)
    primaries = asked.all()
    sections = Sections(draft, primaries).all()
    accounting = dict(asked.accounting(primaries))
    built = Built(
        draft.config.main,
        sections,
        primaries,
        {**radius_ports(sections), **accounting_ports(sections, accounting)},
        ldap_ports(sections),
        radsec_ports(draft, sections, accounting),
        http_proxy.plans(draft.config.all(HttpProxy), world.reactor, world.resolver),
        accounting,
        [*draft.adoptions, lambda: world.certificates.configure(draft.expiries)],
        _admin_tls(draft),
    )
    if draft.problems:
        raise InvalidConfig(draft.problems)
    return built


def _admin_tls(draft: Draft) -> ServerTls | None:
    main = draft.config.main
    if main.admin is None or main.admin_tls_cert is None or main.admin_tls_key is None:
        return None
    try:
        return ServerTls(ServerFiles(main.admin_tls_cert, main.admin_tls_key))
    except UnusableCertificate as unusable:
        draft.problem("main", "admin_tls_cert", str(unusable))
        return None
