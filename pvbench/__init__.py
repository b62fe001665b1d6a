"""pvbench: does a method keep the person's face without freezing the video or ignoring the prompt?

Importing this package loads neither torch nor anything else heavy.
"""

__version__ = "0.1.0"
