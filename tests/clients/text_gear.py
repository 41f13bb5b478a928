"""PyPI's gear as programs for Python 2 know it: jobs and answers are text, not bytes.

Import this before such a program. Under Python 2 it changes nothing.
"""

import inspect
import sys
import types

import gear


def _text_answer(request):
    return request.__dict__["response"].decode("utf-8")


def _keep_answer(request, response):
    request.__dict__["response"] = response


if sys.version_info[0] > 2:
    gear.AdminRequest.response = property(_text_answer, _keep_answer)
    # gear looks its own classes up by name, hence a module beside it and not another class in it.
    text = types.ModuleType("gear")
    vars(text).update(vars(gear), Job=gear.TextJob)
    sys.modules["gear"] = text
    if not hasattr(inspect, "getargspec"):
        inspect.getargspec = inspect.getfullargspec
