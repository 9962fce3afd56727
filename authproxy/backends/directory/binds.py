"""Binding as an account, and the meaning of the directory's answer: right, wrong, or no verdict (L15, L16)."""

from __future__ import annotations

from dataclasses import field

from authproxy.backends.directory.connect import Unusable
from authproxy.backends.directory.connection import ConnectionFailed, LdapConnection
from authproxy.backends.directory.ntlm import MECHANISM, Account, Exchange, NtlmFailed, NtlmUnusable
from authproxy.backends.directory.settings import AuthType, Transport
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.controls import (
    PASSWORD_POLICY,
    Control,
    PasswordPolicy,
    encode_controls,
    password_policy,
)
from authproxy.protocols.ldap.requests import (
    NO_ATTRIBUTES,
    BindRequest,
    Sasl,
    Scope,
    SearchRequest,
    Simple,
)
from authproxy.protocols.ldap.responses import BindResponse, Result
from authproxy.protocols.ldap.result import ResultCode, code_name, policy_cause, refusal_cause
from authproxy.secret import Secret
from authproxy.values import light_dataclass

# Asks for the reason of a refusal; a server that doesn't know it ignores it.
_ASK_POLICY = encode_controls((Control(PASSWORD_POLICY),))

# The server didn't look at the password. Another one may.
_NO_VERDICT = frozenset(
    {
        ResultCode.OPERATIONS_ERROR,
        ResultCode.PROTOCOL_ERROR,
        ResultCode.TIME_LIMIT_EXCEEDED,
        ResultCode.REFERRAL,  # names somebody else; never followed (L25)
        ResultCode.ADMIN_LIMIT_EXCEEDED,
        ResultCode.UNAVAILABLE_CRITICAL_EXTENSION,
        ResultCode.SASL_BIND_IN_PROGRESS,
        ResultCode.BUSY,
        ResultCode.UNAVAILABLE,
        ResultCode.LOOP_DETECT,
        ResultCode.OTHER,
    }
)
# No server of this directory will look at it before somebody changes something.
_TODO = {
    ResultCode.AUTH_METHOD_NOT_SUPPORTED: "set auth_type to what the directory supports",
    ResultCode.STRONGER_AUTH_REQUIRED: "the directory insists on protection: transport ldaps with auth_type plain, "
    "or transport clear with auth_type ntlm2",
    ResultCode.CONFIDENTIALITY_REQUIRED: "the directory insists on TLS: set transport to ldaps or starttls",
}


class NoVerdict(Exception):
    """The server's answer says nothing about the password. The text is for the log."""


@light_dataclass(frozen=True, slots=True)
class Right:
    """`grace_logins`: the password has expired, and so many more logins are allowed."""

    grace_logins: int | None = None


@light_dataclass(frozen=True, slots=True)
class Wrong:
    """`cause` is the audit's word for why."""

    cause: str


Proof = Right | Wrong


@light_dataclass(frozen=True, slots=True)
class Credentials:
    """Who binds. `name`: for a simple bind, usually a DN; `account`: for NTLM."""

    name: str
    account: Account | None
    password: Secret = field(repr=False)


@light_dataclass(frozen=True, slots=True)
class Binder:
    """Binds as the accounts of a section."""

    auth_type: AuthType
    transport: Transport
    workstation: str = ""

    async def bind(
        self, connection: LdapConnection, credentials: Credentials, server: str, deadline: float
    ) -> Proof:
        """One attempt. `server` is the host's name, `deadline` in the reactor's seconds.

        Raises ConnectionFailed and NoVerdict (another host may do better), Unusable (none will), PasswordNotText.
        """
        if not credentials.password or not credentials.name:
            # RFC 4513 §5.1.2: either would be an anonymous bind that says it succeeded (R25, L7).
            raise RuntimeError("a bind without a name or a password must not get here")
        match self.auth_type:
            case AuthType.PLAIN:
                request = BindRequest(credentials.name, Simple(credentials.password))
                response, controls = await connection.bind(request, deadline, _ASK_POLICY)
                return judge(response.result, _policy(connection, controls))
            case AuthType.NTLM2:
                account = credentials.account
                if account is None or not account.name:
                    raise RuntimeError("a bind without an account must not get here")
                return await self._bind_ntlm(connection, account, credentials.password, server, deadline)

    async def _bind_ntlm(
        self, connection: LdapConnection, account: Account, password: Secret, server: str, deadline: float
    ) -> Proof:
        try:
            exchange = Exchange(
                account,
                password,
                server=server,
                certificate=connection.peer_certificate,
                workstation=self.workstation,
            )
            response, _ = await connection.bind(_spnego(exchange.first()), deadline)
            if response.result.code != ResultCode.SASL_BIND_IN_PROGRESS:
                return _judge_early(response)
            response, _ = await connection.bind(
                _spnego(exchange.second(response.server_credentials)), deadline
            )
            proof = judge(response.result, None)
            if self.transport is Transport.CLEAR and isinstance(proof, Right):
                connection.protect(exchange.layer(response.server_credentials))
                await _prove_server(connection, deadline)
        except NtlmFailed as failed:
            connection.abort(str(failed))
            raise ConnectionFailed(f"NTLM: {failed}") from None
        except NtlmUnusable as unusable:
            raise Unusable(str(unusable)) from None
        return proof


def judge(result: Result, policy: PasswordPolicy | None) -> Proof:
    """The meaning of a bind's result. Raises NoVerdict, Unusable."""
    if result.code == ResultCode.SUCCESS:
        # A password that must be changed first is no login, on Active Directory and here (L16).
        cause = policy_cause(policy)
        if cause is not None:
            return Wrong(cause)
        return Right(policy.grace_logins if policy is not None else None)
    described = f"{code_name(result.code)} {result.diagnostic}".rstrip()
    if result.code in _TODO:
        raise Unusable(f"{described}: {_TODO[ResultCode(result.code)]}")
    if result.code in _NO_VERDICT:
        raise NoVerdict(described)
    return Wrong(refusal_cause(result.code, result.diagnostic, policy))


def _judge_early(response: BindResponse) -> Proof:
    """An answer to the first message, which carries nothing that a password was needed for."""
    proof = judge(response.result, None)
    if isinstance(proof, Right):
        raise NtlmFailed("the server said yes to a bind without a proof")
    return proof


def _policy(connection: LdapConnection, controls: tuple[Control, ...]) -> PasswordPolicy | None:
    try:
        return password_policy(controls)
    except MalformedMessage as malformed:
        connection.abort(str(malformed))
        raise ConnectionFailed(f"malformed password policy: {malformed}") from None


def _spnego(token: Secret) -> BindRequest:
    return BindRequest("", Sasl(MECHANISM, token))


async def _prove_server(connection: LdapConnection, deadline: float) -> None:
    """The yes came in clear; an answer inside the layer shows that whoever said it has the key."""
    await connection.search(SearchRequest("", Scope.BASE, attributes=NO_ATTRIBUTES), deadline)
