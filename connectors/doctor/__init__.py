"""What is wrong with this installation, and the line that mends it.

One check a module, named in ``checks.CHECKS`` and imported when it is made, so that a package that
is missing or broken is what one check found and keeps no other from being made.
"""
