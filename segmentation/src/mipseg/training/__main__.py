"""`python -m mipseg.training`: what is wrong, the missing extra included, ends it in one line."""

from mipseg.command import errors_in_one_line

with errors_in_one_line():
    from mipseg.training.command_line import main

    main()
