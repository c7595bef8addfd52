"""No network for the Python processes that have this folder on PYTHONPATH: only this machine.

Notebooks run like this in the tests, so that a page which needs the network cannot pass.
"""

import ipaddress
import socket

_connect, _connect_ex, _getaddrinfo = (
    socket.socket.connect,
    socket.socket.connect_ex,
    socket.getaddrinfo,
)


def _refuse(host):
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost"):
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False  # a name, which a server elsewhere would have to resolve
    if not local:
        raise OSError(f"no network in this run: refused {host}; read data from the cache")


def _guarded(call):
    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse(address[0])
        return call(self, address)

    return connect


def _resolve(host, *args, **kwargs):
    _refuse(host)
    return _getaddrinfo(host, *args, **kwargs)


socket.socket.connect = _guarded(_connect)
socket.socket.connect_ex = _guarded(_connect_ex)
socket.getaddrinfo = _resolve
