"""What the exit status of ``simulate`` means. Imports nothing."""

SUCCESS = 0
FAILED = 1  # a run that could not end well, or an answer that is no
WRONG_INPUT = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells say it
