"""What a run takes, imported before processes are forked."""

import mpt.cli.study_view
import mpt.learn
import mpt.study.report.write
import mpt.study.run.grid
import mpt.study.run.worker  # noqa: F401
