"""FreeRADIUS with its ldap and rest modules: search, bind as the user, then the cloud's calls. And as a relay.

The former is the nearest that a packaged server comes to the job. rlm_rest can neither sign its calls nor read their
verdict (any 200 will do), so it does a little less than the work.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.bench.rig import ADMIN_DN, ADMIN_PASSWORD, BASE_DN, PEOPLE_DN, Cloud
from tests.bench.tools import SECRET

# Two calls: preauth, and an auth that waits for the verdict. Three: what a client that doesn't want to hold a call
# open for a minute does: preauth, auth with async, auth_status.
TWO_CALLS, THREE_CALLS = 2, 3
_LIBRARIES = ("/usr/lib/freeradius", "/usr/lib64/freeradius", "/usr/lib/x86_64-linux-gnu/freeradius")


def configure(
    folder: Path, *, port: int, ldap_port: int, cloud: Cloud, calls: int, threads: int = 32
) -> list[object]:
    """Writes its configuration. Returns the command that runs it in the foreground."""
    modules = _ldap(ldap_port, threads) + _rest(cloud, threads, calls)
    policy = _POLICY.format(post_auth="rest" if calls == THREE_CALLS else "")
    return _write(folder, port, threads, modules, "proxy_requests = no", policy)


def configure_relay(folder: Path, *, port: int, radius_port: int, threads: int = 32) -> list[object]:
    """The same for one that passes every login on to another RADIUS server."""
    upstream = _UPSTREAM.format(port=radius_port, secret=SECRET)
    return _write(folder, port, threads, "", upstream, _RELAY)


def _write(folder: Path, port: int, threads: int, modules: str, proxying: str, policy: str) -> list[object]:
    folder.mkdir(parents=True, exist_ok=True)
    libraries = next((path for path in _LIBRARIES if Path(path).is_dir()), _LIBRARIES[0])
    text = _SERVER.format(
        folder=folder,
        libraries=libraries,
        secret=SECRET,
        port=port,
        threads=threads,
        modules=modules,
        proxying=proxying,
        policy=policy,
    )
    (folder / "bench.conf").write_text(text)
    (folder / "dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
    for path in (folder, *folder.iterdir()):
        path.chmod(path.stat().st_mode & ~0o022)  # it refuses files that others may write
    return ["freeradius", "-f", "-d", folder, "-n", "bench"]


def version() -> str:
    said = subprocess.run(["freeradius", "-v"], capture_output=True, text=True, check=False).stdout
    return said.split(",")[0].replace("radiusd: FreeRADIUS Version ", "").strip()


_SERVER = """\
prefix = /usr
libdir = {libraries}
raddbdir = {folder}
confdir = {folder}
logdir = {folder}
run_dir = {folder}
db_dir = {folder}
name = bench
pidfile = {folder}/pid
max_request_time = 120
cleanup_delay = 5
max_requests = 65536
hostname_lookups = no
log {{
    destination = files
    file = {folder}/radius.log
    auth = no
}}
security {{
    max_attributes = 200
    reject_delay = 0
    status_server = yes
}}
client bench {{
    ipaddr = 127.0.0.1
    secret = {secret}
    require_message_authenticator = yes
}}
thread pool {{
    start_servers = 5
    max_servers = {threads}
    min_spare_servers = 3
    max_spare_servers = 10
    max_requests_per_server = 0
}}
{proxying}
modules {{
{modules}
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
{policy}
}}
"""

_POLICY = """\
    authorize {{
        ldap
        if (ok || updated) {{
            update control {{
                &Auth-Type := LDAP
            }}
        }}
        rest
    }}
    authenticate {{
        Auth-Type LDAP {{
            ldap
            rest
        }}
    }}
    post-auth {{
        {post_auth}
    }}
"""

_RELAY = """\
    authorize {
        update control {
            &Proxy-To-Realm := there
        }
    }
"""

_UPSTREAM = """\
proxy_requests = yes
proxy server {{
    default_fallback = no
}}
home_server there {{
    type = auth
    ipaddr = 127.0.0.1
    port = {port}
    secret = {secret}
    response_window = 20
    max_outstanding = 65536
    status_check = none
}}
home_server_pool there {{
    home_server = there
}}
realm there {{
    auth_pool = there
    nostrip
}}
"""

_POOL = """\
    pool {{
        start = 5
        min = 3
        max = {threads}
        spare = 10
        uses = 0
        retry_delay = 1
        lifetime = 0
        idle_timeout = 60
    }}
"""


def _ldap(port: int, threads: int) -> str:
    head = f"""\
ldap {{
    server = 'ldap://127.0.0.1:{port}'
    identity = '{ADMIN_DN}'
    password = {ADMIN_PASSWORD}
    base_dn = '{BASE_DN}'
    update {{
    }}
    user {{
        base_dn = '{PEOPLE_DN}'
        filter = "(uid=%{{User-Name}})"
    }}
    options {{
        chase_referrals = no
        rebind = no
        res_timeout = 10
        srv_timelimit = 3
        net_timeout = 1
        idle = 60
        probes = 3
        interval = 3
    }}
"""
    return head + _POOL.format(threads=threads) + "}\n"


def _call(section: str, path: str, data: str) -> str:
    return f"""\
    {section} {{
        uri = "${{..connect_uri}}/auth/v2/{path}"
        method = 'post'
        body = 'post'
        data = "{data}"
        force_to = 'plain'
        timeout = 70
        tls = ${{..tls}}
    }}
"""


def _rest(cloud: Cloud, threads: int, calls: int) -> str:
    user = "ipaddr=192.0.2.7&username=%{User-Name}"
    asynchronous = "async=1&" if calls == THREE_CALLS else ""
    head = f"""\
rest {{
    tls {{
        ca_info_file = {cloud.ca}
        check_cert = yes
        check_cert_cn = yes
    }}
    connect_uri = "https://localhost:{cloud.port}"
"""
    sections = _call("authorize", "preauth", user)
    sections += _call("authenticate", "auth", f"{asynchronous}device=auto&factor=auto&{user}")
    if calls == THREE_CALLS:
        # It can't carry the txid from one reply to the next call, so it sends one that the cloud takes from it alone.
        sections += _call("post-auth", "auth_status", "txid=bench")
    return head + sections + _POOL.format(threads=threads) + "}\n"
