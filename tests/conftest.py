"""What every test keeps to."""

from hypothesis import settings

# No test is about time, and a busy machine is no fault.
settings.register_profile("tandem", deadline=None)
settings.load_profile("tandem")
