"""What programs and notebooks call: sweep a function or a program, and take the result from there.

Each call runs ``multistage-sweep`` in a process of its own. So nothing of the caller's process is changed, and it may
end, or be restarted, while a sweep goes on.
"""

from multistage.library.calls import load, plan, resume, sweep
from multistage.library.result import Belief, Result

__all__ = ["Belief", "Result", "load", "plan", "resume", "sweep"]
