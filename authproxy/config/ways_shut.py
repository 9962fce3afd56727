"""Which options let nobody in (F10). The others are in ways_in, which says whom each lets in."""

from __future__ import annotations

from collections.abc import Mapping

from authproxy.config.model import (
    AdClient,
    Appending,
    Client,
    DuoOnlyClient,
    HttpProxy,
    LdapServerAuto,
    Main,
    RadiusClient,
    RadiusServer,
    RadiusServerAuto,
    RadiusServerChallenge,
    RadiusServerConcat,
    RadiusServerDuoOnly,
    RadiusServerEap,
    ServerSection,
    SharedState,
)
from authproxy.config.model.outbound import Outbound
from authproxy.config.model.radsec import RadSecServer
from authproxy.config.model.section import Options


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What limits a way that another option opens.
BOUNDS: Mapping[type[Options], frozenset[str]] = {
    ServerSection: _names(
        "fail_open_max_minutes fail_open_max_per_hour fail_open_never_users fail_open_never_groups "
        "fail_open_seen_within_days"
    ),
}

# Opens nothing at any value. Options of a client's Message-Authenticator are told for each client, after settling;
# main's http_ca_certs_file and client are told at the sections that inherit them.
SHUT: Mapping[type[Options], frozenset[str]] = {
    Main: _names(
        "debug log_dir log_file log_stdout log_syslog log_journald syslog_facility log_format log_auth_events "
        "log_max_size log_max_files http_ca_certs_file interface client server fips_mode admin admin_token "
        "admin_tls_cert admin_tls_key state_dir user drain_timeout dictionary_dir file_permissions alarm_command "
        "alarm_webhook alarm_webhook_token alarm_webhook_key alarm_webhook_ca_certs_file alarm_webhook_allow_http "
        "challenge_key challenge_key_before push_limit push_limit_window push_limit_pause push_fraud_pause"
    ),
    Outbound: _names("http_proxy_host http_proxy_port http_proxy_username http_proxy_password"),
    ServerSection: _names(
        "name ikey skey api_host api_port api_timeout api_connect_timeout interface login_patience denial_memory debug "
        "slow_cloud_seconds failures_per_client failures_refill"
    ),
    RadiusServer: _names(
        "port require_message_authenticator force_message_authenticator pw_codec client_ip_attr "
        "pass_through_attr_names pass_through_all max_pending max_pending_per_client reject_delay reply_cache "
        "fail_open_class fail_open_filter_id fail_open_reply_message attributes attributes_from failures_per_station "
        "accounting_client accounting_port"
    ),
    RadSecServer: _names(
        "radsec_clients radsec_port radsec_certificate_file radsec_key_file radsec_client_ca_file "
        "radsec_idle_timeout radsec_max_connections"
    ),
    Client: _names("name ip secret"),
    Appending: _names("delimiter delimited_password_length"),
    RadiusServerAuto: _names("factors allow_concat"),
    RadiusServerEap: _names("certs pkey prompt factors allow_concat minimum_tls_version cipher_list"),
    RadiusServerConcat: frozenset(),
    RadiusServerChallenge: _names("prompt_format enroll_challenge"),
    RadiusServerDuoOnly: frozenset(),
    LdapServerAuto: _names(
        "cloud_username port ssl_port ssl_cert_path ssl_key_path minimum_tls_version cipher_list factors "
        "allow_concat delimiter delimited_password_length allow_searches_after_bind network_timeout idle_timeout "
        "max_connections max_connections_per_client max_pending"
    ),
    AdClient: _names(
        "host port auth_type service_account_username service_account_password bind_dn ntlm_domain ntlm_workstation "
        "search_dn security_group_dn ldap_filter username_attribute at_attribute timeout ssl_ca_certs_file "
        "ssl_verify_depth ssl_server_name ssl_client_cert_file ssl_client_key_file failures_per_user failures_window"
    ),
    RadiusClient: _names(
        "host port secret retries retry_wait nas_ip nas_identifier pass_through_attr_names pass_through_all "
        "failures_per_user failures_window transport accounting_port ssl_ca_certs_file ssl_server_name "
        "ssl_client_cert_file ssl_client_key_file"
    ),
    DuoOnlyClient: frozenset(),
    # What crosses is TLS between the client and the cloud; nobody logs in here.
    HttpProxy: _names(
        "name api_host api_port allow_local_api port interface client_ip idle_timeout max_connections "
        "max_connections_per_client"
    ),
    SharedState: _names(
        "host port transport ssl_ca_certs_file ssl_server_name username password database prefix timeout nodes"
    ),
}
