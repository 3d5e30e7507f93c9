"""A network and mount namespace for one run."""

import os
import pathlib
import shutil
import subprocess
import sys

HOST = "hub.test"
# Installations that run beside the first one have an address and names of their own.
LIMITED_ADDRESS, LIMITED = "127.0.0.4", "limited.test"
BESIDE = {"127.0.0.2": ("north.test", "south.test"), "127.0.0.3": ("far.test",), LIMITED_ADDRESS: (LIMITED,)}
MARK = "BEHAVIOURS_NAMESPACE"
# Proxies, trust stores and credentials of the machine have no meaning inside.
LEFT_OUT = {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "NODE_OPTIONS"}


def inside():
    return os.environ.get(MARK) == "1"


def enter(command):
    """Runs the command in new namespaces and returns its exit status."""
    environment = {key: value for key, value in os.environ.items() if is_kept(key)}
    environment[MARK] = "1"
    return subprocess.run([*unshare(), *command], env=environment, stdin=subprocess.DEVNULL).returncode


def is_kept(key):
    return key not in LEFT_OUT and not key.lower().endswith("_proxy") and not key.startswith("THINGSTEAD_")


def unshare():
    """The first form that this machine allows: as root, or as root of a user namespace."""
    plain = ["unshare", "--net", "--mount", "--"]
    in_user = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--"]
    forms = [plain, in_user] if os.geteuid() == 0 else [in_user]
    for form in forms:
        if subprocess.run([*form, "true"], capture_output=True).returncode == 0:
            return form
    sys.exit(
        "this machine allows no network namespace; as root allow user namespaces "
        "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0) "
        "or give the container CAP_SYS_ADMIN"
    )


def furnish(scratch: pathlib.Path):
    """Brings `lo` up and lays a hosts file of our own over the machine's."""
    subprocess.run([command("ip"), "link", "set", "lo", "up"], check=True)
    hosts = scratch / "hosts"
    beside = "".join(f"{address} {' '.join(names)}\n" for address, names in BESIDE.items())
    hosts.write_text(f"127.0.0.1 localhost {HOST}\n::1 localhost\n{beside}")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)


def command(name):
    """System programs that are not on every user's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or sys.exit(f"{name} is missing")
