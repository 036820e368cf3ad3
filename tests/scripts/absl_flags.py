"""absl's flags."""

import time
import sys

from absl import flags
import wandb

FLAGS = flags.FLAGS
flags.DEFINE_float("learning_rate", 0.1, "Step size.")
flags.DEFINE_boolean("use_amp", True, "Mixed precision.")
flags.DEFINE_integer("n_steps", 9, "Steps.")
FLAGS(sys.argv)
learning_rate, use_amp, n_steps = FLAGS.learning_rate, FLAGS.use_amp, FLAGS.n_steps
run = wandb.init(
    project="theirs",
    name=f"theirs__{int(time.time())}",
    tags=["theirs", "v2"],
    group="their-group",
    job_type="train",
    notes="as its author wrote it",
    config={name: FLAGS[name].value for name in ("learning_rate", "use_amp", "n_steps")},
)
for step in range(3):
    run.log({"score": -((learning_rate - 0.3) ** 2) + 0.01 * step, "step": step})
run.summary["taken"] = repr((learning_rate, use_amp, n_steps))
run.finish()
