"""Runs gear's server with an access list: one certificate may register what fits a pattern, and submit anything.

geard_with_access_list.py PORT KEY CERTIFICATE CA COMMON-NAME PATTERN
"""
import sys
import threading

import gear

port, key, certificate, ca, name, pattern = sys.argv[1:]
acl = gear.ACL()
acl.add(gear.ACLEntry(name, register=pattern.encode(), invoke=b'.*'))
gear.Server(int(port), key, certificate, ca, host='127.0.0.1', acl=acl)
threading.Event().wait()
