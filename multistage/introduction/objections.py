"""Why no sweep can go by what a run showed, each with its remedy."""

from multistage.domain.proposal.logged_metric import guess_metric
from multistage.domain.proposal.pace import join_names
from multistage.errors import SetupError
from multistage.introduction.probe import ProbeResult

QUESTIONS = ("EOFError", "Inappropriate ioctl", "GetPassWarning")
"""What Python says last where a script asks for input and gets none."""


def check_run(name: str, seen: ProbeResult, limit: float) -> ProbeResult:
    """Refuse a run by which no sweep can go; returns it back else.

    Args:
        name: What to call the script.
        seen: What its run showed.
        limit: Seconds for which it was watched at most.

    Raises:
        SetupError: The script fails, or says nothing that a sweep could go by.
    """
    if seen.setup_fault:
        raise SetupError(f"{name}: {seen.setup_fault}")
    if seen.failed:
        raise _explain_failure(name, seen)
    if not seen.reached:
        raise SetupError(
            f"{name} has not reached wandb.init within {limit:g} s.",
            "Wait longer: --init-timeout 300; or begin the run earlier.",
        )
    if guess_metric(seen.rows) is None:
        raise _explain_silence(name, seen, limit)
    return seen


def _explain_failure(name: str, seen: ProbeResult) -> SetupError:
    reason = seen.reason or (seen.said[-1] if seen.said else "")
    if any(word in reason for word in QUESTIONS):
        return SetupError(
            f"{name} asks for input, which nobody gives in a sweep: {reason}.",
            "Let it take by an argument what it asks for.",
        )
    hint = "Fix it, or start it as you do: multistage-sweep init -- COMMAND."
    if "ModuleNotFoundError" in reason:
        hint = "Name the interpreter that has it: --python PATH."
    quoted = " | ".join(seen.said) or "nothing"
    told = f": {reason}\nIts last lines are" if reason not in quoted else ", and its last lines are"
    return SetupError(f"{name} failed{told}: {quoted}", f"\n{hint}")


def _explain_silence(name: str, seen: ProbeResult, limit: float) -> SetupError:
    took = f"in {seen.seconds:.0f} s" if seen.ended else f"within {limit:g} s"
    wait = "" if seen.ended else " Or wait longer: --init-timeout 300."
    keys = sorted({key for row in seen.rows for key in row if not key.startswith("_")})
    if keys:
        told = f"logged only {join_names(keys)} {took}, which does not show how good it is"
    else:
        told = f"logged no number {took}" if seen.logged else f"logged nothing {took}"
    return SetupError(f"{name} {told}.", f"Log what it is judged by: wandb.log({{'score': ...}}).{wait}")
